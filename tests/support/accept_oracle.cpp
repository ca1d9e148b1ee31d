#include "tests/support/accept_oracle.hpp"

#include <algorithm>
#include <array>

#include "culm/feed/detail/find_entry.hpp"
#include "culm/feed/lipmaa.hpp"

namespace culm::test::oracle {
namespace {

/// An entry of the unit, or the held one when `item` is null.
struct End {
  SeqNum seqnum = 0;
  const UnitEntry* item = nullptr;
};

/// Two entries that an honest author would not both have made.
struct Disagreement {
  DefectKind kind{};
  SeqNum at = 0;
  std::array<End, 2> ends;
};

}  // namespace

/// The accepting rule at work on one unit.
class UnitAcceptor {
 public:
  UnitAcceptor(const LogKey& log, std::span<const UnitEntry> unit, HeldLog& held,
               SignatureVerifier& verifier, const AcceptOptions& options)
      : log_(log),
        unit_(unit),
        held_(held),
        verifier_(verifier),
        options_(options),
        held_max_(held.held().empty() ? 0 : held.held().max()),
        marks_(unit.size()) {}

  Result<UnitVerdict> run();

 private:
  struct Mark {
    bool is_new = false;
    bool is_vouched = false;    ///< an entry above names it
    bool is_anchored = false;   ///< seqnum 1, or a link target is there
    bool is_authentic = false;  ///< its own signature was checked
  };

  Mark& mark(const UnitEntry& item) {
    return marks_[static_cast<std::size_t>(&item - unit_.data())];
  }
  bool is_kept(const UnitEntry& item) { return mark(item).is_new && item.entry.seqnum() <= last_; }
  bool is_held(SeqNum seqnum) const { return seqnum <= held_max_ && held_.held().contains(seqnum); }

  Result<void> check_shape() const;
  Result<void> find_new();
  Result<void> compare_links();
  Result<void> compare_link(const UnitEntry& item, SeqNum target, const Hash& link);
  Result<void> compare_in_links(const UnitEntry& item);
  Result<void> attest();
  Result<void> prove();
  Result<void> check_kept();
  void collect_kept();
  void disagree(DefectKind kind, SeqNum at, End above, End below);
  Result<void> check_signature(const EntryView& entry);
  Result<EntryBuffer> get_authentic(const End& end);

  const LogKey& log_;
  std::span<const UnitEntry> unit_;
  HeldLog& held_;
  SignatureVerifier& verifier_;
  const AcceptOptions& options_;
  SeqNum held_max_;
  /// No entry above is kept, or helps to keep another.
  SeqNum last_ = kSeqnumMax;
  std::vector<Mark> marks_;
  std::optional<Disagreement> lowest_;
  UnitVerdict verdict_;
};

Result<UnitVerdict> UnitAcceptor::run() {
  CULM_CHECK(check_shape());
  CULM_CHECK(find_new());
  CULM_CHECK(compare_links());
  CULM_CHECK(attest());
  if (held_.cap() != 0) last_ = held_.cap() - 1;
  CULM_CHECK(prove());
  const SeqNum first = unit_.front().entry.seqnum();
  if (first > last_ && !verdict_.evidence) return fail(error_for(Errc::kLogCapped, first));

  // What lay above the cap must not vouch for what is below it: it is not kept.
  if (last_ < std::max(held_max_, unit_.back().entry.seqnum())) {
    for (Mark& mark : marks_) mark.is_vouched = false;
    CULM_CHECK(compare_links());
    if (!attest()) last_ = 0;
  }
  if (const auto good = check_kept(); good) {
    collect_kept();
  } else if (!verdict_.evidence) {
    return fail(good.error());
  }
  return std::move(verdict_);
}

Result<void> UnitAcceptor::check_shape() const {
  if (unit_.empty()) return fail(Errc::kUnitEmpty);
  SeqNum previous = 0;
  for (const UnitEntry& item : unit_) {
    const SeqNum seqnum = item.entry.seqnum();
    if (item.entry.log() != log_) return fail(error_for(Errc::kEntryForeign, seqnum));
    if (seqnum <= previous) return fail(error_for(Errc::kUnitOrder, seqnum));
    previous = seqnum;
    if (item.payload && !item.payload_checked) CULM_CHECK(check_payload(item.entry, *item.payload));
  }
  return {};
}

Result<void> UnitAcceptor::find_new() {
  for (const UnitEntry& item : unit_) {
    const SeqNum seqnum = item.entry.seqnum();
    if (is_held(seqnum)) {
      CULM_TRY(const EntryView held, held_.entry(seqnum));
      if (equal(held.bytes(), item.entry.bytes())) continue;
      disagree(DefectKind::kFork, seqnum, {seqnum, nullptr}, {seqnum, &item});
    }
    mark(item).is_new = true;
  }
  return {};
}

Result<void> UnitAcceptor::compare_links() {
  for (const UnitEntry& item : unit_) {
    if (!is_kept(item)) continue;
    const SeqNum seqnum = item.entry.seqnum();
    if (seqnum == 1) mark(item).is_anchored = true;
    if (const auto link = item.entry.backlink()) {
      CULM_CHECK(compare_link(item, seqnum - 1, *link));
    }
    if (const auto link = item.entry.lipmaalink()) {
      CULM_CHECK(compare_link(item, lipmaa(seqnum), *link));
    }
    if (seqnum < std::min(held_max_, last_)) CULM_CHECK(compare_in_links(item));
  }
  return {};
}

Result<void> UnitAcceptor::compare_link(const UnitEntry& item, SeqNum target, const Hash& link) {
  const auto below = unit_.first(static_cast<std::size_t>(&item - unit_.data()));
  if (const UnitEntry* found = culm::detail::find_entry(below, target)) {
    mark(item).is_anchored = true;
    if (found->hash == link) {
      mark(*found).is_vouched = true;
    } else {
      disagree(DefectKind::kForkByLink, target, {item.entry.seqnum(), &item},
               {target, mark(*found).is_new ? found : nullptr});
    }
    return {};  // a held one there is the same, or the two are a fork already
  }
  if (is_held(target)) {
    mark(item).is_anchored = true;
    CULM_TRY(const EntryView held, held_.entry(target));
    if (held.hash() != link) {
      disagree(DefectKind::kForkByLink, target, {item.entry.seqnum(), &item}, {target, nullptr});
    }
  }
  return {};
}

Result<void> UnitAcceptor::compare_in_links(const UnitEntry& item) {
  const SeqNum seqnum = item.entry.seqnum();
  for (const SeqNum above : InLinks(seqnum)) {
    if (above > last_ || !is_held(above)) continue;
    CULM_TRY(const EntryView held, held_.entry(above));
    if (held.link_to(seqnum) == item.hash) {
      mark(item).is_vouched = true;
    } else {
      disagree(DefectKind::kForkByLink, seqnum, {above, nullptr}, {seqnum, &item});
    }
  }
  return {};
}

/// Downwards, so that who vouches was attested before. An entry that nobody vouches for, a
/// sink above all, must be signed well.
Result<void> UnitAcceptor::attest() {
  for (auto item = unit_.rbegin(); item != unit_.rend(); ++item) {
    Mark& marks = mark(*item);
    if (!is_kept(*item) || marks.is_authentic) continue;
    if (marks.is_vouched && !options_.full) continue;
    if (const auto good = check_signature(item->entry); !good) {
      const Errc code = marks.is_vouched ? Errc::kLinkMismatch : good.error().code;
      return fail(error_for(code, item->entry.seqnum()));
    }
    marks.is_authentic = true;
  }
  return {};
}

/// Makes the evidence of the lowest disagreement, if it lowers the cap.
Result<void> UnitAcceptor::prove() {
  if (!lowest_ || lowest_->at > last_) return {};
  CULM_TRY(const EntryBuffer above, get_authentic(lowest_->ends[0]));
  CULM_TRY(const EntryBuffer below, get_authentic(lowest_->ends[1]));
  verdict_.evidence = make_evidence(std::array{above.view(), below.view()});
  last_ = lowest_->at - 1;
  return {};
}

Result<void> UnitAcceptor::check_kept() {
  SeqNum end = held_.end_of_log();
  if (end == 0 || end > last_) end = kSeqnumMax;
  for (const UnitEntry& item : unit_) {
    if (!is_kept(item)) continue;
    const SeqNum seqnum = item.entry.seqnum();
    if (!mark(item).is_anchored && !options_.loose) {
      return fail(error_for(Errc::kUnitUnanchored, seqnum));
    }
    if (seqnum > end) return fail(error_for(Errc::kLogEnded, seqnum));
    if (!item.entry.is_end_of_log()) continue;
    end = seqnum;
    if (held_.held().largest_up_to(last_) > end) return fail(error_for(Errc::kLogEnded, end));
  }
  return {};
}

void UnitAcceptor::collect_kept() {
  const auto is_kept_item = [this](const UnitEntry& item) { return is_kept(item); };
  verdict_.accepted.reserve(static_cast<std::size_t>(std::ranges::count_if(unit_, is_kept_item)));
  for (const UnitEntry& item : unit_) {
    if (!is_kept(item)) continue;
    const Level level = mark(item).is_authentic ? Level::kVerified : Level::kAttested;
    verdict_.accepted.push_back(AcceptedEntry(item, level));
  }
}

void UnitAcceptor::disagree(DefectKind kind, SeqNum at, End above, End below) {
  if (lowest_ && (lowest_->at < at || (lowest_->at == at && lowest_->kind <= kind))) return;
  lowest_ = Disagreement{kind, at, {above, below}};
}

Result<void> UnitAcceptor::check_signature(const EntryView& entry) {
  ++verdict_.signatures_checked;
  return verifier_.verify(entry.author(), entry.signed_bytes(), entry.signature());
}

Result<EntryBuffer> UnitAcceptor::get_authentic(const End& end) {
  const bool is_new = end.item != nullptr;
  CULM_TRY(const EntryView entry, is_new ? end.item->entry : held_.entry(end.seqnum));
  const EntryBuffer copy(entry);
  if (is_new ? mark(*end.item).is_authentic : held_.verified().contains(end.seqnum)) return copy;
  if (!check_signature(entry)) return fail(error_for(Errc::kLinkMismatch, end.seqnum));
  if (is_new) {
    mark(*end.item).is_authentic = true;
  } else {
    verdict_.newly_verified.insert(end.seqnum);
  }
  return copy;
}

Result<UnitVerdict> accept_unit(const LogKey& log, std::span<const UnitEntry> unit, HeldLog& held,
                                SignatureVerifier& verifier, const AcceptOptions& options) {
  return UnitAcceptor(log, unit, held, verifier, options).run();
}

}  // namespace culm::test::oracle
