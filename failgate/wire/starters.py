"""Programs that do nothing but start another one, and a shell whose line is one simple command: what runs in the end.

A client digests what runs in the end, and a server says of which calls nobody did: both read the words here, so that
they mean the same. Whatever is not plain to the last character is not read, and that is said.
Sources: env(1), nice(1), nohup(1), stdbuf(1), timeout(1) of coreutils, setsid(1) of util-linux; POSIX XCU 2.2.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from collections.abc import Sequence

    _Options = tuple[str, str, frozenset[str], frozenset[str], int]

MOST_LEVELS = 8  # programs that start one another
_FOLDERS = ("", "/usr/bin/", "/bin/")  # of the installed ones
_INSPECTED_SHELLS = ("sh", "bash", "dash")
# By name: letters without a value, letters with one, whole options without a value, whole options with one, and how
# many words stand between the options and the program.
_OPTIONS: dict[str, _Options] = {
    "env": ("iv", "u", frozenset(("ignore-environment", "debug")), frozenset(("unset",)), 0),
    "nice": ("", "n", frozenset(), frozenset(("adjustment",)), 0),
    "nohup": ("", "", frozenset(), frozenset(), 0),
    "setsid": ("cfw", "", frozenset(("ctty", "fork", "wait")), frozenset(), 0),
    "stdbuf": ("", "ioe", frozenset(), frozenset(("input", "output", "error")), 0),
    "timeout": (
        "v", "ks", frozenset(("foreground", "preserve-status", "verbose")), frozenset(("kill-after", "signal")), 1,
    ),
}  # fmt: skip
_TELLING = ("--version", "--help")
OPAQUE = frozenset(
    (  # noqa: SIM905  # a word a line hides the list
        "busybox chroot chrt doas fakeroot flock ionice ltrace nsenter parallel pkexec run0 runuser script setarch "
        "setpriv strace su sudo systemd-run taskset time unshare watch xargs"
    ).split()
)
"""Programs that start another one as well, by rules that are not read here."""
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:,@%+=-")
_NOT_IN_DOUBLE = frozenset('$`\\!"')


def installed_name(word: str) -> str:
    """Return the name of the installed program that `word` means, an empty text for a file of somebody's own."""
    folder, slash, name = word.rpartition("/")
    return name if folder + slash in _FOLDERS else ""


def chain_of(argv: Sequence[str]) -> tuple[list[list[str]], bool]:
    """Return the words of each program that `argv` leads to, itself first, and whether the last one starts no other.

    False: it does, and nobody can say which from its words.
    """
    levels = [list(argv)]
    while len(levels) <= MOST_LEVELS:
        further = started_by(levels[-1])
        if further is None:
            line = line_for_shell(levels[-1])
            further = None if line is None else simple_line(line)
            if further is None:
                return levels, True
        if not further:
            return levels, False
        levels.append(further)
    return levels, False


def started_by(argv: Sequence[str]) -> list[str] | None:
    """Return the words of the program that `argv` starts for us; None: it is none that does, empty: nobody can say."""
    name = installed_name(argv[0])
    known = _OPTIONS.get(name)
    if known is None or (len(argv) == 2 and argv[1] in _TELLING):
        return None
    if len(argv) == 1 and name != "timeout":
        return None  # it tells something, or complains
    rest = _without_options(name, list(argv[1:]), known)
    if rest is None:
        return []
    is_bare, words = rest
    words = words[known[4] :]
    if name == "env":
        while words and "=" in words[0]:
            is_bare = is_bare or words[0].startswith("PATH=")
            words = words[1:]
        if is_bare and words and "/" not in words[0]:
            return []  # it is looked for along another search path
    return words


def _without_options(name: str, words: list[str], options: _Options) -> tuple[bool, list[str]] | None:
    """Return whether the environment or the search path was taken, and the words behind the options.

    None for an option that is unknown here.
    """
    is_bare = False
    while words and words[0][:1] == "-":
        word = words.pop(0)
        if word == "--":
            break
        if name == "nice" and word[1:].isdecimal():
            continue
        if name == "env" and word == "-":
            is_bare = True
            continue
        read = _long(word[2:], options) if word.startswith("--") else _short(word[1:], options)
        if read is None:
            return None
        value, is_bare_by = read
        if value is None:
            value = words.pop(0) if words else ""
        is_bare = is_bare or is_bare_by or value == "PATH"
    return is_bare, words


def _long(word: str, options: _Options) -> tuple[str | None, bool] | None:
    """Return the value of a whole option (None: the next word) and whether it empties the environment."""
    _, _, flags, valued, _ = options
    option, has_value, value = word.partition("=")
    if option in valued:
        return (value if has_value else None), False
    if has_value or option not in flags:
        return None
    return "", option == "ignore-environment"


def _short(letters: str, options: _Options) -> tuple[str | None, bool] | None:
    """Return the same of letters that stand together."""
    flags, valued, _, _, _ = options
    rest = letters.lstrip(flags) if flags else letters
    is_bare = "i" in letters[: len(letters) - len(rest)] and "i" in flags
    if not rest:
        return ("", is_bare) if letters else None
    return ((rest[1:] or None), is_bare) if rest[0] in valued else None


def line_for_shell(argv: Sequence[str]) -> str | None:
    """Return the line of `sh -c LINE`, of `bash` and `dash` too, with `-e` and `-u` at most; None for anything else."""
    if installed_name(argv[0]) not in _INSPECTED_SHELLS:
        return None
    rest = list(argv[1:])
    while rest and rest[0] in ("-e", "-u", "-eu", "-ue"):
        rest.pop(0)
    is_line = len(rest) == 2 and rest[0] in ("-c", "-ec", "-uc", "-euc", "-uec")  # the option and the line
    return rest[1] if is_line else None


def simple_line(line: str) -> list[str] | None:
    """Return the words of a line that is one simple command of literal words, quoted or not; None for any other."""
    words: list[str] = []
    word: str | None = None
    at = 0
    while at < len(line):
        sign = line[at]
        at += 1
        if sign in " \t":
            if word is not None:
                words.append(word)
            word = None
            continue
        if sign in _PLAIN:
            word = (word or "") + sign
            continue
        if sign not in "'\"":
            return None
        end = line.find(sign, at)
        text = line[at:end]
        if end < 0 or not (text.isascii() and (text.isprintable() or not text)):
            return None
        if sign == '"' and not _NOT_IN_DOUBLE.isdisjoint(text):
            return None
        word, at = (word or "") + text, end + 1
    if word is not None:
        words.append(word)
    if not words or not words[0] or "=" in words[0]:
        return None
    return words
