// sensor DIR KEY HOST:PORT
//
// Each line of standard input is a reading: appended to a log of its own, durable at once, and
// given to the relay whenever that can be reached. Readings taken while it cannot go with a later
// one.
#include <iostream>
#include <string>

#include <culm/culm.hpp>

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: sensor DIR KEY HOST:PORT\n";
    return 2;
  }
  auto replica = culm::Replica::open(argv[1]).value();
  auto mine = replica.open_log(argv[2]).value();
  std::cout << culm::to_string(mine.key()) << std::endl;
  for (std::string reading; std::getline(std::cin, reading);) {
    std::cout << mine.append(reading).value();
    const auto pushed = replica.push(argv[3], {mine.key()});
    std::cout << (pushed ? " pushed" : " kept: " + culm::message(pushed.error())) << std::endl;
  }
}
