#!/usr/bin/env python3
"""The encrypted channel, slow and obvious, after spec/channel.md; makes spec/vectors/channel.json.

  channel.py                      write the file
  channel.py --check              write nothing; exit 1 if the file differs
  channel.py selftest [FILE]      against RFC 7748 and 8439, and the Noise vectors in FILE
"""

import hashlib
import hmac
import json
import pathlib
import struct
import sys

VECTORS = pathlib.Path(__file__).resolve().parents[2] / "spec" / "vectors" / "channel.json"
P = 2**255 - 19


def x25519(secret, point):
    k = int.from_bytes(secret, "little") & ~7 & ~(1 << 255) | 1 << 254
    u = int.from_bytes(point, "little") % 2**255
    x2, z2, x3, z3 = 1, 0, u, 1
    for bit in reversed(range(255)):
        swap = k >> bit & 1
        if swap:
            x2, z2, x3, z3 = x3, z3, x2, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        x3, z3 = (d * a + c * b) ** 2 % P, u * (d * a - c * b) ** 2 % P
        e = a * a - b * b
        x2, z2 = a * a * b * b % P, e * (a * a + 121665 * e) % P
        if swap:
            x2, z2, x3, z3 = x3, z3, x2, z2
    shared = (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")
    assert any(shared), "a point of low order"
    return shared


def public(secret):
    return x25519(secret, bytes([9]) + bytes(31))


def chacha20(key, counter, nonce, data):
    out = b""
    for block in range(0, len(data), 64):
        start = b"expand 32-byte k" + key + struct.pack("<I", counter) + nonce
        first = struct.unpack("<16I", start)
        s = list(first)
        columns = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)]
        diagonals = [(0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
        for _ in range(10):
            for a, b, c, d in columns + diagonals:
                for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                    s[x] = (s[x] + s[y]) % 2**32
                    s[z] ^= s[x]
                    s[z] = (s[z] << turn | s[z] >> 32 - turn) % 2**32
        stream = struct.pack("<16I", *((a + b) % 2**32 for a, b in zip(s, first)))
        out += bytes(a ^ b for a, b in zip(data[block : block + 64], stream))
        counter += 1
    return out


def tag(key, nonce, associated, ciphertext):
    one_time = chacha20(key, 0, nonce, bytes(32))
    r = int.from_bytes(one_time[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    text = associated + bytes(-len(associated) % 16) + ciphertext + bytes(-len(ciphertext) % 16)
    text += struct.pack("<QQ", len(associated), len(ciphertext))
    value = 0
    for block in range(0, len(text), 16):
        value = (value + int.from_bytes(text[block : block + 16] + b"\1", "little")) * r
        value %= 2**130 - 5
    return ((value + int.from_bytes(one_time[16:], "little")) % 2**128).to_bytes(16, "little")


def seal(key, counter, associated, plaintext):
    nonce = bytes(4) + counter.to_bytes(8, "little")
    ciphertext = chacha20(key, 1, nonce, plaintext)
    return ciphertext + tag(key, nonce, associated, ciphertext)


def hkdf(chaining_key, data, count):
    temporary = hmac.new(chaining_key, data, hashlib.blake2b).digest()
    outputs = [b""]
    for index in range(1, count + 1):
        message = outputs[-1] + bytes([index])
        outputs.append(hmac.new(temporary, message, hashlib.blake2b).digest())
    return outputs[1:]


class Transcript:
    """Both ends at once: what is said is known, so only one side is computed."""

    def __init__(self, prologue, psk):
        name = b"Noise_XX" + (b"psk3" if psk else b"") + b"_25519_ChaChaPoly_BLAKE2b"
        self.psk, self.key, self.counter = psk, None, 0
        self.chaining_key = self.hash = name + bytes(64 - len(name))
        self.mix_hash(prologue)

    def mix_hash(self, data):
        self.hash = hashlib.blake2b(self.hash + data).digest()

    def mix_key(self, data):
        self.chaining_key, key = hkdf(self.chaining_key, data, 2)
        self.key, self.counter = key[:32], 0

    def mix_psk(self):
        self.chaining_key, middle, key = hkdf(self.chaining_key, self.psk, 3)
        self.mix_hash(middle)
        self.key, self.counter = key[:32], 0

    def ephemeral(self, secret):
        key = public(secret)
        self.mix_hash(key)
        if self.psk:
            self.mix_key(key)
        return key

    def sealed(self, plaintext):
        out = plaintext
        if self.key:
            out = seal(self.key, self.counter, self.hash, plaintext)
            self.counter += 1
        self.mix_hash(out)
        return out


def handshake(prologue, psk, secrets, payloads=(b"", b"", b"")):
    """secrets: initiator static, ephemeral, responder static, ephemeral."""
    si, ei, sr, er = secrets
    t = Transcript(prologue, psk)
    first = t.ephemeral(ei) + t.sealed(payloads[0])
    second = t.ephemeral(er)
    t.mix_key(x25519(ei, public(er)))
    second += t.sealed(public(sr))
    t.mix_key(x25519(ei, public(sr)))
    second += t.sealed(payloads[1])
    third = t.sealed(public(si))
    t.mix_key(x25519(si, public(er)))
    if psk:
        t.mix_psk()
    third += t.sealed(payloads[2])
    keys = [key[:32] for key in hkdf(t.chaining_key, b"", 2)]
    return [first, second, third], t.hash, keys


def framed(body):
    return len(body).to_bytes(2, "big") + body


def derived(text):
    return hashlib.blake2b(text.encode(), digest_size=32).digest()


def cases():
    for name, psk in (("xx", None), ("xxpsk3", bytes([5]) * 32)):
        secrets = [derived(f"{name} {i}") for i in range(4)]
        network = derived(f"{name} network")
        messages, digest, keys = handshake(b"culm/1\0" + network, psk, secrets)
        ends = ("initiator", "responder")
        wire = [{"from": ends[i % 2], "bytes": framed(m).hex()} for i, m in enumerate(messages)]
        counters = [0, 0]
        texts = ((0, b"hello"), (0, b"wants"), (1, b"hello back"), (0, b"\0"), (1, bytes(200)))
        for end, text in texts:
            record = framed(seal(keys[end], counters[end], b"", text))
            counters[end] += 1
            wire.append({"from": ends[end], "bytes": record.hex(), "plaintext": text.hex()})
        case = {"id": name, "network_id": network.hex(), "psk": psk.hex() if psk else None}
        labels = [f"{end}_{key}" for end in ends for key in ("static", "ephemeral")]
        case.update({label: secret.hex() for label, secret in zip(labels, secrets)})
        case.update({"handshake_hash": digest.hex(), "wire": wire})
        yield {key: value for key, value in case.items() if value is not None}


def refusals():
    """What an initiator says when the stream goes on with `bytes`, or with none of them ends, after
    so many units from the responder."""
    for case in cases():
        secrets = [derived(f"{case['id']} {i}") for i in range(4)]
        psk = bytes.fromhex(case["psk"]) if "psk" in case else None
        other = handshake(b"culm/1\0" + derived("other network"), psk, secrets)[0]
        for heard, data, error in ((0, b"\0\0", "peer_full"), (1, b"\0\0", "peer_full"),
                                   (2, b"\0\0", "decrypt"), (0, b"HT", "peer_foreign"),
                                   (0, framed(other[1]), "peer_network"), (0, b"", "peer_hung_up"),
                                   (0, b"\0", "peer_hung_up"), (1, b"", "peer_refused"),
                                   (1, b"\0", "frame_truncated")):
            yield {"case": case["id"], "heard": heard, "bytes": data.hex(), "error": error}


def selftest(path):
    alice = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    bob = bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
    assert x25519(alice, bob).hex().startswith("4a5d9d5ba4ce2de1728e3bf480350f25")
    key = bytes.fromhex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0")
    assert seal(key, 0x0807060504030201, b"", b"Internet-Drafts")[:15].hex().startswith("64a08615")
    checked = 0
    vectors = []
    if path and pathlib.Path(path).exists():
        vectors = json.loads(pathlib.Path(path).read_text())["vectors"]
    for vector in vectors:
        if not vector["protocol_name"].startswith("Noise_XX"):
            continue
        psk = bytes.fromhex(vector["init_psks"][0]) if vector.get("init_psks") else None
        prologue = bytes.fromhex(vector["init_prologue"])
        labels = ("init_static", "init_ephemeral", "resp_static", "resp_ephemeral")
        secrets = [bytes.fromhex(vector[label]) for label in labels]
        said = [(bytes.fromhex(m["payload"]), m["ciphertext"]) for m in vector["messages"]]
        messages, digest, keys = handshake(prologue, psk, secrets, [p for p, _ in said[:3]])
        assert [m.hex() for m in messages] == [c for _, c in said[:3]], vector["protocol_name"]
        assert vector.get("handshake_hash", digest.hex()) == digest.hex()
        for index, (payload, ciphertext) in enumerate(said[3:], 3):
            assert seal(keys[index % 2], (index - 3) // 2, b"", payload).hex() == ciphertext
        checked += 1
    print(f"channel.py: good, {checked} public vectors" if vectors else
          "channel.py: good; skipped the public vectors, there are none")


def main(arguments):
    if arguments[:1] == ["selftest"]:
        return selftest(arguments[1] if len(arguments) > 1 else None)
    about = ("Channel (channel.md): sessions as they stand on the wire, handshake then records; and "
             "what an initiator makes of a responder that does not go on so.")
    parts = [f'"description": "{about}"']
    for name, rows in (("cases", cases()), ("refusals", refusals())):
        lines = ",\n".join("    " + json.dumps(row) for row in rows)
        parts.append(f'"{name}": [\n{lines}\n  ]')
    text = "{\n  " + ",\n  ".join(parts) + "\n}\n"
    if arguments == ["--check"]:
        return None if VECTORS.read_text() == text else f"{VECTORS.name} differs"
    VECTORS.write_text(text)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
