import pytest
from hypothesis import given
from hypothesis import strategies as st

from failgate.accounts.email_address import normalise_email, normalised_or_none
from failgate.base.errors import BadInput


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ann@example.com", "ann@example.com"),
        ("  Ann.Miller+x@EXAMPLE.com ", "ann.miller+x@example.com"),
        ("root@localhost", "root@localhost"),
        ("jürgen@müller.example", "jürgen@müller.example"),
        ("JU\u0308RGEN@MÜLLER.example", "jürgen@müller.example"),
        ("bo\u00df@corp.example", "bo\u00df@corp.example"),
        ("\u017fam@corp.example", "\u017fam@corp.example"),
        ("\ufb01n@corp.example", "\ufb01n@corp.example"),
    ],
)
def test_an_address_is_written_one_way(text: str, name: str) -> None:
    assert normalise_email(text) == name


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_name_is_written_as_itself_and_the_letters_case_alone_is_nothing(local: str, domain: str) -> None:
    name = normalised_or_none(f"{local}@{domain}")
    if name is not None:
        assert normalised_or_none(name) == name


@pytest.mark.parametrize(
    "text",
    ["", "ann", "@example.com", "ann@", "ann@@example.com", "ann b@example.com", "ann@exa mple.com", "ann@-example.com",
     "ann@example..com", "ann@example.com\nbcc: x@y", "a\0nn@example.com", "<ann@example.com>", "a" * 65 + "@example.com",
     "ann@" + "a" * 300, "\ud800@example.com", "ann@example.com\u202e", "x" * 1_000_000],
)  # fmt: skip
def test_other_text_is_no_address(text: str) -> None:
    with pytest.raises(BadInput):
        normalise_email(text)
