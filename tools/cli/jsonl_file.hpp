#pragma once

#include <string>

#include "culm/replication/host/jsonl_file.hpp"

#include "tools/cli/failure.hpp"

/// `host::JsonlFile` by its name, and what is wrong with it in words.
namespace culm::tools {

/// Logs that their authors forked: each with the lowest seqnum that is not valid.
[[nodiscard]] Json to_json(const std::vector<host::JsonlFork>& forks);
/// The same in words, the first of them: "log 4fd3.. at 21, log .. at 5".
[[nodiscard]] std::string human_forks(const std::vector<host::JsonlFork>& forks);

/// Fails with exit 4 and the line, the seqnum and the reason of the first line that is wrong. What
/// comes through a pipe leaves its payloads in a file without a name in `copy_directory`, which
/// takes what the disk has room for; where that is empty no payload can be read.
[[nodiscard]] Outcome<host::JsonlFile> read_jsonl(const std::string& path,
                                                  SignatureVerifier& verifier,
                                                  host::JsonlFile::Signatures signatures,
                                                  const std::string& copy_directory = {});

/// Says what was refused: exit 7 when two entries prove a defect, else 4.
[[nodiscard]] Failure explain(const std::string& path, const host::JsonlFault& fault);

}  // namespace culm::tools
