"""Cases of spec/vectors/store_rows.json: what a few rows are, byte by byte (store.md#rows)."""

import reference as r
from vectors_log import build, payload_of

MASK = 2**64 - 1
P1, P2, P3, P4, P5 = (
    0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)
TABLES = ("meta", "logs", "entries", "payloads", "changes", "evidence", "stages", "sets")
RANGES_PER_ROW = 128


def rotate(x, bits):
    return (x << bits | x >> (64 - bits)) & MASK


def mix(lane, value):
    return rotate((lane + value * P2) & MASK, 31) * P1 & MASK


def xxh64(data, seed):
    words = [int.from_bytes(data[i:i + 8], "little") for i in range(0, len(data) - 7, 8)]
    stripes, position = len(data) // 32, len(data) // 32 * 32
    if stripes:
        lanes = [(seed + P1 + P2) & MASK, (seed + P2) & MASK, seed, (seed - P1) & MASK]
        for index in range(4 * stripes):
            lanes[index % 4] = mix(lanes[index % 4], words[index])
        out = sum(rotate(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18))) & MASK
        for lane in lanes:
            out = ((out ^ mix(0, lane)) * P1 + P4) & MASK
    else:
        out = (seed + P5) & MASK
    out = (out + len(data)) & MASK
    for word in words[4 * stripes:]:
        out = (rotate(out ^ mix(0, word), 27) * P1 + P4) & MASK
        position += 8
    if len(data) - position >= 4:
        word = int.from_bytes(data[position:position + 4], "little")
        out = (rotate(out ^ word * P1 & MASK, 23) * P2 + P3) & MASK
        position += 4
    for byte in data[position:]:
        out = rotate(out ^ byte * P5 & MASK, 11) * P1 & MASK
    for shift, factor in ((33, P2), (29, P3), (32, 1)):
        out = (out ^ out >> shift) * factor & MASK
    return out


def sealed(table, key, body):
    content = b"\x03" + body
    check = xxh64(content, xxh64(key, TABLES.index(table)))
    value = content + check.to_bytes(8, "big")
    return {"table": table, "key": key.hex(), "value": value.hex()}


def be(number, size=8):
    return number.to_bytes(size, "big")


def encode_ranges(ranges, previous=0):
    out = b""
    for first, last in ranges:
        out += r.encode_varu64(first - previous) + r.encode_varu64(last - first)
        previous = last
    return out


def encode_set(ranges, blocks):
    if len(ranges) <= RANGES_PER_ROW:
        return r.encode_varu64(len(ranges)) + encode_ranges(ranges)
    total = sum(int(block["value"][-16:], 16) for block in blocks) & MASK
    return r.encode_varu64(len(ranges)) + r.encode_varu64(len(blocks)) + be(total)


NUMBERS = ("number", "change", "cap", "end_of_log", "payload_bytes", "newest")
SETS = ("held", "payloads", "verified", "deleted", "interest")


def log_row(name, author, log_id, state, blocks=()):
    """`blocks`: all there are of the log's sets."""
    body = b"".join(r.encode_varu64(state[field]) for field in NUMBERS)
    body += bytes([state["payloads_wanted"]])
    body += b"".join(encode_set(state[field], [b for b in blocks if b["set"] == field])
                     for field in SETS)
    return {"id": name, **sealed("logs", author + be(log_id), body), "state": state}


def block_row(name, number, field, ranges):
    first = ranges[0][0]
    key = be(number) + bytes([SETS.index(field)]) + be(first)
    return {"id": name, **sealed("sets", key, encode_ranges(ranges, first)), "number": number,
            "set": field, "first": first, "ranges": ranges}


def log_in_blocks(author):
    """A log with two sets that do not fit into its row, one of a single block."""
    payloads = [[n, n] for n in range(1, 2 * 128, 2)] + [[1000, 2000]]
    deleted = [[n, n] for n in range(2, 1000, 4)] + [[3000, r.U64_MAX]]
    held = [[1, 3000]]
    state = {"number": 3, "change": 9, "cap": 0, "end_of_log": 0, "payload_bytes": 5000,
             "newest": 0, "payloads_wanted": True, "held": held, "payloads": payloads,
             "verified": held, "deleted": deleted, "interest": [[1, r.U64_MAX]]}
    blocks = [block_row("block", 3, "payloads", payloads),
              block_row("block-first-of-two", 3, "deleted", deleted[:130]),
              block_row("block-second-of-two", 3, "deleted", deleted[130:])]
    yield log_row("log-in-blocks", author, 8, state, blocks)
    yield from blocks


def store_rows():
    assert xxh64(b"", 0) == 0xEF46DB3751D8E999
    assert xxh64(b"abc", 0) == 0x44BC2CF5AD770999
    entries = build()
    author = entries[0].author
    store_id = bytes(range(16))
    meta = store_id + r.encode_varu64(3) + r.encode_varu64(1000) + r.encode_varu64(17)
    yield {"id": "meta", **sealed("meta", b"store", meta), "store_id": store_id.hex(),
           "log_count": 3, "last_change": 1000, "last_stage": 17, "forgotten": 0}
    yield {"id": "meta-forgotten", **sealed("meta", b"store", meta + r.encode_varu64(2)),
           "store_id": store_id.hex(), "log_count": 3, "last_change": 1000, "last_stage": 17,
           "forgotten": 2}
    yield {"id": "forgotten", **sealed("meta", b"forgotten" + be(2**40), b""), "number": 2**40}

    lost, payloads_lost = [[7, 7], [300, r.U64_MAX]], [[1, 3]]
    body = encode_set(lost, ()) + encode_set(payloads_lost, ())
    yield {"id": "lost", **sealed("meta", b"lost" + be(2**40), body), "lost": lost,
           "payloads_lost": payloads_lost, "untold": []}
    untold = [[2, 2], [7, 7]]
    yield {"id": "lost-untold",
           **sealed("meta", b"lost" + be(2**40), body + encode_set(untold, ())), "lost": lost,
           "payloads_lost": payloads_lost, "untold": untold}

    addresses = ["127.0.0.1:7474", "[::1]:1", "relay.example:65535"]
    body = r.encode_varu64(len(addresses)) + b"".join(
        r.encode_varu64(len(a)) + a.encode() for a in addresses)
    yield {"id": "peers", **sealed("meta", b"peers", body), "addresses": addresses}
    keys = [[bytes([1] * 32), bytes([2] * 32)], [], [bytes(range(32))]]
    pairs = [(a, key) for a, keys_there in zip(addresses, keys) for key in keys_there]
    body = r.encode_varu64(len(pairs)) + b"".join(
        r.encode_varu64(len(a)) + a.encode() + key for a, key in pairs)
    yield {"id": "peer-keys", **sealed("meta", b"peer_keys", body), "addresses": addresses,
           "peer_keys": [[key.hex() for key in keys_there] for keys_there in keys]}

    everything = {"number": 1, "change": 7, "cap": 0, "end_of_log": 0, "payload_bytes": 300,
                  "newest": 0, "payloads_wanted": True, "held": [[1, 20]],
                  "payloads": [[1, 20]], "verified": [[20, 20]], "deleted": [],
                  "interest": [[1, r.U64_MAX]]}
    nothing = {**dict.fromkeys(NUMBERS, 0), **dict.fromkeys(SETS, []), "number": 1, "change": 1,
               "payloads_wanted": False}
    parts = {"number": 2**40, "change": 2**40 + 1, "cap": 500, "end_of_log": r.U64_MAX,
             "payload_bytes": 10**9, "newest": 100, "payloads_wanted": True,
             "held": [[1, 1], [4, 4], [13, 20], [300, 1000], [r.U64_MAX, r.U64_MAX]],
             "payloads": [[13, 15], [17, 17]], "verified": [[13, 13], [1000, 1000]],
             "deleted": [[1, 12], [300, r.U64_MAX]], "interest": [[13, 20], [300, 1000]]}
    yield log_row("log-everything", author, 0, everything)
    yield log_row("log-nothing", author, 7, nothing)
    yield log_row("log-parts", author, r.U64_MAX, parts)
    yield from log_in_blocks(author)

    for name, number, seqnum, payload in (
        ("entry-with-payload", 1, 5, payload_of(5)), ("entry-without-payload", 1, 5, b""),
        ("entry-with-empty-payload", 2**40, 3, payload_of(3)),
    ):
        entry = r.encode_entry(entries[seqnum - 1])
        body = be(len(entry), 2) + entry + payload
        yield {"id": name, **sealed("entries", be(number) + be(seqnum), body), "number": number,
               "seqnum": seqnum, "entry": entry.hex(), "payload": payload.hex()}

    for index, chunk in ((0, b"first"), (300, b"")):
        yield {"id": f"chunk-{index}", **sealed("payloads", be(17) + be(index, 4), chunk),
               "stage": 17, "index": index, "chunk": chunk.hex()}
    for code, state in enumerate(("arriving", "payload", "going")):
        stage = 2**40 + code
        body = bytes([code]) + r.encode_varu64(100_000)
        yield {"id": f"stage-{state}", **sealed("stages", be(1) + be(9) + be(stage), body),
               "number": 1, "seqnum": 9, "stage": stage, "state": state, "size_bytes": 100_000}
    for alone in (False, True):
        body = bytes([0]) + r.encode_varu64(98_304) + bytes(range(32)) + bytes([alone])
        yield {"id": f"stage-of-a-peer{'-alone' if alone else ''}",
               **sealed("stages", be(1) + be(9) + be(2**40), body), "number": 1, "seqnum": 9,
               "stage": 2**40, "state": "arriving", "size_bytes": 98_304,
               "peer": bytes(range(32)).hex(), "alone": alone}
    yield {"id": "change", **sealed("changes", be(1000), author + be(7)), "change": 1000,
           "author": author.hex(), "log_id": 7}
    pair = [r.encode_entry(entries[5]), r.encode_entry(build("fork", size=6, base=entries[:5])[5])]
    body = r.encode_varu64(2) + b"".join(r.encode_varu64(len(e)) + e for e in sorted(pair))
    yield {"id": "evidence", **sealed("evidence", be(1) + be(6), body), "number": 1, "at": 6,
           "entries": [e.hex() for e in sorted(pair)]}
