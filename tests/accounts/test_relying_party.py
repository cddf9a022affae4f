import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failgate.accounts.relying_party import PasskeyRefused, RelyingParty, read_answer, why_none


@pytest.mark.parametrize(
    ("base_url", "party"),
    [
        ("https://failgate.example", RelyingParty("failgate.example", "https://failgate.example")),
        ("https://Failgate.Example:443", RelyingParty("failgate.example", "https://failgate.example")),
        ("https://failgate.example:8443", RelyingParty("failgate.example", "https://failgate.example:8443")),
        ("http://localhost:8440", RelyingParty("localhost", "http://localhost:8440")),
    ],
)
def test_the_relying_party_is_the_name_and_the_origin_that_browsers_see(base_url: str, party: RelyingParty) -> None:
    assert RelyingParty.at(base_url) == party
    assert why_none(base_url) is None


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:8440", "https://192.0.2.1", "http://[::1]:8440"])
def test_an_address_has_no_passkeys_and_the_page_names_the_mend(base_url: str) -> None:
    assert RelyingParty.at(base_url) is None
    assert "public_url" in (why_none(base_url) or "")


def test_plain_http_under_a_name_has_none_either() -> None:
    assert RelyingParty.at("http://failgate.example") is None
    assert "https" in (why_none("http://failgate.example") or "")


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(PasskeyRefused):
        read_answer(text)


def test_the_library_is_loaded_at_the_first_ceremony_only() -> None:
    code = "import sys, failgate.assembly; print('webauthn' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "False"
