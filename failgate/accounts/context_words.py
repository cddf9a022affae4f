"""Words that lie at hand for whoever guesses a password here: product, server, company, workspace, the person.

A password may hold them; it may not be made of them. The operator names more of them (`[accounts] refused_words`).
`docs/sign-in.md` lists where they come from.

Source: NIST SP 800-63B-4 section 3.1.1.2; ASVS 5.0 6.1.2 and 6.2.11.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

from failgate.base.db import Database

PRODUCT: Final = "failgate"
SHORTEST: Final = 3  # characters of a word; shorter ones stand in words that have nothing to do with them
LEAST_REST: Final = 8  # letters and digits that remain of a password without these words
_BETWEEN: Final = re.compile(r"[\W_]+")
# A look over to the neighbouring room: how the person's workspaces are called.
_OF_ACCOUNT: Final = """
SELECT workspace.slug, workspace.name FROM workspace JOIN membership ON membership.workspace_id = workspace.id
WHERE membership.account_id = $1 ORDER BY workspace.id LIMIT 200
"""
_OF_WORKSPACE: Final = "SELECT slug, name FROM workspace WHERE id = $1"


def words_of(names: Iterable[str]) -> frozenset[str]:
    """Return each of `names` whole, run together, and its parts, case-folded, where they are long enough."""
    found: set[str] = set()
    for name in names:
        folded = name.casefold()
        found |= {folded, _BETWEEN.sub("", folded), *_BETWEEN.split(folded)}
    return frozenset(word for word in found if len(word) >= SHORTEST)


def words_of_address(email: str) -> frozenset[str]:
    """Return the words of an e-mail address: whole, name, domain, and the parts of both."""
    return words_of([email, *email.split("@")])


def without(folded: str, words: Collection[str]) -> str | None:
    """Return the letters and digits of `folded` that belong to none of `words`; None when it holds none of them."""
    rest = folded
    for word in sorted(words, key=lambda word: (-len(word), word)):
        rest = rest.replace(word, " ")
    return None if rest == folded else _BETWEEN.sub("", rest)


class ContextWords:
    """The words of this server, and of who is in which workspace."""

    def __init__(self, database: Database, base_url: str, refused: Sequence[str] = ()) -> None:
        """Take the host from `base_url`; `refused` are the operator's own words."""
        self._database = database
        self._here = words_of([PRODUCT, urlsplit(base_url).hostname or "", *refused])

    async def of(
        self, *, account_id: str | None = None, workspace_id: str | None = None, names: Iterable[str] = ()
    ) -> frozenset[str]:
        """Return the words of this server, of the account's workspaces, of that workspace, and of `names`."""
        rows = []
        if account_id is not None:
            rows += await self._database.fetch(_OF_ACCOUNT, account_id)
        if workspace_id is not None:
            rows += await self._database.fetch(_OF_WORKSPACE, workspace_id)
        return self._here | words_of([*names, *(row[key] for row in rows for key in ("slug", "name"))])
