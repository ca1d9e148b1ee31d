#include "tools/cli/arguments.hpp"
#include "tools/cli/verbs.hpp"
#include "tools/relay/relay.hpp"

namespace culm::tools {

void add_relay(CommandTree& tree) {
  const auto options = std::make_shared<RelayOptions>();
  Verb& verb = tree.add_verb(
      "relay",
      "Serve every log of the store to peers that name it, until interrupted. Logs that others\n"
      "push are taken when they are on the list. Prints one line when it is ready: the digits\n"
      "that `culm sync --peer` can insist on, and the address. SIGTERM and Ctrl-C end it.\n"
      "\n"
      "What happens goes to stderr, once a minute in numbers, with the logs that were offered\n"
      "and are not on the list; SIGHUP asks for them now. It is told in about 6 lines a second\n"
      "at most, 3 of one peer; how many more there were is said.\n"
      "\n"
      "A store that is missing is made once it can listen, and so is peer.key in its directory:\n"
      "to stay the peer that others know, keep a copy of that file. A damaged row is passed\n"
      "over; a damaged page of the store may end the relay with exit 5: `culm repair` mends\n"
      "what can be. Where the store's files were taken away, it serves what is still open and\n"
      "takes nothing, and ends with exit 5. Signatures that nothing depended on are checked in\n"
      "the background, one at a time.",
      "culm --store relay relay --listen 0.0.0.0:7474 --accept-any", options, &run_relay);
  verb.group(VerbGroup::kExchange);
  verb.add_option("--listen", &options->listen, "Where to listen; port 0 takes any that is free")
      .type_name("HOST:PORT")
      .show_default();
  Option& accept = verb.add_option(
      "--accept", &options->accept,
      "Take this log when it is offered: an author's 64 hex digits or name, for all logs\n"
      "of the author, or these with .LOG_ID, for one. May be given several times");
  accept.type_name("AUTHOR");
  verb.add_flag("--accept-any", options->accept_any, "Take every log that is offered")
      .excludes(accept);
  verb.add_option(
      "--log-level", value_of("error|warning|info|debug", options->log.level, parse_level),
      "What stderr is told at least; otherwise info.\n"
      "debug has a line for each connection and each log that grows, within that limit");
  verb.add_flag("--log-json", options->log.json, "Write each line to stderr as an object in JSON");
  add_admission_options(verb, options->admission);
  add_host_options(verb, options->host_options);
}

}  // namespace culm::tools
