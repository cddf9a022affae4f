"""What everybody may read: the list of advisories, each as a page and as its CSAF document."""

import re
from collections.abc import Sequence

import msgspec

from failgate.plugin import Asked, Download, NotFound, PageDoor, Shown, to_rfc3339
from failgate_disclosure.advisories import PLACE, Advisories, Released
from failgate_disclosure.advisory.csaf import MEDIA_TYPE
from failgate_disclosure.advisory.model import Advisory, Product, VersionRange
from failgate_disclosure.advisory.weaknesses import WEAKNESSES
from failgate_disclosure.paging import beside, page_in
from failgate_disclosure.triage_pages import Severity, severity_of

_NAME = re.compile(r"[+_a-z0-9-]{1,100}(?:\.json)?", re.ASCII)  # what `csaf_filename` makes, with or without its end
_REMEDIES = {
    "vendor_fix": "Fix",
    "mitigation": "Mitigation",
    "workaround": "Workaround",
    "no_fix_planned": "No fix is planned",
    "none_available": "None available yet",
}


class ListLine(msgspec.Struct, frozen=True):
    """An advisory in the list."""

    name: str
    tracking_id: str
    title: str
    published: str
    changed: str
    severity: Severity | None


class ListView(msgspec.Struct, frozen=True):
    """A page of the list."""

    lines: tuple[ListLine, ...]
    newer: str
    older: str


class AdvisoryView(msgspec.Struct, frozen=True):
    """An advisory as people read it; texts are paragraphs of lines."""

    line: ListLine
    advisory: Advisory
    weakness: str
    summary: list[list[str]]
    description: list[list[str]]
    products: tuple[tuple[str, str, str], ...]
    remedies: tuple[tuple[str, list[list[str]], str], ...]
    moments: tuple[tuple[str, str], ...]
    revisions: tuple[tuple[str, str], ...]
    place: str


class Published:
    """Answers at the public doors of advisories."""

    def __init__(self, advisories: Advisories) -> None:
        """Show what of `advisories` is published."""
        self._advisories = advisories

    def doors(self) -> tuple[PageDoor, ...]:
        """Return the doors for everybody."""
        return tuple(
            PageDoor(name=name, path=f"{PLACE}{path}", handler=handler, audience="anybody")
            for name, path, handler in (
                ("advisories", "", self.listing),
                ("advisories_page", "/page/{number}", self.listing),
                ("advisory", "/{name}", self.one),
            )
        )

    async def listing(self, asked: Asked) -> Shown:
        """Show what was published, the newest first."""
        number = page_in(asked)
        released, has_more = await self._advisories.published(number)
        lines = tuple(map(_line, released))
        return Shown(
            "Security advisories", "advisories.html", ListView(lines, *beside(PLACE, number, has_more=has_more))
        )

    async def one(self, asked: Asked) -> Shown | Download:
        """Show an advisory, or give its CSAF document where the name ends in `.json`."""
        name = asked.path["name"]
        if not _NAME.fullmatch(name):
            raise NotFound("There is no such advisory.")
        if name.endswith(".json"):
            return Download(name, (await self._advisories.by_file(name)).csaf, MEDIA_TYPE)
        released = await self._advisories.by_file(f"{name}.json")
        return Shown(released.advisory.title, "advisory.html", _view(released))


def _line(released: Released) -> ListLine:
    advisory = released.advisory
    return ListLine(
        released.file_name.removesuffix(".json"), advisory.tracking_id, advisory.title,
        to_rfc3339(released.published_us)[:10],
        to_rfc3339(released.released_us)[:10] if len(advisory.revisions) > 1 else "",
        severity_of(advisory.cvss),
    )  # fmt: skip


def _view(released: Released) -> AdvisoryView:
    advisory = released.advisory
    return AdvisoryView(
        _line(released),
        advisory,
        f"{advisory.cwe}, {WEAKNESSES.get(advisory.cwe, '')}" if advisory.cwe else "",
        paragraphs(advisory.summary),
        paragraphs(advisory.description),
        tuple(_versions(product) for product in advisory.products),
        tuple((_REMEDIES[one.kind], paragraphs(one.details), one.url or "") for one in advisory.remediations),
        tuple((f"{one.at:%Y-%m-%d %H:%M} UTC", one.what) for one in advisory.timeline),
        tuple((f"{one.at:%Y-%m-%d %H:%M} UTC", one.summary) for one in advisory.revisions),
        PLACE,
    )


def paragraphs(text: str) -> list[list[str]]:
    """Return the paragraphs of `text`, each as its lines."""
    found: list[list[str]] = [[]]
    for line in text.split("\n"):
        if line.strip():
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [lines for lines in found if lines]


def _versions(product: Product) -> tuple[str, str, str]:
    return f"{product.vendor} {product.name}", _spread(product.affected), ", ".join(product.fixed)


def _spread(ranges: Sequence[VersionRange]) -> str:
    return "; ".join(_words(one) for one in ranges)


def _words(spread: VersionRange) -> str:
    """Return a range in words."""
    if spread.introduced is not None and spread.introduced == spread.last:
        return spread.introduced
    bounds = (("from ", spread.introduced), ("before ", spread.fixed), ("up to and with ", spread.last))
    return " ".join(words + version for words, version in bounds if version is not None) or "every version"
