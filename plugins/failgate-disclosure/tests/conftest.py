"""A desk as its doors show it: a report comes in by the form, and people of the platform role work on it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from failgate_disclosure import plugin

from failgate.base.clock import FrozenClock
from failgate.plugin import Actor, Answered, Asked, PlatformPerson
from failgate.testing import host_at, opened, settings_from

SETTINGS = """contacts = ["mailto:security@acme.example"]
expires = 2027-05-01
changed = 2026-11-20
per_address = 1000
per_hour = 1000
"""
URL = 'url = "https://desk.acme.example"\npublisher = "Acme"\n'
ANN = Actor("user", "ann", ("pwd", "otp"))
WRITTEN = {
    "title": "A share link opens twice",
    "affected": "/s/{share}",
    "steps": "1. Open it twice.",
    "actual": "It opens.",
    "credit": "Ada",
}

VECTOR = "CVSS:4.0/AV:N/AC:L/AT:N/PR:L/UI:N/VC:H/VI:N/VA:N/SC:N/SI:N/SA:N"
WHOLE = {
    "tracking_id": "ACME-2026-0001",
    "title": "A share link opens twice",
    "summary": "Whoever has a link that was used reads the report again.",
    "description": "The link was marked as used too late.\r\n\r\nTwo requests at once both passed.",
    "cwe": "CWE-362",
    "cve": "",
    "language": "en",
    "products.0.vendor": "Acme",
    "products.0.name": "Gate",
    "products.0.scheme": "pypi",
    "products.0.purl": "pkg:pypi/gate",
    "products.0.affected": ">=1.0.0 <1.4.2\r\n2.0.0",
    "products.0.fixed": "1.4.2\r\n2.0.1",
    "remediations.0.kind": "vendor_fix",
    "remediations.0.details": "Install 1.4.2.",
    "remediations.0.url": "https://acme.example/download",
    "references.0.summary": "The change",
    "references.0.url": "https://acme.example/changes/17",
    "credits.0.name": "Ada",
    "timeline.0.at": "2026-11-01",
    "timeline.0.what": "Reported.",
}


class House:
    """An opened desk, its clock, and what it put on record: act, subject, state."""

    here, vector, whole = "/platform/x/disclosure", VECTOR, WHOLE

    def __init__(self, doors: Any, clock: FrozenClock, recorded: list[tuple[str, str, str | None]]) -> None:
        self.doors = {door.name: door for door in doors}
        self.clock, self.recorded = clock, recorded

    async def ask(self, name: str, identity: str = "", email: str = "ann@acme.example", **form: str) -> Answered:
        return await self.send(name, {"id": identity}, form, email)

    async def send(
        self, name: str, path: dict[str, str], form: dict[str, str], email: str = "ann@acme.example"
    ) -> Answered:
        return await self.doors[name].handler(Asked(self.here, ANN, path, form, "192.0.2.1", email=email))

    async def report(self, **written: str) -> str:
        """Report something; return its id."""
        known = {line.id for line in (await self.view("queue")).lines}
        stamp = (await self.view("form")).stamp
        self.clock.advance(10)
        await self.ask("send", **{"stamp": stamp, **WRITTEN, **written})
        [identity] = {line.id for line in (await self.view("queue")).lines} - known
        self.recorded.clear()
        return identity

    async def view(self, name: str, identity: str = "", **path: str) -> Any:
        shown: Any = await self.send(name, {"id": identity, **path}, {})
        return shown.view

    async def drafted(self, *, vector: str = VECTOR, embargo: str = "", **changes: str) -> str:
        """Report, triage and draft something whole but for `changes`; return the report's id."""
        report = await self.report()
        await self.ask("triage_triage", report, edit="0", vector=vector, embargo=embargo)
        await self.ask("advisory_begin", report)
        await self.ask("advisory_save", report, edit="1", **{**WHOLE, **changes})
        return report

    async def publish(self, report: str, **form: str) -> Any:
        """Publish the draft of a report as it is kept."""
        edit = str((await self.view("advisory_page", report)).edit)
        return await self.ask("advisory_publish", report, **{"edit": edit, "sure": "yes", **form})

    async def public(self, name: str) -> Any:
        """Return what everybody is answered at the address of an advisory."""
        return await self.send("advisory", {"name": name}, {})

    def acts(self) -> list[tuple[str, str | None]]:
        return [(act.removeprefix("disclosure."), state) for act, _, state in self.recorded]


@pytest.fixture
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    """Open a desk whose server knows its address; a test may give other settings as its parameter."""
    recorded: list[tuple[str, str, str | None]] = []
    people = [PlatformPerson("ann", "ann@acme.example"), PlatformPerson("bob", "bob@acme.example")]
    host = host_at(tmp_path, "disclosure", clock := FrozenClock(), recorded=recorded, people=people)
    settings = settings_from(plugin, SETTINGS + getattr(request, "param", URL))
    async with opened(plugin, settings, host) as provides:
        assert provides.pages is not None
        yield House(provides.pages.doors, clock, recorded)
