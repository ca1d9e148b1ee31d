"""Ed25519 in pure Python, with culm's written criterion (spec/verification.md#criterion).

Slow and not constant-time: for tests and vectors only, never for a real key.
"""

import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_MINUS_ONE = pow(2, (P - 1) // 4, P)
IDENTITY = (0, 1, 1, 0)  # extended coordinates X, Y, Z, T with x = X/Z, y = Y/Z, T = XY/Z


def add(a, b):
    e1 = (a[1] - a[0]) * (b[1] - b[0]) % P
    e2 = (a[1] + a[0]) * (b[1] + b[0]) % P
    e3 = 2 * a[3] * b[3] * D % P
    e4 = 2 * a[2] * b[2] % P
    e, f, g, h = e2 - e1, e4 - e3, e4 + e3, e2 + e1
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def negate(a):
    return (-a[0] % P, a[1], a[2], -a[3] % P)


def multiply(scalar, point):
    result = IDENTITY
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def equal(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def recover_x(y, sign):
    """The x of a point with this y and sign, or None if there is none."""
    squared = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(squared, (P + 3) // 8, P)
    if (x * x - squared) % P:
        x = x * SQRT_MINUS_ONE % P
    if (x * x - squared) % P:
        return None
    return -x % P if x % 2 != sign else x


def encode_point(point):
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decode_point(encoded):
    """The point, also from a non-canonical encoding; None if it is not on the curve."""
    number = int.from_bytes(encoded, "little")
    y = (number & (2**255 - 1)) % P
    x = recover_x(y, number >> 255)
    return None if x is None else (x, y, 1, x * y % P)


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE = (recover_x(BASE_Y, 0), BASE_Y, 1, recover_x(BASE_Y, 0) * BASE_Y % P)


def sha512_number(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little")


def expand(seed):
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little") & (2**254 - 8) | 2**254
    return scalar, digest[32:]


def public_key(seed):
    return encode_point(multiply(expand(seed)[0], BASE))


def sign(seed, message):
    scalar, prefix = expand(seed)
    author = encode_point(multiply(scalar, BASE))
    r = sha512_number(prefix, message) % L
    encoded_r = encode_point(multiply(r, BASE))
    s = (r + sha512_number(encoded_r, author, message) * scalar) % L
    return encoded_r + s.to_bytes(32, "little")


_author_points = {}


def author_point(author):
    """The author's point, or None if rule 2 of the criterion refuses the key."""
    if author not in _author_points:
        point = decode_point(author)
        good = (
            point is not None
            and encode_point(point) == author
            and not equal(point, IDENTITY)
            and equal(multiply(L, point), IDENTITY)
        )
        _author_points[author] = point if good else None
    return _author_points[author]


def verify(author, message, signature):
    """None if the signature is valid, else "author_key" or "entry_signature"."""
    point = author_point(author)
    if point is None:
        return "author_key"
    encoded_r, s = signature[:32], int.from_bytes(signature[32:], "little")
    r = decode_point(encoded_r)
    if s >= L or r is None or equal(multiply(8, r), IDENTITY):
        return "entry_signature"
    h = sha512_number(encoded_r, author, message) % L
    expected = add(multiply(s, BASE), negate(multiply(h, point)))
    return None if encode_point(expected) == encoded_r else "entry_signature"
