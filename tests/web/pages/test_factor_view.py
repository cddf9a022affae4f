import pytest

from failgate.web.pages.factor_view import AuthenticatorLine, PasskeyLine, SecondFactorView, groups_of_four, kind_of
from failgate.web.pages.text import moment


def test_a_secret_is_typed_in_groups_of_four() -> None:
    assert groups_of_four("JBSWY3DPEHPK3PXP") == ("JBSW", "Y3DP", "EHPK", "3PXP")


@pytest.mark.parametrize(
    ("transports", "said"),
    [
        (("internal",), "on a device"),
        (("internal", "hybrid"), "on a phone or in a password manager"),
        (("hybrid",), "on a phone"),
        (("nfc", "usb"), "on a security key"),
        ((), ""),
    ],
)
def test_a_passkey_says_where_it_is_kept(transports: tuple[str, ...], said: str) -> None:
    assert kind_of(transports) == said


def test_an_authenticator_beside_a_passkey_is_not_the_last_factor() -> None:
    at = moment(1, 2)
    authenticator = AuthenticatorLine(at, None)
    assert SecondFactorView(authenticator).is_last_authenticator
    assert not SecondFactorView(authenticator, (PasskeyLine("p", "Key", "", at, None),)).is_last_authenticator
