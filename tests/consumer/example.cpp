#include <cstdio>
#include <string>

#include "culm/store/appender.hpp"
#include "culm/store/lmdb_kv.hpp"

// Appends two entries to a log of one's own and reads them back.
culm::Result<void> run(const std::string& directory) {
  CULM_CHECK(culm::initialize_crypto());
  culm::SystemRandom random;
  const auto key = culm::SecretKey::generate(random);

  CULM_TRY(auto kv, culm::store::LmdbKv::open(directory, {}));
  CULM_TRY(const auto store, culm::store::Store::open(std::move(kv), random));

  const culm::LogKey log{key.author(), culm::LogId{0}};
  CULM_TRY(const auto mark, culm::store::FileAuthorMark::open(directory + "/mark", log));
  CULM_TRY(auto appender, culm::store::Appender::open(*store, key, log.log_id, *mark,
                                                      culm::store::commit_into(*store)));
  const culm::ByteView payloads[] = {culm::as_bytes("hello"), culm::as_bytes("world")};
  CULM_CHECK(appender.append(payloads));

  CULM_TRY(const auto transaction, store->read());
  CULM_TRY(const auto state, transaction.get_log(log));
  return transaction.visit_entries(
      state, state.held, [](const culm::store::StoredEntry& stored) -> culm::Result<bool> {
        const std::string text(culm::as_text(*stored.inline_payload));
        std::printf("%llu %s\n", static_cast<unsigned long long>(stored.entry.seqnum()),
                    text.c_str());
        return true;
      });
}

int main(int argc, char** argv) {
  const auto done = run(argc > 1 ? argv[1] : "example-store");
  if (!done) std::fprintf(stderr, "%s\n", culm::message(done.error()).c_str());
  return done ? 0 : 1;
}
