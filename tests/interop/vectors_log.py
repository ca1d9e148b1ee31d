"""Cases of spec/vectors/log.json: whole logs, evidence, and units that arrive."""

import ed25519
import reference as r
from vectors_entry import test_seed

SEED, OTHER_SEED = test_seed("a"), test_seed("b")


def build(branch="", size=20, log_id=0, seed=SEED, base=(), is_closed=False):
    """Entries 1..size; the first ones are `base`, the others depend on `branch`."""
    entries, hashes = list(base), {e.seqnum: r.entry_hash(e) for e in base}
    for n in range(len(entries) + 1, size + 1):
        tag = 1 if is_closed and n == size else 0
        entry = r.write_entry(seed, log_id, n, payload_of(n, branch), hashes, tag)
        hashes[n] = r.entry_hash(entry)
        entries.append(entry)
    return entries


def payload_of(n, branch=""):
    return b"" if n == 3 else f"payload {n}{branch}".encode() * (n % 5 + 1)


def resigned(entry, tag=0, flip_signature=False, **changes):
    """The author signs other fields; or well-formed bytes that nobody signed."""
    changed = entry._replace(tag=tag, **changes)
    unsigned = r.encode_unsigned(*changed[:8])
    signature = ed25519.sign(SEED, unsigned)
    if flip_signature:
        signature = signature[:40] + bytes([signature[40] ^ 1]) + signature[41:]
    return r.parse_entry(unsigned + signature)


def write_after(entries, payload=b"after the end"):
    hashes = {e.seqnum: r.entry_hash(e) for e in entries}
    return r.write_entry(SEED, entries[0].log_id, len(entries) + 1, payload, hashes)


def hexes(entries):
    return [entry.encoded.hex() for entry in entries]


def log_case(name, entries, seed, log_id):
    verdict = r.accept({}, [entry.encoded for entry in entries])
    assert set(verdict.levels) == {e.seqnum for e in entries} and verdict.checked == 1
    rows = [
        {
            "seqnum": e.seqnum,
            "payload": payload_of(e.seqnum).hex(),
            "hash": r.entry_hash(e).hex(),
            "bytes": e.encoded.hex(),
        }
        for e in entries
    ]
    author = ed25519.public_key(seed).hex()
    ids = {"seed": seed.hex(), "author": author, "log_id": log_id}
    return {"id": name, "type": "log", **ids, "entries": rows}


def evidence_case(name, entries):
    case = {"id": name, "type": "evidence", "entries": hexes(entries)}
    results = []
    for order in (entries, entries[::-1]):
        try:
            results.append(r.derive_defect([entry.encoded for entry in order]))
        except r.Refused as refused:
            results.append(refused.reason)
    assert results[0] == results[1]
    if isinstance(results[0], str):
        return {**case, "error": results[0]}
    return {**case, "kind": results[0].kind, "at": results[0].at}


def unit_case(name, held, unit, cap=None, error=None):
    case = {"id": name, "type": "unit", "held": hexes(held), "unit": hexes(unit), "cap": cap}
    try:
        verdict = r.accept({e.seqnum: e for e in held}, [e.encoded for e in unit], cap)
    except r.Refused as refused:
        assert refused.reason == error, (name, refused.reason)
        return {**case, "error": refused.reason}
    assert error is None, (name, verdict)
    case["levels"] = {str(n): verdict.levels[n] for n in sorted(verdict.levels)}
    if verdict.cap is None:
        return {**case, "signatures_checked": verdict.checked}
    kinds = sorted({d.kind for d in verdict.defects if d.at == verdict.cap})
    return {**case, "cap_after": verdict.cap, "kinds": kinds}


def accepted_units(a):
    yield unit_case("unit-whole", [], a)
    yield unit_case("unit-head-path", [], [a[n - 1] for n in reversed(r.path(20, 1))])
    yield unit_case("unit-first-alone", [], a[:1])
    yield unit_case("unit-next", a[:6], a[6:7])
    yield unit_case("unit-nothing-new", a[:6], a[2:5])
    yield unit_case("unit-overlap", a[:6], a[4:9])
    yield unit_case("unit-fills-a-gap", [a[0], a[3]], [a[1], a[2]])
    yield unit_case("unit-new-sink-below", [a[0], a[3]], [a[1]])
    yield unit_case("unit-new-sink-and-head", [a[0]], [a[1], a[3]])
    yield unit_case("unit-unlinked-members", [], [a[0], a[1], a[3], a[4], a[7]])
    signed_badly = resigned(a[2], flip_signature=True)
    above = build("after a bad one", 6, base=[*a[:2], signed_badly])
    yield unit_case("unit-bad-signature-covered", [], above)


def refused_units(a, other):
    closed = build(size=5, is_closed=True)
    yield unit_case("unit-after-end", closed, [write_after(closed)], error="log_ended")
    forged = resigned(a[1], payload_hash=bytes(64), flip_signature=True)
    bad = resigned(a[2], flip_signature=True)
    yield unit_case("unit-empty", a[:3], [], error="unit_empty")
    yield unit_case("unit-foreign-author", a[:3], [other[3]], error="entry_foreign")
    yield unit_case("unit-mixed-authors", [], [a[0], other[1]], error="entry_foreign")
    log_9 = build(log_id=9, size=4)
    yield unit_case("unit-foreign-log-id", a[:3], [log_9[3]], error="entry_foreign")
    yield unit_case("unit-descending", a[:3], [a[4], a[3]], error="unit_order")
    yield unit_case("unit-twice", a[:3], [a[3], a[3]], error="unit_order")
    yield unit_case("unit-unanchored", a[:1], [a[5], a[6]], error="unit_unanchored")
    yield unit_case("unit-unanchored-empty", [], a[1:3], error="unit_unanchored")
    yield unit_case("unit-gap", a[:4], [a[4], a[8]], error="unit_unanchored")
    yield unit_case("unit-bad-sink", a[:2], [bad], error="entry_signature")
    yield unit_case("unit-forged-beside-good", a[:1], [forged, a[3]], error="entry_signature")
    yield unit_case("unit-forged-below-good", a[:1], [forged, a[2]], error="entry_signature")
    yield unit_case("unit-forged-under-held", [a[0], a[3]], [bad], error="entry_signature")
    stolen = r.parse_entry(a[1].encoded[:1] + other[1].author + a[1].encoded[33:])
    yield unit_case("unit-stolen-by-other", other[:1], [stolen], error="entry_signature")


def broken_logs(a):
    b5, b8, b12 = [build("b", 20, base=a[: n - 1]) for n in (5, 8, 12)]
    yield unit_case("unit-fork-at-5", a[:6], b5[4:6])
    yield unit_case("unit-fork-at-the-head", a[:5], b5[4:5])
    yield unit_case("unit-fork-under-the-head", [a[0], a[3], a[12]], [a[7], b12[11]])
    yield unit_case("unit-fork-by-link-backlink", a[:5], b5[5:6])
    yield unit_case("unit-fork-by-link-lipmaalink", [*a[:4], a[7]], b8[11:12])
    yield unit_case("unit-fork-by-link-both", a[:11], b8[11:12])
    yield unit_case("unit-fork-keeps-what-is-below", [*a[:6], a[7]], [a[6], b8[7], b8[8]])
    yield unit_case("unit-fork-drops-what-is-above", a[:9], b5[4:5])
    mixed = resigned(a[8], backlink=r.blake2b(b"of no entry"))
    yield unit_case("unit-fork-by-link-inside", a[:7], [a[7], mixed])
    yield unit_case("unit-at-the-cap", a[:2], a[2:4], cap=4)
    yield unit_case("unit-above-the-cap", a[:2], a[3:5], cap=3, error="log_capped")


def evidence_cases(a, other):
    b5, b8 = build("b", 9, base=a[:4]), build("b", 12, base=a[:7])
    bad = resigned(b5[4], flip_signature=True)
    yield evidence_case("fork-at-5", [a[4], b5[4]])
    yield evidence_case("fork-at-1", [a[0], build("b", 1)[0]])
    yield evidence_case("fork-by-end-of-log", [a[6], resigned(a[6], tag=1)])
    yield evidence_case("fork-by-backlink", [b5[5], a[4]])
    yield evidence_case("fork-by-lipmaalink", [b8[11], a[7]])
    wrong = resigned(a[7], lipmaalink=r.entry_hash(a[2]))
    yield evidence_case("fork-by-link-to-another-seqnum", [wrong, a[3]])
    yield evidence_case("none-same-entry", [a[4], a[4]])
    yield evidence_case("none-good-link", [a[4], a[5]])
    yield evidence_case("none-not-linked", [a[4], a[10]])
    yield evidence_case("none-bad-signature", [a[4], bad])
    yield evidence_case("none-other-author", [a[4], other[4]])
    yield evidence_case("none-other-log-id", [a[0], build(log_id=9, size=1)[0]])
    yield evidence_case("none-single", [a[4]])
    yield evidence_case("none-three", [a[4], b5[4], b5[5]])
    named = resigned(b5[5], backlink=r.entry_hash(bad))
    yield evidence_case("none-badly-signed-but-named", [a[4], bad, named])


def log_cases():
    a, other = build(), build(seed=OTHER_SEED)
    yield log_case("log-of-20", a, SEED, 0)
    closed = build(log_id=1000, is_closed=True, seed=OTHER_SEED)
    yield log_case("log-of-20-with-end", closed, OTHER_SEED, 1000)
    yield from evidence_cases(a, other)
    yield from accepted_units(a)
    yield from refused_units(a, other)
    yield from broken_logs(a)
