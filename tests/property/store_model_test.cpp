#include <map>
#include <set>

#include "culm/store/audit.hpp"
#include "culm/store/lmdb_kv.hpp"

#include "tests/store/store_fixture.hpp"
#include "tests/support/temp_dir.hpp"

/// The store against a model of maps and sets, over memory and over LMDB at the same time: all
/// three must agree after every transaction, and the two stores on every byte.
namespace culm::test {
namespace {

constexpr SeqNum kHead = 48;
constexpr std::size_t kChunk = limits::kPayloadChunkBytes;

struct ModelEntry {
  EntryBuffer bytes;
  bool is_verified = false;
  std::optional<Bytes> payload;
};

/// One log, slow and plain.
class ModelLog final : public HeldLog {
 public:
  const RangeSet& held() const override { return held_; }
  const RangeSet& verified() const override { return verified_; }
  SeqNum cap() const override { return cap_; }
  SeqNum end_of_log() const override { return end_of_log_; }
  Result<EntryView> entry(SeqNum seqnum) override { return entries.at(seqnum).bytes.view(); }

  void set_cap(SeqNum at) { cap_ = at; }
  bool is_below_cap(SeqNum n) const { return cap_ == 0 || n < cap_; }

  void refresh() {
    held_ = verified_ = {};
    end_of_log_ = 0;
    for (const auto& [n, item] : entries) {
      held_.insert(n);
      if (item.is_verified) verified_.insert(n);
      if (item.bytes.view().is_end_of_log()) end_of_log_ = n;
    }
  }

  RangeSet payloads() const {
    RangeSet out;
    for (const auto& [n, item] : entries) {
      if (item.payload) out.insert(n);
    }
    return out;
  }

  /// All that is told of a log but its number and change.
  LogState state() const {
    LogState out;
    out.held = held_;
    out.verified = verified_;
    out.payloads = payloads();
    for (const SeqNum n : deleted) out.deleted.insert(n);
    out.interest = interest;
    out.cap = cap_;
    out.end_of_log = end_of_log_;
    for (const auto& [n, item] : entries)
      out.payload_bytes += item.payload.value_or(Bytes{}).size();
    return out;
  }

  std::map<SeqNum, ModelEntry> entries;
  std::set<SeqNum> deleted;
  std::map<SeqNum, Evidence> evidence;
  store::LogInterest interest;
  bool is_known = false;

 private:
  RangeSet held_;
  RangeSet verified_;
  SeqNum cap_ = 0;
  SeqNum end_of_log_ = 0;
};

struct Model {
  std::map<LogKey, ModelLog> logs;
  std::vector<LogKey> changes;  ///< oldest first

  /// Leaves `unit` with all verdicts that a store of this content asks for.
  Errc ingest(CheckedUnit& unit, const AcceptOptions& options) {
    const LogKey& log = unit.log();
    ModelLog& held = logs[log];
    held.refresh();
    Ed25519Verifier verifier;
    unit.check_signatures(held.held(), verifier, options);
    auto verdict = accept_unit(log, unit.entries(), held, unit.verdicts(), options);
    while (verdict && !verdict->missing.empty()) {
      unit.check_missing(verdict->missing, verifier);
      verdict = accept_unit(log, unit.entries(), held, unit.verdicts(), options);
    }
    if (!verdict) return verdict.error().code;
    if (verdict->proven) record(log, verdict->proven->evidence());
    for (const AcceptedEntry& accepted : verdict->accepted) {
      const SeqNum n = accepted.entry().seqnum();
      held.entries.emplace(n, ModelEntry{EntryBuffer(accepted.entry()),
                                         accepted.level() == Level::kVerified, std::nullopt});
      if (accepted.entry().payload_size() == 0 && held.deleted.count(n) == 0) {
        held.entries.at(n).payload = Bytes();
      }
    }
    for (const RangeSet set = verdict->newly_verified; const SeqRange range : set.ranges()) {
      for (SeqNum n = range.first; n <= range.last; ++n) held.entries.at(n).is_verified = true;
    }
    for (const UnitEntry& item : unit.entries()) {
      const SeqNum n = item.entry.seqnum();
      const auto found = held.entries.find(n);
      if (!item.payload || found == held.entries.end() || held.deleted.count(n) != 0) continue;
      if (!held.is_below_cap(n) || !equal(found->second.bytes.bytes(), item.entry.bytes()))
        continue;
      if (!found->second.payload) {
        found->second.payload = Bytes(item.payload->begin(), item.payload->end());
      }
    }
    held.is_known = held.is_known || !held.entries.empty();
    return {};
  }

  void record(const LogKey& log, const Evidence& evidence) {
    Ed25519Verifier verifier;
    const SeqNum at = derive_defect(log, evidence, verifier)->at;
    ModelLog& held = logs[log];
    if (!held.is_below_cap(at)) return;
    held.evidence[at] = evidence;
    held.set_cap(at);
    held.is_known = true;
  }

  void erase(const LogKey& log, const RangeSet& seqnums) {
    ModelLog& held = logs[log];
    for (const SeqRange range : seqnums.ranges()) {
      for (SeqNum n = range.first; n <= range.last; ++n) {
        held.deleted.insert(n);
        if (held.entries.count(n) != 0) held.entries.at(n).payload.reset();
      }
    }
  }
};

/// What can be written: two logs, each with another branch.
struct World {
  World() {
    for (const auto* seed : {"alice", "bob"}) {
      LogBuilder log(seed);
      while (log.head() < kHead - 1) {
        const SeqNum n = log.head() + 1;
        if (n % 7 == 0) {
          log.append("");
        } else if (n % 11 == 0) {
          log.append(long_text(kChunk * (n % 3) + 33'000 + n));
        } else {
          log.append("entry " + std::to_string(n));
        }
      }
      log.end();
      branches.push_back({log, log.fork(30).append_many(8)});
    }
  }
  std::vector<std::vector<LogBuilder>> branches;
};

/// One store of the two.
struct Side {
  std::function<std::unique_ptr<store::Kv>()> make;
  std::unique_ptr<Store> store;
  store::Kv* kv = nullptr;

  void open() {
    auto made = make();
    kv = made.get();
    TestRandom random(1);
    store = *Store::open(std::move(made), random);
  }
};

class StoreModel : public testing::TestWithParam<std::uint64_t> {
 protected:
  using Step = std::function<Result<void>(WriteTransaction&)>;

  void SetUp() override {
    memory.make = [this] {
      if (memory.kv != nullptr) image = static_cast<store::MemoryKv*>(memory.kv)->image();
      memory.store.reset();
      return std::make_unique<store::MemoryKv>(store::MemoryOptions{}, image);
    };
    lmdb.make = [this] {
      lmdb.store.reset();
      return *store::LmdbKv::open(directory.path(), {.map_size_bytes = 1 << 20});
    };
    memory.open();
    lmdb.open();
  }

  RangeSet random_set(SeqNum last) {
    RangeSet out;
    for (std::uint64_t i = random.between(1, 3); i > 0; --i) {
      const SeqNum first = random.between(1, last);
      out.insert(SeqRange{first, std::min(last, first + random.below(12))});
    }
    return out;
  }

  /// Does one random thing to the model and returns the same for a store.
  Step step() {
    const auto& branches = world.branches[random.below(2)];
    const LogKey log = branches[0].log();
    switch (random.below(10)) {
      case 0:
        return erase(log);
      case 1: {
        const RangeSet set = random_set(kHead);
        if (!model.logs[log].is_known) return nothing();
        for (const SeqRange range : set.ranges()) {
          for (SeqNum n = range.first; n <= range.last; ++n) model.logs[log].deleted.erase(n);
        }
        return [=](WriteTransaction& to) { return to.undelete_payloads(log, set); };
      }
      case 2: {
        const store::LogInterest interest{{random_set(kHead), random.below(9)},
                                          random.below(2) == 0};
        model.logs[log].interest = interest;
        model.logs[log].is_known = true;
        return [=](WriteTransaction& to) { return to.set_interest(log, interest); };
      }
      case 3:
        return random.below(8) == 0 ? record(branches[0]) : nothing();
      case 4:
        return put_chunks(branches[0]);
      default:
        return ingest(branches);
    }
  }

  static Step nothing() {
    return [](WriteTransaction&) { return Result<void>{}; };
  }

  Step ingest(const std::vector<LogBuilder>& branches) {
    const LogBuilder& from = branches[random.below(12) == 0 ? 1 : 0];
    const LogKey log = from.log();
    const SeqNum known =
        model.logs[log].entries.empty() ? 0 : model.logs[log].entries.rbegin()->first;
    RangeSet members = random_set(std::min(from.head(), known + 9));
    if (random.below(3) != 0) members = closure(members, members.max());
    auto unit = from.unit(members);
    for (UnitEntry& item : unit) {
      if (random.below(2) == 0) item.payload = from.payload(item.entry.seqnum());
    }
    const bool is_forged = random.below(10) == 0;
    const EntryBuffer forged = from.forged(unit.back().entry.seqnum());
    if (is_forged) unit.back() = unit_entry(forged);
    const AcceptOptions options{.full = random.below(4) == 0};
    const auto checked = std::make_shared<CheckedUnit>(*check_unit(log, unit));
    const Errc wanted = model.ingest(*checked, options);
    return [=](WriteTransaction& to) -> Result<void> {
      const auto attempt = to.ingest(*checked, options);
      EXPECT_EQ(attempt ? Errc{} : attempt.error().code, wanted);
      EXPECT_TRUE(!attempt || attempt->report);
      return {};
    };
  }

  Step erase(const LogKey& log) {
    if (!model.logs[log].is_known) return nothing();
    const RangeSet set = random_set(kHead);
    const std::size_t rows_max = random.between(1, 9);
    model.erase(log, set);
    return [=](WriteTransaction& to) -> Result<void> {
      RangeSet remaining = set;
      while (!remaining.empty()) {
        CULM_TRY(remaining, to.delete_payloads(log, remaining, rows_max));
      }
      return {};
    };
  }

  Step record(const LogBuilder& log) {
    const SeqNum at = random.between(20, kHead - 1);
    const auto evidence =
        make_evidence(std::vector{log.entry(at), log.fork(at, "other").entry(at)});
    model.record(log.log(), evidence);
    const auto proven = *ProvenDefect::derive(log.log(), evidence, verifier);
    return [=](WriteTransaction& to) -> Result<void> {
      CULM_CHECK(to.record_evidence(proven));
      return {};
    };
  }

  /// The whole payload of a held entry, part by part.
  Step put_chunks(const LogBuilder& from) {
    const LogKey log = from.log();
    ModelLog& held = model.logs[log];
    const SeqNum n = random.between(1, kHead);
    const auto found = held.entries.find(n);
    if (found == held.entries.end() || held.deleted.count(n) != 0 || !held.is_below_cap(n) ||
        !equal(found->second.bytes.bytes(), from.bytes(n))) {
      return nothing();
    }
    const Bytes payload(from.payload(n).begin(), from.payload(n).end());
    const bool is_finished =
        payload.size() <= limits::kPayloadInlineBytesMax || random.below(3) > 0;
    if (is_finished) found->second.payload = payload;
    return [=](WriteTransaction& to) -> Result<void> {
      if (payload.size() <= kChunk) {
        if (is_finished) CULM_CHECK(to.put_payload(log, n, payload, hash(payload)));
        return {};
      }
      CULM_TRY(const auto stage, to.begin_stage(log, n));
      if (!stage) return {};  // is held
      for (std::size_t offset = 0; offset < payload.size(); offset += kChunk) {
        const auto rest = ByteView(payload).subspan(offset);
        const auto chunk = rest.first(std::min(rest.size(), kChunk));
        CULM_CHECK(to.put_stage_part(log, *stage, offset, chunk));
      }
      if (is_finished) CULM_CHECK(to.finish_stage(log, *stage, hash(payload)));
      return {};
    };
  }

  void run_transaction() {
    const Model before = model;
    std::vector<Step> steps;
    std::set<LogKey> changed;
    for (std::uint64_t i = random.between(1, 4); i > 0; --i) {
      const Model last = model;
      steps.push_back(step());
      find_changed(changed, last);
    }
    const bool is_aborted = random.below(8) == 0;
    for (Side* side : {&memory, &lmdb}) {
      const auto done = side->store->update([&](WriteTransaction& to) -> Result<void> {
        for (const Step& one : steps) CULM_CHECK(one(to));
        if (is_aborted) return fail(Errc::kTimeout);
        return {};
      });
      ASSERT_EQ(done.has_value(), !is_aborted) << message(done.error());
    }
    if (is_aborted) {
      model = before;
      return;
    }
    // Logs that changed in one transaction come in the order of their keys.
    for (const LogKey& log : changed) {
      std::erase(model.changes, log);
      model.changes.push_back(log);
    }
  }

  void find_changed(std::set<LogKey>& out, const Model& last) {
    for (auto& [log, now] : model.logs) {
      const auto old = last.logs.find(log);
      ModelLog was = old == last.logs.end() ? ModelLog() : old->second;
      was.refresh();
      now.refresh();
      if (was.is_known != now.is_known || was.state() != now.state()) out.insert(log);
    }
  }

  void compare(Side& side) {
    const auto transaction = *side.store->read();
    ASSERT_TRUE(audit_tables(transaction));
    std::vector<LogKey> known;
    for (auto& [log, wanted] : model.logs) {
      const auto found = *transaction.find_log(log);
      ASSERT_EQ(found != nullptr, wanted.is_known);
      if (!found) continue;
      known.push_back(log);
      compare(transaction, *found, wanted);
    }
    EXPECT_EQ(*transaction.list_logs(), known);
    std::vector<LogKey> changed;
    const auto changes = *transaction.changes(0, 100);
    for (const auto& change : changes) changed.push_back(change.log);
    EXPECT_EQ(changed, model.changes);
  }

  void compare(const ReadTransaction& transaction, const LogState& state, ModelLog& model_log) {
    model_log.refresh();
    LogState wanted = model_log.state();
    wanted.log = state.log;
    wanted.number = state.number;
    wanted.change = state.change;
    ASSERT_EQ(state, wanted);
    std::vector<Evidence> evidence;
    for (const auto& [at, one] : model_log.evidence) evidence.push_back(one);
    EXPECT_EQ(*transaction.evidence(state), evidence);
    SeqNum last = 0;
    ASSERT_TRUE(transaction.visit_entries(
        state, {{1, kSeqnumMax}}, [&](const store::StoredEntry& stored) -> Result<bool> {
          const SeqNum n = stored.entry.seqnum();
          const ModelEntry& entry = model_log.entries.at(n);
          EXPECT_LT(last, n);
          last = n;
          EXPECT_TRUE(equal(stored.entry.bytes(), entry.bytes.bytes()));
          const auto payload = payload_of(transaction, state, n);
          EXPECT_EQ(payload.has_value(), entry.payload.has_value());
          if (payload) {
            EXPECT_EQ(*payload, entry.payload);
          }
          return true;
        }));
    const auto report = audit_log(transaction, state, verifier);
    ASSERT_TRUE(report && report->is_sound()) << message(*report->first_fault);
    EXPECT_EQ(report->entries, state.served().count());
  }

  TestRandom random{GetParam()};
  World world;
  TempDir directory;
  Model model;
  Side memory;
  Side lmdb;
  store::MemoryImage image;
  Ed25519Verifier verifier;
};

TEST_P(StoreModel, AgreesWithBothStores) {
  CULM_TRACE_SEED(random);
  for (int round = 0; round < 60; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    run_transaction();
    if (HasFatalFailure()) return;
    if (random.below(10) == 0) {
      memory.open();
      lmdb.open();
    }
    compare(memory);
    if (HasFailure()) return;
    for (std::size_t table = 0; table < store::kTableCount; ++table) {
      ASSERT_EQ(rows_of(*memory.kv, static_cast<Table>(table)),
                rows_of(*lmdb.kv, static_cast<Table>(table)));
    }
  }
  compare(lmdb);
}

INSTANTIATE_TEST_SUITE_P(Seeds, StoreModel, testing::Range<std::uint64_t>(1, 7));

}  // namespace
}  // namespace culm::test
