#!/usr/bin/env python3
"""The messages between peers, slow and obvious, after spec/replication.md; with the Python standard
library alone.

  messages.py HEX    show a message
"""

import json
import sys

sys.dont_write_bytecode = True  # leaves nothing behind in the source tree
from reference import Refused, U64_MAX, decode_varu64, encode_varu64  # noqa: E402

U16_MAX, U32_MAX = 2**16 - 1, 2**32 - 1
MESSAGE_BYTES_MAX, DEPTH_MAX, TEXT_BYTES_MAX = 256 * 1024, 4, 256
RANGES_MAX, EVIDENCE_ENTRIES_MAX, ENTRY_BYTES_MAX = 4096, 64, 322
PAYLOAD_BYTES_MAX, CHUNK_BYTES = 2**32, 48 * 1024


# --- msgpack: only what messages are made of. Values are int, bytes, Text, list and OTHER ---------


class Text(bytes):
    pass


OTHER = object()


def pack(value):
    if isinstance(value, int):
        return pack_head(value, [(0x7F, 0, 0), (0xFF, 0xCC, 1), (U16_MAX, 0xCD, 2),
                                 (U32_MAX, 0xCE, 4), (U64_MAX, 0xCF, 8)])
    size = len(value)
    if isinstance(value, list):
        head = pack_head(size, [(15, 0x90, 0), (U16_MAX, 0xDC, 2), (U32_MAX, 0xDD, 4)])
        return head + b"".join(map(pack, value))
    if isinstance(value, Text):
        return pack_head(size, [(31, 0xA0, 0), (0xFF, 0xD9, 1), (U16_MAX, 0xDA, 2)]) + value
    return pack_head(size, [(0xFF, 0xC4, 1), (U16_MAX, 0xC5, 2), (U32_MAX, 0xC6, 4)]) + value


def pack_head(number, forms):
    first, width = next((first, width) for top, first, width in forms if number <= top)
    return bytes([first, *number.to_bytes(width, "big")]) if width else bytes([first + number])


def unpack(data):
    value, rest = unpack_one(data, 0)
    if rest:
        raise Refused("msgpack_trailing")
    return value


def take(data, size):
    if len(data) < size:
        raise Refused("msgpack_length")
    return data[:size], data[size:]


def unpack_one(data, depth):
    """(value, what follows it)"""
    head, data = take(data, 1)
    first = head[0]

    def number(width):
        nonlocal data
        digits, data = take(data, width)
        return int.from_bytes(digits, "big")

    def counted(width, more=0):
        size = number(width) + more
        return take(data, size)

    if first <= 0x7F:
        return first, data
    if first <= 0x8F:
        return unpack_items(data, first - 0x80, 2, depth + 1)
    if first <= 0x9F:
        return unpack_items(data, first - 0x90, 1, depth + 1)
    if first <= 0xBF:
        text, data = take(data, first - 0xA0)
        return Text(text), data
    if first in (0xC0, 0xC2, 0xC3) or first >= 0xE0:
        return OTHER, data
    if first == 0xC1:
        raise Refused("msgpack_type")
    if first <= 0xC6:  # bin
        return counted(1 << first - 0xC4)
    if first <= 0xC9:  # ext
        return OTHER, counted(1 << first - 0xC7, 1)[1]
    if first <= 0xCB:  # float
        return OTHER, take(data, 4 << first - 0xCA)[1]
    if first <= 0xCF:  # uint
        return number(1 << first - 0xCC), data
    if first <= 0xD3:  # int
        width = 1 << first - 0xD0
        value = number(width)
        if value < 1 << (8 * width - 1):
            raise Refused("msgpack_noncanonical")
        return OTHER, data
    if first <= 0xD8:  # fixext
        return OTHER, take(data, 1 + (1 << first - 0xD4))[1]
    if first <= 0xDB:
        text, data = counted(1 << first - 0xD9)
        return Text(text), data
    if first <= 0xDD:
        size = number(2 << first - 0xDC)
        return unpack_items(data, size, 1, depth + 1)
    size = number(2 << first - 0xDE)
    return unpack_items(data, size, 2, depth + 1)


def unpack_items(data, count, values_per_item, depth):
    if count * values_per_item > len(data):
        raise Refused("msgpack_length")
    if depth > DEPTH_MAX:
        raise Refused("msgpack_depth")
    items = []
    for _ in range(count * values_per_item):
        item, data = unpack_one(data, depth)
        items.append(item)
    return (items if values_per_item == 1 else OTHER), data


# --- The types of fields: pairs of functions, to and from a msgpack value -------------------------


def expect(value, kind):
    if type(value) is not kind:
        raise Refused("msgpack_type")
    return value


def require(condition, reason="message_schema"):
    if not condition:
        raise Refused(reason)


def number(top, least=0, reason="message_schema"):
    def read(value):
        require(least <= expect(value, int))
        require(value <= top, reason)
        return value

    return int, read


def blob(*sizes):
    def read(value):
        require(not sizes or len(expect(value, bytes)) in sizes)
        return expect(value, bytes).hex()

    return bytes.fromhex, read


def read_optional_hash(value):
    return blob(0, 64)[1](value) or None


def read_limited(bound):
    def read(value):
        require(len(expect(value, bytes)) <= bound, "limit")
        return value.hex()

    return read


def read_text(value):
    require(len(expect(value, Text)) <= TEXT_BYTES_MAX, "limit")
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("message_utf8") from None
    require("\0" not in text, "message_utf8")
    return text


def read_flags(names):
    def read(value):
        require(expect(value, int) < 1 << len(names))
        return [name for bit, name in enumerate(names) if value >> bit & 1]

    return read


def flags(*names):
    return lambda chosen: sum(1 << names.index(name) for name in chosen), read_flags(names)


def write_ranges(ranges):
    data, lowest = b"", 1
    for first, last in ranges:
        data += encode_varu64(first - lowest) + encode_varu64(last - first)
        lowest = last + 2
    return data


def read_ranges(value):
    data, lowest, ranges = expect(value, bytes), 1, []
    while data:
        require(len(ranges) < RANGES_MAX, "ranges_too_many")
        passed, used = decode_varu64(data)
        further, used_too = decode_varu64(data[used:])
        data = data[used + used_too:]
        first = lowest + passed
        last = first + further
        require(last <= U64_MAX, "range")
        ranges.append([first, last])
        lowest = last + 2
    return ranges


def read_evidence(value):
    require(0 < len(expect(value, list)))
    require(len(value) <= EVIDENCE_ENTRIES_MAX, "limit")
    return [ENTRY[1](entry) for entry in value]


U16, U32, U64 = number(U16_MAX), number(U32_MAX), number(U64_MAX)
WANT, SEQNUM = number(U32_MAX, 1), number(U64_MAX, 1)
ANY, HASH = blob(), blob(64)
OPTIONAL_HASH = (lambda value: bytes.fromhex(value or ""), read_optional_hash)
ENTRY = (bytes.fromhex, read_limited(ENTRY_BYTES_MAX))
TEXT = (lambda text: Text(text.encode()), read_text)
RANGES = (write_ranges, read_ranges)
EVIDENCE = (lambda entries: [bytes.fromhex(entry) for entry in entries], read_evidence)
LOG = [("author", blob(32)), ("log_id", U64)]

# --- The messages, by their type ------------------------------------------------------------------

MESSAGES = [
    ("hello", [("version", U32), ("agent", TEXT)]),
    ("offer", [*LOG, ("head", U64)]),
    ("have", [
        *LOG, ("head", U64), ("head_hash", HASH), ("held", RANGES), ("payloads", RANGES),
    ]),
    ("want", [
        ("id", WANT), *LOG, ("ranges", RANGES), ("newest", U64),
        ("flags", flags("entries", "payloads", "live", "full", "quote_only")),
        ("order", number(1)), ("payload_size_min", U64),
        ("payload_size_max", number(PAYLOAD_BYTES_MAX, 0, "limit")), ("budget_bytes", U64),
        ("held", RANGES), ("payloads_held", RANGES), ("payloads_excepted", RANGES),
        ("resume_seqnum", U64), ("resume_offset", U64),
    ]),
    ("quote", [
        ("want", WANT), ("entries", U64), ("certificate_entries", U64), ("payload_bytes", U64),
        ("wire_bytes", U64), ("flags", flags("exact")),
    ]),
    ("entries", [("want", WANT), ("unit", ANY)]),
    ("payload", [
        ("want", WANT), ("seqnum", SEQNUM), ("offset", U64), ("flags", flags("last")),
        ("bytes", (bytes.fromhex, read_limited(CHUNK_BYTES))),
    ]),
    ("ready", [("want", WANT)]),
    ("done", [("want", WANT), ("reason", number(3))]),
    ("cancel", [("want", WANT)]),
    ("credit", [("bytes", U64)]),
    ("compare", [
        *LOG, ("seqnum", SEQNUM), ("flags", flags("answer")), ("hash", OPTIONAL_HASH),
        ("entry", ENTRY),
    ]),
    ("defect", [*LOG, ("evidence", EVIDENCE)]),
    ("deny", [*LOG, ("want", U32), ("reason", number(255))]),
    ("ping", [("nonce", U64)]),
    ("pong", [("nonce", U64)]),
    ("bye", [("code", U16), ("text", TEXT)]),
]
TYPES = {name: number_of for number_of, (name, _) in enumerate(MESSAGES)}


def check_together(m):
    """Rules about several fields of a message."""
    if m["type"] == "have" and m["head"] == 0:
        require(set(m["head_hash"]) == {"0"} and not m["held"] and not m["payloads"])
    if m["type"] == "want":
        require(m["resume_offset"] % CHUNK_BYTES == 0)
        require((m["resume_seqnum"] == 0) == (m["resume_offset"] == 0))
        require(m["resume_offset"] <= PAYLOAD_BYTES_MAX, "limit")
    if m["type"] == "payload":
        size = len(m["bytes"]) // 2
        require(m["offset"] % CHUNK_BYTES == 0)
        require(m["offset"] + size <= PAYLOAD_BYTES_MAX, "limit")
        require(m["flags"] or size == CHUNK_BYTES)
        require(size or m["offset"] == 0)
    if m["type"] == "compare":
        require(m["hash"] or (m["flags"] and not m["entry"]))
        require(m["flags"] or not m["entry"])


def encode(message):
    number_of = TYPES[message["type"]]
    fields = MESSAGES[number_of][1]
    return pack([number_of, *(write(message[name]) for name, (write, _) in fields)])


def decode(data):
    require(len(data) <= MESSAGE_BYTES_MAX, "limit")
    values = expect(unpack(data), list)
    require(values)
    number_of = expect(values[0], int)
    require(number_of < len(MESSAGES), "message_type")
    name, fields = MESSAGES[number_of]
    message = {"type": name}
    for (field, (_, read)), value in zip(fields, values[1:]):
        message[field] = read(value)
    require(len(values) == 1 + len(fields))
    check_together(message)
    require(encode(message) == data, "msgpack_noncanonical")
    return message


def reason_of(data):
    try:
        decode(data)
    except Refused as refused:
        return refused.reason
    return None


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(json.dumps(decode(bytes.fromhex(sys.argv[1])), indent=2))
