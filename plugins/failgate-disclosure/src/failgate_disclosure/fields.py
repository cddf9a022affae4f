"""What a report says, and how long each part may be; texts as they are shown. Pure."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec


@dataclass(frozen=True, slots=True)
class FormField:
    """A field of the form: at most `most` characters, on `rows` lines; where it is needed, at least `least` of them."""

    name: str
    label: str
    hint: str
    most: int
    rows: int = 1
    is_needed: bool = False
    least: int = 1


_AFFECTED: Final = "The domain, endpoint, package with its version, or command."
_STEPS: Final = "What we do to see it. No data of other people, no secrets."
FIELDS: Final = (
    FormField("title", "In one line", "What is wrong, and where.", 200, is_needed=True, least=5),
    FormField("affected", "What is affected", _AFFECTED, 500, is_needed=True),
    FormField("steps", "Steps, with the smallest proof", _STEPS, 20_000, 10, is_needed=True, least=10),
    FormField("expected", "What you expected", "", 4_000, 3),
    FormField("actual", "What happens", "", 4_000, 3, is_needed=True),
    FormField("impact", "What somebody could do with it", "", 4_000, 3),
    FormField("contact", "How we reach you", "You read our answers on a private page in any case.", 300),
    FormField("credit", "The name to thank you by", "Without one you are not named.", 100),
)
LARGEST_FORM_BYTES: Final = 512 * 1024  # all fields full of characters that a form writes as nine bytes
LONGEST_MESSAGE: Final = 10_000


class Contents(msgspec.Struct, frozen=True):
    """What the reporter wrote."""

    title: str
    affected: str
    steps: str
    actual: str
    expected: str = ""
    impact: str = ""
    contact: str = ""
    credit: str = ""


def faults_in(form: Mapping[str, str]) -> dict[str, str]:
    """Return by the names of fields what is wrong with them; nothing when the form makes a report."""
    found: dict[str, str] = {}
    for field in FIELDS:
        length = len(_text(form, field.name))
        if field.is_needed and length < field.least:
            found[field.name] = "Say this." if field.least == 1 else f"Say this in {field.least} characters or more."
        elif length > field.most:
            found[field.name] = f"This has {length:,} characters; {field.most:,} are taken."
    return found


def contents_of(form: Mapping[str, str]) -> Contents:
    """Return what a form without faults says; line ends become one character, and spaces around go."""
    return Contents(**{field.name: _text(form, field.name) for field in FIELDS})


def message_in(form: Mapping[str, str]) -> str:
    """Return the field `message`, as `contents_of` does; it may be empty or too long."""
    return _text(form, "message")


def visible(text: str) -> str:
    """Return `text` with a name in place of each character that hides, turns or overwrites what stands beside it."""
    return "".join(f"[U+{ord(char):04X}]" if _is_hiding(char) else char for char in text)


def _is_hiding(char: str) -> bool:
    return char not in "\n\t" and unicodedata.category(char) in {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}


def _text(form: Mapping[str, str], name: str) -> str:
    return form.get(name, "").replace("\r\n", "\n").replace("\r", "\n").strip()
