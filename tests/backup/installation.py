"""An installation with people, rules and reports, a backup of it, and a place to restore into."""

import contextlib
import hashlib
import io
import tarfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from failgate.access.principal import Principal
from failgate.audit.verification import Verification, verify_logs
from failgate.backup.archive import read_manifest
from failgate.backup.making import Made, Wishes, make_backup
from failgate.backup.manifest import MANIFEST, Manifest, Member
from failgate.backup.restoring import Restored, Terms, restore_backup
from failgate.base.clock import FrozenClock
from failgate.config.model import Config, KeysSection
from failgate.roster import Services
from tests.workspaces.closing import OPERATOR, RULE, House, config_at, furnished, opened


def told(_step: str) -> None:
    """Say nothing of the progress."""


@dataclass
class Place:
    """A data folder and its database."""

    folder: Path
    url: str
    keys: KeysSection = field(default_factory=KeysSection)

    @property
    def config(self) -> Config:
        self.folder.mkdir(exist_ok=True)
        return replace(config_at(self.folder, self.url), keys=self.keys)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @contextlib.asynccontextmanager
    async def opened(self, clock: FrozenClock | None = None) -> AsyncIterator[Services]:
        async with opened(self.folder, self.url, clock) as services:
            yield services

    async def restore(self, file: Path, **terms: Any) -> Restored:
        return await restore_backup(self.config, self.data, file, Terms(**terms), clock=FrozenClock(), tell=told)

    async def verified(self, services: Services, **options: Any) -> Verification:
        return await verify_logs(services.db, self.data, **options)

    def is_untouched(self) -> bool:
        """Tell whether nothing of a restore is there: at most the lock of who tried."""
        return not self.data.exists() or {each.name for each in self.data.iterdir()} <= {
            "server.lock", "failgate.sqlite.lock",
        }  # fmt: skip


@dataclass
class Installation:
    place: Place
    house: House
    report: str

    @property
    def services(self) -> Services:
        return self.house.services

    async def back_up(self, file: Path, **wishes: Any) -> Made:
        return await make_backup(
            self.place.config, self.place.data, file, Wishes(**wishes),
            store=self.services.plugins.artifact_store, clock=self.house.clock, tell=told,
        )  # fmt: skip


CONTENT = b"FAILED tests/test_till.py::test_sum\n" * 64


@contextlib.asynccontextmanager
async def installed(place: Place, clock: FrozenClock) -> AsyncIterator[Installation]:
    async with place.opened(clock) as services:
        house = await furnished(services, clock)
        await services.rules.create(OPERATOR, house.acme, RULE)
        report = await house.report(house.acme, house.ann, CONTENT)
        for log in ("system", house.acme, house.other):  # as `failgate backup` asks the server to
            await services.audit.checkpoint(log)
        yield Installation(place, house, report)


async def content_of(services: Services, workspace_id: str, content: bytes = CONTENT) -> bytes:
    sha256 = hashlib.sha256(content).hexdigest()
    return b"".join([piece async for piece in services.artifacts.open(workspace_id, sha256)])


def anybody(account_id: str) -> Principal:
    return Principal(kind="user", account_id=account_id, auth=("pwd", "otp"), label="somebody", second_factor_us=1)


def rewritten(file: Path, target: Path, change: Callable[[dict[str, bytes]], None], *, is_honest: bool = True) -> Path:
    """Write `file` again with changed members; `is_honest` counts their digests anew, as who forges it would."""
    with tarfile.open(file) as archive:
        members = {one.name: archive.extractfile(one).read() for one in archive}
    manifest = msgspec.json.decode(members.pop(MANIFEST), type=Manifest)
    change(members)
    if is_honest:
        first = next(iter(members))
        named = [
            Member(name, len(octets), hashlib.sha256(octets).hexdigest())
            for name, octets in sorted(members.items())
            if name != first
        ]
        manifest = msgspec.structs.replace(manifest, members=named)
    with tarfile.open(target, "w") as archive:
        for name, octets in {**members, MANIFEST: manifest.octets}.items():
            info = tarfile.TarInfo(name)
            info.size = len(octets)
            archive.addfile(info, io.BytesIO(octets))
    return target


__all__ = ["CONTENT", "Installation", "Place", "anybody", "content_of", "installed", "read_manifest", "rewritten"]
