"""The disclosure desk: how a vulnerability is reported to whoever runs this server, and answered."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.resources import files

import msgspec

from failgate.plugin import Asked, Host, PageDoor, Pages, PlainText, Plugin, Provides, Shown
from failgate_disclosure.advisories import Advisories
from failgate_disclosure.advisory import write_security_txt
from failgate_disclosure.advisory_pages import AdvisoryPages
from failgate_disclosure.desk import Desk
from failgate_disclosure.ending import advice_on
from failgate_disclosure.escalation import Escalation
from failgate_disclosure.file_pages import FilePages
from failgate_disclosure.intake import Intake
from failgate_disclosure.kept_files import Files
from failgate_disclosure.limits import Stamps
from failgate_disclosure.pages import DeskPages
from failgate_disclosure.published import Published
from failgate_disclosure.settings import DisclosureSettings
from failgate_disclosure.signed import signed_text
from failgate_disclosure.triage_pages import TriagePages
from failgate_disclosure.triaging import Triaging
from failgate_disclosure.watch import Watch

__all__ = ["DisclosureSettings", "plugin"]


class _PolicyView(msgspec.Struct, frozen=True):
    settings: DisclosureSettings
    takes_reports: bool


class _Policy:
    """The two pages that need nothing but the settings. Raises: StartRefused (a signed file that says otherwise)."""

    def __init__(self, settings: DisclosureSettings, *, takes_reports: bool) -> None:
        self._settings = settings
        self._takes_reports = takes_reports
        fields = settings.security_txt(takes_reports=takes_reports)
        self._text = write_security_txt(fields).decode()
        if settings.signed is not None:
            self._text = signed_text(settings.signed, fields)

    async def text(self, _asked: Asked) -> PlainText:
        return PlainText(self._text)

    async def page(self, _asked: Asked) -> Shown:
        return Shown("Report a vulnerability", "policy.html", _PolicyView(self._settings, self._takes_reports))


@asynccontextmanager
async def open_desk(settings: DisclosureSettings, host: Host) -> AsyncGenerator[Provides, None]:
    """Open the desk."""
    policy, folder = _Policy(settings, takes_reports=settings.form), files("failgate_disclosure")
    async with host.open_database("desk", folder.joinpath("migrations")) as database:
        box = await host.box("desk")
        doors = [
            PageDoor(name="text", path="/.well-known/security.txt", handler=policy.text, audience="anybody"),
            PageDoor(name="policy", path="/security", handler=policy.page, audience="anybody"),
        ]
        desk = Desk(host, database, box, Files(database, box, host.clock, settings.files_storage.bytes))
        if settings.form:
            doors += Intake(desk, Stamps(box, host.clock), host.clock, settings).doors()
        triaging = Triaging(host, database, box)
        advisories = Advisories(host, database, box, triaging, settings.publishes_as())
        doors += DeskPages(desk, TriagePages(desk, triaging, advisories), host.clock).doors()
        doors += AdvisoryPages(desk, triaging, advisories).doors()
        doors += (*Published(advisories).doors(), *FilePages(desk, host).doors())
        watch = Watch(desk, host, Escalation(host, database))
        async with watch.going_on():
            yield Provides(
                pages=Pages(doors=doors, templates=folder.joinpath("templates"), label="Disclosure"),
                advice=lambda: [*advice_on(settings, host.clock.now_us()), *watch.advice()],
            )


plugin = Plugin(name="disclosure", config=DisclosureSettings, open=open_desk)
