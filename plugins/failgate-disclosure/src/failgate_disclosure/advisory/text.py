"""What text may stand in an advisory: bounded, visible, and in the order in which it is read.

Escaping belongs to the writer of each form; here stand the characters that no form can show honestly.
"""

import re
from datetime import UTC, datetime
from urllib.parse import urlsplit

from failgate_disclosure.advisory.errors import AdvisoryRefused, shown

LINE_CHARACTERS = 300
TEXT_CHARACTERS = 50_000
URL_CHARACTERS = 2_000

# Controls (but tab and line feed), line and paragraph separators, what reorders text (Trojan Source, CVE-2021-42574),
# what cannot be seen (zero width space, word joiner and its neighbours, byte order mark, annotations, tags), lone
# surrogates and noncharacters. Joiners and the marks of direction (U+200C to U+200F) stay: Persian, Hebrew and emoji
# need them, and they reorder no more than a letter does.
_REFUSED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\ufdd0-\ufdef\U000e0000-\U000e007f"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17))
    + "]"
)
# RFC 3986: unreserved, reserved and percent-encoded, and no sign that ends an autolink.
_URL = re.compile(r"https?://(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?)*")


def from_form(text: str) -> str:
    """Return what a form's field sent with line feeds alone: browsers send CR LF between lines."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def check_text(where: str, text: str, *, longest: int = TEXT_CHARACTERS) -> None:
    """Check one text of several lines: not empty, at most `longest` characters, each one seen for what it is.

    Raises: AdvisoryRefused (names the first character that cannot stay, by its place and code point).
    """
    # The length comes first: nothing walks through ten megabytes.
    if len(text) > longest:
        raise AdvisoryRefused(
            where, f"has {len(text)} characters, and {longest} are the most.", hint="Shorten it, or link to the rest."
        )
    if not text.strip():
        raise AdvisoryRefused(where, "is empty.", hint="Write a text, or leave the field out where it is optional.")
    found = _REFUSED.search(text)
    if found is not None:
        raise AdvisoryRefused(
            where,
            f"character {found.start() + 1} is U+{ord(found[0]):04X}, which is a control, hides text or reorders it.",
            hint="Take it out, or write it as an escape such as \\u202e.",
        )


def check_line(where: str, text: str, *, longest: int = LINE_CHARACTERS) -> None:
    """Check a text as `check_text` does, and that it is one line without space at its ends.

    Raises: AdvisoryRefused.
    """
    check_text(where, text, longest=longest)
    if "\n" in text or "\t" in text:
        raise AdvisoryRefused(where, "holds a line break or a tab.", hint="Write it in one line.")
    if text != text.strip():
        raise AdvisoryRefused(where, "begins or ends with a space.", hint="Take the space away.")


def check_url(where: str, url: str, *, only_https: bool = False) -> None:
    """Check that `url` is an absolute web address of a host, without a name or password in it.

    Raises: AdvisoryRefused. Source: RFC 3986.
    """
    if len(url) > URL_CHARACTERS:
        raise AdvisoryRefused(
            where, f"has {len(url)} characters, and {URL_CHARACTERS} are the most.", hint="Shorten it."
        )
    hint = "Write https://, a host and a path, everything else percent-encoded."
    if not _URL.fullmatch(url) or (only_https and not url.startswith("https://")):
        raise AdvisoryRefused(where, f"{shown(url)} is no web address that may stand here.", hint=hint)
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        raise AdvisoryRefused(where, f"{shown(url)} has a host or port that cannot be.", hint=hint) from None
    # Brackets are for IPv6 addresses, which nobody publishes; elsewhere they are no part of an address.
    if not _HOST.fullmatch(host) or "@" in parts.netloc or "[" in url or "]" in url or url.count("#") > 1:
        raise AdvisoryRefused(where, f"{shown(url)} names no plain host.", hint=hint)


def check_time(where: str, moment: datetime) -> None:
    """Check that `moment` knows its zone and lies in a year from 2000 to 9998.

    Raises: AdvisoryRefused.
    """
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise AdvisoryRefused(where, "has no time zone.", hint="Give it one, such as UTC.")
    if not 2000 <= moment.year <= 9998:  # outside, a shift to UTC may leave what four digits can say
        raise AdvisoryRefused(where, f"lies in the year {moment.year}.", hint="Write a year from 2000 on.")


def rfc3339(moment: datetime) -> str:
    """Return `moment` in UTC to the second, as `2026-11-23T10:00:00Z`. Source: RFC 3339 section 5.6."""
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
