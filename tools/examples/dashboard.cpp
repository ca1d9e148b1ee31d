// dashboard DIR HOST:PORT LOG...
//
// Shows the newest readings of some logs, and each that follows as it comes, until it is ended.
// What it has shown stays in DIR; started again, it fetches what it lacks.
#include <iostream>
#include <vector>

#include <culm/culm.hpp>

namespace {

struct Shown {
  culm::LogKey log;
  culm::Follower follower;
};

void show_new(const culm::Replica& replica, Shown& shown) {
  const culm::RangeSet fresh = shown.follower.next(culm::Duration::zero()).value();
  for (const culm::SeqRange range : fresh.ranges()) {
    for (culm::SeqNum n = range.first; n <= range.last; ++n) {
      std::cout << culm::to_string(shown.log).substr(0, 8) << ' ' << n << ' '
                << culm::as_text(replica.read(shown.log, n).value()) << std::endl;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: dashboard DIR HOST:PORT LOG...\n";
    return 2;
  }
  auto replica = culm::Replica::open(argv[1]).value();
  culm::node::SyncRequest request;
  request.peers.push_back({culm::node::parse_endpoint(argv[2]).value()});
  request.live = true;
  std::vector<Shown> all;
  for (int i = 3; i < argc; ++i) {
    const culm::LogKey log = culm::parse_log_key(argv[i]).value();
    request.logs.push_back({.log = log, .interest = {.newest = 10}});
    all.push_back({log, replica.follow(log)});
  }
  const auto told = [&](const culm::node::SyncEvent& /*event*/) {
    for (Shown& shown : all) show_new(replica, shown);
    return true;
  };
  replica.sync(request, told).value();
}
