"""A security.txt that somebody signed with gpg is served byte for byte, or the server does not start. F22"""

from pathlib import Path

import pytest
from failgate_disclosure import plugin
from failgate_disclosure.advisory import parse_security_txt

from failgate.plugin import Asked, StartRefused
from failgate.testing import host_at, opened, settings_from

SIGNED = Path(__file__).parent / "signed_security.txt.asc"
SETTINGS = """contacts = ["mailto:security@acme.example"]
expires = 2027-05-01
changed = 2026-11-20
url = "https://failgate.acme.example"
"""


async def served(folder, signed, settings=SETTINGS):
    """Return what a server answers at security.txt whose config names the file `signed`."""
    known = settings_from(plugin, f'{settings}signed = "{signed}"\n')
    async with opened(plugin, known, host_at(folder, "disclosure")) as provides:
        [door] = [door for door in provides.pages.doors if door.name == "text"]
        return (await door.handler(Asked("/x", actor=None))).text.encode()


async def test_what_was_signed_is_served_byte_for_byte(tmp_path) -> None:
    content = await served(tmp_path, SIGNED)
    assert content == SIGNED.read_bytes()
    assert parse_security_txt(content).is_signed


@pytest.mark.parametrize(
    ("was", "now", "says"),
    [
        ("security@acme", "other@acme", "contact https://failgate.acme.example/security/report, mailto:security@acme"),
        ("2027-05-01", "2027-06-01", "says expires 2027-05-01 00:00:00+00:00, the config 2027-06-01"),
        ("https://failgate", "https://gate", "says contact"),
        ('url = "https://failgate.acme.example"', "", "says contact"),
        ("changed", 'languages = ["en", "de"]\nchanged', "says preferred_languages en, the config en, de"),
        ("changed", "form = false\nchanged", "says contact"),
        ("changed", 'encryption = ["https://acme.example/k"]\nchanged', "says encryption nothing, the config https://"),
        ("changed", 'acknowledgments = "https://acme.example/t"\nchanged', "says acknowledgments nothing"),
    ],
)
async def test_where_file_and_config_differ_the_field_is_named_and_nothing_starts(tmp_path, was, now, says) -> None:
    with pytest.raises(StartRefused) as refused:
        await served(tmp_path, SIGNED, SETTINGS.replace(was, now))
    assert says in refused.value.sentence
    assert "sign it anew" in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda whole: whole[whole.index(b"Contact") : whole.index(b"-----BEGIN PGP SIGNATURE")], "is not signed"),
        (lambda whole: whole[: whole.index(b"-----END")], "no whole signature"),
        (lambda whole: whole + b"Contact: mailto:evil@evil.example\n", "outside its signature"),
        (lambda whole: b"Contact: mailto:evil@evil.example\n" + whole, "no field"),
        (lambda whole: whole.replace(b"Contact", b"Contact\xff"), "not UTF-8"),
        (lambda whole: b"\n" * 70_000, "65536 are the most"),
        (lambda whole: b"", "line break"),
    ],
)
async def test_a_file_that_is_no_signed_security_txt_is_refused(tmp_path, change, says) -> None:
    path = tmp_path / "given.asc"
    path.write_bytes(change(SIGNED.read_bytes()))
    with pytest.raises(StartRefused, match="signed: ") as refused:
        await served(tmp_path, path)
    assert says in refused.value.sentence


async def test_a_file_that_is_not_there_is_named(tmp_path) -> None:
    for path in (tmp_path / "none.asc", tmp_path):
        with pytest.raises(StartRefused, match="cannot be read"):
            await served(tmp_path, path)
