#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culm/core/hash.hpp"
#include "culm/replication/host/jsonl.hpp"

namespace culm::host {

/// A payload that was hashed as it was read, and where its hex digits begin in the file.
struct ReadPayload {
  Hash hash;
  std::uint64_t size_bytes = 0;
  std::uint64_t offset = 0;
};

/// A line of JSON that comes in pieces and is kept without the payload in it: of hex that is longer
/// than a text should be only the hash is made. What is left is decoded as other lines are.
class LongLine {
 public:
  /// `offset`: of the line, in the file.
  explicit LongLine(std::uint64_t offset) : place_(offset) {}

  /// Fails with kFileFormat where what is not hex takes too much memory.
  [[nodiscard]] Result<void> put(std::string_view piece);

  struct Content {
    JsonlEntry entry;                      ///< with a payload that is no long one
    std::optional<ReadPayload> payload{};  ///< a long one
  };
  /// Once all of it has come. Fails as `decode_jsonl`.
  [[nodiscard]] Result<Content> finish();

 private:
  /// Hex that is not kept.
  struct Run {
    Hasher hasher{};
    ReadPayload read{};
    std::string odd{};  ///< a digit whose other half is to come
    bool is_hex = true;
  };

  void put_outside(char c);
  void put_inside(char c);
  void put_escape(std::string_view& piece);
  void begin_run();
  static void add_digits(Run& run, std::string_view digits);

  std::uint64_t place_;  ///< of what comes next
  std::string kept_{};   ///< the line, with a mark where each run was
  std::vector<Run> runs_{};
  bool is_inside_ = false;   ///< of a text
  bool is_escaped_ = false;  ///< the next character of it
  bool is_running_ = false;  ///< what comes belongs to the last run
  bool may_run_ = false;     ///< the text is hex so far
  std::size_t text_at_ = 0;  ///< where the text begins in `kept_`
};

}  // namespace culm::host
