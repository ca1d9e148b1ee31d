"""Cases of spec/vectors/messages.json. Ids that begin with a row (C12-) belong to one rule."""

from messages import U64_MAX, decode, encode, pack
from reference import Refused, blake2b, encode_varu64

AUTHOR, HASH, HASH_TOO = blake2b(b"author")[:32].hex(), blake2b(b"1").hex(), blake2b(b"2").hex()
LOG = {"author": AUTHOR, "log_id": 0}
LOG_TOO = {"author": AUTHOR, "log_id": U64_MAX}
WANT = {
    "type": "want", "id": 1, **LOG, "ranges": [], "newest": 100, "flags": ["entries", "payloads"],
    "order": 0, "payload_size_min": 0, "payload_size_max": 2**32, "budget_bytes": 0, "held": [],
    "payloads_held": [], "payloads_excepted": [], "resume_seqnum": 0, "resume_offset": 0,
}
MANY_RANGES = [[2 * n + 1, 2 * n + 1] for n in range(4096)]


def good_messages():
    yield "hello", {"type": "hello", "version": 2, "agent": "culm"}
    yield "hello-no-agent", {"type": "hello", "version": 2**32 - 1, "agent": ""}
    edges = "\u007f\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"
    yield "hello-utf8", {"type": "hello", "version": 2, "agent": edges}
    yield "hello-text-31", {"type": "hello", "version": 2, "agent": "a" * 31}
    yield "hello-text-256", {"type": "hello", "version": 2, "agent": "a" * 256}
    yield "offer", {"type": "offer", **LOG, "head": 1}
    yield "offer-empty-log", {"type": "offer", **LOG_TOO, "head": 0}
    yield "have", {"type": "have", **LOG, "head": 40, "head_hash": HASH,
                   "held": [[1, 4], [13, 13], [30, 40]], "payloads": [[30, 39]]}
    yield "have-nothing", {"type": "have", **LOG_TOO, "head": 0, "head_hash": "00" * 64,
                           "held": [], "payloads": []}
    yield "have-everything", {"type": "have", **LOG, "head": U64_MAX, "head_hash": HASH,
                              "held": [[1, U64_MAX]], "payloads": [[U64_MAX, U64_MAX]]}
    yield "have-4096-ranges", {"type": "have", **LOG, "head": 8191, "head_hash": HASH,
                               "held": MANY_RANGES, "payloads": []}
    yield "want-newest", WANT
    yield "want-everything-live", {**WANT, "ranges": [[1, U64_MAX]], "newest": 0,
                                   "flags": ["entries", "payloads", "live"]}
    yield "want-every-field", {
        **WANT, **LOG_TOO, "id": 2**32 - 1, "ranges": [[5, 9], [11, U64_MAX - 2], [U64_MAX] * 2],
        "newest": U64_MAX, "flags": ["entries", "payloads", "live", "full", "quote_only"],
        "order": 1, "payload_size_min": 248, "payload_size_max": 2**32 - 1,
        "budget_bytes": 2**63, "held": [[1, 248], [1000, 2000]], "payloads_held": [[2, 2]],
        "payloads_excepted": [[7, 300]], "resume_seqnum": U64_MAX,
        "resume_offset": 2**32 // 49_152 * 49_152}
    yield "want-resume", {**WANT, "resume_seqnum": 7, "resume_offset": 49_152}
    yield "want-nothing", {**WANT, "newest": 0, "flags": [], "payload_size_max": 0}
    yield "quote", {"type": "quote", "want": 1, "entries": 100, "certificate_entries": 24,
                    "payload_bytes": 10_000, "wire_bytes": 21_777, "flags": ["exact"]}
    yield "quote-estimate", {"type": "quote", "want": 1, "entries": U64_MAX,
                             "certificate_entries": 0, "payload_bytes": 2**32,
                             "wire_bytes": 2**16, "flags": []}
    yield "entries", {"type": "entries", "want": 1, "unit": "00" * 300}
    yield "payload-whole", {"type": "payload", "want": 1, "seqnum": 7, "offset": 0,
                            "flags": ["last"], "bytes": b"payload".hex()}
    yield "payload-empty", {"type": "payload", "want": 1, "seqnum": U64_MAX, "offset": 0,
                            "flags": ["last"], "bytes": ""}
    yield "payload-last-part", {"type": "payload", "want": 1, "seqnum": 7, "offset": 49_152,
                                "flags": ["last"], "bytes": "ff"}
    yield "ready", {"type": "ready", "want": 127}
    for reason, name in enumerate(("complete", "budget", "cancelled", "damaged")):
        yield f"done-{name}", {"type": "done", "want": 128, "reason": reason}
    yield "cancel", {"type": "cancel", "want": 65_536}
    for value in (0, 255, 256, 65_535, 2**32 - 1, 2**32, U64_MAX):
        yield f"credit-{value}", {"type": "credit", "bytes": value}
    compare = {"type": "compare", **LOG, "seqnum": 40, "flags": [], "hash": HASH, "entry": ""}
    yield "compare-query", compare
    yield "compare-equal", {**compare, "flags": ["answer"]}
    yield "compare-differs", {**compare, "flags": ["answer"], "hash": HASH_TOO, "entry": "01" * 322}
    yield "compare-not-held", {**compare, "flags": ["answer"], "hash": None}
    yield "defect", {"type": "defect", **LOG, "evidence": ["00" * 166, "01" * 322]}
    yield "defect-64-entries", {"type": "defect", **LOG, "evidence": ["01"] * 64}
    for reason in (*range(6), 255):
        yield f"deny-{reason}", {"type": "deny", **LOG, "want": reason, "reason": reason}
    yield "ping", {"type": "ping", "nonce": U64_MAX}
    yield "pong", {"type": "pong", "nonce": 0}
    yield "bye-clean", {"type": "bye", "code": 0, "text": ""}
    yield "bye-error", {"type": "bye", "code": 65_535, "text": "nobody asked for this"}


def ping(value_bytes):
    """A ping whose nonce is these msgpack bytes."""
    return "920e" + value_bytes


def hello(agent):
    return "930001" + (bytes([0xA0 + len(agent)]) + agent).hex()


def have(held):
    """A have whose held set is these bytes."""
    return pack([2, bytes.fromhex(AUTHOR), 0, 9, bytes.fromhex(HASH), held, b""]).hex()


def changed(name, **changes):
    return encode({**dict(good_messages())[name], **changes}).hex()


def bad_structures():
    bombs = ["ddff000000", "dfffffffff", "c6ffffffff", "dbffffffff", "c9ffffffff"]
    for row, bomb in enumerate(bombs, 4):
        yield f"C{row}-bomb", bomb, "msgpack_length"
        yield f"C{row}-bomb-as-field", ping(bomb), "msgpack_length"
    yield "empty", "", "msgpack_length"
    yield "array-without-elements", "92", "msgpack_length"
    yield "array-short-of-one", "920e", "msgpack_length"
    yield "number-cut", "920ecf00", "msgpack_length"
    yield "C9-arrays", "91" * 5 + "00", "msgpack_depth"
    yield "C9-arrays-in-a-field", ping("91" * 4 + "00"), "msgpack_depth"
    yield "C10-maps", "8100" * 5 + "00", "msgpack_depth"
    yield "C10-maps-as-keys", "81" * 5 + "0000", "msgpack_depth"
    yield "C11-reserved", "c1", "msgpack_type"
    yield "C11-reserved-in-a-field", ping("c1"), "msgpack_type"
    for name, data in [("uint8", "cc7f"), ("uint16", "cd0001"), ("uint32", "ce0000ffff"),
                       ("uint64", "cf00000000ffffffff"), ("int8", "d001"), ("int16", "d10100"),
                       ("int32", "d200010000"), ("int64", "d30000000100000000")]:
        yield f"C12-{name}", ping(data), "msgpack_noncanonical"
    yield "C12-str8", "930001d90161", "msgpack_noncanonical"
    yield "C12-str16", "930001da000161", "msgpack_noncanonical"
    yield "C12-str32", "930001db0000000161", "msgpack_noncanonical"
    yield "C12-bin16", "930501c5000100", "msgpack_noncanonical"
    yield "C12-bin32", "930501c60000000100", "msgpack_noncanonical"
    yield "C12-array16", "dc00020e00", "msgpack_noncanonical"
    yield "C12-array32", "dd000000020e00", "msgpack_noncanonical"
    yield "C12-type", "92cc0e00", "msgpack_noncanonical"
    for name, data in [("negative", "ff"), ("negative-int8", "d0df"), ("float", "ca3f800000"),
                       ("nan", "ca7fc00000"), ("double", "cb3ff0000000000000"), ("nil", "c0"),
                       ("false", "c2"), ("true", "c3"), ("timestamp", "d6ff00000000"),
                       ("ext8", "c700ff"), ("text", "a0"), ("bin", "c400"), ("array", "90"),
                       ("map", "80"), ("int64", "d38000000000000000")]:
        yield f"C13-{name}", ping(data), "msgpack_type"
    yield "C13-type-is-nil", "92c000", "msgpack_type"
    yield "C13-not-an-array", "0e", "msgpack_type"
    yield "C13-text-where-bin-is-due", "930501a0", "msgpack_type"
    yield "C13-bin-where-text-is-due", "930001c400", "msgpack_type"
    yield "C14-map", "82000e000e", "msgpack_type"
    for name, agent in [("lone-continuation", b"\x80"), ("cut", b"\xe2\x82"),
                        ("overlong-2", b"\xc0\xaf"), ("overlong-2-last", b"\xc1\xbf"),
                        ("overlong-3", b"\xe0\x9f\xbf"), ("overlong-4", b"\xf0\x8f\xbf\xbf"),
                        ("surrogate", b"\xed\xa0\x80"), ("beyond", b"\xf4\x90\x80\x80"),
                        ("byte-f5", b"\xf5\x80\x80\x80"), ("byte-ff", b"\xff"),
                        ("no-continuation", b"\xc3("), ("third-byte", b"\xe2\x82("),
                        ("fourth-byte", b"\xf0\x9f\x98("), ("nul", b"a\0b")]:
        yield f"C17-{name}", hello(agent), "message_utf8"
    yield "C18-trailing", ping("00") + "00", "msgpack_trailing"
    yield "C18-second-message", ping("00") * 2, "msgpack_trailing"
    for value in (17, 127, 128, U64_MAX):
        yield f"C19-type-{value}", pack([value, 0]).hex(), "message_type"
    yield "C19-type-alone", "9111", "message_type"


def bad_fields():
    yield "no-type", "90", "message_schema"
    yield "field-missing", "910e", "message_schema"
    yield "field-too-many", "930e0000", "message_schema"
    yield "hello-version-33-bits", pack([0, 2**32, b""]).hex(), "message_schema"
    yield "text-too-long", changed("hello", agent="a" * 257), "limit"
    yield "author-31-bytes", pack([1, bytes(31), 0, 1]).hex(), "message_schema"
    yield "author-33-bytes", pack([1, bytes(33), 0, 1]).hex(), "message_schema"
    yield "have-head-hash-63-bytes", changed("have", head_hash="00" * 63), "message_schema"
    yield "have-nothing-with-hash", changed("have-nothing", head_hash=HASH), "message_schema"
    yield "have-nothing-held", changed("have-nothing", held=[[1, 1]]), "message_schema"
    yield "have-nothing-payloads", changed("have-nothing", payloads=[[1, 1]]), "message_schema"
    for name in ("want-newest", "quote", "entries", "payload-whole", "ready", "done-budget",
                 "cancel"):
        field = "id" if name == "want-newest" else "want"
        yield f"{name}-id-0", changed(name, **{field: 0}), "message_schema"
    yield "cancel-33-bits", changed("cancel", want=2**32), "message_schema"
    yield "deny-33-bits", changed("deny-0", want=2**32), "message_schema"
    yield "want-order", changed("want-newest", order=2), "message_schema"
    yield "want-payload-size", changed("want-newest", payload_size_max=2**32 + 1), "limit"
    yield "want-resume-offset", changed("want-resume", resume_offset=1), "message_schema"
    yield "want-resume-nothing", changed("want-resume", resume_seqnum=0), "message_schema"
    yield "want-resume-from-0", changed("want-resume", resume_offset=0), "message_schema"
    beyond = (2**32 // 49_152 + 1) * 49_152
    yield "want-resume-beyond", changed("want-resume", resume_offset=beyond), "limit"
    newest_flags_order = bytes([100, 3, 0])
    unknown_flag = encode(WANT).replace(newest_flags_order, bytes([100, 32, 0]))
    yield "want-flags", unknown_flag.hex(), "message_schema"
    yield "quote-flags", pack([4, 1, 0, 0, 0, 0, 2]).hex(), "message_schema"
    yield "payload-flags", pack([6, 1, 1, 0, 2, b""]).hex(), "message_schema"
    yield "payload-seqnum-0", changed("payload-whole", seqnum=0), "message_schema"
    yield "payload-offset", changed("payload-whole", offset=1), "message_schema"
    yield "payload-short-part", changed("payload-whole", flags=[]), "message_schema"
    yield "payload-empty-part", changed("payload-last-part", bytes=""), "message_schema"
    last_part, last_number = (top // 49_152 * 49_152 for top in (2**32, U64_MAX))
    yield "payload-too-large", changed("payload-last-part", offset=last_part,
                                       bytes="00" * (2**32 - last_part + 1)), "limit"
    yield "payload-offset-64-bits", changed("payload-last-part", offset=last_number), "limit"
    yield "done-reason", changed("done-budget", reason=4), "message_schema"
    yield "deny-reason", changed("deny-0", reason=256), "message_schema"
    yield "compare-query-without-hash", changed("compare-query", hash=None), "message_schema"
    yield "compare-seqnum-0", changed("compare-query", seqnum=0), "message_schema"
    yield "compare-hash-63-bytes", changed("compare-query", hash="00" * 63), "message_schema"
    yield "compare-query-with-entry", changed("compare-query", entry="00"), "message_schema"
    yield "compare-entry-without-hash", changed("compare-not-held", entry="00"), "message_schema"
    yield "compare-entry-too-long", changed("compare-differs", entry="00" * 323), "limit"
    yield "compare-flags", pack([11, bytes(32), 0, 1, 2, b"", b""]).hex(), "message_schema"
    yield "defect-without-evidence", changed("defect", evidence=[]), "message_schema"
    yield "defect-65-entries", changed("defect", evidence=["00"] * 65), "limit"
    yield "defect-1000-entries", changed("defect", evidence=["00"] * 1000), "limit"
    yield "defect-entry-too-long", changed("defect", evidence=["00" * 323]), "limit"
    yield "defect-entry-is-a-number", pack([12, bytes(32), 0, [0]]).hex(), "msgpack_type"
    yield "defect-evidence-is-bin", pack([12, bytes(32), 0, b""]).hex(), "msgpack_type"
    yield "bye-code-17-bits", changed("bye-clean", code=65_536), "message_schema"


def bad_ranges():
    last = encode_varu64(U64_MAX - 1)
    yield "ranges-odd", have(b"\x00"), "varint_truncated"
    yield "ranges-cut", have(b"\x00\xf8"), "varint_truncated"
    yield "ranges-varint", have(b"\xf8\x05\x00"), "varint_noncanonical"
    yield "ranges-first-beyond", have(encode_varu64(U64_MAX) + b"\x00"), "range"
    yield "ranges-last-beyond", have(last + b"\x01"), "range"
    yield "ranges-second-beyond", have(encode_varu64(U64_MAX - 4) + b"\x00\x02\x00"), "range"
    yield "ranges-after-the-end", have(last + b"\x00\x00\x00"), "range"
    yield "ranges-after-the-end-less-1", have(encode_varu64(U64_MAX - 2) + b"\x00\x00\x00"), "range"
    yield "ranges-4097", have(bytes(2 * 4097)), "ranges_too_many"


def reason_of(data):
    try:
        decode(data)
    except Refused as refused:
        return refused.reason
    return None


def message_cases():
    good = dict(good_messages())
    for name, message in good.items():
        data = encode(message)
        assert decode(data) == message, name
        cuts = range(min(len(data), 500))
        assert all(reason_of(data[:size]) == "msgpack_length" for size in cuts), name
        yield {"id": name, "bytes": data.hex(), "message": message}
    for cases in (bad_structures(), bad_fields(), bad_ranges()):
        for name, data, error in cases:
            assert reason_of(bytes.fromhex(data)) == error, (name, reason_of(bytes.fromhex(data)))
            yield {"id": name, "bytes": data, "error": error}
