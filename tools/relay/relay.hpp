#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "culm/replication/transport/node.hpp"

#include "tools/cli/context.hpp"
#include "tools/relay/asio.hpp"
#include "tools/relay/host.hpp"
#include "tools/relay/line_limit.hpp"

namespace culm::tools {

/// Writes what a node does to stderr: a line per session, at most one a second for what it receives
/// of a log, and for those who are sent away at most one a minute of each kind; whatever comes, no
/// more lines than `LineLimit` says and one a second that tells how many are left out.
class NodeJournal {
 public:
  /// `io` and `node` must outlive the journal; `store` is what the store is called.
  NodeJournal(asio::io_context& io, const transport::Node& node, std::string store);
  NodeJournal(const NodeJournal&) = delete;
  NodeJournal& operator=(const NodeJournal&) = delete;
  /// Writes what is still to be said of logs and of who was sent away.
  ~NodeJournal();

  /// The handlers that write; not called any more once the journal is gone.
  [[nodiscard]] transport::NodeObserver observer();
  /// Leaves no work in the `io_context`.
  void close();

 private:
  struct Received {
    std::uint64_t entries = 0;
    SeqNum highest = 0;
  };

  void on_session(const node::SessionRef& session, const replication::Event& event);
  void on_damaged(const LogKey& log, const RangeSet& seqnums);
  void on_ended(const node::SessionRef& session, const replication::Ended& ended);
  void on_committed(const replication::WorkReport& report);
  void write_received();
  void on_sent_away();
  void write_sent_away();
  /// `session`: whom the line is about; 0: nobody in particular.
  void write(const std::string& text, std::uint64_t session = 0);
  void write_left_out();

  const transport::Node& node_;
  std::string store_;
  asio::steady_timer second_;
  asio::steady_timer minute_;
  asio::steady_timer left_out_;
  LineLimit limit_;
  std::map<LogKey, Received> received_;
  /// Connections that never became sessions: one line a minute tells of them, whatever comes.
  std::uint64_t strangers_ = 0;
  std::chrono::steady_clock::time_point strangers_next_{};
  node::NodeStats told_;  ///< with the last line on who was sent away
  bool is_minute_under_way_ = false;
  bool is_left_out_under_way_ = false;
  bool closed_ = false;
};

struct RelayOptions {
  std::string listen = "127.0.0.1:7474";
  std::vector<std::string> accept;
  bool accept_any = false;
  AdmissionOptions admission;
  HostOptions host_options;
};

/// Serves the store until a signal ends it.
[[nodiscard]] Outcome<void> run_relay(Context& context, const RelayOptions& options);

}  // namespace culm::tools
