#include <algorithm>
#include <set>

#include "culm/replication/node/endpoint.hpp"

#include "tools/cli/files.hpp"
#include "tools/cli/guard.hpp"
#include "tools/cli/interrupt.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

struct Options {
  std::vector<std::string> forgotten;
};

Outcome<std::vector<store::KnownPeer>> read_peers(const Context& context,
                                                  const store::Store& store) {
  CULM_TOOLS_TRY(const auto transaction, store.read());
  return about(named(context), transaction.known_peers());
}

Outcome<void> list(Context& context) {
  CULM_TOOLS_CHECK(guard_reading(context));
  CULM_TOOLS_TRY(const auto store, open_for_reading(context));
  CULM_TOOLS_TRY(const auto peers, read_peers(context, *store));
  for (const auto& [address, keys] : peers) {
    Json line{{"type", "known_peer"}, {"address", address}, {"keys", Json::array()}};
    std::string text = address;
    for (const sealing::PeerKey& key : keys) {
      line["keys"].push_back(to_hex(key.bytes));
      text += " " + to_hex(key.bytes);
    }
    CULM_TOOLS_CHECK(context.json ? context.out.write_json(line) : context.out.say(text + "\n"));
  }
  if (!peers.empty() || context.json) return {};
  return context.out.say(
      "this store has not synced anything with a peer yet, or forgot it: `culm sync HOST:PORT`\n");
}

Outcome<void> forget(Context& context, const std::vector<std::string>& texts) {
  Ed25519Verifier verifier;
  CULM_TOOLS_TRY(const auto access, open_for_writing(context, IfMissing::kFail, verifier));
  CULM_TOOLS_TRY(const auto peers, read_peers(context, *access.store));
  std::set<std::string> addresses;
  for (const std::string& text : texts) {
    // As it is kept: a host may be written in several ways.
    const auto endpoint = node::parse_endpoint(text);
    const std::string address = endpoint ? node::to_string(*endpoint) : text;
    if (std::ranges::find(peers, address, &store::KnownPeer::address) == peers.end()) {
      return fail_with(Failure(Exit::kNotFound, Errc::kAddress,
                               "this store has not synced with such a peer, or forgot it")
                           .about(shown(text))
                           .next("`culm peers` lists those with whom it has"));
    }
    addresses.insert(address);
  }
  for (const std::string& address : addresses) {
    const Uninterrupted whole;
    CULM_TOOLS_CHECK(about(named(context), access.writer->forget_peer(address)));
    say_when_interrupted("forgot the peer");
    const Json line{{"type", "peer_forgotten"}, {"address", address}};
    CULM_TOOLS_CHECK(context.json ? context.out.write_json(line)
                                  : context.out.say("forgot the peer at " + address + "\n"));
  }
  return {};
}

Outcome<void> run(Context& context, const Options& options) {
  return options.forgotten.empty() ? list(context) : forget(context, options.forgotten);
}

}  // namespace

void add_peers(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "peers",
      "List the peers that this store has synced with, 16 at most: address and key. `culm append`\n"
      "asks them for more of your log where store and author mark were not written together, as\n"
      "after a restore. A relay that was set up again has another key, and does not know what the\n"
      "one before it held: its address has two keys then. Forget a peer that is gone for good, or\n"
      "each such append says that it could not be asked. The next sync with it makes it known\n"
      "again.",
      "culm peers\n"
      "  culm peers --forget 127.0.0.1:7474",
      options, run);
  verb.group(VerbGroup::kExchange);
  verb.add_option("--forget", &options->forgotten, "Forget this peer, or these")
      .type_name("HOST:PORT")
      .takes_several();
}

}  // namespace culm::tools
