"""The command as it was sent: parsed, measured, digested. Pure: no clock, no database, no policy.

The digest covers the raw object, member by member, so that what the agent sent, what the reviewer saw and what is
executed are the same bytes (promise P4).
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from failgate.base.canonical import base64url
from failgate.base.errors import TooLarge, Unprocessable
from failgate.wire.gate import Command, FoundProgram

MAX_TOKENS = 4096
MAX_ARGV_BYTES = 64 * 1024  # UTF-8 bytes of all arguments together, unless the operator says otherwise
MAX_REST_BYTES = 128 * 1024  # canonical bytes of everything else
LONGEST_ESCAPE = 6  # bytes of JSON for one byte of an argument
MAX_ENV_ENTRIES = 512
MAX_PROGRAMS = 64  # names of a line whose files are told
SMALL_BYTES = 7 * MAX_ENV_ENTRIES  # no member of so small a command is too many or too long: an entry has 7 at least
MAX_REASON_CHARACTERS = 4096
MIN_TTL_SECONDS = 1
MAX_TTL_SECONDS = 86_400

_encode = msgspec.json.Encoder(order="deterministic").encode
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_UMASK = re.compile(r"0[0-7]{3}", re.ASCII)
_HOST = re.compile(r"[\x21-\x7e]{1,253}", re.ASCII)
_SHA256_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")  # NUL ends a C string early; a lone surrogate has no UTF-8


class ParsedCommand(msgspec.Struct, frozen=True, gc=False):
    """A valid command with its canonical text (`body`) and that text's digest."""

    command: Command
    body: str
    digest: str


def parse_command(raw: dict[str, Any], argv_bytes: int = MAX_ARGV_BYTES) -> ParsedCommand:
    """Return `raw` as a valid command with its canonical text and digest; its arguments have at most `argv_bytes`.

    The digest is base64url(SHA-256(RFC 8785 bytes of `raw`)), unpadded.

    Raises: Unprocessable (a member is missing, unknown or cannot be executed), TooLarge (naming the limit).
    Source: RFC 8785; CONTRACT `POST commands`.
    """
    try:
        command = msgspec.convert(raw, Command, strict=True)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise Unprocessable(
            f"The command is not usable: {_pointed(error)}.", hint="See `command` in the API description."
        ) from error
    octets = _canonical(raw)
    if octets is not None and len(octets) <= min(SMALL_BYTES, argv_bytes) and _is_inert(octets):
        _check_small(command)
        return ParsedCommand(command, octets.decode(), digest_of_body(octets))
    check_argv(command.argv, argv_bytes)
    _check_env(command.env)
    _check_rest(command)
    assert octets is not None  # each of its texts was checked
    limit_bytes = MAX_REST_BYTES + LONGEST_ESCAPE * argv_bytes
    if len(octets) > limit_bytes:
        raise TooLarge(
            f"The command has {len(octets)} bytes; the limit is {limit_bytes}.",
            hint="Send fewer environment variables.",
            limit_bytes=limit_bytes,
        )
    return ParsedCommand(command, octets.decode(), digest_of_body(octets))


def _canonical(raw: dict[str, Any]) -> bytes | None:
    """Return the RFC 8785 bytes of a command whose members were converted: its integers are exact, its names ASCII.

    Of one that holds half a character there are none.
    """
    try:
        return _encode(raw)
    except UnicodeEncodeError:
        return None


def _is_inert(octets: bytes) -> bool:
    """Tell whether no text in these bytes of JSON can hold NUL or anything beyond ASCII."""
    return octets.isascii() and b"\\u0000" not in octets


def _check_small(command: Command) -> None:
    """Check what neither the size of a command nor its bytes rule out."""
    if not command.argv or not command.argv[0]:
        check_argv(command.argv)
    if not all(map(str.isidentifier, command.env)):
        _check_env(command.env)
    check_text("home", command.home)
    _check_places(command)


def digest_of_body(octets: bytes) -> str:
    """Return base64url(SHA-256(`octets`)) without padding, where `octets` are canonical already."""
    return base64url(hashlib.sha256(octets).digest())


def stored_command(body: str) -> Command:
    """Return the command whose canonical text is `body`.

    Raises: Unprocessable when it is none.
    """
    try:
        return msgspec.json.decode(body, type=Command)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise Unprocessable(f"The stored command cannot be read: {error}.") from error


def check_ttl(ttl_seconds: int) -> None:
    """Accept a time to live between 1 second and 24 hours.

    Raises: Unprocessable naming the range.
    """
    if not MIN_TTL_SECONDS <= ttl_seconds <= MAX_TTL_SECONDS:
        raise Unprocessable(
            f"ttl_seconds is {ttl_seconds}; it has to lie between {MIN_TTL_SECONDS} and {MAX_TTL_SECONDS}.",
            hint="Ask for at most 24 hours.",
        )


def check_text(name: str, text: str | None, limit: int = MAX_REASON_CHARACTERS) -> None:
    """Accept a text of a person or an agent that is stored beside the command (`reason`, `note`).

    Raises: Unprocessable (NUL or a lone surrogate), TooLarge (naming the limit).
    """
    if text is None:
        return
    if len(text) > limit:
        raise TooLarge(
            f"{name} has {len(text)} characters; the limit is {limit}.", hint="Shorten it.", limit_characters=limit
        )
    _refuse_unusable(name, text)


def check_argv(argv: list[str], limit_bytes: int = MAX_ARGV_BYTES) -> None:
    """Accept an argument list that could be executed; also what an exact rule may hold.

    Raises: Unprocessable (empty, NUL, lone surrogate), TooLarge (naming the limit).
    """
    if not argv:
        raise Unprocessable("argv is empty.", hint="Send at least the program.")
    if len(argv) > MAX_TOKENS:
        raise TooLarge(
            f"argv has {len(argv)} arguments; the limit is {MAX_TOKENS}.",
            hint="Put long lists into a file.",
            limit_arguments=MAX_TOKENS,
        )
    if not argv[0]:
        raise Unprocessable("argv[0] is empty.", hint="Name the program to execute.")
    joined = "".join(argv)
    if not _is_plain(joined):
        for place, token in enumerate(argv):
            _refuse_unusable(f"argv[{place}]", token)
    if len(joined) * 4 > limit_bytes:
        size = len(joined.encode())
        if size > limit_bytes:
            raise TooLarge(
                f"argv has {size} bytes; the limit is {limit_bytes}.",
                hint="Pass large content by a file or by standard input.",
                limit_bytes=limit_bytes,
            )


def _check_env(env: dict[str, str]) -> None:
    if len(env) > MAX_ENV_ENTRIES:
        raise TooLarge(
            f"env has {len(env)} entries; the limit is {MAX_ENV_ENTRIES}.",
            hint="Send only the variables that the command needs.",
            limit_entries=MAX_ENV_ENTRIES,
        )
    # An ASCII identifier of Python is a name as POSIX writes it: most environments need no look at each entry.
    if "".join(env).isascii() and all(map(str.isidentifier, env)) and _is_plain("".join(env.values())):
        return
    for name, value in env.items():
        if not _ENV_NAME.fullmatch(name):
            raise Unprocessable(
                f"env has an entry named {name[:80]!a}, which is no name of an environment variable.",
                hint="Names are letters, digits and underscores, and do not begin with a digit.",
            )
        _refuse_unusable(f"env[{name[:80]}]", value)


def _check_rest(command: Command) -> None:
    check_text("cwd", command.cwd)
    check_text("cwd_dev_ino", command.cwd_dev_ino)
    check_text("nonce", command.nonce)
    if command.exe is not None:
        check_text("exe.path", command.exe.path)
        check_text("exe.interpreter", command.exe.interpreter)
    for name in command.programs or {}:
        check_text("programs", name)
    for where, found in _told_files(command):
        check_text(f"{where}.path", found.path)
        check_text(f"{where}.interpreter", found.interpreter)
    _check_places(command)


def _check_places(command: Command) -> None:
    if not command.cwd.startswith("/"):
        raise Unprocessable(f"cwd is {command.cwd[:80]!a}, which is not absolute.", hint="Send the real path from /.")
    if command.home is not None and not command.home.startswith("/"):
        raise Unprocessable(f"home is {command.home[:80]!a}, which is not absolute.", hint="Send the path from /.")
    if not _HOST.fullmatch(command.host):
        raise Unprocessable("host is not a host name.", hint="Send 1 to 253 printable ASCII characters.")
    if command.exe is not None:
        _check_sha256("exe.sha256", command.exe.sha256)
        if command.exe.interpreter_sha256 is not None:
            _check_sha256("exe.interpreter_sha256", command.exe.interpreter_sha256)
    if command.programs or command.script is not None:
        _check_files(command)
    if command.stdin_sha256 is not None:
        _check_sha256("stdin_sha256", command.stdin_sha256)
    _check_identity(command)


def _check_identity(command: Command) -> None:
    if command.uid is not None:
        _check_number("uid", command.uid)
    if command.gid is not None:
        _check_number("gid", command.gid)
    if command.umask is not None and not _UMASK.fullmatch(command.umask):
        raise Unprocessable("umask is not four octal digits.", hint="Send it as 0022.")


def _check_number(name: str, number: int) -> None:
    if not 0 <= number < 2**32:
        raise Unprocessable(f"{name} is {number}, which is no id.", hint="Send the numeric id.")


def _told_files(command: Command) -> Iterator[tuple[str, FoundProgram]]:
    """Give the files that are told beside the program, each with the name of its member."""
    for name, found in (command.programs or {}).items():
        yield f"programs[{name[:80]!a}]", found
    if command.script is not None:
        yield "script", command.script


def _check_files(command: Command) -> None:
    programs = command.programs or {}
    if len(programs) > MAX_PROGRAMS:
        raise TooLarge(
            f"programs has {len(programs)} entries; the limit is {MAX_PROGRAMS}.",
            hint="Tell the files of the programs that the line names, no others.",
            limit_entries=MAX_PROGRAMS,
        )
    for where, found in _told_files(command):
        if found.sha256 is not None:
            _check_sha256(f"{where}.sha256", found.sha256)
        if found.interpreter_sha256 is not None:
            _check_sha256(f"{where}.interpreter_sha256", found.interpreter_sha256)
    if command.script is not None and command.script.sha256 is None:
        raise Unprocessable(
            "script has no sha256, so nobody could tell its text from another.", hint="Send the file's SHA-256."
        )


def _check_sha256(name: str, text: str) -> None:
    if not _SHA256_HEX.fullmatch(text):
        raise Unprocessable(f"{name} is not a SHA-256.", hint="Send 64 lower-case hexadecimal digits.")


def _is_plain(text: str) -> bool:
    return text.isascii() and "\0" not in text


def _refuse_unusable(name: str, text: str) -> None:
    if _is_plain(text):
        return
    found = _UNUSABLE.search(text)
    if found is None:
        return
    what = "NUL" if found[0] == "\0" else f"the lone surrogate U+{ord(found[0]):04X}"
    raise Unprocessable(
        f"{name} holds {what} at character {found.start()}, which cannot be executed.",
        hint="Send the argument as it would reach execve(2), as UTF-8.",
    )


def _pointed(error: msgspec.ValidationError | UnicodeEncodeError) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "the name of a member holds a lone surrogate"
    text = str(error).replace("`$.", "`").replace("`$`", "`command`")
    return text[:300].encode("ascii", "backslashreplace").decode()
