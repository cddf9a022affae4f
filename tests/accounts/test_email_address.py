import pytest

from failgate.accounts.email_address import normalise_email
from failgate.base.errors import BadInput


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ann@example.com", "ann@example.com"),
        ("  Ann.Miller+x@EXAMPLE.com ", "ann.miller+x@example.com"),
        ("root@localhost", "root@localhost"),
        ("jürgen@müller.example", "jürgen@müller.example"),
    ],
)
def test_an_address_is_written_one_way(text: str, name: str) -> None:
    assert normalise_email(text) == name


@pytest.mark.parametrize(
    "text",
    ["", "ann", "@example.com", "ann@", "ann@@example.com", "ann b@example.com", "ann@exa mple.com", "ann@-example.com",
     "ann@example..com", "ann@example.com\nbcc: x@y", "a\0nn@example.com", "<ann@example.com>", "a" * 65 + "@example.com",
     "ann@" + "a" * 300, "\ud800@example.com", "ann@example.com\u202e", "x" * 1_000_000],
)  # fmt: skip
def test_other_text_is_no_address(text: str) -> None:
    with pytest.raises(BadInput):
        normalise_email(text)
