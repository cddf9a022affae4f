"""Keys and primitives at their edges: sizes, points, signatures, wrapped keys. After the cases of Wycheproof."""

import secrets

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from failgate.base.canonical import base64url
from failgate.sealed.keys import OpeningKey, SealingKey, SigningKey, VerifyingKey, named, ring_of, safety_number
from tests.sealed.parties import ALICE, BOB, RING, openers, vector_file
from tests.sealed.test_form import refused

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
MESSAGE = b"what is signed"
KEY = RING[ALICE.jkt]
EDGES = [0, 1, 2, N - 1, N, N + 1, P, P + 1, P - 1, 2**256 - 1]


def signature() -> tuple[int, int]:
    signed = ALICE.sign(MESSAGE)
    return int.from_bytes(signed[:32], "big"), int.from_bytes(signed[32:], "big")


def raw(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def test_a_signature_holds_with_s_high_and_low() -> None:
    r, s = signature()
    for either in (s, N - s):
        KEY.verify(raw(r, either), MESSAGE, "x")
        KEY.verify_der(encode_dss_signature(r, either), MESSAGE, "x")


@pytest.mark.parametrize("r", EDGES)
@pytest.mark.parametrize("s", EDGES)
def test_numbers_at_the_edges_are_no_signature(r: int, s: int) -> None:
    refused("signature", KEY.verify, raw(r, s), MESSAGE, "x")
    refused("signature", KEY.verify_der, encode_dss_signature(r, s), MESSAGE, "x")


def test_a_changed_number_is_no_signature() -> None:
    r, s = signature()
    for wrong in [(N - r, s), (s, r), (r, s ^ 1), (r ^ 1, s), (r, 0), (0, s), (r, N), (N, s)]:
        refused("signature", KEY.verify, raw(*wrong), MESSAGE, "x")
    for wrong in [(r + N, s), (r, s + N), (r + 2**256, s), (r, s + 2**256), (r + 256 * N, s)]:
        refused("signature", KEY.verify_der, encode_dss_signature(*wrong), MESSAGE, "x")


@pytest.mark.parametrize("length", [0, 1, 32, 63, 65, 72, 96, 128])
def test_a_signature_has_64_bytes(length: int) -> None:
    refused("signature", KEY.verify, (raw(*signature()) * 2)[:length], MESSAGE, "x")
    refused("signature", KEY.verify, b"\0" + raw(*signature()), MESSAGE, "x")


def test_der_has_one_spelling() -> None:
    r, s = signature()
    der = encode_dss_signature(r, s)
    assert decode_dss_signature(der) == (r, s)
    body = der[2:]
    wrong = [
        b"",
        der + b"\0",  # something after it
        der[:-1],
        b"\x30\x81" + der[1:2] + body,  # the length in the long form
        b"\x30\x80" + body + b"\0\0",  # an indefinite length
        b"\x31" + der[1:],
        b"\x30" + bytes([len(body) + 1]) + b"\x02" + bytes([body[1] + 1]) + b"\0" + body[2:],  # a leading zero
        b"\x30" + bytes([len(body) + 2]) + body + b"\x05\0",  # a third member
        raw(r, s),
    ]
    for one in wrong:
        refused("signature", KEY.verify_der, one, MESSAGE, "x")


def test_a_number_without_its_sign_byte_is_negative() -> None:
    der = b""
    while der[3:5] != b"\x21\x00":
        der = encode_dss_signature(*signature())
    bare = b"\x30" + bytes([der[1] - 1]) + b"\x02\x20" + der[5:]
    refused("signature", KEY.verify_der, bare, MESSAGE, "x")


def test_another_message_or_key_or_digest_is_refused() -> None:
    refused("signature", KEY.verify, ALICE.sign(MESSAGE), MESSAGE + b"!", "x")
    refused("signature", RING[BOB.jkt].verify, ALICE.sign(MESSAGE), MESSAGE, "x")
    other = decode_dss_signature(ALICE._key.sign(MESSAGE, ec.ECDSA(hashes.SHA384())))
    refused("signature", KEY.verify, raw(*other), MESSAGE, "x")


def jwk(x: int, y: int) -> dict[str, str]:
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": base64url(x.to_bytes(32, "big")),
        "y": base64url(y.to_bytes(32, "big")),
    }


@pytest.mark.parametrize("point", [(0, 0), (1, 1), (0, 1), (P, 0), (2**256 - 1, 1), (5, 2**256 - 1), (P - 1, P - 1)])
def test_a_point_is_on_the_curve(point: tuple[int, int]) -> None:
    refused("key", VerifyingKey.from_jwk, jwk(*point))


def test_a_coordinate_that_is_reduced_is_refused() -> None:
    """x + p is the same point to who reduces it, and another thumbprint."""
    small = ec.EllipticCurvePublicKey.from_encoded_point(
        ec.SECP256R1(), bytes.fromhex("02" + "00" * 31 + "05")
    ).public_numbers()
    VerifyingKey.from_jwk(jwk(small.x, small.y))
    refused("key", VerifyingKey.from_jwk, jwk(small.x + P, small.y))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kty": "RSA"}, "key"),
        ({"crv": "P-384"}, "key"),
        ({"crv": "secp256k1"}, "key"),
        ({"x": "AA"}, "value"),
        ({"x": 1}, "shape"),
        ({"kid": "A" * 43}, "thumbprint"),
        ({"d": "AA"}, "members"),
        ({"alg": "ES256"}, "members"),
        ({"y": ...}, "members"),
    ],
)
def test_a_signing_jwk_is_exact(change: dict[str, object], reason: str) -> None:
    changed = {name: one for name, one in {**ALICE.public_jwk(), **change}.items() if one is not ...}
    refused(reason, VerifyingKey.from_jwk, changed)


def rsa_jwk(n: int, e: str = "AQAB") -> dict[str, str]:
    return {"kty": "RSA", "n": base64url(n.to_bytes((n.bit_length() + 7) // 8, "big")), "e": e}


GOOD_N = openers()[0]._key.public_key().public_numbers().n


@pytest.mark.parametrize(
    "n",
    [
        GOOD_N - 1,  # even
        (GOOD_N // 3) * 3,
        751 * (2**3070 + 1),
        GOOD_N >> 1 | 1,  # 3,071 bits
        2**2048 + 1,
        (1 << 8192) + 1,
    ],
)
def test_a_modulus_is_long_enough_and_has_no_small_factor(n: int) -> None:
    assert SealingKey.from_jwk(rsa_jwk(GOOD_N)).jkt == openers()[0].jkt
    with pytest.raises(Exception, match=r"key is of a kind|larger than"):
        SealingKey.from_jwk(rsa_jwk(n))


@pytest.mark.parametrize("e", ["AQ", "Aw", "AAEAAQ", "AQAC", "", 65537])
def test_the_exponent_is_65537(e: str) -> None:
    refused("key", SealingKey.from_jwk, rsa_jwk(GOOD_N, e))


def test_a_modulus_has_no_leading_zero_and_no_secret_beside_it() -> None:
    with_zero = {**rsa_jwk(GOOD_N), "n": base64url(b"\0" + GOOD_N.to_bytes(384, "big"))}
    refused("key", SealingKey.from_jwk, with_zero)
    refused("members", SealingKey.from_jwk, vector_file()["reviewer_enc_keys"][0])
    refused("members", OpeningKey.from_jwk, rsa_jwk(GOOD_N))


def oaep(mgf: hashes.HashAlgorithm, digest: hashes.HashAlgorithm, label: bytes | None = None) -> padding.OAEP:
    return padding.OAEP(mgf=padding.MGF1(mgf), algorithm=digest, label=label)


@pytest.mark.parametrize(
    "scheme",
    [
        oaep(hashes.SHA1(), hashes.SHA256()),
        oaep(hashes.SHA256(), hashes.SHA1()),
        oaep(hashes.SHA1(), hashes.SHA1()),
        oaep(hashes.SHA384(), hashes.SHA384()),
        oaep(hashes.SHA256(), hashes.SHA256(), b"label"),
        padding.PKCS1v15(),
    ],
)
def test_a_key_that_is_wrapped_otherwise_does_not_open(scheme: padding.AsymmetricPadding) -> None:
    opener = openers()[0]
    secret = secrets.token_bytes(32)
    assert opener.unwrap(SealingKey.from_jwk(opener.public_jwk()).wrap(secret), "x") == secret
    wrapped = opener._key.public_key().encrypt(secret, scheme)
    refused("does-not-open", opener.unwrap, wrapped, "x")


@pytest.mark.parametrize("number", [0, 1, 2, GOOD_N - 1, GOOD_N, GOOD_N + 1, 2**3072 - 1])
def test_a_wrapped_key_at_the_edges_does_not_open(number: int) -> None:
    refused("does-not-open", openers()[0].unwrap, number.to_bytes(384, "big"), "x")


@pytest.mark.parametrize("length", [0, 1, 383, 385, 768])
def test_a_wrapped_key_of_another_length_does_not_open(length: int) -> None:
    wrapped = SealingKey.from_jwk(openers()[0].public_jwk()).wrap(bytes(32))
    refused("does-not-open", openers()[0].unwrap, (wrapped * 2)[:length], "x")


def test_keys_of_other_kinds_are_not_taken() -> None:
    refused("key", SigningKey, ec.generate_private_key(ec.SECP384R1()))
    refused("key", OpeningKey, rsa.generate_private_key(65537, 1024))


def test_a_ring_names_its_keys() -> None:
    ring = ring_of([ALICE.public_jwk()])
    assert named(ring, ALICE.jkt, "x").jkt == ALICE.jkt
    refused("unknown-key", named, ring, BOB.jkt, "x")
    refused("thumbprint", named, {BOB.jkt: ring[ALICE.jkt]}, BOB.jkt, "x")


def test_a_private_signing_key_is_read_as_it_was_written() -> None:
    own = SigningKey.generate()
    kept = own.private_jwk()
    again = SigningKey.from_jwk(kept)
    assert (again.jkt, again.private_jwk()) == (own.jkt, kept)
    ring_of([own.public_jwk()])[own.jkt].verify(again.sign(MESSAGE), MESSAGE, "x")


@pytest.mark.parametrize("secret", [0, N, N + 1, 2**256 - 1])
def test_a_private_number_is_within_the_order(secret: int) -> None:
    jwk = ALICE.private_jwk() | {"d": base64url(secret.to_bytes(32, "big"))}
    refused("key", SigningKey.from_jwk, jwk)


def test_a_private_key_of_another_public_one_is_refused() -> None:
    refused("key", SigningKey.from_jwk, ALICE.private_jwk() | {"d": BOB.private_jwk()["d"]})


def test_a_private_opening_key_is_read_as_it_was_written() -> None:
    own = openers()[0]
    kept = own.private_jwk()
    again = OpeningKey.from_jwk(kept)
    assert (again.jkt, again.private_jwk()) == (own.jkt, kept)
    foreign = OpeningKey.generate().private_jwk()
    refused("key", OpeningKey.from_jwk, kept | {name: foreign[name] for name in ("p", "q")})
    refused("key", OpeningKey.from_jwk, kept | {"dp": foreign["dp"]})


def test_people_compare_eight_groups_of_five_digits() -> None:
    assert safety_number(base64url(bytes(32))) == " ".join(["00000"] * 8)
    assert safety_number(base64url(bytes(31) + b"\1")).endswith(" 00001")
    assert safety_number(base64url(b"\xff" * 32)) == " ".join(
        f"{(2**256 - 1) % 10**40:040d}"[at : at + 5] for at in range(0, 40, 5)
    )
    refused("encoding", safety_number, "no digest")
