"""A workspace whose log is written line by line, with people and agents that have names."""

import csv
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from failgate.audit.bundle import Head, Period
from failgate.audit.log import AuditLog
from failgate.audit.record import SYSTEM, Act, Actor, Event
from failgate.base.clock import FrozenClock
from failgate.base.db import Database
from failgate.base.ids import new_id
from failgate.evidence.exports import head_of
from failgate.evidence.packs import Making, Place, make, pack_of

WS = "0197f0c2-0000-7000-8000-000000000001"
OTHER = "0197f0c2-0000-7000-8000-000000000002"
PLACE = Place("acme", "Acme")
DIGEST, POLICY = "d" * 43, "-" + "p" * 42
SERVER = Actor("system", "failgate")


@dataclass(frozen=True)
class Person:
    """Somebody with an account, and the session in which they work."""

    id: str
    email: str
    session: str

    def by(self, *auth: str) -> Actor:
        """Return them as an actor who is signed in by `auth`."""
        return Actor("user", self.id, auth, self.session)


class Office:
    """Writes the log of one workspace and makes packs of it."""

    def __init__(self, database: Database, audit: AuditLog, clock: FrozenClock, folder: Path) -> None:
        self.database, self.audit, self.clock, self.folder = database, audit, clock, folder

    async def say(
        self,
        act: Act,
        obj_t: str,
        obj_id: str,
        actor: Actor,
        data: dict[str, Any] | None = None,
        *,
        log: str = WS,
        after: float = 1,
    ) -> int:
        """Write a record `after` seconds and return its number."""
        self.clock.advance(after)
        await self.audit.record(Event(act, log, obj_t, obj_id, actor, data or {}))
        return await self.audit.size(log) - 1

    async def person(self, email: str, role: str = "reviewer", *, by: Actor = Actor("operator", "host")) -> Person:
        """Make an account and let it in."""
        one = Person(new_id(), email, new_id()[:16])
        await self.account(one)
        await self.say(Act.MEMBER_ADDED, "account", one.id, by, {"role": role})
        return one

    async def account(self, one: Person) -> None:
        """Make an account that is in no workspace."""
        query = "INSERT INTO account (id, email, is_platform_admin, created_us) VALUES ($1, $2, 0, 0)"
        await self.database.write(lambda tx: tx.execute(query, one.id, one.email))

    async def agent(self, name: str, owner: Person) -> Actor:
        """Make an agent of the workspace."""
        key = new_id()

        async def verb(tx: Any) -> None:
            slug = "INSERT INTO workspace (id, slug, name, created_us) VALUES ($1, 'acme', 'Acme', 0)"
            await tx.execute(f"{slug} ON CONFLICT (id) DO NOTHING", WS)
            query = (
                "INSERT INTO agent (id, workspace_id, name, owner_account_id, created_us) VALUES ($1, $2, $3, $4, 0)"
            )
            await tx.execute(query, key, WS, name, owner.id)

        await self.database.write(verb)
        await self.say(Act.AGENT_CREATED, "agent", key, owner.by("pwd"), {"owner": owner.id})
        return Actor("agent", key, ("token",))

    async def sign_in(self, who: Person, *auth: str) -> int:
        """Open the session of somebody, in the log `system`."""
        return await self.say(Act.SESSION_OPENED, "session", f"s-{who.session}", who.by(*auth), log=SYSTEM)

    async def prove(self, who: Person, *auth: str, method: str = "otp") -> int:
        """Show a second factor in the session of somebody."""
        data = {"method": method}
        act = Act.SESSION_SECOND_FACTOR_PROVEN
        return await self.say(act, "session", f"s-{who.session}", who.by(*auth), data, log=SYSTEM)

    async def ask(self, command: str, agent: Actor, owner: Person, need: int = 1) -> int:
        """Ask for a command that waits for people."""
        data = {
            "digest": DIGEST, "expires_us": 1, "need": need, "requester": owner.id, "excluded": [owner.id],
            "policy": POLICY, "state": "pending",
        }  # fmt: skip
        return await self.say(Act.COMMAND_CREATED, "command", command, agent, data)

    async def vote(self, command: str, who: Person, decision: str = "approve", *auth: str, after: float = 1) -> int:
        """Vote on a command."""
        by, data = who.by(*(auth or ("pwd", "otp"))), {"digest": DIGEST, "decision": decision}
        return await self.say(Act.VOTE_CAST, "command", command, by, data, after=after)

    async def end(self, act: Act, command: str, who: Actor = SERVER, **data: Any) -> int:
        """Let something happen to a command."""
        return await self.say(act, "command", command, who, data)

    async def heads(self) -> tuple[Head, Head]:
        return await head_of(self.audit, WS), await head_of(self.audit, SYSTEM)

    async def pack(self, name: str, period: Period | None = None, place: Place = PLACE) -> "Taken":
        """Make a pack and open it."""
        making = Making(self.database, self.audit, self.folder, "failgate test")
        heads, made_us = await self.heads(), self.clock.now_us()
        pieces = await make(making, pack_of(name), place, heads, period or Period(), made_us)
        return Taken(b"".join([piece async for piece in pieces]))


class Taken:
    """A pack as it was taken along."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            read = ((one.name, archive.extractfile(one)) for one in archive if one.isfile())
            self.files = {name: file.read() for name, file in read if file is not None}
        self.manifest = json.loads(self.files["manifest.json"])

    def lines(self, section: str) -> list[dict[str, str]]:
        """Return the lines of a section by the names of their columns."""
        text = self.files[f"{section}.csv"].decode()
        assert "\n" not in text.replace("\r\n", "")
        return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))

    @property
    def html(self) -> str:
        [name] = [name for name in self.files if name.endswith(".html")]
        return self.files[name].decode()

    def save(self, path: Path) -> Path:
        path.write_bytes(self.content)
        return path
