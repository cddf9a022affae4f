"""The document passes OASIS's schema and every mandatory test of CSAF 2.0, and is the same bytes each time."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from failgate_disclosure.advisory import Advisory, AdvisoryRefused, csaf_bytes, csaf_document, csaf_filename
from failgate_disclosure.advisory.weaknesses import LANGUAGES, WEAKNESSES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FOLDER = "https://desk.example/advisories/2026/"
GOLDEN = Path(__file__).parent / "fg-2026-0001.json"


def test_the_whole_advisory_passes_all_but_what_needs_cvss_3(whole: Advisory, complaints: Any) -> None:
    document = json.loads(csaf_bytes(whole, folder_url=FOLDER))
    assert complaints(document, tests="mandatory") == {}
    recommended = complaints(document, tests="recommended")
    # 6.2.3 wants a CVSS 2 or 3 score, 6.2.16 a helper for the two products that have no package URL.
    assert set(recommended) == {"6.2.3", "6.2.16"}, recommended


def test_the_bytes_are_the_golden_ones(whole: Advisory) -> None:
    assert csaf_bytes(whole, folder_url=FOLDER) == GOLDEN.read_bytes()


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_advisory_passes_the_schema_and_the_mandatory_tests(
    data: st.DataObject, any_advisory: st.SearchStrategy[Advisory], complaints: Any
) -> None:
    advisory = data.draw(any_advisory)
    written = csaf_bytes(advisory, folder_url=FOLDER)
    assert complaints(json.loads(written)) == {}
    assert not set(written) & set(b"<>&")
    assert written.isascii()
    assert json.loads(written) == csaf_document(advisory, folder_url=FOLDER)
    # The same values from elsewhere, as after a restart from a database, are the same bytes.
    again = msgspec.json.decode(msgspec.json.encode(advisory), type=Advisory)
    assert csaf_bytes(again, folder_url=FOLDER) == written


def test_every_weakness_has_the_name_of_the_catalogue(whole: Advisory, complaints: Any) -> None:
    for cwe in WEAKNESSES:
        assert complaints(csaf_document(msgspec.structs.replace(whole, cwe=cwe)), only="6.1.11") == {}


def test_every_language_is_registered(whole: Advisory, complaints: Any) -> None:
    for language in LANGUAGES:
        assert complaints(csaf_document(msgspec.structs.replace(whole, language=language)), only="6.1.12") == {}


@pytest.mark.parametrize(
    ("spoil", "test"),
    [
        (lambda document: document["document"].pop("publisher"), "schema"),
        (lambda document: document["document"]["tracking"].update(version="7"), "6.1.16"),
        (lambda document: document["document"]["tracking"]["revision_history"].reverse(), None),
        (lambda document: document["document"]["tracking"]["revision_history"].pop(0), "6.1.21"),
        (lambda document: document["vulnerabilities"][0]["cwe"].update(name="XSS"), "6.1.11"),
        (lambda document: document["vulnerabilities"][0]["product_status"]["fixed"].append("CSAFPID-0001"), "6.1.6"),
        (lambda document: document["vulnerabilities"][0]["threats"][0]["product_ids"].append("CSAFPID-9"), "6.1.1"),
        (lambda document: document["vulnerabilities"][0].pop("notes"), "6.1.27"),
        (lambda document: document["vulnerabilities"][0]["remediations"][0].pop("product_ids"), "6.1.29"),
    ],
)
def test_the_peer_notices_what_is_wrong(whole: Advisory, complaints: Any, spoil: Any, test: str | None) -> None:
    """The checks above would mean nothing if the validator passed everything."""
    document = csaf_document(whole)
    spoil(document)
    assert set(complaints(document)) == {test} - {None}


def test_the_vector_and_score_of_cvss_4_are_told_in_words(whole: Advisory) -> None:
    document = csaf_document(whole)
    found = document["vulnerabilities"][0]
    said = f"CVSS-BT {whole.score.value} ({whole.score.severity}), {whole.cvss}"
    assert {"category": "other", "title": "CVSS 4.0", "text": said} in found["notes"]
    assert found["threats"] == [
        {"category": "impact", "details": said, "product_ids": found["product_status"]["known_affected"]}
    ]
    assert document["document"]["aggregate_severity"]["text"] == whole.score.severity


def test_a_draft_says_that_it_is_not_for_all(whole: Advisory, complaints: Any) -> None:
    until = datetime(2027, 1, 5, 12, tzinfo=UTC)
    draft = msgspec.structs.replace(
        whole, status="draft", embargo_until=until, products=whole.products[1:], remediations=()
    )
    document = csaf_document(draft)
    assert complaints(document) == {}
    assert document["document"]["distribution"] == {
        "text": "Not to be published before 2027-01-05T12:00:00Z.",
        "tlp": {"label": "AMBER"},
    }
    assert "release_date" not in document["vulnerabilities"][0]
    assert csaf_document(whole)["document"]["distribution"] == {"tlp": {"label": "WHITE"}}


@pytest.mark.parametrize(
    ("tracking_id", "name"),
    [  # the first three are the standard's own examples
        ("cisco-sa-20190513-secureboot", "cisco-sa-20190513-secureboot.json"),
        ("RHBA-2019:0024", "rhba-2019_0024.json"),
        ("2022_#01-A", "2022_01-a.json"),
        ("Example Company - 2019-YH3234", "example_company_-_2019-yh3234.json"),
        ("FG-2026-0001", "fg-2026-0001.json"),
        ("../../etc/passwd", "_etc_passwd.json"),
        ("A+b..c", "a+b_c.json"),
    ],
)
def test_the_file_has_the_one_name_of_section_5_1(tracking_id: str, name: str) -> None:
    assert csaf_filename(tracking_id) == name


@pytest.mark.parametrize(
    "folder", ["http://desk.example/", "https://desk.example/a", "https://desk.example/?a/", "//desk.example/", "/a/"]
)
def test_a_canonical_address_is_a_folder_under_https(whole: Advisory, folder: str) -> None:
    with pytest.raises(AdvisoryRefused, match="folder_url"):
        csaf_document(whole, folder_url=folder)
