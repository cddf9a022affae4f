import base64

import pytest

from failgate.accounts import totp

SEED = base64.b32encode(b"12345678901234567890").decode()
# RFC 6238 appendix B, SHA-1, the last six of eight digits
VECTORS = [
    (59, "287082"), (1111111109, "081804"), (1111111111, "050471"),
    (1234567890, "005924"), (2000000000, "279037"), (20000000000, "353130"),
]  # fmt: skip


@pytest.mark.parametrize(("seconds", "code"), VECTORS)
def test_the_published_codes_match_in_their_step(seconds: int, code: str) -> None:
    now_us = seconds * 1_000_000
    assert totp.matching_step(SEED, code, now_us) == seconds // 30


@pytest.mark.parametrize(("seconds", "code"), VECTORS)
def test_where_late_codes_count_a_code_matches_one_step_later_and_no_further(seconds: int, code: str) -> None:
    start_us = seconds // 30 * 30_000_000
    late = {"late_steps": 1}
    assert totp.matching_step(SEED, code, start_us + 59_999_999, **late) == seconds // 30
    assert totp.matching_step(SEED, code, start_us + 60_000_000, **late) is None
    assert totp.matching_step(SEED, code, start_us - 1, **late) is None


@pytest.mark.parametrize(("seconds", "code"), VECTORS)
def test_a_code_lives_for_thirty_seconds(seconds: int, code: str) -> None:
    """ASVS 5.0 6.5.5"""
    start_us = seconds // 30 * 30_000_000
    found = [totp.matching_step(SEED, code, start_us + offset) for offset in (-1, 0, 29_999_999, 30_000_000)]
    assert found == [None, seconds // 30, seconds // 30, None]


# F7 E4 E22: twelve families of digits that `str.isdigit` or NFKC would take for 0 to 9
FAMILIES = {
    "arabic-indic": 0x660, "extended arabic-indic": 0x6F0, "nko": 0x7C0, "devanagari": 0x966, "bengali": 0x9E6,
    "thai": 0xE50, "tibetan": 0xF20, "full-width": 0xFF10, "mathematical bold": 0x1D7CE,
    "mathematical monospace": 0x1D7F6, "segmented": 0x1FBF0, "circled": None,
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_digits_of_other_scripts_are_no_code(family: str) -> None:
    zero = FAMILIES[family]
    digits = "⓪①②③④⑤⑥⑦⑧⑨" if zero is None else "".join(chr(zero + n) for n in range(10))
    spelled = "".join(digits[int(digit)] for digit in "287082")
    assert totp.matching_step(SEED, spelled, 59_000_000) is None


@pytest.mark.parametrize(
    "text", ["", " 287082", "287082 ", "287 082", "287082\n", "0287082", "28708", "287o82", "²⁸⁷⁰⁸²", "+87082"]
)
def test_another_spelling_is_no_code(text: str) -> None:
    assert totp.matching_step(SEED, text, 59_000_000) is None


def test_the_address_for_the_app_names_product_and_account() -> None:
    uri = totp.provisioning_uri(SEED, "ann@example.com")
    assert uri == f"otpauth://totp/Failgate:ann%40example.com?secret={SEED}&issuer=Failgate"


def test_a_secret_has_160_bits() -> None:
    assert len(base64.b32decode(totp.new_secret())) == 20
