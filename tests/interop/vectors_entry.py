"""Cases of spec/vectors/entry.json: well-formed entries, and one wrong thing at a time."""

import ed25519
import reference as r

U64_MAX = r.U64_MAX
ZERO_HASH = r.encode_yamf(bytes(64))


def test_seed(name):
    """A secret that everybody knows."""
    return r.blake2b(f"culm test author {name}: never use".encode())[:32]


SEED, OTHER_SEED = test_seed("a"), test_seed("b")
AUTHOR = ed25519.public_key(SEED)


def filler(name):
    return r.blake2b(f"culm filler {name}".encode())


def signed(unsigned, seed=SEED):
    return unsigned + ed25519.sign(seed, unsigned)


def unsigned_parts(seqnum, log_id=0, payload=b"bamboo", tag=0, author=AUTHOR, payload_size=None):
    """The encoded fields by name, in order; links lead to made-up entries."""
    size = len(payload) if payload_size is None else payload_size
    parts = {"tag": bytes([tag]), "author": author, "log_id": r.encode_varu64(log_id)}
    parts["seqnum"] = r.encode_varu64(seqnum)
    if r.has_lipmaalink(seqnum):
        parts["lipmaalink"] = r.encode_yamf(filler("lipmaalink"))
    if seqnum > 1:
        parts["backlink"] = r.encode_yamf(filler("backlink"))
    parts["payload_size"] = r.encode_varu64(size)
    parts["payload_hash"] = r.encode_yamf(r.blake2b(payload))
    return parts


def entry_bytes(seqnum, **options):
    return signed(b"".join(unsigned_parts(seqnum, **options).values()))


def changed(seqnum, field, value):
    """A signed entry with one field's bytes replaced."""
    return signed(b"".join({**unsigned_parts(seqnum), field: value}.values()))


def positive_cases():
    cases = {f"seqnum-{n}": {"seqnum": n} for n in (1, 2, 3, 4, 5, 8, 12, 13, 40, 41, 247, 248)}
    cases |= {f"seqnum-{n}": {"seqnum": n} for n in (2**16, 2**32, 2**63, r.spine(40) + 2)}
    cases["empty-payload"] = {"seqnum": 1, "payload": b""}
    cases["end-of-log-at-1"] = {"seqnum": 1, "tag": 1}
    cases["end-of-log-at-7"] = {"seqnum": 7, "tag": 1, "payload": b""}
    cases["log-id-248"] = {"seqnum": 1, "log_id": 248}
    cases["log-id-max"] = {"seqnum": 4, "log_id": U64_MAX}
    cases["A8-seqnum-max"] = {"seqnum": U64_MAX}
    cases["A24-size-max"] = {"seqnum": 1, "payload_size": U64_MAX}
    cases["largest"] = {"seqnum": U64_MAX, "log_id": U64_MAX, "payload_size": U64_MAX}
    for name, options in cases.items():
        data = entry_bytes(**options)
        entry = r.parse_entry(data)
        r.check_signature(entry)
        assert r.encode_entry(entry) == data
        fields = {
            key: value.hex() if isinstance(value, bytes) else value
            for key, value in entry._asdict().items()
            if key != "encoded"
        }
        digest = r.entry_hash(entry).hex()
        ids = {"id": name, "seed": SEED.hex()}
        yield {**ids, "bytes": data.hex(), "hash": digest, "fields": fields}


def shape_cases():
    """A1 to A11 and A25: what the parser refuses, although the signature is good."""
    first = entry_bytes(1)
    yield "A1-empty", b"", "entry_truncated"
    for size in range(1, len(first)):
        yield f"A2-cut-{size}", first[:size], "entry_truncated"
    for seqnum in (2, 4, 8):
        data = entry_bytes(seqnum)
        for size in (34, 35, 36, 101, 102, len(data) - 65, len(data) - 64, len(data) - 1):
            yield f"A2-seqnum-{seqnum}-cut-{size}", data[:size], "entry_truncated"
    yield "A3-zero-byte", first + b"\0", "entry_trailing"
    yield "A3-seqnum-8", entry_bytes(8) + b"\0", "entry_trailing"
    for tag in (2, 3, 127, 128, 255):
        yield f"A4-tag-{tag}", changed(1, "tag", bytes([tag])), "entry_tag"
    for field in ("log_id", "seqnum", "payload_size"):
        name = field.replace("_", "-")
        for value in ("f801", "f8f7", "f900fa", "ff0000000000000001"):
            data = changed(1, field, bytes.fromhex(value))
            yield f"A5-{name}-{value}", data, "varint_noncanonical"
        parts = unsigned_parts(1)
        before = b"".join(list(parts.values())[: list(parts).index(field)])
        for value in ("f8", "ff00"):
            yield f"A6-{name}-{value}", before + bytes.fromhex(value), "entry_truncated"
    yield "A7-seqnum-0", changed(1, "seqnum", b"\0"), "seqnum_zero"
    for field in ("lipmaalink", "backlink", "payload_hash"):
        name, digest = field.replace("_", "-"), filler("hash")
        for fault, value in {
            "type-1": b"\x01\x40" + digest,
            "length-63": b"\x00\x3f" + digest[1:],
            "length-65": b"\x00\x41" + digest + b"\0",
            "type-noncanonical": b"\xf8\x00\x40" + digest,
            "length-noncanonical": b"\x00\xf8\x40" + digest,
        }.items():
            yield f"A9-{name}-{fault}", changed(8, field, value), "hash_format"
    too_long = entry_bytes(U64_MAX, log_id=U64_MAX, payload_size=U64_MAX) + b"\0"
    yield "A25-323-bytes", too_long, "entry_too_long"
    yield "A25-two-entries", first + first, "entry_too_long"


def link_count_cases():
    """A10, A11: a link too many or too few shifts the fields behind it."""
    link = r.encode_yamf(filler("link"))
    with_size_0 = {**unsigned_parts(1, payload=b"")}
    for name, parts in {"A10-link-at-1": unsigned_parts(1), "A10-empty-at-1": with_size_0}.items():
        data = signed(b"".join({**parts, "seqnum": parts["seqnum"] + link}.values()))
        yield name, data, "hash_format"
    for seqnum in (2, 3, 5, 6, 7):
        parts = unsigned_parts(seqnum)
        data = signed(b"".join({**parts, "backlink": link + parts["backlink"]}.values()))
        yield f"A11-lipmaalink-at-{seqnum}", data, "hash_format"
    for seqnum, field in [(2, "backlink"), (4, "lipmaalink"), (8, "backlink"), (12, "lipmaalink")]:
        rule = "A10" if seqnum == 2 else "A11"
        yield f"{rule}-no-{field}-at-{seqnum}", changed(seqnum, field, b""), "hash_format"


def flip_cases():
    """A13: one bit in the first and the last byte of each field."""
    for seqnum in (1, 8):
        parts = unsigned_parts(seqnum)
        data, place = signed(b"".join(parts.values())), 0
        parts["R"], parts["S"] = data[-64:-32], data[-32:]
        for field, value in parts.items():
            for offset in sorted({place, place + len(value) - 1}):
                flipped = bytearray(data)
                flipped[offset] ^= 1
                yield f"A13-seqnum-{seqnum}-{field}-byte-{offset}", bytes(flipped), None
            place += len(value)


def torsion_point():
    """A point of order 8."""
    y = 2
    while True:
        x = ed25519.recover_x(y, 0)
        if x is not None:
            point = ed25519.multiply(ed25519.L, (x, y, 1, x * y % ed25519.P))
            if not ed25519.equal(ed25519.multiply(4, point), ed25519.IDENTITY):
                return point
        y += 1


def forged(unsigned, r_point, r_scalar, secret, encoded_r=None):
    """R as given, S for the challenge that results: good apart from what is odd about R or A."""
    encoded_r = encoded_r or ed25519.encode_point(r_point)
    challenge = ed25519.sha512_number(encoded_r, unsigned[1:33], unsigned)
    s = (r_scalar + challenge * secret) % ed25519.L
    return unsigned + encoded_r + s.to_bytes(32, "little")


def signature_cases():
    """A12, A14, A15, A17."""
    good = entry_bytes(1)
    unsigned, secret = good[:-64], ed25519.expand(SEED)[0]
    yield "A12-zeros", unsigned + bytes(64), "entry_signature"
    yield "A12-ff", unsigned + b"\xff" * 64, "entry_signature"
    s = int.from_bytes(good[-32:], "little")
    for multiple in (1, 2, 3, 7):
        larger = (s + multiple * ed25519.L).to_bytes(32, "little")
        yield f"A14-S-plus-{multiple}-L", good[:-32] + larger, "entry_signature"
    torsion = torsion_point()
    for order, factor in ((1, 8), (2, 4), (4, 2), (8, 1)):
        point = ed25519.multiply(factor, torsion)
        data = forged(unsigned, point, 0, secret)
        yield f"A15-R-of-order-{order}", data, "entry_signature"
        if order > 1:
            r_point = ed25519.add(ed25519.multiply(5, ed25519.BASE), point)
            data = forged(unsigned, r_point, 5, secret)
            yield f"A15-R-with-order-{order}-part", data, "entry_signature"
    identity = (ed25519.P + 1).to_bytes(32, "little")
    data = forged(unsigned, None, 0, secret, identity)
    yield "A15-R-identity-noncanonical", data, "entry_signature"
    yield "A15-R-not-on-curve", good[:-64] + off_curve() + good[-32:], "entry_signature"
    yield "A17-other-author", unsigned + ed25519.sign(OTHER_SEED, unsigned), "entry_signature"


def off_curve():
    y = 2
    while ed25519.recover_x(y, 0) is not None:
        y += 1
    return y.to_bytes(32, "little")


def author_cases():
    """A16. The mixed keys carry signatures that satisfy the equation of the criterion."""
    torsion, secret = torsion_point(), ed25519.expand(SEED)[0]
    keys = {"zeros": bytes(32), "not-on-curve": off_curve()}
    for order, factor in ((1, 8), (2, 4), (4, 2), (8, 1)):
        keys[f"order-{order}"] = ed25519.encode_point(ed25519.multiply(factor, torsion))
    for y in range(19):
        if ed25519.recover_x(y, 0) is not None:
            keys[f"noncanonical-{y}"] = (ed25519.P + y).to_bytes(32, "little")
    keys["identity-sign-bit"] = (1 | 1 << 255).to_bytes(32, "little")
    for name, key in keys.items():
        unsigned = b"".join(unsigned_parts(1, author=key).values())
        yield f"A16-{name}", unsigned + entry_bytes(1)[-64:], "author_key"
    for order, factor in ((2, 4), (4, 2), (8, 1)):
        part = ed25519.multiply(factor, torsion)
        key = ed25519.encode_point(ed25519.add(ed25519.multiply(secret, ed25519.BASE), part))
        unsigned = b"".join(unsigned_parts(1, author=key).values())
        scalar, data = 5, b""
        while not data:
            point = ed25519.multiply(scalar, ed25519.BASE)
            challenge = ed25519.sha512_number(ed25519.encode_point(point), key, unsigned)
            if challenge % ed25519.L % order == 0:
                data = forged(unsigned, point, scalar, secret)
            scalar += 1
        yield f"A16-with-order-{order}-part", data, "author_key"


def refusal(data):
    try:
        r.check_signature(r.parse_entry(data))
    except r.Refused as refused:
        return refused.reason
    return None


def entry_cases():
    yield from positive_cases()
    for part in (shape_cases, link_count_cases, flip_cases, signature_cases, author_cases):
        for name, data, error in part():
            found = refusal(data)
            assert found and error in (None, found), (name, error, found)
            yield {"id": name, "bytes": data.hex(), "error": found}
