"""What a notification is about, read from the tables and made harmless: redacted, inert, short.

Of a command only the program's name is read here unless the workspace lets more out; whatever people or agents wrote
loses its secrets first (by the workspace's own rules too) and is rendered as in the queue then, so that no chat,
terminal or mail program acts on it. Two texts that differ look different, up to what was cut, which shows.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from failgate.base.db import Database
from failgate.base.errors import Unprocessable
from failgate.gate.command import stored_command
from failgate.gate.stored import Stored, load, view_of
from failgate.matching.rendering import render_token
from failgate.redaction import Scanner, redact, redact_arguments, without_secrets
from failgate.wire.gate import State

NAME_CHARACTERS: Final = 80
TOKENS: Final = 40
TOKEN_CHARACTERS: Final = 200
CUT: Final = "…"  # never part of a rendered text: rendering writes it out
ScannerOf = Callable[[str], Awaitable[Scanner]]
_SEALED: Final = (
    "SELECT c.cid, c.commitment, c.expires_us, c.owner_account_id, a.name FROM sealed_command c"
    " LEFT JOIN agent a ON a.workspace_id = c.workspace_id AND a.id = c.agent_id"
    " WHERE c.workspace_id = $1 AND c.cid = $2"
)
_REPORT: Final = (
    "SELECT id, project, title, exit_code, uploader_t, uploader_id, uploader_owner_id, uploader_label, command_id"
    " FROM report WHERE workspace_id = $1 AND id = $2"
)


@dataclass(frozen=True, slots=True)
class CommandFacts:
    """A command as it may be told. `argv` is for workspaces that let arguments out.

    `broken_by` let it run without its quorum, and says why.
    """

    id: str
    digest: str
    state: State
    program: str
    argv: tuple[str, ...]
    agent: str
    host: str
    need: int
    risk: int | None
    expires_us: int
    requester_account_id: str | None
    excluded: frozenset[str]
    broken_by: str = ""
    broken_why: str = ""


@dataclass(frozen=True, slots=True)
class SealedFacts:
    """A sealed command as it may be told: all that the server has of it besides ciphertext."""

    id: str
    digest: str
    agent: str
    expires_us: int
    requester_account_id: str | None
    excluded: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """A report as it may be told. `title` is for workspaces that let arguments out."""

    id: str
    project: str
    title: str
    exit_code: int
    uploader: str
    uploader_account_id: str | None
    command_id: str | None


class Subjects:
    """Reads them."""

    def __init__(self, db: Database, scanner_of: ScannerOf) -> None:
        """Read from `db`; `scanner_of` gives the scanner of a workspace."""
        self._db = db
        self._scanner_of = scanner_of

    async def command(self, workspace_id: str, command_id: str) -> CommandFacts | None:
        """Return what may be told of a command, or None when there is none."""
        stored = await load(self._db, workspace_id, command_id)
        if stored is None:
            return None
        scanner = await self._scanner_of(workspace_id)
        argv = _argv(stored, scanner)
        return CommandFacts(
            id=stored.id,
            digest=stored.digest,
            state=stored.state,
            program=inert(argv[0].rpartition("/")[2] or argv[0], scanner) if argv else "",
            argv=_shown(argv),
            agent=inert(stored.requester_label, scanner),
            host=inert(stored.host, scanner),
            need=stored.need,
            risk=_risk(stored),
            expires_us=stored.expires_us,
            requester_account_id=stored.requester_account_id,
            excluded=frozenset(msgspec.json.decode(stored.excluded, type=list[str])),
            broken_by="" if stored.glass is None else inert(", ".join(view_by(stored)), scanner),
            broken_why="" if stored.glass is None else inert(stored.note or "", scanner, TOKEN_CHARACTERS),
        )

    async def sealed(self, workspace_id: str, cid: str) -> SealedFacts | None:
        """Return what may be told of a sealed command, or None when there is none."""
        row = await self._db.fetch_one(_SEALED, workspace_id, cid)
        if row is None:
            return None
        agent = inert(row["name"] or "", await self._scanner_of(workspace_id))
        return SealedFacts(row["cid"], row["commitment"], agent, row["expires_us"], row["owner_account_id"])

    async def report(self, workspace_id: str, report_id: str) -> ReportFacts | None:
        """Return what may be told of a report, or None when there is none."""
        row = await self._db.fetch_one(_REPORT, workspace_id, report_id)
        if row is None:
            return None
        scanner = await self._scanner_of(workspace_id)
        uploader = row["uploader_id"] if row["uploader_t"] == "user" else row["uploader_owner_id"]
        return ReportFacts(
            id=row["id"],
            project=inert(row["project"], scanner),
            title=inert(row["title"], scanner, TOKEN_CHARACTERS),
            exit_code=row["exit_code"],
            uploader=inert(row["uploader_label"], scanner),
            uploader_account_id=uploader,
            command_id=row["command_id"],
        )


def view_by(stored: Stored) -> list[str]:
    """Return the labels of those who decided."""
    return msgspec.json.decode(stored.decided_by, type=list[str]) if stored.decided_by else []


def inert(text: str, scanner: Scanner, limit: int = NAME_CHARACTERS) -> str:
    """Return `text` without secrets, rendered, at most `limit` characters of it; `…` at the end tells of more."""
    clean = without_secrets(redact(text, scanner).text)
    shown = "".join(part.text for part in render_token(clean[:limit])) if clean else ""
    return shown + CUT if len(clean) > limit else shown


def _shown(argv: Sequence[str]) -> tuple[str, ...]:
    """Return clean arguments as tokens to show; the last one tells how many were left out."""
    shown = [
        "".join(part.text for part in render_token(token[:TOKEN_CHARACTERS]))
        + (CUT if len(token) > TOKEN_CHARACTERS else "")
        for token in argv[:TOKENS]
    ]
    left = len(argv) - TOKENS
    return (*shown, f"{CUT}{left} more") if left > 0 else tuple(shown)


def _argv(stored: Stored, scanner: Scanner) -> list[str]:
    try:
        argv = stored_command(stored.body).argv
    except Unprocessable:  # quarantined for that
        return []
    return [without_secrets(token) for token in redact_arguments(argv, scanner)[0]]


def _risk(stored: Stored) -> int | None:
    try:
        return view_of(stored, stored.created_us).risk.score
    except Unprocessable:
        return None
