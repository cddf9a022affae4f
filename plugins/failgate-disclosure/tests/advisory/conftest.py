"""One advisory with everything in it, and a strategy for all others; the official schema and tests of CSAF 2.0."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from failgate_disclosure.advisory import (
    Advisory,
    Credit,
    Moment,
    Product,
    Publisher,
    Reference,
    Remediation,
    Revision,
    VersionRange,
)
from failgate_disclosure.advisory.text import _REFUSED
from failgate_disclosure.advisory.weaknesses import LANGUAGES, WEAKNESSES
from hypothesis import strategies as st

WHOLE = Advisory(
    title="A note can <b>close</b> the reviewer's page",
    tracking_id="FG-2026-0001",
    publisher=Publisher(
        name="Example Desk", namespace="https://desk.example", contact="security@desk.example, or the form"
    ),
    status="final",
    revisions=(
        Revision(at=datetime(2026, 11, 20, 9, 0, tzinfo=UTC), summary="Published."),
        Revision(at=datetime(2026, 11, 23, 12, 30, 15, 999, tzinfo=timezone(timedelta(hours=1))), summary="A credit."),
    ),
    summary="Whoever may vote can end the page of other reviewers.",
    description="A note that holds `</script>` was shown as it is.\n\n1. Vote with such a note.\n2. Open the queue.\n\n"
    "    indented\nThe queue stays empty until the note is gone.",
    products=(
        Product(
            vendor="Example",
            name="Gate",
            affected=(VersionRange(introduced="1.0.0", fixed="1.4.2"), VersionRange(introduced="2.0.0", last="2.1.0")),
            fixed=("1.4.2", "2.1.1+build.5"),
            purl="pkg:pypi/example-gate",
        ),
        Product(vendor="Example", name="Gate for desktops", affected=(VersionRange(),), scheme="generic"),
        Product(vendor="Another", name="Box", affected=(VersionRange(introduced="7", last="7"),), scheme="deb"),
    ),
    cvss="CVSS:4.0/AV:N/AC:L/AT:N/PR:L/UI:P/VC:N/VI:N/VA:N/SC:L/SI:L/SA:H/E:P",
    remediations=(
        Remediation(kind="vendor_fix", details="Install 1.4.2 or 2.1.1.", url="https://desk.example/download?v=1.4.2"),
        Remediation(kind="workaround", details="Take the right to vote away\nfrom whom you do not trust."),
    ),
    cve="CVE-2026-12345",
    cwe="CWE-79",
    credits=(
        Credit(
            name="Ada [admin](https://evil.example)",
            organization="Lab",
            summary="Found it.",
            url="https://ada.example/",
        ),
        Credit(organization="A team that asks for no names"),
    ),
    references=(Reference(summary="The change", url="https://desk.example/changes/17#note"),),
    timeline=(
        Moment(at=datetime(2026, 11, 1, 8, 0, tzinfo=UTC), what="Reported."),
        Moment(at=datetime(2026, 11, 2, 8, 0, tzinfo=UTC), what="Acknowledged."),
    ),
    embargo_until=datetime(2026, 11, 20, 9, 0, tzinfo=UTC),
)

# What wants to be markup somewhere, beside any letter that may stay.
MARKUP = st.sampled_from(
    [
        *"\\`*_{}[]()#+-.!|~=$^@%<>&\"':;/?0123456789 \t\u00a0\u3000é\u200d",
        *("<script>", "</p>", "<!--", "&amp;", "&#60;", "javascript:", "http://a.example", "www.a.example", "![x](y)"),
        *(
            "[x]: y",
            "1. ",
            "1) ",
            "- ",
            "+ ",
            "# ",
            "> ",
            "---",
            "===",
            "```",
            "~~~",
            "    ",
            "  ",
            "|-|",
            "[^1]",
            "{{x}}",
            "{% x %}",
            "  \\",
        ),
    ]
)
LETTERS = st.characters(exclude_categories=["Cc", "Cs"]).filter(lambda letter: not _REFUSED.match(letter))
PIECES = st.lists(st.one_of(MARKUP, LETTERS), min_size=1, max_size=30).map("".join)
LINES = PIECES.map(lambda text: text.replace("\t", "").strip()[:200].strip()).filter(bool)
TEXTS = st.lists(st.one_of(PIECES, st.just("")), min_size=1, max_size=8).map("\n".join).filter(str.strip)
URLS = st.sampled_from(["https://a.example", "http://b.example:8080/x_y*z?q=1&r=(2)#f", "https://c.example/%3Cb%3E"])
VERSIONS = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}([-+~!_][0-9a-f]{1,4})?", fullmatch=True)
TIMES = st.datetimes(
    datetime.fromisoformat("2000-01-02"),
    datetime.fromisoformat("9998-12-30"),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-11))]),
)
RANGES = st.one_of(
    st.builds(VersionRange),
    st.builds(VersionRange, introduced=VERSIONS),
    st.builds(VersionRange, last=VERSIONS),
    st.builds(VersionRange, introduced=st.none() | VERSIONS, last=VERSIONS),
    st.tuples(VERSIONS, VERSIONS).filter(lambda two: two[0] != two[1]).map(lambda two: VersionRange(two[0], two[1])),
)


@st.composite
def products(draw: st.DrawFn) -> Product:
    affected = tuple(draw(st.lists(RANGES, min_size=1, max_size=3, unique=True)))
    taken = {spread.introduced for spread in affected}
    fixed = [version for version in draw(st.lists(VERSIONS, max_size=2, unique=True)) if version not in taken]
    return Product(
        vendor=draw(st.sampled_from(["Example", "Another"]) | LINES),
        name=draw(LINES),
        affected=affected,
        fixed=tuple(fixed),
        scheme=draw(st.sampled_from(["semver", "pypi", "generic"])),
        purl=draw(st.sampled_from([None, "pkg:pypi/gate", "pkg:npm/%40scope/gate", "pkg:deb/debian/gate"])),
    )


@st.composite
def advisories(draw: st.DrawFn) -> Advisory:
    status = draw(st.sampled_from(["draft", "interim", "final"]))
    revisions = sorted(
        draw(st.lists(st.builds(Revision, at=TIMES, summary=LINES), min_size=1, max_size=4)), key=lambda each: each.at
    )
    moments = sorted(draw(st.lists(st.builds(Moment, at=TIMES, what=LINES), max_size=3)), key=lambda each: each.at)
    remedies = st.builds(
        Remediation,
        kind=st.sampled_from(["vendor_fix", "mitigation", "workaround", "no_fix_planned", "none_available"]),
        details=TEXTS,
        url=st.none() | URLS,
    )
    credit = st.builds(
        Credit, name=LINES, organization=st.none() | LINES, summary=st.none() | LINES, url=st.none() | URLS
    )
    named = draw(st.lists(products(), min_size=1, max_size=3, unique_by=lambda each: (each.vendor, each.name)))
    needs_remedy = status != "draft" or any(product.fixed for product in named)
    return Advisory(
        title=draw(LINES),
        tracking_id=draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+:-]{0,20}[A-Za-z0-9]", fullmatch=True)),
        publisher=draw(
            st.builds(
                Publisher,
                name=LINES,
                namespace=URLS,
                kind=st.sampled_from(["vendor", "coordinator", "discoverer", "user", "other"]),
                contact=st.none() | LINES,
            )
        ),
        status=status,
        revisions=tuple(revisions),
        summary=draw(TEXTS),
        description=draw(TEXTS),
        products=tuple(named),
        cvss=draw(st.sampled_from([WHOLE.cvss, "CVSS:4.0/AV:L/AC:L/AT:N/PR:N/UI:A/VC:L/VI:N/VA:N/SC:N/SI:N/SA:N"])),
        remediations=tuple(draw(st.lists(remedies, min_size=needs_remedy, max_size=2))),
        cve=draw(st.sampled_from([None, "CVE-2026-12345"])),
        cwe=draw(st.none() | st.sampled_from(sorted(WEAKNESSES))),
        credits=tuple(draw(st.lists(credit, max_size=2))),
        references=tuple(draw(st.lists(st.builds(Reference, summary=LINES, url=URLS), max_size=2))),
        timeline=tuple(moments),
        embargo_until=revisions[0].at if draw(st.booleans()) else None,
        language=draw(st.sampled_from(sorted(LANGUAGES))),
    )


@pytest.fixture(scope="session")
def whole() -> Advisory:
    """An advisory with every field."""
    return WHOLE


@pytest.fixture(scope="session")
def any_advisory() -> st.SearchStrategy[Advisory]:
    """The strategy for any advisory that may be made."""
    return advisories()


@pytest.fixture(scope="session")
def texts() -> st.SearchStrategy[str]:
    """Any text that may stand in an advisory, most of it wanting to be markup."""
    return TEXTS


@pytest.fixture(scope="session")
def lines() -> st.SearchStrategy[str]:
    return LINES


@pytest.fixture(scope="session")
def complaints() -> Callable[..., dict[str, list[str]]]:
    """Say what the official schema and the tests of CSAF 2.0 section 6 say against a document: test to places.

    The package brings OASIS's schema, the CWE catalogue and its own implementation of the tests, and asks no network.
    """
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    from csaf.csaf.v20 import validate

    root.setLevel(before[0])  # importing it sets up logging for the whole program
    root.handlers[:] = before[1]

    def complain(document: dict[str, Any], *, tests: str = "mandatory", only: str = "") -> dict[str, list[str]]:
        report = validate(document, preset=tests, only_rules=frozenset({only} - {""}))
        ran = {result.id for result in report.results if not result.skipped}
        if only:
            assert ran == {only}
        else:
            assert "schema" in ran
            assert len(ran) > 20 or not report.results[0].passed  # a schema that fails ends it
        return {
            result.id: [f"{error.instance_path}: {error.message}" for error in result.errors]
            for result in report.results
            if not result.passed and not result.skipped
        }

    return complain
