#include <iostream>

#include <culm/culm.hpp>

// Appends two entries to a log of one's own, reads them back, and gives them to a relay.
int main(int argc, char** argv) {
  auto replica = culm::Replica::open("notes").value();  // made if it is missing
  auto mine = replica.open_log("me.key").value();       // so is the key
  mine.append("hello").value();
  mine.append("world").value();
  for (culm::SeqNum n = 1; n <= mine.head(); ++n) {
    std::cout << n << ' ' << culm::as_text(replica.read(mine.key(), n).value()) << '\n';
  }
  if (argc > 1) replica.push(argv[1], {mine.key()}).value();  // to a relay at HOST:PORT
}
