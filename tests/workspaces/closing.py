"""Whole services over a database of either engine, with two workspaces, for the tests of their deletion."""

import contextlib
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from failgate_filesystem import FolderStore

from failgate.access.principal import Principal
from failgate.access.role import Role
from failgate.assembly import open_services
from failgate.audit.record import Actor
from failgate.base.canonical import canonical, digest_of
from failgate.base.clock import FrozenClock
from failgate.base.ids import new_id
from failgate.config.load import load_config
from failgate.config.model import Config
from failgate.roster import Services
from failgate.wire.gate import Rule, Submission
from failgate.wire.reports import BeginReport, Consent

OPERATOR = Actor(t="operator", id="host")


def config_at(tmp_path: Path, url: str) -> Config:
    """The config of a server that seals its artifacts and keeps rules."""
    key, config = tmp_path / "artifacts.key", tmp_path / "failgate.toml"
    if not key.exists():
        key.write_text("A" * 43 + "=")
        key.chmod(0o600)
    config.write_text(
        f'[database]\nurl = "{url}"\n[gate]\npolicies = ["quorum", "allowlist"]\n'
        f'[artifacts.encryption]\nkey = {{ file = "{key}" }}\n'
    )
    return load_config(config, {})


@dataclass
class House:
    """Two owners and a developer of `acme`; another workspace `other` with an owner of its own."""

    services: Services
    clock: FrozenClock
    ann: Principal
    bob: Principal
    dev: Principal
    acme: str
    other: str

    @property
    def deletion(self):
        return self.services.deletion

    async def acts(self, log: str) -> list[str]:
        return [one.record["act"] for one in await self.services.audit.records(log, None, 1000)]

    async def last(self, log: str) -> dict[str, Any]:
        return (await self.services.audit.newest(log, limit=1))[0].record

    async def confirmed(self) -> None:
        asked = await self.deletion.ask(self.ann, self.acme, "acme")
        await self.deletion.confirm(self.bob, self.acme, asked.id, "acme")

    def objects(self) -> list[Path]:
        store = self.services.plugins.artifact_store
        assert isinstance(store, FolderStore)
        return [path for path in store.folder.rglob("*") if path.is_file()]

    async def report(self, workspace_id: str, by: Principal, content: bytes) -> str:
        """Keep a sealed report with one artifact."""
        sha256 = hashlib.sha256(content).hexdigest()
        manifest = {
            "v": 1, "id": new_id(), "created_at": "2026-01-02T03:04:05.000000Z", "argv": ["pytest"], "cwd": "/src",
            "host": "build-1", "exit_code": 1, "duration_ms": 12,
            "environment": {"names": [], "values": {}, "platform": "Linux"}, "redactions": [], "redaction_rules": "1",
            "artifacts": [
                {"name": "output.txt", "kind": "output", "media_type": "text/plain", "size_bytes": len(content),
                 "sha256": sha256}
            ],
        }  # fmt: skip
        digest = hashlib.sha256(canonical(manifest)).hexdigest()
        consent = Consent(manifest_sha256=digest, by="person", at="2026-01-02T03:04:06Z")
        begun = await self.services.reports.begin(by, workspace_id, BeginReport(manifest=manifest, consent=consent))

        async def stream() -> AsyncIterator[bytes]:
            yield content

        await self.services.reports.put_artifact(by, workspace_id, begun.id, sha256, stream())
        await self.services.reports.seal(by, workspace_id, begun.id)
        return begun.id


def person(account_id: str) -> Principal:
    return Principal(kind="user", account_id=account_id, auth=("pwd", "otp"), label="somebody", second_factor_us=1)


def submission() -> Submission:
    body = {"v": 1, "argv": ["/usr/bin/rm", "x"], "cwd": "/src", "env": {}, "host": "builder", "nonce": new_id()}
    return Submission(command=body, digest=digest_of(body))


RULE = Rule(kind="exact", effect="allow", argv=["/usr/bin/make", "secret-target"])


@contextlib.asynccontextmanager
async def opened(tmp_path: Path, url: str, clock: FrozenClock | None = None) -> AsyncIterator[Services]:
    """The services, with their background stopped: a test empties when it wants to."""
    config = config_at(tmp_path, url)
    async with open_services(config, tmp_path / "data", is_serving=False, clock=clock) as services:
        await services.rules.check()
        yield services


async def furnished(services: Services, clock: FrozenClock) -> House:
    """Make the people and the two workspaces."""
    ids: list[str] = []
    for name in ("ann", "bob", "dev", "eve"):
        made = await services.db.write(
            lambda tx, name=name: services.accounts.create_within(tx, f"{name}@acme.example", "no hash", OPERATOR)
        )
        ids.append(made.id)
    ann, bob, dev, eve = ids
    acme = await services.workspaces.create("acme", "Acme", ann, OPERATOR)
    other = await services.workspaces.create("other", "Other", eve, OPERATOR)
    await services.workspaces.add_member(acme.id, bob, Role.OWNER, OPERATOR)
    await services.workspaces.add_member(acme.id, dev, Role.DEVELOPER, OPERATOR)
    return House(services, clock, person(ann), person(bob), person(dev), acme.id, other.id)
