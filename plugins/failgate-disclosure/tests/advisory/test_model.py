"""What cannot be published cannot be made, and the error says which field and what to do."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from failgate_disclosure.advisory import (
    Advisory,
    AdvisoryRefused,
    Credit,
    Moment,
    Product,
    Publisher,
    Reference,
    Remediation,
    Revision,
    VersionRange,
    csaf_bytes,
    markdown,
)
from failgate_disclosure.advisory.text import check_text, check_url, from_form
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TEN_MEGABYTES = "<b>" * 3_500_000


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"title": ""}, "title: is empty"),
        ({"title": " \t"}, "title: is empty"),
        ({"title": "two\nlines"}, "title: holds a line break"),
        ({"title": "a\r\nSet-Cookie: x"}, "title: character 2 is U\\+000D"),
        ({"title": "end "}, "title: begins or ends with a space"),
        ({"title": "\u00a0end"}, "title: begins or ends with a space"),
        ({"title": TEN_MEGABYTES}, "title: has 10500000 characters, and 300 are the most"),
        ({"summary": TEN_MEGABYTES}, "summary: has 10500000 characters, and 5000"),
        ({"description": TEN_MEGABYTES}, "description: has 10500000 characters, and 50000"),
        ({"description": "a\x00b"}, "description: character 2 is U\\+0000"),
        ({"description": "a\x1b[2Jb"}, "description: character 2 is U\\+001B"),
        ({"description": "access\u202etxt.exe"}, "description: character 7 is U\\+202E"),
        ({"description": "a\u2066b"}, "U\\+2066"),
        ({"description": "a\u200bb"}, "U\\+200B"),
        ({"description": "a\ud800b"}, "U\\+D800"),
        ({"description": "a\u2028b"}, "U\\+2028"),
        ({"description": "a\U000e0041b"}, "U\\+E0041"),
        ({"description": "a\uffffb"}, "U\\+FFFF"),
        ({"description": "a\x85b"}, "U\\+0085"),
        ({"description": "\ufeffa"}, "U\\+FEFF"),
        ({"tracking_id": "../../etc/passwd"}, "tracking_id: '../../etc/passwd' cannot name"),
        ({"tracking_id": "A" * 101}, "tracking_id"),
        ({"tracking_id": "A\n"}, "tracking_id"),
        ({"tracking_id": "Ä-1"}, r"tracking_id: '\\xc4-1'"),
        ({"cve": "CVE-26-1"}, "cve: 'CVE-26-1' is no CVE number. Write it as"),
        ({"cve": "CVE-2026-12345\n"}, "cve: "),
        ({"cve": "CVE-2026-١٢٣٤"}, "cve: "),
        ({"cwe": "CWE-0"}, "cwe: 'CWE-0' is not one of"),
        ({"language": "<b>"}, "language: '<b>'"),
        ({"cvss": "CVSS:3.1/AV:N"}, "cvss: .*CVSS:4.0"),
        ({"products": ()}, "products: holds 0 entries"),
        ({"revisions": ()}, "revisions: holds 0 entries"),
        ({"credits": (Credit(name="Ada"),) * 101}, "credits: holds 101 entries"),
        ({"remediations": ()}, "remediations: are missing"),
        ({"embargo_until": datetime(2027, 1, 1, tzinfo=UTC)}, "embargo_until: lies after the first revision"),
        ({"embargo_until": NOW.replace(tzinfo=None)}, "embargo_until: has no time zone"),
        (
            {"timeline": (Moment(at=NOW, what="b"), Moment(at=NOW.replace(hour=1), what="a"))},
            "timeline: are not in the order of time",
        ),
    ],
)
def test_a_field_that_cannot_stand_is_named(whole: Advisory, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(AdvisoryRefused, match=said) as refused:
        msgspec.structs.replace(whole, **changes)
    assert len(str(refused.value)) < 400
    assert str(refused.value).isascii()
    assert refused.value.where == next(iter(changes))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Publisher(name="A", namespace="javascript:alert(1)"), "publisher.namespace"),
        (lambda: Publisher(name="A\u202e", namespace="https://a.example"), "publisher.name"),
        (lambda: Publisher(name="A", namespace="https://a.example", contact="a\nb"), "publisher.contact"),
        (lambda: VersionRange(fixed="1", last="2"), "both the fixed and the last"),
        (lambda: VersionRange(introduced="1", fixed="1"), "it is empty"),
        (lambda: VersionRange(introduced="all"), "range.introduced: 'all' reads like a range"),
        (lambda: VersionRange(last="1.x"), "reads like a range"),
        (lambda: VersionRange(fixed=">=1"), "is no version"),
        (lambda: VersionRange(fixed=""), "is no version"),
        (lambda: VersionRange(fixed="1|2"), "is no version"),
        (lambda: Product(vendor="A", name="B", affected=()), "product.affected: holds 0"),
        (lambda: Product(vendor="A", name="B", affected=(VersionRange(),) * 2), "twice"),
        (lambda: Product(vendor="A", name="B", affected=(VersionRange(),), fixed=("1", "1")), "twice"),
        (lambda: Product(vendor="A", name="B", affected=(VersionRange("1", None, "1"),), fixed=("1",)), "is affected"),
        (lambda: Product(vendor="A", name="B", affected=(VersionRange(),), purl="pkg:x"), "product.purl"),
        (lambda: Product(vendor="A", name="B", affected=(VersionRange(),), purl="pkg:pypi/a@1"), "product.purl"),
        (lambda: Remediation(kind="workaround", details="a\x08"), "remediation.details"),
        (lambda: Remediation(kind="workaround", details="a", url="data:text/html,x"), "remediation.url"),
        (lambda: Credit(), "credit: names nobody"),
        (lambda: Credit(name="A", url="https://a@b.example"), "credit.url"),
        (lambda: Reference(summary="a", url="https://a.example/<b>"), "reference.url"),
        (lambda: Revision(at=NOW.replace(tzinfo=None), summary="a"), "revision.at: has no time zone"),
        (lambda: Moment(at=datetime(1, 1, 1, tzinfo=UTC), what="a"), "moment.at: lies in the year 1"),
    ],
)
def test_a_part_that_cannot_stand_is_named(make: Any, said: str) -> None:
    with pytest.raises(AdvisoryRefused, match=said):
        make()


@pytest.mark.parametrize(
    "url",
    [
        *("", "a.example", "//a.example", "ftp://a.example", "https://", "https:///x", "https://a.example:99999"),
        *(
            "https://a.example/ b",
            "https://a.example/\n",
            "https://a.example/%zz",
            'https://a.example/"',
            "https://é.example",
        ),
        *(
            "https://user:word@a.example",
            "https://[::1",
            "https://[::1]/",
            "https://a.example/a#b#c",
            "https://-a.example",
        ),
        *(
            "https://a.example>",
            "https://a..example",
            "https://a.example/" + "a" * 2000,
            "HTTPS://a.example",
            "https://\u202ea",
        ),
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(AdvisoryRefused, match="here: "):
        check_url("here", url)


@given(st.text(max_size=60).map("https://".__add__) | st.text("htps:/[]@%#?&.a1-", max_size=40))
@settings(max_examples=300)
def test_any_address_is_taken_or_refused_by_our_error_alone(url: str) -> None:
    try:
        check_url("here", url)
    except AdvisoryRefused:
        return
    assert url.isascii()
    assert not set(url) & set(" <>\"'\\^`{|}\r\n\t") - {"'"}


@pytest.mark.parametrize("text", ["می\u200cخواهم", "\u200fשלום", "👩\u200d💻", "e\u0301", "a\tb\nc", "日本語"])
def test_what_people_write_may_stand(text: str) -> None:
    check_text("here", text)


def test_what_a_form_sends_becomes_lines() -> None:
    assert from_form("a\r\nb\rc\nd") == "a\nb\nc\nd"


def test_a_draft_may_leave_the_remedy_open_and_wait_for_its_embargo(whole: Advisory) -> None:
    later = datetime(2027, 1, 1, tzinfo=UTC)
    products = (Product(vendor="A", name="B", affected=(VersionRange(),)),)
    draft = msgspec.structs.replace(whole, status="draft", remediations=(), products=products, embargo_until=later)
    assert "2027-01-01T00:00:00Z" in markdown(draft)
    with pytest.raises(AdvisoryRefused, match="embargo_until"):
        msgspec.structs.replace(draft, status="final", remediations=whole.remediations)


def test_an_advisory_is_frozen_and_can_be_a_key(whole: Advisory) -> None:
    with pytest.raises(AttributeError):
        whole.title = "other"
    assert hash(whole) == hash(msgspec.structs.replace(whole))


def test_what_is_decoded_is_checked_as_what_is_made(whole: Advisory) -> None:
    stored = msgspec.to_builtins(whole)
    assert msgspec.convert(stored, Advisory) == whole
    with pytest.raises(AdvisoryRefused, match="title"):
        msgspec.convert(stored | {"title": "a\u202eb"}, Advisory)
    for spoilt in (stored | {"extra": 1}, stored | {"status": "public"}, stored | {"revisions": [{"at": "x"}]}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(spoilt, Advisory)


@given(data=st.data(), text=st.text(max_size=100))
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_text_in_any_field_is_refused_or_published(data: st.DataObject, text: str, whole: Advisory) -> None:
    field = data.draw(
        st.sampled_from(["title", "tracking_id", "summary", "description", "cvss", "cve", "cwe", "language"])
    )
    try:
        advisory = msgspec.structs.replace(whole, **{field: text})
    except AdvisoryRefused as error:
        refused = error
    else:
        refused = None
    if refused is not None:
        assert (refused.where, str(refused).isascii()) == (field, True)
        return
    assert csaf_bytes(advisory).isascii()
    assert markdown(advisory).encode()
