"""security.txt as RFC 9116 has it, and what the policy is made of. F22 F23"""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from failgate_disclosure import DisclosureSettings, plugin
from failgate_disclosure.advisory import parse_security_txt, write_security_txt
from failgate_disclosure.ending import advice_on

from failgate.config.errors import ConfigRefused
from failgate.plugin import Asked
from failgate.testing import host_at, opened, settings_from

LEAST = 'contacts = ["mailto:security@acme.example"]\nexpires = 2027-05-01\nchanged = 2026-11-20\n'
WHOLE = (
    LEAST
    + """url = "https://failgate.acme.example"
languages = ["en", "de-CH"]
encryption = ["https://acme.example/pgp.txt", "openpgp4fpr:5F2DE5521C63A801AB59CCB603D49DE44B29100F"]
acknowledgments = "https://acme.example/thanks"
support = "https://acme.example/help"
"""
)


def written(settings: str, *, takes_reports: bool) -> tuple[DisclosureSettings, bytes]:
    """Return the settings and the file that is served for them."""
    known = settings_from(plugin, settings)
    assert isinstance(known, DisclosureSettings)
    return known, write_security_txt(known.security_txt(takes_reports=takes_reports))


def test_the_least_has_contact_and_expires() -> None:
    _, file = written(LEAST, takes_reports=False)
    assert file == (
        b"Contact: mailto:security@acme.example\r\nPreferred-Languages: en\r\nExpires: 2027-05-01T00:00:00Z\r\n"
    )


def test_the_whole_has_every_field_and_the_form_first() -> None:
    settings, file = written(WHOLE, takes_reports=True)
    read = parse_security_txt(file)
    assert read == settings.security_txt(takes_reports=True)
    assert read.contact == ("https://failgate.acme.example/security/report", "mailto:security@acme.example")
    assert read.canonical == ("https://failgate.acme.example/.well-known/security.txt",)
    assert read.policy == ("https://failgate.acme.example/security",)
    assert read.preferred_languages == ("en", "de-CH")
    assert read.encryption[1].startswith("openpgp4fpr:")
    assert read.acknowledgments == ("https://acme.example/thanks",)


@pytest.mark.parametrize(
    ("before", "says"),
    [
        (timedelta(days=200), None),
        (timedelta(days=31), None),
        (timedelta(days=30), "expires in 30 days"),
        (timedelta(hours=1), "expires in 1 days"),
        (timedelta(0), "expired on 2027-05-01"),
        (timedelta(days=-400), "expired on 2027-05-01"),
        (timedelta(days=367), "more than a year ahead"),
    ],
)
def test_the_operator_hears_of_the_end_before_it_comes(before: timedelta, says: str | None) -> None:
    now_us = round((datetime(2027, 5, 1, tzinfo=UTC) - before).timestamp() * 1_000_000)
    advice = advice_on(settings_from(plugin, LEAST), now_us)
    assert len(advice) == (0 if says is None else 1)
    assert says is None or says in advice[0]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("contacts = []", "name at least one"),
        ('contacts = ["security@acme.example"]', "mailto:"),
        ('contacts = ["http://acme.example/report"]', "https://"),
        ('contacts = ["https://acme.example/a\\r\\nExpires: 2099-01-01T00:00:00Z"]', "without spaces"),
        ('contacts = ["javascript:alert(1)"]', "https://"),
        ('url = "https://acme.example/path"', "without a path"),
        ('url = "http://acme.example"', "https://NAME"),
        ('languages = ["en, de"]', "tags of languages"),
        ('encryption = ["my key"]', "where the key is"),
        ('contacts = ["https://["]', "https://"),
        ('acknowledgments = "https://acme.example:99999/"', "https://"),
        ('support = "call us"', "mailto:"),
        ('scope = [""]', "1 to 500"),
        ('out_of_scope = ["a\\nb"]', "one line"),
        ('safe_harbour = ""', "4000"),
        ('expires = "soon"', "expires"),
        ('warn_before = "1h"', "1d"),
        ('contact = "x"', "contacts"),
    ],
)
def test_what_the_file_could_not_say_is_refused_with_its_mend(line: str, says: str) -> None:
    name = line.split(" =")[0]
    kept = [each for each in LEAST.splitlines() if not each.startswith(f"{name} ")]
    with pytest.raises(ConfigRefused, match=re.escape(says)):
        settings_from(plugin, "\n".join([*kept, line]))


async def test_it_opens_with_its_two_pages_and_advises(tmp_path) -> None:
    settings: DisclosureSettings = settings_from(plugin, LEAST)
    assert settings.expires == date(2027, 5, 1)
    async with opened(plugin, settings, host_at(tmp_path, "disclosure")) as provides:
        assert provides.pages is not None
        doors = {door.path: door for door in provides.pages.doors}
        assert all(doors[path].audience == "anybody" for path in ("/.well-known/security.txt", "/security"))
        text = await doors["/.well-known/security.txt"].handler(Asked("/x", actor=None))
        assert parse_security_txt(text.text.encode()) == settings.security_txt(takes_reports=True)
        assert provides.advice is not None
        assert provides.advice() == advice_on(settings, host_at(tmp_path).clock.now_us())
