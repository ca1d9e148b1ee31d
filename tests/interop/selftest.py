"""Checks reference.py against itself and against public vectors. Run by `reference.py selftest`."""

import json
import pathlib

import ed25519
import reference as r
from vectors_log import build, resigned

CCTV_ACCEPTED = [305]


def numbers(text, size, bound):
    """Deterministic numbers in 1..bound."""
    for index in range(size):
        yield int.from_bytes(r.blake2b(f"{text} {index}".encode())[:16], "big") % bound + 1


def check_lipmaa():
    for n in range(1, 100_001):
        assert r.lipmaa(n) == r.lipmaa_recursive(n), n
    edges = [2**k + d for k in (32, 63, 64) for d in (-1, 0, 1)]
    edges += [r.spine(k) + d for k in range(1, 42) for d in (-1, 0, 1, 2)]
    for n in edges + list(numbers("lipmaa", 2_000, r.U64_MAX)):
        assert n < 1 or r.lipmaa(n) == r.lipmaa_recursive(n), n
    for x in range(1, 365):
        z = r.spine(r.level(x))
        sources = [n for n in range(x + 1, z + 1) if x in (n - 1, r.lipmaa(n))]
        assert r.up(x) == (max(sources) if sources else None), x


def check_costs():
    million = 10**6
    assert len(r.path(million, 1)) == 28
    assert len(r.pool(million)) == 52 and len(r.pool(million, million)) == 28
    assert r.count(r.closure([[million - 99, million]], million)) == 124
    assert r.count(r.closure([[million - 9_999, million]], million)) == 10_024
    for sample in range(20):
        chosen = set(numbers(f"sparse {sample}", 100, million))
        total = r.count(r.closure(r.ranges_of(chosen), million))
        assert len(chosen) != 100 or 2_100 <= total <= 2_300, total


def check_closure():
    for case in range(300):
        size, head, *starts = numbers(f"closure {case}", 6, 500)
        interest = r.canonical_ranges([n, n + size % 40] for n in starts)
        held = r.members(r.closure(interest, head))
        assert held == r.closure_by_rule(r.members(interest), head), (interest, head)
        assert held == r.closure_by_rule(held, head) and not r.loose(held, head)
        kept = [[first, min(last, head)] for first, last in interest if first <= head]
        assert held | {head + 1} >= r.members(r.closure(kept, head + 1)) >= held
        reached = {target for n in held for target in (n - 1, r.lipmaa(n)) if n > 1}
        assert held - reached <= {max(held, default=0)}, (interest, head)


def check_units():
    """Closed wants over random held sets, cut at random: always accepted, one check at most."""
    log = {entry.seqnum: entry for entry in build(size=60)}
    for case in range(60):
        first, second, held_size, cut = numbers(f"units {case}", 4, 60)
        wanted = r.closure(r.canonical_ranges([[first, first + 7], [second, second]]), 60)
        held = {n: log[n] for n in r.members(r.closure([[held_size, held_size]], held_size))}
        missing = [log[n] for n in sorted(r.members(wanted)) if n not in held]
        size = cut % 9 + 1
        for unit in (missing[i : i + size] for i in range(0, len(missing), size)):
            data = [entry.encoded for entry in unit]
            verdict = r.accept(held, data)
            assert verdict.checked <= 1 and not verdict.defects, case
            held |= {entry.seqnum: entry for entry in unit}
            check_forgery(held, unit, cut % len(unit))


def check_forgery(held, unit, place):
    """One entry of the unit replaced by another well-formed one that nobody signed."""
    forged = resigned(unit[place], payload_size=7_777, flip_signature=True)
    before = {n: e for n, e in held.items() if e not in unit}
    data = [e.encoded for e in (*unit[:place], forged, *unit[place + 1 :])]
    try:
        r.accept(before, data)
    except r.Refused as refused:
        assert refused.reason == "entry_signature"
    else:
        raise AssertionError("a forged entry was accepted")


def check_signatures():
    seed = r.blake2b(b"selftest")[:32]
    author, signature = ed25519.public_key(seed), ed25519.sign(seed, b"culm")
    assert ed25519.verify(author, b"culm", signature) is None
    assert ed25519.verify(author, b"calm", signature) == "entry_signature"
    rfc = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    assert ed25519.public_key(rfc).hex().startswith("d75a980182b10ab7d54bfed3c964073a")
    assert ed25519.sign(rfc, b"").hex().startswith("e5564300c360ac729086e2cc806e828a")


def check_bamboo(path):
    checked = 0

    def walk(value, secret):
        nonlocal checked
        if isinstance(value, list):
            for item in value:
                walk(item, secret)
        elif isinstance(value, dict):
            secret = value.get("author", {}).get("secret", secret)
            if "encoded" not in value:
                return [walk(v, secret) for k, v in value.items() if k != "author"]
            data = bytes.fromhex(value["encoded"])
            entry = r.parse_entry(data)
            assert r.encode_entry(entry) == data
            assert ed25519.sign(bytes.fromhex(secret), data[:-64]) == data[-64:]
            r.check_signature(entry)
            if "payload" in value:
                r.check_payload(entry, bytes.fromhex(value["payload"]))
            checked += 1

    groups = json.loads(path.read_text())
    walk(groups, None)
    for group in ("fiveValidEntries", "valid_partial_replicated_seq_100"):
        unit = [bytes.fromhex(entry["encoded"]) for entry in groups[group]["entries"]]
        assert r.accept({}, unit).checked == 1
    return f"{checked} entries"


def check_cctv(path):
    cases = json.loads(path.read_text())
    accepted = [
        case["number"]
        for case in cases
        if ed25519.verify(
            bytes.fromhex(case["key"]), case["msg"].encode(), bytes.fromhex(case["sig"])
        )
        is None
    ]
    assert accepted == CCTV_ACCEPTED, accepted
    return f"{len(cases)} cases, accepted {accepted}"


def check_speccheck(path):
    cases = json.loads(path.read_text())
    for case in cases:
        fields = [bytes.fromhex(case[name]) for name in ("pub_key", "message", "signature")]
        assert ed25519.verify(*fields), case
    return f"{len(cases)} cases, accepted none"


def run(vectors):
    checks = (check_signatures, check_lipmaa, check_costs, check_closure, check_units)
    for check in checks:
        check()
        print(f"ok {check.__name__}")
    public = {
        "bamboo-rs/test_vectors.json": check_bamboo,
        "ed25519-cctv.json": check_cctv,
        "ed25519-speccheck.json": check_speccheck,
    }
    for name, check in public.items():
        path = pathlib.Path(vectors or ".") / name
        if vectors and path.exists():
            print(f"ok {name}: {check(path)}")
        else:
            print(f"skipped {name}: not there")
    return 0
