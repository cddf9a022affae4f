"""The tokens of a command as inert text: written out where they are unusual, cut where they are long. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from failgate.matching.rendering import Part, render_token

TOKEN_LIMIT: Final = 480  # characters of one token beyond which its middle is collapsed
TOKEN_ENDS: Final = 160  # characters that stay visible at either end of it
PREVIEW_TOKENS: Final = 24
PREVIEW_CHARACTERS: Final = 120


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of inert text as templates read it."""

    text: str
    is_unusual: bool


_MORE: Final = Text("…", is_unusual=False)


@dataclass(frozen=True, slots=True)
class TokenView:
    """One token. With a `middle`, that part is collapsed (`middle_bytes`); `is_late`: the whole token is."""

    head: tuple[Text, ...]
    middle: tuple[Text, ...]
    tail: tuple[Text, ...]
    size_bytes: int
    middle_bytes: int
    unusual: int
    is_late: bool


def texts(value: str) -> tuple[Text, ...]:
    """Return `value` as inert text."""
    return tuple(Text(part.text, part.unusual) for part in render_token(value))


def short_texts(value: str) -> tuple[Text, ...]:
    """Return `value` as inert text, its middle left out when it is long."""
    parts = render_token(value)
    length = sum(len(part.text) for part in parts)
    if length <= TOKEN_LIMIT:
        return _shown(parts)
    head, rest = _cut(parts, TOKEN_ENDS)
    _, tail = _cut(rest, sum(len(part.text) for part in rest) - TOKEN_ENDS)
    return (*_shown(head), _MORE, *_shown(tail))


_WRITTEN_OUT: Final = re.compile(
    "(\N{MATHEMATICAL LEFT ANGLE BRACKET}[^\N{MATHEMATICAL RIGHT ANGLE BRACKET}]*.)", re.DOTALL
)


def parts_of(rendered: str) -> tuple[Part, ...]:
    """Return the rendering of one token in parts; what was written out is marked: no bracket stands for itself."""
    return tuple(Part(text, unusual=bool(place % 2)) for place, text in enumerate(_WRITTEN_OUT.split(rendered)) if text)


def token_view(rendered: str, size_bytes: int, *, is_late: bool, is_full: bool) -> TokenView:
    """Return one token from its rendering. A long one's middle is collapsed, unless `is_full`."""
    parts = parts_of(rendered)
    unusual = sum(part.unusual for part in parts)
    if is_full or len(rendered) <= TOKEN_LIMIT:
        return TokenView(_shown(parts), (), (), size_bytes, 0, unusual, is_late)
    head, rest = _cut(parts, TOKEN_ENDS)
    middle, tail = _cut(rest, sum(len(part.text) for part in rest) - TOKEN_ENDS)
    middle_bytes = sum(len(part.text.encode("utf-8", "surrogatepass")) for part in middle)
    return TokenView(_shown(head), _shown(middle), _shown(tail), size_bytes, middle_bytes, unusual, is_late)


def _shown(parts: Sequence[Part]) -> tuple[Text, ...]:
    return tuple(Text(part.text, part.unusual) for part in parts)


def _cut(parts: Sequence[Part], length: int) -> tuple[list[Part], list[Part]]:
    """Cut `parts` after about `length` characters, never inside a character that is written out."""
    before: list[Part] = []
    for place, part in enumerate(parts):
        if length <= 0:
            return before, list(parts[place:])
        if len(part.text) > length and not part.unusual:
            rest = [Part(part.text[length:], unusual=False), *parts[place + 1 :]]
            return [*before, Part(part.text[:length], unusual=False)], rest
        before.append(part)
        length -= len(part.text)
    return before, []


def preview(rendering: Sequence[str]) -> tuple[tuple[Text, ...], ...]:
    """Return the beginning of a command for one line of a list: a sign-post, never what is decided on."""
    shown: list[tuple[Text, ...]] = []
    room = PREVIEW_CHARACTERS
    for rendered in rendering[:PREVIEW_TOKENS]:
        parts, rest = _cut(parts_of(rendered), room)
        shown.append((*_shown(parts), *((_MORE,) if rest else ())))
        room -= sum(len(part.text) for part in parts) + 1
        if room <= 0:
            return tuple(shown)
    return (*shown, (_MORE,)) if len(shown) < len(rendering) else tuple(shown)
