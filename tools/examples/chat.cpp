// chat DIR KEY HOST:PORT [LOG...]
//
// Each line of standard input is said in a log of one's own; what the others say in theirs is shown
// as it comes. All go through a relay that takes them (`culm relay --accept-any`), so nobody has to
// be there at the same time. The first line printed names one's own log, for the others.
#include <iostream>
#include <map>
#include <string>

#include <culm/culm.hpp>

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: chat DIR KEY HOST:PORT [LOG...]\n";
    return 2;
  }
  auto replica = culm::Replica::open(argv[1]).value();
  auto mine = replica.open_log(argv[2]).value();
  std::cout << culm::to_string(mine.key()) << std::endl;

  culm::node::SyncRequest request;
  request.peers.push_back({culm::node::parse_endpoint(argv[3]).value()});
  request.live = request.push = true;
  request.logs.push_back({.log = mine.key()});
  std::map<culm::LogKey, culm::Follower> others;
  for (int i = 4; i < argc; ++i) {
    const culm::LogKey log = culm::parse_log_key(argv[i]).value();
    request.logs.push_back({.log = log});
    others.emplace(log, replica.follow(log));
  }

  // In the thread of the sync.
  const auto told = [&](const culm::node::SyncEvent& /*event*/) {
    for (auto& [log, follower] : others) {
      const culm::RangeSet fresh = follower.next(culm::Duration::zero()).value();
      for (const culm::SeqRange range : fresh.ranges()) {
        for (culm::SeqNum n = range.first; n <= range.last; ++n) {
          std::cout << culm::to_string(log).substr(0, 8) << ": "
                    << culm::as_text(replica.read(log, n).value()) << std::endl;
        }
      }
    }
    return true;
  };
  const auto sync = replica.start_sync(request, told).value();
  for (std::string line; std::getline(std::cin, line);) mine.append(line).value();
}
