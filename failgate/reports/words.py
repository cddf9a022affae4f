"""What a report is found by: the words of its texts, and exact terms. Pure.

A word is a run of letters and digits, in lower case. A term begins with a letter and `_`, which no word has: `c_pytest`
a word of the command (reports of earlier versions have it as a plain word too), `p_…` the workspace, `j_…` the project,
`x_1` the exit code, `a_…` the uploader, `g_…` the group, `k_junit` the source.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Final

from failgate.base.errors import BadInput

MOST_WORDS: Final = 400
LONGEST_WORD: Final = 64
QUERY_WORDS: Final = 16
BEGINNING_LETTERS: Final = 3  # with fewer, half of all words would begin so, and all their reports be read
_SIGNS: Final = 0x2E80  # from here on Unicode has the scripts of East Asia
# What SQLite takes for no letter (`unicode61` of FTS5) parts words here too: a word is one token of it.
_WORD = re.compile(r"[^\W_\u19b0-\u19c0\u19c8\u19c9\u1cf2\u1cf3]+")
# The same of a text that has no other letters, folded by the way, in a tenth of the time.
_FOLDED = bytes(ord(chr(code).lower()) if chr(code).isalnum() else 32 for code in range(128)).ljust(256)


def words_of(text: str) -> list[str]:
    """Return the words of `text`, in its order, each once."""
    if text.isascii():
        found = dict.fromkeys(text.encode().translate(_FOLDED).decode().split())
    else:
        found = dict.fromkeys(_WORD.findall(text.casefold()))
    if max(map(len, found), default=0) > LONGEST_WORD:
        found = dict.fromkeys(word[:LONGEST_WORD] for word in found)
    return list(found)


def asked_words(text: str, member: str) -> list[str]:
    """Return the words that a search names.

    Raises: BadInput (none, or too many of them).
    """
    words = words_of(text)
    if not 0 < len(words) <= QUERY_WORDS:
        raise BadInput(f"`{member}` has 1 to {QUERY_WORDS} words of letters and digits.", hint="Search for a word.")
    return words


def term(kind: str, value: str) -> str:
    """Return the exact term for `value`."""
    if kind in "jv":  # free text: its digest stands for it
        value = hashlib.sha256(value.encode()).hexdigest()[:24]
    return f"{kind}_{value.replace('-', '')}"


def kept(terms: Iterable[str], command: str, *texts: str) -> str:
    """Return the words and terms of a report, parted by spaces, as they are kept.

    A word of the command is kept as that alone: each word that is kept costs as much as a row.
    """
    own = words_of(command)[:MOST_WORDS]
    known = frozenset(own)
    others = [word for word in words_of("\n".join(texts)) if word not in known][: MOST_WORDS - len(own)]
    return " ".join([*terms, *(["c_" + " c_".join(own)] if own else ()), *others])


def sqlite_match(terms: Iterable[str], words: list[str]) -> str:
    """Return the FTS5 query for all of `terms` and `words`; the last word may go on."""
    parts = [f'"{one}"' for one in terms]
    parts += [f'("{word}"{star} OR "c_{word}"{star})' for word, star in _with_ends(words, "*")]
    return " AND ".join(parts)


def postgres_match(terms: Iterable[str], words: list[str]) -> str:
    """Return the text of a `tsquery` for all of `terms` and `words`; the last word may go on."""
    parts = [f"'{one}'" for one in terms]
    parts += [f"('{word}'{star} | 'c_{word}'{star})" for word, star in _with_ends(words, ":*")]
    return " & ".join(parts)


def _with_ends(words: list[str], star: str) -> list[tuple[str, str]]:
    """Return each word with what lets it go on: `star` behind the last one, when it may."""
    return [(word, star if place == len(words) and _may_go_on(words) else "") for place, word in enumerate(words, 1)]


def _may_go_on(words: list[str]) -> bool:
    """Tell whether the last word stands for all that begin with it: of a script with letters, three make a beginning.

    Where a sign is a syllable or a word (Chinese, Japanese, Korean) one is enough.
    """
    return bool(words) and (len(words[-1]) >= BEGINNING_LETTERS or ord(max(words[-1])) >= _SIGNS)
