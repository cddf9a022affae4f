"""Times in messages."""

import pytest

from failgate.sso.protocol import Refusal
from failgate.sso.saml.instants import read_instant, write_instant


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2001-09-09T01:46:40Z", 1_000_000_000_000_000),
        ("2001-09-09T01:46:40.5Z", 1_000_000_000_500_000),
        ("2001-09-09T01:46:40.1234567Z", 1_000_000_000_123_456),
    ],
)
def test_utc_is_read(text: str, us: int) -> None:
    assert read_instant(text) == us
    assert read_instant(write_instant(us)) == us // 1_000_000 * 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "2001-09-09",
        "2001-09-09T01:46:40",
        "2001-09-09T01:46:40+00:00",
        "2001-09-09T01:46:40z",
        "2001-02-30T00:00:00Z",
        "2001-09-09T25:00:00Z",
        "0000-01-01T00:00:00Z",
        "2001-09-09T01:46:40Z\n",
        "２００１-09-09T01:46:40Z",
        "-2001-09-09T01:46:40Z",
        "2001-09-09T01:46:40.Z",
    ],
)
def test_everything_else_is_refused(text: str | None) -> None:
    with pytest.raises(Refusal) as caught:
        read_instant(text)
    assert caught.value.reason == "time"
