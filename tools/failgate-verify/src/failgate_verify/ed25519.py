"""Ed25519 signatures, verified in plain Python. Source: RFC 8032 sections 5.1.3 and 5.1.7.

Stricter than the RFC where implementations differ, so that a signature means the same to everybody: numbers are written
in their one form (S below the order of the group, coordinates below p), and a key or R of small order is refused, since
such a key signs anything. Nothing here is secret, so nothing needs to take the same time.
"""

from hashlib import sha512

Point = tuple[int, int, int, int]  # extended coordinates: X, Y, Z, T with x = X/Z, y = Y/Z, x*y = T/Z

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_1 = pow(2, (_P - 1) // 4, _P)
_WINDOW = 4  # bits that are looked up at once


def _add(one: Point, other: Point) -> Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % _P
    b = (one[1] + one[0]) * (other[1] + other[0]) % _P
    c = 2 * one[3] * other[3] * _D % _P
    d = 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _double(one: Point) -> Point:
    a, b, c = one[0] * one[0] % _P, one[1] * one[1] % _P, 2 * one[2] * one[2] % _P
    h, g = a + b, a - b
    e, f = h - (one[0] + one[1]) ** 2 % _P, c + g
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _decoded(octets: bytes) -> Point | None:
    """Return the point that the 32 `octets` write, None when they write none or not in the one form."""
    y = int.from_bytes(octets, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= _P:
        return None
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    if v * x * x % _P != u:
        x = x * _ROOT_OF_MINUS_1 % _P
        if v * x * x % _P != u:
            return None
    if x == 0 and sign:
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _encoded(point: Point) -> bytes:
    inverse = pow(point[2], -1, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _is_of_small_order(point: Point) -> bool:
    for _ in range(3):
        point = _double(point)
    return point[0] == 0 and point[1] == point[2]


_NEUTRAL: Point = (0, 1, 1, 0)


def _times(number: int, point: Point) -> Point:
    table = [_NEUTRAL]
    for _ in range((1 << _WINDOW) - 1):
        table.append(_add(table[-1], point))
    found = _NEUTRAL
    for shift in range(256 - _WINDOW, -1, -_WINDOW):
        for _ in range(_WINDOW):
            found = _double(found)
        found = _add(found, table[number >> shift & ((1 << _WINDOW) - 1)])
    return found


def _base() -> Point:
    found = _decoded((4 * pow(5, -1, _P) % _P).to_bytes(32, "little"))
    assert found is not None
    return found


_BASE = _base()


def is_signature(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether the key `public` (32 bytes) made `signature` (64 bytes) over `message`. Never raises."""
    if len(public) != 32 or len(signature) != 64:
        return False
    key, r = _decoded(public), _decoded(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if key is None or r is None or s >= _ORDER or _is_of_small_order(key) or _is_of_small_order(r):
        return False
    k = int.from_bytes(sha512(signature[:32] + public + message).digest(), "little") % _ORDER
    minus_key = (_P - key[0], key[1], key[2], _P - key[3])
    return _encoded(_add(_times(s, _BASE), _times(k, minus_key))) == signature[:32]
