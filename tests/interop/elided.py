#!/usr/bin/env python3
"""The elided form of units once more, from spec/elided.md alone.

Run it to check spec/vectors/elided.json, which another implementation wrote.
"""

import json
import pathlib
import sys

import reference as r

VECTORS = pathlib.Path(__file__).resolve().parents[2] / "spec" / "vectors"
PAYLOAD_SIZE_MAX = 32 * 1024
ENTRIES_MAX = 1024
WHOLE, LEFT_OUT, PREFIX = 0, 1, 2
LINK_SIZES = {WHOLE: 64, LEFT_OUT: 0, PREFIX: 8}


class Refused(r.Refused):
    """`offset` of a format error, or `seqnum` of the target that is not there."""

    def __init__(self, reason, offset=None, seqnum=None):
        super().__init__(reason, seqnum)
        self.offset = offset


class Reader:
    def __init__(self, data):
        self.data, self.place = data, 0

    def take(self, size):
        if len(self.data) - self.place < size:
            raise Refused("elided_format", offset=self.place)
        self.place += size
        return self.data[self.place - size : self.place]

    def take_varu64(self):
        try:
            value, used = r.decode_varu64(self.data[self.place :])
        except r.Refused:
            raise Refused("elided_format", offset=self.place) from None
        self.place += used
        return value


def link_targets(seqnum):
    """(shift of the form in the mask, target) of each link in the format, lipmaalink first."""
    if r.has_lipmaalink(seqnum):
        yield 1, r.lipmaa(seqnum)
    if seqnum > 1:
        yield 3, seqnum - 1


def restore(author, log_id, data, known):
    """[(encoded entry, payload or None)]; `known`: {seqnum: hash} of what the receiver holds."""
    reader, hashes, restored, seqnum = Reader(data), {}, [], 0
    if not data:
        raise Refused("unit_empty")
    while reader.place < len(data):
        if len(restored) == ENTRIES_MAX:
            raise Refused("limit")
        start = reader.place
        if data[start] & 0x80:
            raise Refused("elided_format", offset=start)
        mask = reader.take(1)[0]
        gap = 0
        if mask & 0x40:
            gap = reader.take_varu64()
        if (mask & 0x40 and gap == 0) or seqnum + gap + 1 > r.U64_MAX:
            raise Refused("elided_format", offset=reader.place)
        seqnum += gap + 1

        read = {}
        targets = dict(link_targets(seqnum))
        for shift in (1, 3):
            form = mask >> shift & 3
            if form == 3 or (form and shift not in targets):
                raise Refused("elided_format", offset=reader.place)
            if shift in targets:
                read[shift] = form, reader.take(LINK_SIZES[form])
        size = reader.take_varu64()
        payload = None
        if mask & 0x20:
            if size > PAYLOAD_SIZE_MAX:
                raise Refused("limit")
            payload = reader.take(size)
            digest = r.blake2b(payload)
        else:
            digest = reader.take(64)
        signature = reader.take(64)

        links = {}
        for shift, (form, data_here) in read.items():
            target = targets[shift]
            links[shift] = data_here
            if form == LEFT_OUT:
                if target not in hashes:
                    raise Refused("elided_format", offset=start)
                links[shift] = hashes[target]
            elif form == PREFIX:
                links[shift] = known.get(target, b"")
                if links[shift][:8] != data_here:
                    raise Refused("elided_target", seqnum=target)
        unsigned = r.encode_unsigned(
            mask & 1, author, log_id, seqnum, links.get(1), links.get(3), size, digest
        )
        entry = unsigned + signature
        hashes[seqnum] = r.blake2b(entry)
        restored.append((entry, payload))
    return restored


def elide(entries, payloads, known, whole_links=False):
    """The elided form of parsed entries, ascending; `payloads`: {seqnum: payload}."""
    out, before = b"", []
    for entry in entries:
        mask, body = entry.tag, b""
        gap = entry.seqnum - (before[-1] if before else 0) - 1
        if gap:
            mask |= 0x40
            body += r.encode_varu64(gap)
        for shift, target in link_targets(entry.seqnum):
            link = r.links(entry)[target]
            form = WHOLE
            if not whole_links:
                form = LEFT_OUT if target in before else PREFIX if target in known else WHOLE
            mask |= form << shift
            body += link[: LINK_SIZES[form]]
        payload = payloads.get(entry.seqnum)
        mask |= 0x20 if payload is not None else 0
        body += r.encode_varu64(entry.payload_size)
        body += entry.payload_hash if payload is None else payload
        out += bytes([mask]) + body + entry.signature
        before.append(entry.seqnum)
    return out


def load_logs():
    cases = json.loads((VECTORS / "log.json").read_text())["cases"]
    return {case["id"]: case["entries"] for case in cases if case["type"] == "log"}


def check(case, rows):
    log = {row["seqnum"]: row for row in rows}
    known = {n: bytes.fromhex(log[n]["hash"]) for n in r.members(case["known"])}
    first = r.parse_entry(bytes.fromhex(rows[0]["bytes"]))
    data = bytes.fromhex(case["elided"])
    try:
        restored = restore(first.author, first.log_id, data, known)
    except Refused as refused:
        assert refused.reason == case["error"], refused.reason
        assert refused.offset == case.get("offset"), refused.offset
        assert refused.seqnum == case.get("seqnum"), refused.seqnum
        return
    assert "error" not in case
    members, whole = r.members(case["entries"]), r.members(case["payloads"])
    payloads = {n: bytes.fromhex(log[n]["payload"]) for n in whole}
    expected = [(bytes.fromhex(log[n]["bytes"]), payloads.get(n)) for n in sorted(members)]
    assert restored == expected
    entries = [r.parse_entry(encoded) for encoded, _ in restored]
    assert elide(entries, payloads, known, case["links"] == "whole") == data


def main():
    cases = json.loads((VECTORS / "elided.json").read_text())["cases"]
    logs = load_logs()
    failed = 0
    for case in cases:
        try:
            check(case, logs[case["log"]])
        except (AssertionError, r.Refused) as error:
            print(f"{case['id']}: {error!r}", file=sys.stderr)
            failed += 1
    print(f"{len(cases)} cases, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
