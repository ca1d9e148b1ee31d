#!/usr/bin/env python3
"""Makes spec/vectors/*.json from reference.py; the same bytes on every machine.

  make_vectors.py            write the files
  make_vectors.py --check    write nothing; exit 1 if a file differs from what would be written
"""

import argparse
import json
import pathlib
import sys

sys.dont_write_bytecode = True  # leaves nothing behind in the source tree
import reference as r  # noqa: E402
from vectors_entry import entry_cases  # noqa: E402
from vectors_log import log_cases  # noqa: E402
from vectors_messages import message_cases  # noqa: E402
from vectors_store import store_rows  # noqa: E402

VECTORS = pathlib.Path(__file__).resolve().parents[2] / "spec" / "vectors"

# (seqnums with a name of their own, beside 1..200)
LIPMAA_EDGES = sorted(
    {2**32 - 1, 2**32, 2**32 + 1, 10**6, 2**53 - 1, 2**53, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1}
    | {r.spine(k) + d for k in (6, 13, 14, 40, 41) for d in (-1, 0, 1, 2)}
)


def numbers(text, size, bound):
    """Deterministic numbers in 1..bound."""
    for index in range(size):
        yield int.from_bytes(r.blake2b(f"{text} {index}".encode())[:16], "big") % bound + 1


def varu64_cases():
    edges = {0, 1, 42, 246, 247, 248, 249, 255}
    for width in range(1, 8):
        edges |= {2 ** (8 * width) - 1, 2 ** (8 * width), 2 ** (8 * width) + 1}
    edges |= {2**63, r.U64_MAX}
    for value in sorted(edges):
        yield {"id": f"value-{value}", "bytes": r.encode_varu64(value).hex(), "value": value}
    wrong = [("empty", "", "varint_truncated")]
    for width in range(1, 9):
        first = f"{247 + width:02x}"
        smallest = 248 if width == 1 else 2 ** (8 * (width - 1))
        too_small = (smallest - 1).to_bytes(width, "big").hex()
        wrong += [
            (f"zero-in-{width + 1}", first + "00" * width, "varint_noncanonical"),
            (f"one-too-small-in-{width + 1}", first + too_small, "varint_noncanonical"),
            (f"cut-{width}-to-0", first, "varint_truncated"),
        ]
        wrong += [(f"cut-{width}-to-{width - 1}", first + "ff" * (width - 1), "varint_truncated")]
    seen = set()
    for name, data, error in wrong:
        if data not in seen:
            seen.add(data)
            yield {"id": name, "bytes": data, "error": error}


def yamf_cases():
    for name, data in [("empty", b""), ("abc", b"abc"), ("zeros-1000", bytes(1000))]:
        encoded = r.encode_yamf(r.blake2b(data))
        yield {"id": name, "input": data.hex(), "encoded": encoded.hex()}
    digest = r.blake2b(b"abc").hex()
    for name, data in [
        ("A9-type-1", "0140" + digest),
        ("A9-length-63", "003f" + digest),
        ("A9-length-65", "0041" + digest),
        ("A9-type-noncanonical", "f80040" + digest),
        ("A9-length-noncanonical", "00f840" + digest),
    ]:
        yield {"id": name, "bytes": data, "error": "hash_format"}
    for size in (0, 1, 2, 65):
        data = ("0040" + digest)[: 2 * size]
        yield {"id": f"cut-{size}", "bytes": data, "error": "entry_truncated"}


def lipmaa_cases():
    for n in list(range(1, 201)) + [n for n in LIPMAA_EDGES if n > 200]:
        next_up = r.up(n)
        assert r.lipmaa(n) == r.lipmaa_recursive(n)
        yield {
            "id": f"n-{n}",
            "n": n,
            "lipmaa": r.lipmaa(n),
            "has_lipmaalink": r.has_lipmaalink(n),
            "is_spine": n == r.spine(r.level(n)),
            "up": next_up if next_up is not None and next_up <= r.U64_MAX else None,
            "path": r.path(n, 1),
            "pool_size": len(r.pool(n)),
        }


def closure_case(name, interest, head, with_ranges=True):
    found = r.closure(interest, head)
    case = {"id": name, "interest": interest, "head": head, "count": r.count(found)}
    if head <= 10_000:
        assert r.members(found) == r.closure_by_rule(r.members(interest), head)
    return {**case, "closure": found} if with_ranges else case


def closure_cases():
    million = 10**6
    yield closure_case("nothing", [], 100)
    yield closure_case("everything", [[1, 100]], 100)
    yield closure_case("beyond-the-head", [[90, 200]], 100)
    yield closure_case("wholly-beyond-the-head", [[101, 200]], 100)
    yield closure_case("two-ranges", [[5, 9], [20, 30]], 100)
    yield closure_case("last-seqnum", [[r.U64_MAX, r.U64_MAX]], r.U64_MAX)
    yield closure_case("below-the-last-spine", [[r.spine(41) - 1] * 2], r.U64_MAX)
    yield closure_case("cost-path-of-the-head", [[million, million]], million)
    yield closure_case("cost-pool", [[million, million]], r.U64_MAX)
    yield closure_case("cost-newest-100", [[million - 99, million]], million)
    yield closure_case("cost-tail-10000", [[million - 9_999, million]], million)
    for sample in range(4):
        interest = r.ranges_of(numbers(f"vector sparse {sample}", 100, million))
        assert r.count(interest) == 100
        yield closure_case(f"cost-sparse-100-{sample}", interest, million, with_ranges=False)
    for case in range(60):
        bound = (30, 400, 9_000)[case % 3]
        size, head, *starts = numbers(f"vector closure {case}", 2 + case % 5, bound)
        interest = r.canonical_ranges([n, n + size % 50] for n in starts)
        yield closure_case(f"random-{case}", interest, head)


DESCRIPTIONS = {
    "varu64": (
        varu64_cases,
        "VarU64 (entry.md#varu64): `bytes` decode to `value` and back, or `error`.",
    ),
    "yamf_hash": (
        yamf_cases,
        "yamf-hash (entry.md#yamf-hash): BLAKE2b-512 of `input` is `encoded`; `bytes` are refused.",
    ),
    "entry": (
        entry_cases,
        "Entries (entry.md). With `error`: refused by the parser, or by the signature check if the "
        "error is entry_signature or author_key. Else `fields`, and `hash` of the whole. Seeds are "
        "for tests only.",
    ),
    "lipmaa": (
        lipmaa_cases,
        "Link arithmetic (lipmaa.md) over the whole 64-bit range. `up` is null on the spine and "
        "beyond 2^64-1. `path` goes from n to 1. `pool_size` counts n itself and what can exist.",
    ),
    "closure": (
        closure_cases,
        "K(interest, head) (closure.md) as canonical inclusive ranges, and its `count` of seqnums.",
    ),
    "log": (
        log_cases,
        "`type` log: whole logs. `type` evidence: `entries` prove `kind` at `at`, or nothing if "
        "`error`. `type` unit: `unit` arrives where `held` is held (verification.md#units), "
        "refused with `error`, or `levels` of the newly accepted after as many checks of "
        "signatures as said. `cap` is the log's before; `cap_after` is proved by one of `kinds`.",
    ),
    "messages": (
        message_cases,
        "Messages (replication.md#messages): `bytes` decode to `message` and back, or are refused "
        "with `error`. Flags are listed by name, ranges are inclusive, an absent hash is null.",
    ),
    "store_rows": (
        store_rows,
        "Rows of a store (store.md#rows): `key` and `value` with its checksum, and what they say.",
    ),
}


def render(name):
    make_cases, description = DESCRIPTIONS[name]
    cases = list(make_cases())
    ids = [case["id"] for case in cases]
    assert len(ids) == len(set(ids)), [i for i in ids if ids.count(i) > 1]
    lines = ",\n".join("    " + json.dumps(case) for case in cases)
    return f'{{\n  "description": {json.dumps(description)},\n  "cases": [\n{lines}\n  ]\n}}\n'


def main():
    parser = argparse.ArgumentParser(description="Makes the vectors of the specification.")
    parser.add_argument("--check", action="store_true", help="compare only")
    options = parser.parse_args()
    differing = []
    for name in DESCRIPTIONS:
        path, text = VECTORS / f"{name}.json", render(name)
        if options.check:
            same = path.exists() and path.read_bytes() == text.encode()
            differing += [] if same else [path.name]
        else:
            path.write_bytes(text.encode())
    if differing:
        print("differ from the reference: " + ", ".join(differing), file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
