#pragma once

/// Makes the operating system fail below LMDB, which calls it through this program's symbols.
namespace culm::test {

enum class IoFault { kNone, kDataWrite, kShortWrite, kSync, kMetaWrite, kDirectorySync, kLink };

/// Until it ends, calls of the kind `fault` fail with `number` (kShortWrite: write half).
class IoFaultScope {
 public:
  IoFaultScope(IoFault fault, int number);
  IoFaultScope(const IoFaultScope&) = delete;
  IoFaultScope& operator=(const IoFaultScope&) = delete;
  ~IoFaultScope();
};

/// How often a fault was injected, in all.
[[nodiscard]] int io_faults_injected();

}  // namespace culm::test
