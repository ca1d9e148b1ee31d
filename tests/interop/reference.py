#!/usr/bin/env python3
"""culm's entry format, link arithmetic and accepting rule once more, slow and obvious.

Written from spec/ alone, with the Python standard library alone, so that it can disagree with the
C++ code. Each part names the page that it follows.

  reference.py selftest [--vectors DIR]
  reference.py verify-jsonl FILE [--loose]
  reference.py closure --ranges 5-9,20-30 --head 100
  reference.py lipmaa | path | pool N
"""

import argparse
import hashlib
import json
import sys
from collections import namedtuple

sys.dont_write_bytecode = True  # tests leave nothing behind in the source tree
import ed25519  # noqa: E402

U64_MAX = 2**64 - 1
ENTRY_SIZE_MAX = 322


class Refused(Exception):
    """Bad input. `reason` is the name that the vectors use."""

    def __init__(self, reason, seqnum=None):
        super().__init__(reason)
        self.reason, self.seqnum = reason, seqnum


# --- Encodings: spec/entry.md -------------------------------------------------------------------


def encode_varu64(value):
    assert 0 <= value <= U64_MAX
    if value < 248:
        return bytes([value])
    digits = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes([247 + len(digits)]) + digits


def decode_varu64(data):
    """(value, bytes used)"""
    if not data:
        raise Refused("varint_truncated")
    if data[0] < 248:
        return data[0], 1
    used = 1 + data[0] - 247
    if len(data) < used:
        raise Refused("varint_truncated")
    value = int.from_bytes(data[1:used], "big")
    if encode_varu64(value) != data[:used]:
        raise Refused("varint_noncanonical")
    return value, used


def blake2b(data):
    return hashlib.blake2b(data).digest()


def encode_yamf(digest):
    return b"\x00\x40" + digest


def decode_yamf(data):
    """The digest in the first 66 bytes."""
    if len(data) < 66:
        raise Refused("entry_truncated")
    if data[:2] != b"\x00\x40":
        raise Refused("hash_format")
    return data[2:66]


Entry = namedtuple(
    "Entry",
    "tag author log_id seqnum lipmaalink backlink payload_size payload_hash signature encoded",
)


def has_lipmaalink(seqnum):
    return seqnum > 1 and lipmaa(seqnum) != seqnum - 1


def encode_unsigned(tag, author, log_id, seqnum, lipmaalink, backlink, payload_size, payload_hash):
    parts = [bytes([tag]), author, encode_varu64(log_id), encode_varu64(seqnum)]
    parts += [encode_yamf(link) for link in (lipmaalink, backlink) if link is not None]
    return b"".join(parts + [encode_varu64(payload_size), encode_yamf(payload_hash)])


def encode_entry(entry):
    return encode_unsigned(*entry[:8]) + entry.signature


def parse_entry(data):
    """The fields of exactly one canonical entry. No signature check."""
    data = bytes(data)
    if len(data) > ENTRY_SIZE_MAX:
        raise Refused("entry_too_long")
    place = 0

    def take(size):
        nonlocal place
        if len(data) - place < size:
            raise Refused("entry_truncated")
        place += size
        return data[place - size : place]

    def take_varu64():
        nonlocal place
        try:
            value, used = decode_varu64(data[place:])
        except Refused as refused:
            truncated = refused.reason == "varint_truncated"
            raise Refused("entry_truncated" if truncated else refused.reason) from None
        place += used
        return value

    tag = take(1)[0]
    if tag > 1:
        raise Refused("entry_tag")
    author, log_id, seqnum = take(32), take_varu64(), take_varu64()
    if seqnum == 0:
        raise Refused("seqnum_zero")
    lipmaalink = decode_yamf(take(66)) if has_lipmaalink(seqnum) else None
    backlink = decode_yamf(take(66)) if seqnum > 1 else None
    payload_size, payload_hash, signature = take_varu64(), decode_yamf(take(66)), take(64)
    if place != len(data):
        raise Refused("entry_trailing")
    fields = (tag, author, log_id, seqnum, lipmaalink, backlink, payload_size, payload_hash)
    return Entry(*fields, signature, data)


def entry_hash(entry):
    return blake2b(entry.encoded)


def check_signature(entry):
    reason = ed25519.verify(entry.author, entry.encoded[:-64], entry.signature)
    if reason:
        raise Refused(reason, entry.seqnum)


def is_authentic(entry):
    return ed25519.verify(entry.author, entry.encoded[:-64], entry.signature) is None


def check_payload(entry, payload):
    if blake2b(payload) != entry.payload_hash:
        raise Refused("payload_hash", entry.seqnum)
    if len(payload) != entry.payload_size:
        raise Refused("payload_size", entry.seqnum)


def links(entry):
    """{seqnum of the target: hash}"""
    found = {}
    if entry.backlink is not None:
        found[entry.seqnum - 1] = entry.backlink
    if entry.lipmaalink is not None:
        found[lipmaa(entry.seqnum)] = entry.lipmaalink
    return found


def same_log(a, b):
    return (a.author, a.log_id) == (b.author, b.log_id)


# --- Link arithmetic: spec/lipmaa.md ------------------------------------------------------------


def spine(k):
    return (3**k - 1) // 2


def level(n):
    """The smallest k with spine(k) >= n."""
    k = 1
    while spine(k) < n:
        k += 1
    return k


def lipmaa_recursive(n):
    """The definition. 0 for n == 1: entry 1 has no link."""

    def order(m):
        k = level(m)
        return k if m == spine(k) else order(m - spine(k - 1))

    k = level(n)
    return spine(k - 1) if n == spine(k) else n - spine(order(n))


def lipmaa(n):
    """The same without recursion."""
    k = level(n)
    if n == spine(k):
        return spine(k - 1)
    rest = n
    while rest:
        k -= 1
        rest %= spine(k)
    return n - spine(k)


def path(top, bottom):
    """The shortest way along links, both ends included."""
    found = [top]
    while top > bottom:
        top = lipmaa(top) if lipmaa(top) >= bottom else top - 1
        found.append(top)
    return found


def tail_path(n):
    """From the first spine number at or above n down to n."""
    return path(spine(level(n)), n)


def up(n):
    """The number before n on its tail path; None on the spine. May exceed 64 bits."""
    way = tail_path(n)
    return way[-2] if len(way) > 1 else None


def pool(n, head=U64_MAX):
    """The certificate pool as far as it exists, n itself included."""
    return sorted(set(path(n, 1)) | {m for m in tail_path(n) if m <= head})


# --- Range sets and closure: spec/closure.md ----------------------------------------------------


def canonical_ranges(ranges):
    """Sorted, disjoint, not adjacent; ends are inclusive."""
    result = []
    for first, last in sorted(ranges):
        if result and first <= result[-1][1] + 1:
            result[-1][1] = max(result[-1][1], last)
        else:
            result.append([first, last])
    return result


def ranges_of(numbers):
    return canonical_ranges([n, n] for n in numbers)


def members(ranges):
    return {n for first, last in ranges for n in range(first, last + 1)}


def count(ranges):
    return sum(last - first + 1 for first, last in ranges)


def closure(interest, head):
    """K(interest, head): every range with its head path and what exists of its tail path."""
    found = []
    for first, last in interest:
        last = min(last, head)
        if first <= last:
            single = path(first, 1) + [n for n in tail_path(last) if n <= head]
            found += [[first, last]] + [[n, n] for n in single]
    return canonical_ranges(found)


def closure_by_rule(numbers, head):
    """The definition: the least closed set that holds the numbers."""
    held, open_ends = set(), [n for n in numbers if n <= head]
    while open_ends:
        n = open_ends.pop()
        if n not in held:
            held.add(n)
            if n > 1:
                open_ends.append(lipmaa(n))
            if up(n) is not None and up(n) <= head:
                open_ends.append(up(n))
    return held


def loose(held, head):
    return {n for n in held if up(n) is not None and up(n) <= head and up(n) not in held}


# --- The accepting rule: spec/verification.md ---------------------------------------------------

Defect = namedtuple("Defect", "kind at evidence")
Verdict = namedtuple("Verdict", "levels defects cap checked")


def derive_defect(evidence):
    """Kind and seqnum from the bytes alone, whatever their order. Refused if they prove nothing."""
    if len(evidence) != 2:
        raise Refused("evidence")
    entries = [parse_entry(data) for data in evidence]
    low, high = sorted(entries, key=lambda entry: (entry.seqnum, entry.encoded))
    if not same_log(low, high) or not is_authentic(low) or not is_authentic(high):
        raise Refused("evidence")
    pair = [low.encoded, high.encoded]
    if low.seqnum == high.seqnum and low.encoded != high.encoded:
        return Defect("fork", low.seqnum, pair)
    if links(high).get(low.seqnum, entry_hash(low)) != entry_hash(low):
        return Defect("fork_by_link", low.seqnum, pair)
    raise Refused("evidence")


def conflicts(held, new):
    """Pairs of different entries for one seqnum, and of link and target that disagree."""
    found = [(n, held[n.seqnum]) for n in new.values() if n.seqnum in held]
    found = [(a, b) for a, b in found if a.encoded != b.encoded]
    for source in list(held.values()) + list(new.values()):
        for seqnum, digest in links(source).items():
            for side in (held, new):
                target = side.get(seqnum)
                both_held = side is held and held.get(source.seqnum) is source
                if target is not None and entry_hash(target) != digest and not both_held:
                    found.append((source, target))
    return found


def attest(held, new, levels):
    """Downwards: covered by a link, or else its own signature counts. Returns the checks made."""
    checked = 0
    for entry in sorted(new.values(), key=lambda e: -e.seqnum):
        above = [e for e in list(held.values()) + list(new.values()) if e.seqnum > entry.seqnum]
        if any(links(e).get(entry.seqnum) == entry_hash(entry) for e in above):
            levels.setdefault(entry.seqnum, "attested")
        elif levels.get(entry.seqnum) != "verified":
            check_signature(entry)
            checked += 1
            levels[entry.seqnum] = "verified"
    return checked


def check_anchored(held, new):
    """Upwards: entry 1, or a link target that is there."""
    anchored = set(held)
    for seqnum in sorted(new):
        if seqnum != 1 and not anchored & set(links(new[seqnum])):
            raise Refused("unit_unanchored", seqnum)
        anchored.add(seqnum)


def accept(held, unit, cap=None):
    """Decides on a unit (encoded entries). `held`: {seqnum: accepted Entry} of one log."""
    entries = [parse_entry(data) for data in unit]
    if not entries:
        raise Refused("unit_empty")
    known = next(iter(held.values()), entries[0])
    for before, entry in zip([None] + entries, entries):
        if not same_log(entry, known):
            raise Refused("entry_foreign", entry.seqnum)
        if before and before.seqnum >= entry.seqnum:
            raise Refused("unit_order", entry.seqnum)

    new = {e.seqnum: e for e in entries if e != held.get(e.seqnum)}
    levels = {}
    checked = attest(held, new, levels)
    check_anchored(held, new)
    defects = []
    for a, b in conflicts(held, new):
        if not is_authentic(a) or not is_authentic(b):
            raise Refused("link_mismatch", min(a.seqnum, b.seqnum))
        defect = derive_defect([a.encoded, b.encoded])
        defects += [defect] if defect not in defects else []
    cap = min([d.at for d in defects] + ([cap] if cap else []), default=None)

    if cap is not None:
        held = {n: e for n, e in held.items() if n < cap}
        new = {n: e for n, e in new.items() if n < cap}
        levels = {n: level for n, level in levels.items() if n < cap and level == "verified"}
        try:
            checked += attest(held, new, levels)
        except Refused:
            new = {}
    if cap is not None and entries[0].seqnum >= cap and not defects:
        raise Refused("log_capped", entries[0].seqnum)
    both = {**held, **new}
    end = min((n for n, e in both.items() if e.tag == 1), default=U64_MAX)
    if new and max(both) > end:
        raise Refused("log_ended", max(both))
    return Verdict({n: levels[n] for n in new}, defects, cap, checked)


# --- Writing, for the vectors only --------------------------------------------------------------


def write_entry(seed, log_id, seqnum, payload, hashes, tag=0):
    """A signed entry; `hashes`: {seqnum: hash} of its link targets."""
    lipmaalink = hashes[lipmaa(seqnum)] if has_lipmaalink(seqnum) else None
    backlink = hashes[seqnum - 1] if seqnum > 1 else None
    author, digest = ed25519.public_key(seed), blake2b(payload)
    fields = (tag, author, log_id, seqnum, lipmaalink, backlink, len(payload), digest)
    unsigned = encode_unsigned(*fields)
    return parse_entry(unsigned + ed25519.sign(seed, unsigned))


# --- JSON lines: spec/verification.md#jsonl -----------------------------------------------------


def read_line(text):
    try:
        value = json.loads(text.decode(), parse_constant=lambda name: int(name))
    except (ValueError, RecursionError):  # int("NaN") is a ValueError, too
        raise Refused("file_format") from None
    if not isinstance(value, dict) or not isinstance(value.get("encoded"), str):
        raise Refused("file_format")
    if "payload" in value and not isinstance(value["payload"], str):
        raise Refused("file_format")
    parts = [value["encoded"], value.get("payload", "")]
    if not all(part.isascii() and (part.isalnum() or not part) for part in parts):
        raise Refused("hex_format")
    try:
        encoded, payload = [bytes.fromhex(part) for part in parts]
    except ValueError:
        raise Refused("hex_format") from None
    return encoded, payload if "payload" in value else None


def check_line(text):
    encoded, payload = read_line(text)
    entry = parse_entry(encoded)
    if payload is not None:
        check_payload(entry, payload)
    check_signature(entry)
    return entry


def find_forks(rows):
    """(line, seqnum, kind) of every conflict between entries of the file."""
    seen = {}  # (author, log_id, seqnum) -> [(line, entry)]
    for line, entry in rows:
        seen.setdefault((entry.author, entry.log_id, entry.seqnum), []).append((line, entry))
    for line, entry in rows:
        log = (entry.author, entry.log_id)
        for other_line, other in seen[(*log, entry.seqnum)]:
            if other.encoded != entry.encoded:
                yield max(line, other_line), 0, entry.seqnum, "fork"
        for seqnum, digest in links(entry).items():
            for target_line, target in seen.get((*log, seqnum), []):
                if entry_hash(target) != digest:
                    yield max(line, target_line), 1, seqnum, "fork_by_link"


def find_after_end(rows):
    ends = {}
    for line, entry in rows:
        if entry.tag == 1:
            ends.setdefault((entry.author, entry.log_id), []).append((line, entry.seqnum))
    for line, entry in rows:
        for end_line, end in ends.get((entry.author, entry.log_id), []):
            if entry.seqnum > end:
                yield max(line, end_line), entry.seqnum


def find_unanchored(rows):
    anchored = set()
    for line, entry in sorted(rows, key=lambda row: row[1].seqnum):
        log = (entry.author, entry.log_id)
        if entry.seqnum == 1 or any((*log, n) in anchored for n in links(entry)):
            anchored.add((*log, entry.seqnum))
        else:
            yield line, entry.seqnum


def verify_jsonl(lines, is_loose=False):
    """(exit code, what to print) for lines of bytes."""
    rows = []
    for line, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            rows.append((line, check_line(text)))
        except Refused as refused:
            report = {"line": line, "seqnum": refused.seqnum, "reason": refused.reason}
            return 4, {"ok": False, **report}
    for line, _, seqnum, kind in sorted(find_forks(rows)):
        report = {"line": line, "seqnum": seqnum, "reason": "fork", "kind": kind}
        return 7, {"ok": False, **report}
    for line, seqnum in sorted(find_after_end(rows)):
        return 4, {"ok": False, "line": line, "seqnum": seqnum, "reason": "log_ended"}
    for line, seqnum in sorted([] if is_loose else find_unanchored(rows)):
        return 4, {"ok": False, "line": line, "seqnum": seqnum, "reason": "unit_unanchored"}
    logs = {(entry.author, entry.log_id) for _, entry in rows}
    entries = {(entry.author, entry.log_id, entry.seqnum) for _, entry in rows}
    return 0, {"ok": True, "entries": len(entries), "logs": len(logs)}


# --- Command line -------------------------------------------------------------------------------


def parse_ranges(text, head):
    ranges = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        last = int(last) if last else (head if dash else int(first))
        ranges.append([int(first), last])
        if ranges[-1][0] < 1 or (ranges[-1][0] > last and last != head):
            raise SystemExit("a range starts at 1 or later and ends no earlier than it starts")
    return canonical_ranges(r for r in ranges if r[0] <= r[1])


def format_ranges(ranges):
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)


def main():
    parser = argparse.ArgumentParser(description="Slow reference for culm's spec.")
    commands = parser.add_subparsers(dest="command", required=True)
    selftest = commands.add_parser("selftest", help="check this program against vectors")
    selftest.add_argument("--vectors", help="folder of public vectors (bamboo-rs/, ed25519-*.json)")
    jsonl = commands.add_parser("verify-jsonl", help="check a file of JSON lines")
    jsonl.add_argument("file")
    jsonl.add_argument("--loose", action="store_true", help="ask for no path to entry 1")
    ranges = commands.add_parser("closure", help="print K(ranges, head)")
    ranges.add_argument("--ranges", required=True, help="such as 5-9,20-30,90-")
    ranges.add_argument("--head", required=True, type=int)
    for name in ("lipmaa", "path", "pool"):
        commands.add_parser(name).add_argument("n", type=int)
    options = parser.parse_args()

    if options.command == "selftest":
        import selftest as checks  # beside this file; imports this module in turn

        return checks.run(options.vectors)
    if options.command == "verify-jsonl":
        try:
            with open(options.file, "rb") as file:
                status, report = verify_jsonl(file, options.loose)
        except OSError as error:
            print(error, file=sys.stderr)
            return 3
        print(json.dumps(report))
        return status
    if options.command == "closure":
        interest = parse_ranges(options.ranges, options.head)
        print(format_ranges(closure(interest, options.head)))
    elif options.command == "lipmaa":
        print(lipmaa(options.n))
    elif options.command == "path":
        print(*path(options.n, 1))
    else:
        print(*pool(options.n))
    return 0


if __name__ == "__main__":
    sys.modules["reference"] = sys.modules["__main__"]
    sys.exit(main())
