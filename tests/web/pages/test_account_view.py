import pytest

from failgate.web.pages.account_view import browser_of, how_of


def test_a_session_says_in_words_how_it_was_opened() -> None:
    assert how_of(("pwd", "trusted_device", "otp")) == "password, trusted device, authenticator code"
    assert how_of(("passkey",)) == "passkey"


@pytest.mark.parametrize(
    ("user_agent", "shown"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("python-httpx/0.28", "python-httpx/0.28"),
        ("", "An unknown browser"),
    ],
)
def test_a_browser_is_told_by_its_name_and_system(user_agent: str, shown: str) -> None:
    assert browser_of(user_agent) == shown
