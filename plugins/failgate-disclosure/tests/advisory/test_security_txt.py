"""RFC 9116: what is written reads back as the same values, and what the standard forbids is refused by its line."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from failgate_disclosure.advisory import AdvisoryRefused, SecurityTxt, parse_security_txt, write_security_txt
from hypothesis import given, settings
from hypothesis import strategies as st

EXPIRES = "Expires: 2027-12-31T18:37:07z\r\n"
LEAST = f"Contact: mailto:security@example.com\r\n{EXPIRES}"
# The shape of RFC 9116 section 2.3 and its appendix: comments, empty lines, every field, names in other cases.
FULL = """\
# Canonical URI
Canonical: https://example.com/.well-known/security.txt

# Our security address
contact: mailto:security@example.com
CONTACT: tel:+1-201-555-0123
Contact: https://example.com/security-contact.html

# Our OpenPGP key
Encryption: openpgp4fpr:5f2de5521c63a801ab59ccb603d49de44b29100f
Encryption: dns:5d2d37ab76d47d36._openpgpkey.example.com?type=OPENPGPKEY
Encryption: https://example.com/pgp-key.txt

Policy: https://example.com/disclosure-policy.html \t
Acknowledgments: https://example.com/hall-of-fame.html
Preferred-Languages: en, es ,fr,zh-Hant-TW
Hiring: https://example.com/jobs.html
CSAF: https://example.com/.well-known/csaf/provider-metadata.json
Bug-Bounty: False: none
Expires: 2027-12-31T18:37:07+01:00
"""


def test_every_field_is_read() -> None:
    fields = parse_security_txt(FULL.encode())
    assert fields == SecurityTxt(
        contact=(
            "mailto:security@example.com",
            "tel:+1-201-555-0123",
            "https://example.com/security-contact.html",
        ),
        expires=datetime(2027, 12, 31, 17, 37, 7, tzinfo=UTC),
        canonical=("https://example.com/.well-known/security.txt",),
        policy=("https://example.com/disclosure-policy.html",),
        encryption=(
            "openpgp4fpr:5f2de5521c63a801ab59ccb603d49de44b29100f",
            "dns:5d2d37ab76d47d36._openpgpkey.example.com?type=OPENPGPKEY",
            "https://example.com/pgp-key.txt",
        ),
        acknowledgments=("https://example.com/hall-of-fame.html",),
        hiring=("https://example.com/jobs.html",),
        csaf=("https://example.com/.well-known/csaf/provider-metadata.json",),
        preferred_languages=("en", "es", "fr", "zh-Hant-TW"),
    )
    assert parse_security_txt(FULL.replace("\n", "\r\n").encode()) == fields
    assert fields.is_expired(fields.expires)
    assert not fields.is_expired(fields.expires - timedelta(seconds=1))


def test_the_written_file_is_this_one() -> None:
    fields = SecurityTxt(
        contact=("https://desk.example/security", "mailto:security@desk.example"),
        expires=datetime(2027, 6, 1, 1, 30, 0, 5, tzinfo=timezone(timedelta(hours=2))),
        canonical=("https://desk.example/.well-known/security.txt",),
        preferred_languages=("en", "de"),
    )
    assert write_security_txt(fields, comments=("Thank you for telling us.", "")) == (
        b"# Thank you for telling us.\r\n#\r\n"
        b"Contact: https://desk.example/security\r\nContact: mailto:security@desk.example\r\n"
        b"Canonical: https://desk.example/.well-known/security.txt\r\n"
        b"Preferred-Languages: en, de\r\nExpires: 2027-05-31T23:30:00Z\r\n"
    )


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("", "does not end with a line break"),
        ("\n", "Contact: is missing"),
        (EXPIRES, "Contact: is missing"),
        ("Contact: mailto:a@b.example\n", "Expires: is missing"),
        (LEAST + EXPIRES, "Expires: stands more than once"),
        (LEAST + "expires: 2027-12-31T18:37:07Z\n", "Expires: stands more than once"),
        (LEAST + "Preferred-Languages: en\nPreferred-Languages: de\n", "Preferred-Languages: stands more than once"),
        (LEAST.rstrip(), "does not end with a line break"),
        (LEAST + "Policy https://a.example\n", "line 3: 'Policy https://a.example' is no field"),
        (LEAST + "Policy : https://a.example\n", "line 3: 'Policy : https://a.example' is no field"),
        (LEAST + " Policy: https://a.example\n", "line 3: .* is no field"),
        (LEAST + ": https://a.example\n", "line 3: .* is no field"),
        (LEAST + "Pölicy: https://a.example\n", "line 3: .* is no field"),
        (LEAST + "Policy:https://a.example\n", "line 3: the field 'Policy' has no space"),
        (LEAST + "Policy: \n", "line 3: the field 'Policy' has no space and value"),
        (LEAST + "Policy:\n", "line 3: the field 'Policy' has no space and value"),
        (LEAST + "Policy:\thttps://a.example\n", "line 3: the field 'Policy' has no space"),
        (LEAST + "Policy:  https://a.example\n", "Policy: ' https://a.example' is no web address"),
        (LEAST + "Policy: http://a.example\n", "Policy: 'http://a.example' is no web address"),
        (LEAST + "Policy: HTTPS://a.example\n", "Policy: "),
        (LEAST + "Policy: mailto:a@b.example\n", "Policy: "),
        (LEAST + "Contact: a@b.example\n", "Contact: 'a@b.example' is no web address"),
        (LEAST + "Contact: javascript:alert(1)\n", "Contact: "),
        (LEAST + "Contact: mailto:a@b.example?subject=x\n", "Contact: "),
        (LEAST + "Encryption: openpgp4fpr:12\n", "Encryption: "),
        (LEAST + "Acknowledgements: http://not.known\nPolicy: https://\n", "Policy: "),
        (LEAST + "Preferred-Languages: en,\n", "Preferred-Languages: '' is no language tag"),
        (LEAST + "Preferred-Languages: en de\n", "Preferred-Languages: 'en de' is no language tag"),
        (LEAST + "# a\rPolicy: https://a.example\n", r"line 3: holds U\+000D"),
        (LEAST + "# a\x00\n", r"line 3: holds U\+0000"),
        (LEAST + "# a\u202eb\n", r"line 3: holds U\+202E"),
        (LEAST + "# a\u2028Contact: x\n", r"line 3: holds U\+2028"),
        ("\ufeff" + LEAST, r"line 1: holds U\+FEFF"),
        (LEAST.replace("2027-12-31T18:37:07z", "2027-12-31"), "Expires: '2027-12-31' is no date and time"),
        (LEAST.replace("2027-12-31T18:37:07z", "2027-12-31T18:37:07"), "Expires: "),
        (LEAST.replace("2027-12-31T18:37:07z", "2027-13-31T18:37:07Z"), "Expires: "),
        (LEAST.replace("2027-12-31T18:37:07z", "2027-12-31 18:37:07Z"), "Expires: "),
        (LEAST.replace("2027-12-31T18:37:07z", "2027-12-31T18:37:07+99:00"), "Expires: "),
        (LEAST.replace("2027-12-31T18:37:07z", "0001-01-01T00:00:00+12:00"), "Expires: lies in the year 1"),
        (LEAST.replace("2027-12-31T18:37:07z", "Thu, 31 Dec 2027 18:37:07 +0000"), "Expires: "),
        (LEAST + "#" * 70_000 + "\n", "has 70070 bytes"),
        (LEAST + "Contact: mailto:a@b.example\n" * 300, "security.txt: holds 301 fields"),
    ],
)
def test_what_the_standard_forbids_is_refused(file: str, said: str) -> None:
    with pytest.raises(AdvisoryRefused, match=said) as refused:
        parse_security_txt(file.encode())
    assert str(refused.value).isascii()


def test_what_is_no_utf_8_is_refused() -> None:
    with pytest.raises(AdvisoryRefused, match="byte 3 is not UTF-8"):
        parse_security_txt(b"# \xff\n")
    with pytest.raises(AdvisoryRefused, match="has 10485760 bytes"):
        parse_security_txt(b"\n" * 10 * 1024 * 1024)


SIGNATURE = "-----BEGIN PGP SIGNATURE-----\r\n\r\nwsE7\r\n-----END PGP SIGNATURE-----\r\n"
HEAD = "-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA512\r\n\r\n"


def test_a_signed_file_is_read_and_said_to_be_one() -> None:
    fields = parse_security_txt(f"{HEAD}- # dashed\r\n{LEAST}{SIGNATURE}".encode())
    assert fields.is_signed
    assert fields.contact == ("mailto:security@example.com",)
    assert not parse_security_txt(LEAST.encode()).is_signed


@pytest.mark.parametrize(
    "file",
    [
        HEAD + LEAST,
        HEAD + LEAST + SIGNATURE + LEAST,  # after the signature
        LEAST + HEAD + LEAST + SIGNATURE,  # before it
        "# note\r\n" + HEAD + LEAST + SIGNATURE,
        "-----BEGIN PGP SIGNED MESSAGE-----\r\n\r\n" + LEAST + SIGNATURE,  # without a hash
        HEAD.replace("Hash: SHA512\r\n", f"Hash: SHA512\r\n{LEAST}") + LEAST + SIGNATURE,  # among the headers
        HEAD + "-Contact: https://a.example\r\n" + LEAST + SIGNATURE,
        HEAD + LEAST + SIGNATURE + SIGNATURE,
        LEAST + SIGNATURE,
    ],
)
def test_what_stands_outside_a_signature_is_refused(file: str) -> None:
    with pytest.raises(AdvisoryRefused):
        parse_security_txt(file.encode())


WEB = st.from_regex(r"https://[a-z][a-z0-9]{0,8}\.example(/[A-Za-z0-9._~%21:-]{0,12}){0,3}", fullmatch=True).filter(
    lambda url: not re.search("%(?![0-9A-F]{2})", url)
)
MAIL = st.from_regex(r"mailto:[a-z0-9.+]{1,12}@[a-z0-9]{1,9}\.example", fullmatch=True)
FIELDS = st.builds(
    SecurityTxt,
    contact=st.lists(WEB | MAIL | st.just("tel:+41-44-5550100"), min_size=1, max_size=4).map(tuple),
    expires=st.datetimes(
        datetime.fromisoformat("2000-01-02"),
        datetime.fromisoformat("9998-12-30"),
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=9))]),
    ),
    canonical=st.lists(WEB, max_size=2).map(tuple),
    policy=st.lists(WEB, max_size=2).map(tuple),
    encryption=st.lists(WEB | st.just(f"openpgp4fpr:{'aB' * 20}"), max_size=2).map(tuple),
    acknowledgments=st.lists(WEB, max_size=2).map(tuple),
    hiring=st.lists(WEB, max_size=2).map(tuple),
    csaf=st.lists(WEB, max_size=2).map(tuple),
    preferred_languages=st.lists(st.from_regex(r"[a-z]{2,3}(-[A-Z]{2})?", fullmatch=True), max_size=4).map(tuple),
)
COMMENTS = st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Cf"]), max_size=60), max_size=3)


@given(FIELDS, COMMENTS)
@settings(max_examples=300, deadline=None)
def test_what_is_written_reads_back(fields: SecurityTxt, comments: list[str]) -> None:
    file = write_security_txt(fields, comments=tuple(comments))
    assert parse_security_txt(file) == fields
    assert write_security_txt(parse_security_txt(file), comments=tuple(comments)) == file
    # Line ends, the case of names and comments between change nothing.
    other = b"".join(
        b"# x\n\n" + name.swapcase() + colon + rest
        for name, colon, rest in (
            line.replace(b"\r\n", b" \n").partition(b":") for line in file.splitlines(keepends=True)
        )
    )
    assert parse_security_txt(other) == fields


@given(st.text(max_size=80), st.sampled_from(["contact", "policy", "encryption", "preferred_languages"]))
@settings(max_examples=300)
def test_no_value_makes_a_second_field(text: str, name: str) -> None:
    for value in (text, f"https://a.example/{text}", f"mailto:a@b.example{text}", f"en{text}"):
        try:
            fields = SecurityTxt(
                **{"contact": ("tel:+15550100",), name: (value,)}, expires=datetime(2027, 1, 1, tzinfo=UTC)
            )
        except AdvisoryRefused:
            continue
        assert write_security_txt(fields).count(b"\n") == 3 - (name == "contact")
        assert parse_security_txt(write_security_txt(fields)) == fields


@given(FIELDS, st.data())
@settings(max_examples=300, deadline=None)
def test_a_file_with_a_change_is_read_or_refused_and_what_is_read_is_stable(
    fields: SecurityTxt, data: st.DataObject
) -> None:
    file = bytearray(write_security_txt(fields))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(file) - 1))
        change = data.draw(
            st.binary(max_size=3) | st.sampled_from([b"\n", b"\r", b":", b": ", b" ", b"#", b"\nContact: "])
        )
        file[place : place + data.draw(st.integers(0, 4))] = change
    try:
        read = parse_security_txt(bytes(file))
    except AdvisoryRefused:
        return
    assert parse_security_txt(write_security_txt(read)) == read


@given(st.binary(max_size=300) | st.text("Contact: Expirs\r\n#-BEGIN", max_size=200).map(str.encode))
def test_any_bytes_are_refused_by_our_error_alone(file: bytes) -> None:
    with pytest.raises(AdvisoryRefused):
        parse_security_txt(file)


@pytest.mark.parametrize("comment", ["a\nContact: x", "a\r", "\x00", "\u2028", "\ud800", "a" * 501])
def test_a_comment_is_one_line(comment: str) -> None:
    fields = SecurityTxt(contact=("https://a.example",), expires=datetime(2027, 1, 1, tzinfo=UTC))
    with pytest.raises(AdvisoryRefused, match="comment"):
        write_security_txt(fields, comments=(comment,))
