#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "culm/replication/transport/node.hpp"

#include "tools/cli/context.hpp"
#include "tools/relay/asio.hpp"
#include "tools/relay/line_limit.hpp"
#include "tools/relay/log.hpp"

namespace culm::tools {

/// Tells a log what a node does: once a minute in which something happened what it was, in numbers;
/// at once what somebody should look after; each connection and each log that grows at level debug.
/// Whatever comes, no more lines than `LineLimit` says, and one a second that tells how many are
/// left out.
class NodeJournal {
 public:
  /// `io`, `node` and `log` must outlive the journal; `store` is what the store is called.
  NodeJournal(asio::io_context& io, const transport::Node& node, const Log& log,
              const Context& context);
  NodeJournal(const NodeJournal&) = delete;
  NodeJournal& operator=(const NodeJournal&) = delete;
  /// Writes what is still to be said.
  ~NodeJournal();

  /// The handlers that write; not called any more once the journal is gone.
  [[nodiscard]] transport::NodeObserver observer();
  /// Writes what happened since it was written last; nothing where nothing did.
  void summarize();
  /// Leaves no work in the `io_context`.
  void close();

 private:
  struct Received {
    std::uint64_t entries = 0;
    SeqNum highest = 0;
  };
  /// What a node does not count.
  struct Counts {
    std::uint64_t came_to_nothing = 0;  ///< connections that never became sessions
    std::uint64_t offers_taken = 0;
    std::uint64_t offers_declined = 0;
    std::set<LogKey> declined{};  ///< the first logs of these
    std::uint64_t not_taken = 0;  ///< further units, as the store fails
  };

  void on_session(const node::SessionRef& session, const replication::Event& event);
  void on_damaged(const LogKey& log, const RangeSet& seqnums);
  void on_ended(const node::SessionRef& session, const replication::Ended& ended);
  void on_committed(const replication::WorkReport& report);
  /// Whether it has not been said yet.
  [[nodiscard]] bool is_news(const Error& error);
  void write_received();
  /// `session`: whom the line is about; 0: nobody in particular.
  void write(Level level, std::string_view type, const std::string& text, Json fields,
             std::uint64_t session = 0);
  void write_left_out();
  void wait_minute();

  const transport::Node& node_;
  const Log& log_;
  const Context& context_;
  asio::steady_timer second_;
  asio::steady_timer minute_;
  asio::steady_timer left_out_;
  LineLimit limit_;
  std::map<LogKey, Received> received_;
  Counts counts_;         ///< since the last summary
  node::NodeStats told_;  ///< with the last summary
  std::chrono::steady_clock::time_point told_at_;
  std::optional<Errc> failing_;  ///< why the store takes or gives nothing, once that was said
  bool is_left_out_under_way_ = false;
  bool closed_ = false;
};

}  // namespace culm::tools
