"""security.txt: the file that says where to report, written and read by the same rules.

The reader is strict, for it is also the check on what the writer made and on a signed file before it is served: what
the standard forbids is refused with its line. Fields that the standard does not know are passed over, as it demands.
Source: RFC 9116 sections 2 and 4; the field CSAF: CSAF 2.0 section 7.1.8.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from failgate_disclosure.advisory.errors import AdvisoryRefused, shown
from failgate_disclosure.advisory.text import check_time, check_url, rfc3339

PATH = "/.well-known/security.txt"
MEDIA_TYPE = "text/plain; charset=utf-8"
LONGEST_BYTES = 64 * 1024
MOST_FIELDS = 200

# Field in the file: our name. The order is that in which they are written.
_ADDRESSES = {
    "Contact": "contact",
    "Encryption": "encryption",
    "Acknowledgments": "acknowledgments",
    "Canonical": "canonical",
    "Policy": "policy",
    "Hiring": "hiring",
    "CSAF": "csaf",
}
_KNOWN = {name.lower(): name for name in (*_ADDRESSES, "Expires", "Preferred-Languages")}
_FIELD_NAME = re.compile(r"[!-9;-~]+")
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
_TAG = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,9}")  # RFC 5646, its form alone
_MAIL = re.compile(r"mailto:[A-Za-z0-9.!#$&'*+/=^_`{|}~%-]{1,200}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_PHONE = re.compile(r"tel:\+[0-9](?:[0-9().-]{0,38}[0-9])")
_KEY = re.compile(r"openpgp4fpr:(?:[0-9a-fA-F]{40}|[0-9a-fA-F]{64})")
_DNS_KEY = re.compile(r"dns:(?://[A-Za-z0-9.-]{1,253}/)?[A-Za-z0-9._-]{1,253}(?:\?[A-Za-z0-9=;&]{1,60})?")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_OTHER_SCHEMES = {"Contact": (_MAIL, _PHONE), "Encryption": (_KEY, _DNS_KEY)}
_SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE, _END = "-----BEGIN PGP SIGNATURE-----", "-----END PGP SIGNATURE-----"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityTxt:
    """The fields of one file; the first contact is the preferred one, `expires` is kept to the second in UTC.

    `is_signed` is true of a file that was read inside an OpenPGP cleartext signature, which is not verified here.
    Raises: AdvisoryRefused (names the field), at construction.
    """

    contact: tuple[str, ...]
    expires: datetime
    canonical: tuple[str, ...] = ()
    policy: tuple[str, ...] = ()
    encryption: tuple[str, ...] = ()
    acknowledgments: tuple[str, ...] = ()
    hiring: tuple[str, ...] = ()
    csaf: tuple[str, ...] = ()
    preferred_languages: tuple[str, ...] = ()
    is_signed: bool = False

    def __post_init__(self) -> None:
        """Check every field, and that what is mandatory is there."""
        if not self.contact:
            raise AdvisoryRefused("Contact", "is missing.", hint="Say where to report: https:, mailto: or tel:.")
        count = 0
        for field, name in _ADDRESSES.items():
            values: tuple[str, ...] = getattr(self, name)
            count += len(values)
            for value in values:
                _check_address(field, value)
        if count > MOST_FIELDS:
            raise AdvisoryRefused("security.txt", f"holds {count} fields; {MOST_FIELDS} are the most.")
        check_time("Expires", self.expires)
        object.__setattr__(self, "expires", self.expires.astimezone(UTC).replace(microsecond=0))
        if len(self.preferred_languages) > MOST_FIELDS:
            raise AdvisoryRefused("Preferred-Languages", f"names more than {MOST_FIELDS} languages.")
        for tag in self.preferred_languages:
            if not _TAG.fullmatch(tag):
                raise AdvisoryRefused(
                    "Preferred-Languages", f"{shown(tag)} is no language tag.", hint="Write en, de-CH."
                )

    def is_expired(self, now: datetime) -> bool:
        """Say whether the file must no longer be believed at `now`."""
        return now >= self.expires


def write_security_txt(fields: SecurityTxt, *, comments: tuple[str, ...] = ()) -> bytes:
    """Return the file, unsigned, in UTF-8 with CR LF, `comments` first, each in one line.

    Raises: AdvisoryRefused (a comment that is no line).
    """
    lines: list[str] = []
    for comment in comments:
        if len(comment) > 500 or _CONTROL.search(comment) or _encoded(comment) is None:
            raise AdvisoryRefused(
                "comment", f"{shown(comment)} is not one line of text.", hint="Take the controls out."
            )
        lines.append(f"# {comment}".rstrip())
    for field, name in _ADDRESSES.items():
        lines += [f"{field}: {value}" for value in getattr(fields, name)]
    if fields.preferred_languages:
        lines.append(f"Preferred-Languages: {', '.join(fields.preferred_languages)}")
    lines.append(f"Expires: {rfc3339(fields.expires)}")
    return "".join(f"{line}\r\n" for line in lines).encode()


def parse_security_txt(file: bytes) -> SecurityTxt:
    """Return the fields of a file of at most 64 KiB; names count in any case, lines end in LF or CR LF.

    Raises: AdvisoryRefused (names the line, and what it breaks). Source: RFC 9116 section 4, the grammar.
    """
    if len(file) > LONGEST_BYTES:
        raise AdvisoryRefused("security.txt", f"has {len(file)} bytes, and {LONGEST_BYTES} are the most.")
    try:
        text = file.decode()
    except UnicodeDecodeError as refused:
        raise AdvisoryRefused("security.txt", f"byte {refused.start + 1} is not UTF-8.") from None
    if not text.endswith("\n"):
        raise AdvisoryRefused("security.txt", "does not end with a line break.", hint="End every line with one.")
    lines = [line.removesuffix("\r") for line in text.split("\n")[:-1]]
    is_signed = lines[0].rstrip(" \t") == _SIGNED
    numbered = list(_inside_signature(lines) if is_signed else enumerate(lines, 1))
    found: dict[str, list[str]] = {}
    for number, line in numbered:
        _read_line(f"line {number}", line, found)
    for field in ("Contact", "Expires"):
        if field not in found:
            raise AdvisoryRefused(field, "is missing.", hint="The file must have it.")
    for field in ("Expires", "Preferred-Languages"):
        if len(found.get(field, ())) > 1:
            raise AdvisoryRefused(field, "stands more than once.", hint="Leave one of them.")
    return SecurityTxt(
        **{name: tuple(found.get(field, ())) for field, name in _ADDRESSES.items()},
        expires=_time(found["Expires"][0]),
        preferred_languages=tuple(_tags(found.get("Preferred-Languages", []))),
        is_signed=is_signed,
    )


def _read_line(where: str, line: str, found: dict[str, list[str]]) -> None:
    """Put the field of one line into `found`; a comment, an empty line and an unknown field leave it as it is."""
    control = _CONTROL.search(line)
    if control is not None:
        raise AdvisoryRefused(where, f"holds U+{ord(control[0]):04X}.", hint="Take it out; lines end in LF or CR LF.")
    line = line.rstrip(" \t")
    if not line or line.startswith("#"):
        return
    name, colon, value = line.partition(":")
    if not colon or not _FIELD_NAME.fullmatch(name):
        raise AdvisoryRefused(where, f"{shown(line)} is no field.", hint="Write Name: value, or # and a comment.")
    if not value.startswith(" ") or not value.strip(" \t"):
        raise AdvisoryRefused(where, f"the field {shown(name)} has no space and value after its colon.")
    known = _KNOWN.get(name.lower())
    if known is not None:
        found.setdefault(known, []).append(value[1:])


def _inside_signature(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines that an OpenPGP signature covers, dashes unescaped. Source: RFC 9580 section 7."""
    try:
        begin = lines.index("", 1) + 1
        end = lines.index(_SIGNATURE)
        last = lines.index(_END)
    except ValueError:
        raise AdvisoryRefused("security.txt", "begins to be signed and has no whole signature.") from None
    if any(line.strip(" \t") for line in lines[last + 1 :]):
        # What stands outside is not signed, so nobody may take it for a part of the file.
        raise AdvisoryRefused("security.txt", "has text outside its signature.", hint="Sign the whole file.")
    if begin < 3 or not all(
        re.fullmatch(r"Hash: [A-Za-z0-9, -]{1,60}", line.rstrip(" \t")) for line in lines[1 : begin - 1]
    ):
        raise AdvisoryRefused(
            "line 2", "of a signed file names its hash.", hint="Write Hash: SHA512 and an empty line."
        )
    for number, line in enumerate(lines[begin:end], begin + 1):
        if line.startswith("-") and not line.startswith("- "):
            raise AdvisoryRefused(f"line {number}", "begins with a dash that is not escaped.")
        yield number, line.removeprefix("- ")


def _check_address(field: str, value: str) -> None:
    """Check one address: a web address begins with https, a contact and a key may be given by other schemes.

    Source: RFC 9116 sections 2.5.1 to 2.5.8.
    """
    if len(value) > 2_000:
        raise AdvisoryRefused(field, f"has {len(value)} characters, and 2000 are the most.")
    if any(scheme.fullmatch(value) for scheme in _OTHER_SCHEMES.get(field, ())):
        return
    check_url(field, value, only_https=True)


def _time(value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value.upper()) if _TIME.fullmatch(value) else None
    except ValueError:
        moment = None
    if moment is None:
        raise AdvisoryRefused(
            "Expires", f"{shown(value)} is no date and time.", hint="Write it as 2027-01-31T12:00:00Z."
        )
    return moment


def _tags(values: list[str]) -> Iterator[str]:
    for value in values:
        for tag in value.split(","):
            yield tag.strip(" \t")


def _encoded(text: str) -> bytes | None:
    """Return `text` in UTF-8, or None where it holds half a surrogate pair."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return None
