"""Ed25519 against RFC 8032, against a library, and against the ways in which implementations differ."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from failgate_verify.ed25519 import _BASE, _ORDER, _P, _encoded, _times, is_signature
from hypothesis import given, settings
from hypothesis import strategies as st

# RFC 8032 section 7.1, tests 1, 2, 3 and SHA(abc): public key, message, signature.
PUBLISHED = [
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    ("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
    ("ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"),
]  # fmt: skip


@pytest.mark.parametrize("case", PUBLISHED)
def test_the_published_signatures_hold_and_no_other_bit_of_them(case):
    public, message, signature = map(bytes.fromhex, case)
    assert is_signature(public, message, signature)
    for bit in range(0, 512, 37):
        wrong = bytearray(signature)
        wrong[bit // 8] ^= 1 << bit % 8
        assert not is_signature(public, message, bytes(wrong))
    assert not is_signature(public, message + b"\0", signature)


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 64 * 8 - 1))
def test_it_agrees_with_a_library(seed, message, bit):
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    assert is_signature(public, message, signature)
    wrong = bytearray(signature)
    wrong[bit // 8] ^= 1 << bit % 8
    assert not is_signature(public, message, bytes(wrong))


def test_a_second_form_of_a_signature_is_none():
    """S + order signs the same to a careless reader."""
    public, message, signature = map(bytes.fromhex, PUBLISHED[1])
    s = int.from_bytes(signature[32:], "little")
    for more in (_ORDER, 2 * _ORDER, 8 * _ORDER):
        assert not is_signature(public, message, signature[:32] + (s + more).to_bytes(32, "little"))
    for wrong in (b"", signature[:63], signature + b"\0"):
        assert not is_signature(public, message, wrong)
        assert not is_signature(wrong, message, signature)


# The points of small order (1, 2, 4 and 8), and writings of them above p.
SMALL = [
    (0).to_bytes(32, "little"), (1).to_bytes(32, "little"), (_P - 1).to_bytes(32, "little"), _P.to_bytes(32, "little"),
    (_P + 1).to_bytes(32, "little"), (1 | 1 << 255).to_bytes(32, "little"), (0 | 1 << 255).to_bytes(32, "little"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
]  # fmt: skip


@pytest.mark.parametrize("point", SMALL)
def test_a_key_that_signs_anything_signs_nothing(point):
    """With a key of small order, R neutral and S = 0 the equation holds for one message in eight at least."""
    for number in range(16):
        for r in SMALL:
            assert not is_signature(point, bytes([number]), r + bytes(32))


def test_with_a_neutral_key_the_equation_holds_for_every_message():
    """R = S·B is no point of small order, and the key adds nothing: only the key itself tells."""
    signature = _encoded(_times(5, _BASE)) + (5).to_bytes(32, "little")
    assert not is_signature((1).to_bytes(32, "little"), b"anything", signature)


def test_no_point_is_no_key():
    public, message, signature = map(bytes.fromhex, PUBLISHED[0])
    refused = 0
    for y in range(2, 40):
        refused += not is_signature(y.to_bytes(32, "little"), message, signature)
        assert not is_signature(public, message, y.to_bytes(32, "little") + signature[32:])
    assert refused == 38
