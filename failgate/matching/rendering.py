"""What a reviewer sees of a command: injective and inert. Pure.

Injective: two different argument lists never look the same, because every character that is not plainly what it seems
is written out as `⟨U+202E RLO⟩`, and the brackets of that form are themselves written out when they occur. Inert: the
text holds nothing that a terminal or a browser would act on. The allow-list is short on purpose: printable ASCII and
the precomposed Latin letters of European and Vietnamese spelling; `str.isprintable` lets fillers and homoglyphs pass.

Source: SECURITY section 4, "Display spoofing"; Unicode TR 36, TR 39 and TR 55; CVE-2021-42574.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from failgate.matching.shell import Line, inspect_line, line_of

OPEN, CLOSE = "\N{MATHEMATICAL LEFT ANGLE BRACKET}", "\N{MATHEMATICAL RIGHT ANGLE BRACKET}"
EMPTY = f"{OPEN}empty{CLOSE}"
LONG_ARGUMENT = 1000  # characters beyond which a reader loses the end
MANY_ARGUMENTS = 100
LONGEST_RUN = 65_536  # characters that escapes of one token stand for
SPACE_RUN = 3  # as many spaces together are padding, not writing


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a rendered token; `unusual` marks what was written out and should catch the eye."""

    text: str
    unusual: bool


def _is_plain_latin(character: str) -> bool:
    if character in "ÆÐØÞßæðøþĐđĦħŁłŒœŦŧ":
        return True
    base = unicodedata.decomposition(character).partition(" ")[0]
    if not base or base.startswith("<") or not unicodedata.category(character).startswith("L"):
        return False
    root = chr(int(base, 16))
    return (root.isascii() and root.isalpha()) or _is_plain_latin(root)


_LATIN = "".join(
    chr(code)
    for first, last in ((0x00C0, 0x017F), (0x0218, 0x021B), (0x1EA0, 0x1EF9))
    for code in range(first, last + 1)
    if _is_plain_latin(chr(code))
)
_is_ordinary = re.compile(r"[!-~]+(?: {1,2}[!-~]+)*").fullmatch
_PIECE = re.compile(
    rf"(?P<plain>[!-~{_LATIN}]+)"
    r"|(?P<gap>(?<! )(?<!^) {1,2}(?! |\Z))"  # one or two spaces inside a token are how people write
    r"|(?P<odd>.)(?P=odd)*",
    re.DOTALL,
)
_ESCAPE = re.compile(rf"{OPEN}U\+(?P<code>[0-9A-F]{{4,6}})(?: [A-Z0-9 -]+)?(?: x(?P<count>[1-9][0-9]*))?{CLOSE}")

_SHORT_NAMES = {
    0x20: "SPACE",
    0x7F: "DEL",
    0x85: "NEL",
    0xA0: "NBSP",
    0xAD: "SHY",
    0x034F: "CGJ",
    0x061C: "ALM",
    0x200B: "ZWSP",
    0x200C: "ZWNJ",
    0x200D: "ZWJ",
    0x200E: "LRM",
    0x200F: "RLM",
    0x202A: "LRE",
    0x202B: "RLE",
    0x202C: "PDF",
    0x202D: "LRO",
    0x202E: "RLO",
    0x2060: "WJ",
    0x2066: "LRI",
    0x2067: "RLI",
    0x2068: "FSI",
    0x2069: "PDI",
    0xFEFF: "BOM",
} | dict(
    enumerate(
        [
            "NUL",
            "SOH",
            "STX",
            "ETX",
            "EOT",
            "ENQ",
            "ACK",
            "BEL",
            "BS",
            "TAB",
            "LF",
            "VT",
            "FF",
            "CR",
            "SO",
            "SI",
            "DLE",
            "DC1",
            "DC2",
            "DC3",
            "DC4",
            "NAK",
            "SYN",
            "ETB",
            "CAN",
            "EM",
            "SUB",
            "ESC",
            "FS",
            "GS",
            "RS",
            "US",
        ]
    )
)


def render(argv: Sequence[str]) -> list[str]:
    """Return one inert text for each token of `argv`; `unrender` gives `argv` back."""
    return [token if _is_ordinary(token) else "".join(part.text for part in render_token(token)) for token in argv]


def render_token(text: str) -> tuple[Part, ...]:
    """Return one token as parts; those that were written out are marked `unusual`.

    A run of one character is counted: `⟨U+0020 SPACE x40⟩`. Spaces are written out at either end of a token and when
    three or more stand together. The empty token is `⟨empty⟩`. Any text is accepted, lone surrogates too.
    """
    if not text:
        return (Part(EMPTY, unusual=True),)
    if _is_ordinary(text):
        return (Part(text, unusual=False),)
    return tuple(_joined(_pieces(text)))


def _pieces(text: str) -> Iterator[Part]:
    for found in _PIECE.finditer(text):
        odd = found["odd"]
        if odd is None:
            yield Part(found[0], unusual=False)
        else:
            yield Part(_written_out(odd, len(found[0])), unusual=True)


def _joined(parts: Iterable[Part]) -> Iterator[Part]:
    plain: list[str] = []
    for part in parts:
        if part.unusual:
            if plain:
                yield Part("".join(plain), unusual=False)
                plain.clear()
            yield part
        else:
            plain.append(part.text)
    if plain:
        yield Part("".join(plain), unusual=False)


def _written_out(character: str, count: int) -> str:
    name = _name(character)
    times = f" x{count}" if count > 1 else ""
    return f"{OPEN}U+{ord(character):04X}{' ' if name else ''}{name}{times}{CLOSE}"


def _name(character: str) -> str:
    code = ord(character)
    short = _SHORT_NAMES.get(code)
    if short is not None:
        return short
    if 0xFE00 <= code <= 0xFE0F:
        return f"VS{code - 0xFE00 + 1}"
    if 0xE0100 <= code <= 0xE01EF:
        return f"VS{code - 0xE0100 + 17}"
    if 0x80 <= code <= 0x9F:
        return "C1 CONTROL"
    if 0xD800 <= code <= 0xDFFF:
        return "LONE SURROGATE"
    return unicodedata.name(character, "")


def unrender(texts: Sequence[str]) -> list[str]:
    """Return the argument list whose rendering is `texts`: the proof that nothing was lost.

    Raises: ValueError when `texts` is no rendering.
    """
    argv = [_unrender_token(text) for text in texts]
    if render(argv) != list(texts):
        raise ValueError("this is not the rendering of any argument list")
    return argv


def _unrender_token(text: str) -> str:
    if text == EMPTY:
        return ""
    return _ESCAPE.sub(lambda found: chr(int(found["code"], 16)) * int(found["count"] or 1), text)


def read_token(text: str) -> str:
    """Return the token that somebody means who writes `text`, in the way that tokens are rendered or as it is.

    Unlike `unrender` it takes characters as they are that a rendering would write out.

    Raises: ValueError (a bracket that names no character, a run that is longer than any argument).
    """
    if text == EMPTY:
        return ""
    if any(sign in _ESCAPE.sub("", text) for sign in (OPEN, CLOSE)):
        raise ValueError("a bracket stands for no character")
    if sum(int((found["count"] or "1")[:9]) for found in _ESCAPE.finditer(text)) > LONGEST_RUN:
        raise ValueError("so many characters are no argument")
    return _unrender_token(text)


_SHELLS = frozenset({"sh", "ash", "bash", "dash", "zsh", "ksh", "mksh", "fish", "csh", "tcsh", "busybox", "pwsh"})
_SHELL_SCRIPT = re.compile(r"-[A-Za-z]*c[A-Za-z]*|-Command|-EncodedCommand|/c", re.ASCII)
_INTERPRETERS = {
    "python": ("-c", "-"),
    "node": ("-e", "--eval", "-p", "--print"),
    "perl": ("-e", "-E"),
    "ruby": ("-e",),
    "php": ("-r",),
    "lua": ("-e",),
}
_SYSTEM_FOLDERS = frozenset({"", "/bin", "/usr/bin"})
_VERSION_SUFFIX = re.compile(r"[0-9.]+\Z", re.ASCII)
_LOADER_NAMES = re.compile(
    r"LD_.*|DYLD_.*|BASH_ENV|ENV|SHELLOPTS|BASHOPTS|IFS|PYTHON.*|PERL5?(LIB|OPT)|RUBY(OPT|LIB)|NODE_OPTIONS|NODE_PATH"
    r"|GIT_.*|JAVA_TOOL_OPTIONS|PAGER|EDITOR|VISUAL",
    re.ASCII,
)


_OPEN_FOLDERS = re.compile(r"/+(tmp|var/+tmp|dev/+shm)(/.*)?", re.DOTALL)  # everybody may write there


def warnings(argv: Sequence[str], env: Mapping[str, str] | None = None) -> list[str]:
    """Return sentences about what a reader of `argv` could miss; arguments count from 1, the program is argument 1.

    `env` are the variables that are set for the command. A search path is ordinary; one that finds programs where
    anybody could put them is not.
    """
    env = env or {}
    found: list[str] = []
    for place, token in enumerate(argv, 1):
        found.extend(_token_warnings(place, token))
    if len(argv) > MANY_ARGUMENTS:
        found.append(f"{len(argv)} arguments: read to the end")
    found.extend(_script_warnings(argv))
    loaders = sorted(name for name in env if _LOADER_NAMES.fullmatch(name))
    if loaders:
        found.append(f"Sets variables that change what is executed: {', '.join(loaders)}")
    if places := _open_places(env.get("PATH", "/")):
        entries = ", ".join(str(place) for place in places[:3]) + (", …" if len(places) > 3 else "")
        found.append(f"PATH looks for programs in folders that are relative or open to everybody: entry {entries}")
    return found


def _open_places(path: str) -> list[int]:
    """Return which entries of a search path, counted from 1, are empty, relative, or folders that anybody writes to."""
    entries = enumerate(path.split(":"), 1)
    return [
        place
        for place, entry in entries
        if not entry.startswith("/") or "/.." in entry or _OPEN_FOLDERS.fullmatch(entry.replace("/./", "/"))
    ]


def _token_warnings(place: int, token: str) -> Iterator[str]:
    if _is_ordinary(token):
        if len(token) > LONG_ARGUMENT:
            yield f"Very long argument {place}: {len(token)} characters"
        return
    if not token:
        yield f"Empty argument {place}"
    odd = list(dict.fromkeys(found["odd"] for found in _PIECE.finditer(token) if found["odd"] not in {None, " "}))
    hidden = [character for character in odd if _is_hidden(character)]
    foreign = [character for character in odd if character not in hidden]
    if hidden:
        yield f"Hidden character in argument {place}: {_listed(hidden)}"
    if foreign:
        yield f"Unusual character in argument {place}: {_listed(foreign)}"
    if " " * SPACE_RUN in token or token != token.strip(" "):
        yield f"Whitespace padding in argument {place}"
    if len(token) > LONG_ARGUMENT:
        yield f"Very long argument {place}: {len(token)} characters"


def _is_hidden(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "CZM" or character in "\u115f\u1160\u3164\uffa0\u2800"  # fillers that are letters or symbols


def _listed(characters: Sequence[str]) -> str:
    shown = ", ".join(f"U+{ord(character):04X} {_name(character)}".rstrip() for character in characters[:3])
    return f"{shown} and {len(characters) - 3} more" if len(characters) > 3 else shown


def _script_warnings(argv: Sequence[str]) -> Iterator[str]:
    """Say where a program gets a text to execute; not of a line of which it is certain which programs it runs."""
    commands = _inspected(argv)
    if commands is None:
        yield from _texts_to_execute(argv)
    elif any(True for command in commands for _ in _texts_to_execute(command)):
        yield "Inside the line a program gets a text to execute: what that does cannot be inspected"


def _inspected(argv: Sequence[str]) -> list[tuple[str, ...]] | None:
    """Return the commands of the line that `argv` gives to a shell of the system; None where nobody can say them."""
    if not argv or argv[0].rpartition("/")[0] not in _SYSTEM_FOLDERS:  # a file of that name may be anything
        return None
    line = line_of(argv)
    found = inspect_line(line) if isinstance(line, str) else None
    return [one.argv for one in found.commands] if isinstance(found, Line) else None


def _texts_to_execute(argv: Sequence[str]) -> Iterator[str]:
    for place, token in enumerate(argv, 1):
        program = token.rpartition("/")[2].lower().removesuffix(".exe")
        rest = argv[place:]
        if program in _SHELLS:
            script = next((at for at, option in enumerate(rest) if _SHELL_SCRIPT.fullmatch(option)), None)
            if script is not None:
                yield f"Shell script in argument {place + script + 2}: what it does cannot be inspected"
                return
        options = _INTERPRETERS.get(_VERSION_SUFFIX.sub("", program))
        if options and any(option in options for option in rest):
            yield f"Program text for {program}: what it does cannot be inspected"
            return
