"""Which programs a shell line would run, when that can be said for certain. Pure.

A line counts as inspected only where three readings agree: our own, which knows the few lexemes below and nothing
else; the grammar of bash as tree-sitter has it; and `shlex`. Whatever is not literal to the last byte is
uninspectable: expansions, substitutions, globs, assignments, here-documents, functions, loops, `&`, line ends, bytes
outside ASCII. So is a builtin that changes what the shell does. Source: POSIX.1-2017 XCU 2.2 to 2.10.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

MAX_LINE = 4096  # characters; a longer line is uninspectable
MAX_COMMANDS = 50  # simple commands of one line; a line with more is over the limit
INSPECTED_SHELLS: Final = frozenset({"sh", "bash", "dash"})
_OTHER_SHELLS: Final = """
    ash zsh ksh ksh93 mksh oksh lksh yash posh fish csh tcsh rc es elvish xonsh nu pwsh powershell rbash rzsh
    static-sh bash-static
"""
SHELLS: Final = INSPECTED_SHELLS | frozenset(_OTHER_SHELLS.split())

_WORD: Final = (
    r"(?:'[\x20-&(-~]*'"  # single quotes: every printable byte but the quote itself
    r'|"(?:[\x20!#%-\[\]-_a-~]|\\[\x20-~])*"'  # double quotes without $ and `; a backslash with what follows it
    r"|\\[!-~\x20]"
    r"|[A-Za-z0-9_./:,@%+=-]"
    r"|(?<=[A-Za-z0-9_@^~])[~^])+"  # HEAD~3 and HEAD^: at the beginning of a word they would mean something else
)
_LEXEME: Final = re.compile(
    rf"(?P<blank>[ \t]+)|(?P<redirect>[0-2]?>&[12](?![^ \t;|&>])|[0-2]?>{{1,2}}[ \t]*/dev/null(?![^ \t;|&>])"
    rf"|0?<[ \t]*/dev/null(?![^ \t;|&>]))|(?P<word>{_WORD})|(?P<operator>&&|\|\||\||;)",
    re.ASCII,
)
_PIECE: Final = re.compile(r"'([^']*)'|\"((?:[^\"\\]|\\.)*)\"|\\(.)|([^'\"\\]+)")
_IN_QUOTES: Final = re.compile(r"\\([$`\"\\])")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", re.ASCII)

# What the shell itself is told by name. A word of these is no program, wherever a program of that name lies.
_BUILTIN_WORDS: Final = """
    ! . : [ [[ ]] { } alias autoload bg bind break builtin caller case cd command compgen complete compopt continue
    coproc declare dirs disown do done elif else enable esac eval exec exit export false fc fg fi for function
    getopts hash help history if in jobs kill let local logout mapfile newgrp popd printf pushd pwd read readarray
    readonly return select set shift shopt source suspend test then time times trap true type typeset ulimit umask
    unalias unset until wait while echo chdir
"""
_BUILTINS: Final = frozenset(_BUILTIN_WORDS.split())
AS_PROGRAMS: Final = frozenset({"echo", "pwd"})  # they do what the program of their name does
_WITHOUT_EFFECT: Final = frozenset({"true", "false", ":"})
_ENDS: Final = re.compile(r"[0-9]{1,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Simple:
    """A simple command: its words, and the folders that `cd` led to before it, in order."""

    argv: tuple[str, ...]
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """An inspected line: every program that it could run. Which of them run is up to their exit codes."""

    commands: tuple[Simple, ...]


@dataclass(frozen=True, slots=True)
class Uninspectable:
    """A line of which nobody can say what it runs; `is_over_limit` when it has more commands than are looked at."""

    reason: str
    is_over_limit: bool = False


def line_of(argv: Sequence[str]) -> str | Uninspectable | None:
    """Return the line that `argv` gives to a shell; None when it is no shell, or one that gets no line.

    Inspected are `sh -c LINE`, with `bash` or `dash` too, and with `-e` and `-u` before or in it.
    """
    if not argv or (name := argv[0].rpartition("/")[2].removeprefix("-")) not in SHELLS:
        return None
    options = [word for word in argv[1:] if word[:1] in {"-", "+", "/"}]
    if not any("c" in option.lower() for option in options):
        return None
    if name not in INSPECTED_SHELLS:
        return Uninspectable(f"a line for {name}, whose grammar is not known here")
    rest = list(argv[1:])
    while rest and rest[0] in {"-e", "-u", "-eu", "-ue"}:
        rest.pop(0)
    if len(rest) == 2 and rest[0] in {"-c", "-ec", "-uc", "-euc", "-uec"}:  # the option and the line
        return rest[1]
    return Uninspectable("a shell with other options than -c and one line")


@lru_cache(maxsize=1024)
def inspect_line(line: str) -> Line | Uninspectable:
    """Return the simple commands of `line`, or why it cannot be inspected. At most a few milliseconds."""
    if len(line) > MAX_LINE:
        return Uninspectable(f"more than {MAX_LINE} characters")
    lexemes = _lexemes(line)
    if isinstance(lexemes, Uninspectable):
        return lexemes
    groups = _simple_commands(lexemes)
    if isinstance(groups, Uninspectable):
        return groups
    if not _agrees_with_grammar(line, lexemes) or not _agrees_with_shlex(line, lexemes):
        return Uninspectable("two readings of the line differ")
    return _inspected(groups)


@dataclass(frozen=True, slots=True)
class _Lexeme:
    kind: str  # word, operator, redirect
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def _lexemes(line: str) -> list[_Lexeme] | Uninspectable:
    found: list[_Lexeme] = []
    at, is_glued, commands = 0, False, 1
    while at < len(line):
        match = _LEXEME.match(line, at)
        if match is None:
            return Uninspectable(f"not literal at character {at + 1}")
        kind = str(match.lastgroup)
        if kind == "word" and is_glued:
            return Uninspectable(f"not literal at character {at + 1}")
        if kind == "operator":
            commands += 1
            if commands > MAX_COMMANDS:
                return Uninspectable(f"more than {MAX_COMMANDS} commands in one line", is_over_limit=True)
        if kind != "blank":
            found.append(_Lexeme(kind, match[0], at))
        is_glued = kind in {"word", "redirect"}
        at = match.end()
    return found


def _simple_commands(lexemes: Sequence[_Lexeme]) -> list[tuple[str, list[str]]] | Uninspectable:
    """Return the words of each simple command, each with the operator that stands behind it."""
    groups: list[tuple[str, list[str]]] = []
    words: list[str] = []
    for lexeme in lexemes:
        if lexeme.kind == "operator":
            groups.append((lexeme.text, words))
            words = []
        elif lexeme.kind == "word":
            words.append(_unquoted(lexeme.text))
    if words or not groups or groups[-1][0] != ";":
        groups.append(("", words))
    if any(not words for _, words in groups):
        return Uninspectable("a command is missing beside an operator")
    return groups


def _unquoted(word: str) -> str:
    return "".join(
        single or _IN_QUOTES.sub(r"\1", double) or escaped or plain
        for single, double, escaped, plain in _PIECE.findall(word)
    )


def _inspected(groups: Sequence[tuple[str, list[str]]]) -> Line | Uninspectable:
    commands: list[Simple] = []
    folders: list[str] = []
    for place, (_, words) in enumerate(groups):
        name = words[0]
        if name == "cd":
            if (refusal := _refused_cd(groups, place)) is not None:
                return refusal
            folders.append(words[1])
        elif "=" in name or not name:
            return Uninspectable("an assignment, or no name of a program")
        elif name in _BUILTINS and not _is_harmless(words):
            return Uninspectable(f"{name} is told to the shell itself")
        elif name not in _BUILTINS or name in AS_PROGRAMS:
            commands.append(Simple(tuple(words), tuple(folders)))
    if not commands:
        return Uninspectable("it runs no program")
    return Line(tuple(commands))


def _refused_cd(groups: Sequence[tuple[str, list[str]]], place: int) -> Uninspectable | None:
    """Refuse a `cd` after whose failure something of the line would run: in a folder that nobody looked at."""
    operator, words = groups[place]
    is_plain = len(words) == 2 and words[1][:1] not in {"-", ""}  # cd and a folder
    is_in_pipe = operator != "&&" or (place > 0 and groups[place - 1][0] == "|")
    if not is_plain or is_in_pipe or any(other not in {"&&", "|"} for other, _ in groups[:-1]):
        return Uninspectable("cd is followed only as `cd FOLDER && …`, with && alone between commands")
    return None


def _is_harmless(words: Sequence[str]) -> bool:
    """Tell whether a builtin with these words changes nothing and runs nothing."""
    name, rest = words[0], words[1:]
    if name in AS_PROGRAMS or name in _WITHOUT_EFFECT:
        return True
    if name == "exit":
        return len(rest) == 0 or (len(rest) == 1 and _ENDS.fullmatch(rest[0]) is not None)
    if name == "command" and len(rest) == 2 and rest[0] in {"-v", "-V"}:  # an option and a name
        return _NAME.fullmatch(rest[1]) is not None
    return name == "type" and len(rest) == 1 and _NAME.fullmatch(rest[0]) is not None


def _agrees_with_shlex(line: str, lexemes: Sequence[_Lexeme]) -> bool:
    """Tell whether the standard library's reader of words finds the same words and operators."""
    reader = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    reader.whitespace_split, reader.commenters, reader.whitespace = True, "", " \t\r\n"
    try:
        theirs = list(reader)
    except ValueError:
        return False
    ours: list[str] = []
    for lexeme in lexemes:
        if lexeme.kind == "word":
            ours.append(_unquoted(lexeme.text))
        elif lexeme.kind == "operator":
            ours.append(lexeme.text)
        else:
            ours.extend(part for part in re.split(r"([<>&]+)|[ \t]+", lexeme.text) if part)
    return ours == theirs


@lru_cache(maxsize=1)
def _parser() -> "Parser":
    import tree_sitter_bash
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_bash.language()))


_PARTS: Final = frozenset({"program", "list", "pipeline", "redirected_statement"})
_WORDS: Final = frozenset({"word", "number", "string", "raw_string", "concatenation", "command_name"})


def _agrees_with_grammar(line: str, lexemes: Sequence[_Lexeme]) -> bool:
    """Tell whether the grammar of bash finds the same words at the same places, in simple commands and nothing else."""
    root = _parser().parse(line.encode()).root_node
    if root.has_error:
        return False
    theirs = list(_leaves(root))
    ours = [(lexeme.kind, lexeme.start, lexeme.end) for lexeme in lexemes]
    return theirs == ours


def _leaves(node: "Node") -> Iterator[tuple[str, int, int]]:
    """Give words, operators and redirections with their bytes, in order; what is neither is given as itself."""
    for child in node.children:
        if child.type in _PARTS:
            yield from _leaves(child)
        elif child.type == "command":
            yield from (
                ("word" if part.type in _WORDS else part.type, part.start_byte, part.end_byte)
                for part in child.children
            )
        elif child.type == "file_redirect":
            yield ("redirect", child.start_byte, child.end_byte)
        else:
            kind = "operator" if child.type in {"&&", "||", "|", ";"} else child.type
            yield (kind, child.start_byte, child.end_byte)
