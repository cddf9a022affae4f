"""What an advisory is: frozen values that are whole and publishable as soon as they exist.

Each value checks itself when it is made, so the writers of the forms (`csaf.py`, `markdown.py`) meet nothing that they
would have to refuse. What is a reporter's text stays as written; escaping is the writers' part.
"""

import re
from datetime import datetime
from typing import Literal
from urllib.parse import quote

import msgspec

from failgate_disclosure.advisory.cvss import Score, score_of
from failgate_disclosure.advisory.errors import AdvisoryRefused, shown
from failgate_disclosure.advisory.text import check_line, check_text, check_time, check_url
from failgate_disclosure.advisory.weaknesses import LANGUAGES, WEAKNESSES

Status = Literal["draft", "interim", "final"]
PublisherKind = Literal["vendor", "coordinator", "discoverer", "user", "other"]
RemedyKind = Literal["vendor_fix", "mitigation", "workaround", "no_fix_planned", "none_available"]
Scheme = Literal["semver", "pypi", "npm", "deb", "rpm", "golang", "generic"]

MOST = 100  # products, ranges of a product, credits, references, revisions, moments
_TRACKING_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._+:-]{0,98}[A-Za-z0-9])?")
_CVE = re.compile(r"CVE-(?:1999|2[0-9]{3})-[0-9]{4,19}")
_VERSION = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z._+~!-]{0,62}[0-9A-Za-z])?")
# CSAF 2.0 test 6.1.31: a version must not read like a range.
_RANGE_WORD = re.compile(
    r"(?i)(?<![a-z])(?:all|after|before|earlier|later|prior|through|versions?)(?![a-z])|\.x(?![a-z0-9])"
)
_PURL = re.compile(r"pkg:[a-z][a-z0-9.+-]*(?:/(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+)+")


def _few(where: str, values: tuple[object, ...], *, least: int = 0) -> None:
    if not least <= len(values) <= MOST:
        raise AdvisoryRefused(where, f"holds {len(values)} entries; {least} to {MOST} may stand here.")


def _version(where: str, version: str) -> None:
    if not _VERSION.fullmatch(version):
        raise AdvisoryRefused(
            where,
            f"{shown(version)} is no version.",
            hint="Write letters, digits and ._+~!- alone, at most 64 of them.",
        )
    if _RANGE_WORD.search(version):
        raise AdvisoryRefused(where, f"{shown(version)} reads like a range.", hint="Name one version.")


class Publisher(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who publishes: a name, a web address that stands for it, how to be reached (one line)."""

    name: str
    namespace: str
    kind: PublisherKind = "vendor"
    contact: str | None = None

    def __post_init__(self) -> None:
        check_line("publisher.name", self.name)
        check_url("publisher.namespace", self.namespace)
        if self.contact is not None:
            check_line("publisher.contact", self.contact)


class VersionRange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Affected versions: from `introduced` on, until before `fixed` or with `last`; without any of them, all."""

    introduced: str | None = None
    fixed: str | None = None
    last: str | None = None

    def __post_init__(self) -> None:
        for where, version in (("introduced", self.introduced), ("fixed", self.fixed), ("last", self.last)):
            if version is not None:
                _version(f"range.{where}", version)
        if self.fixed is not None and self.last is not None:
            raise AdvisoryRefused(
                "range", "names both the fixed and the last affected version.", hint="Leave one of them."
            )
        if self.fixed is not None and self.fixed == self.introduced:
            raise AdvisoryRefused("range", f"begins and ends before {self.fixed}: it is empty.")

    def vers(self, scheme: Scheme) -> str:
        """Return the range as `vers:semver/>=1.0.0|<1.4.2`. Source: the package-url project's vers."""
        bounds = [(">=", self.introduced), ("<", self.fixed), ("<=", self.last)]
        if self.introduced is not None and self.introduced == self.last:
            bounds = [("", self.introduced)]
        said = [sign + quote(version, safe="") for sign, version in bounds if version is not None]
        return f"vers:{scheme}/{'|'.join(said) or '*'}"


class Product(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One product: vendor and name, ranges that are affected, versions that are fixed, package URL without version."""

    vendor: str
    name: str
    affected: tuple[VersionRange, ...]
    fixed: tuple[str, ...] = ()
    scheme: Scheme = "semver"
    purl: str | None = None

    def __post_init__(self) -> None:
        check_line("product.vendor", self.vendor)
        check_line("product.name", self.name)
        _few("product.affected", self.affected, least=1)
        _few("product.fixed", self.fixed)
        for version in self.fixed:
            _version("product.fixed", version)
        if len(set(self.affected)) < len(self.affected) or len(set(self.fixed)) < len(self.fixed):
            raise AdvisoryRefused("product", "names a range or a fixed version twice.", hint="Leave one of them.")
        only = {spread.introduced for spread in self.affected if spread.introduced == spread.last}
        if not only.isdisjoint(self.fixed):
            raise AdvisoryRefused(
                "product.fixed", "names a version that is affected.", hint="Take it out of one of them."
            )
        if self.purl is not None and (len(self.purl) > 500 or not _PURL.fullmatch(self.purl)):
            raise AdvisoryRefused(
                "product.purl", f"{shown(self.purl)} is no package URL.", hint="Write pkg:type/name, without a version."
            )


class Remediation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to do about every affected version, of what kind it is, and where more is said."""

    kind: RemedyKind
    details: str
    url: str | None = None

    def __post_init__(self) -> None:
        check_text("remediation.details", self.details)
        if self.url is not None:
            check_url("remediation.url", self.url)


class Credit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is thanked: a person, an organization or both; for what; their web page."""

    name: str | None = None
    organization: str | None = None
    summary: str | None = None
    url: str | None = None

    def __post_init__(self) -> None:
        for where, line in (("name", self.name), ("organization", self.organization), ("summary", self.summary)):
            if line is not None:
                check_line(f"credit.{where}", line)
        if self.url is not None:
            check_url("credit.url", self.url)
        if self.name is None and self.organization is None:
            raise AdvisoryRefused(
                "credit", "names nobody.", hint="Give a name or an organization, or leave the credit out."
            )


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A web page about it, and in one line what it is."""

    summary: str
    url: str

    def __post_init__(self) -> None:
        check_line("reference.summary", self.summary)
        check_url("reference.url", self.url)


class Revision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One version of the advisory: when, and what changed. Its number is its place in the list, from 1."""

    at: datetime
    summary: str

    def __post_init__(self) -> None:
        check_time("revision.at", self.at)
        check_line("revision.summary", self.summary)


class Moment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that happened on the way to the advisory, as `reported` or `fixed`, in one line."""

    at: datetime
    what: str

    def __post_init__(self) -> None:
        check_time("moment.at", self.at)
        check_line("moment.what", self.what)


class Advisory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An advisory about one vulnerability.

    `revisions` are in the order of time, the newest last; `embargo_until` is when it may be published first. An
    `interim` or `final` one says what to do and is not dated before its embargo; a `draft` without fixed versions may
    leave that open.

    Raises: AdvisoryRefused (names the field), at construction. Source: CSAF 2.0 sections 3.2 and 4.4.
    """

    title: str
    tracking_id: str
    publisher: Publisher
    status: Status
    revisions: tuple[Revision, ...]
    summary: str
    description: str
    products: tuple[Product, ...]
    cvss: str
    remediations: tuple[Remediation, ...] = ()
    cve: str | None = None
    cwe: str | None = None
    credits: tuple[Credit, ...] = ()
    references: tuple[Reference, ...] = ()
    timeline: tuple[Moment, ...] = ()
    embargo_until: datetime | None = None
    language: str = "en"

    def __post_init__(self) -> None:
        check_line("title", self.title)
        check_text("summary", self.summary, longest=5_000)
        check_text("description", self.description)
        self._check_names()
        _few("products", self.products, least=1)
        named = {(product.vendor, product.name) for product in self.products}
        if len(named) < len(self.products):
            raise AdvisoryRefused("products", "names one product twice.", hint="Put its ranges into one entry.")
        for where in ("remediations", "credits", "references", "timeline"):
            _few(where, getattr(self, where))
        score_of(self.cvss)
        self._check_times()
        is_open = self.status == "draft" and not any(product.fixed for product in self.products)
        if not self.remediations and not is_open:
            raise AdvisoryRefused(
                "remediations",
                "are missing; only a draft without fixed versions may leave them open.",
                hint="Say what to do, or none_available.",
            )

    def _check_names(self) -> None:
        if not _TRACKING_ID.fullmatch(self.tracking_id):
            raise AdvisoryRefused(
                "tracking_id",
                f"{shown(self.tracking_id)} cannot name an advisory.",
                hint="Write letters, digits and ._+:- alone, as FG-2026-0001.",
            )
        if self.cve is not None and not _CVE.fullmatch(self.cve):
            raise AdvisoryRefused("cve", f"{shown(self.cve)} is no CVE number.", hint="Write it as CVE-2026-12345.")
        if self.cwe is not None and self.cwe not in WEAKNESSES:
            raise AdvisoryRefused(
                "cwe",
                f"{shown(self.cwe)} is not one of the weaknesses that are known here.",
                hint="Choose one, or leave it out.",
            )
        if self.language not in LANGUAGES:
            raise AdvisoryRefused(
                "language", f"{shown(self.language)} is no language of two letters.", hint="Write en."
            )

    def _check_times(self) -> None:
        _few("revisions", self.revisions, least=1)
        for where, times in (
            ("revisions", [revision.at for revision in self.revisions]),
            ("timeline", [moment.at for moment in self.timeline]),
        ):
            if times != sorted(times):
                raise AdvisoryRefused(where, "are not in the order of time.", hint="Put the oldest first.")
        if self.embargo_until is not None:
            check_time("embargo_until", self.embargo_until)
            if self.status != "draft" and self.revisions[0].at < self.embargo_until:
                raise AdvisoryRefused(
                    "embargo_until",
                    "lies after the first revision.",
                    hint="Publish later, or lift the embargo by leaving it out.",
                )

    @property
    def version(self) -> str:
        """Return the number of the newest revision, as text."""
        return str(len(self.revisions))

    @property
    def score(self) -> Score:
        """Return what the vector comes to."""
        return score_of(self.cvss)
