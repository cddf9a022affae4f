"""Scores against what FIRST published, and each fault of a vector with its own sentence."""

import re

import pytest
from failgate_disclosure.advisory import AdvisoryRefused, score_of
from failgate_disclosure.advisory.cvss import _BASE, METRICS
from hypothesis import given, settings
from hypothesis import strategies as st

BASE = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"


# FIRST, Common Vulnerability Scoring System v4.0: Examples, version 1.7.1.
@pytest.mark.parametrize(
    ("vector", "value", "severity", "nomenclature"),
    [
        ("AV:L/AC:L/AT:P/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 7.3, "High", "CVSS-B"),  # CVE-2022-41741
        ("AV:N/AC:L/AT:P/PR:N/UI:P/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 7.7, "High", "CVSS-B"),  # CVE-2020-3549
        ("AV:N/AC:L/AT:P/PR:N/UI:P/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/E:U", 5.2, "Medium", "CVSS-BT"),  # the same
        ("AV:N/AC:L/AT:P/PR:N/UI:N/VC:H/VI:L/VA:L/SC:N/SI:N/SA:N", 8.3, "High", "CVSS-B"),  # CVE-2023-3089
        (
            "AV:N/AC:L/AT:P/PR:N/UI:N/VC:H/VI:L/VA:L/SC:N/SI:N/SA:N/CR:H/IR:L/AR:L/MAV:N/MAC:H/MVC:H/MVI:L/MVA:L",
            8.1,
            "High",
            "CVSS-BE",
        ),  # the same
        ("AV:L/AC:L/AT:N/PR:N/UI:A/VC:L/VI:N/VA:N/SC:N/SI:N/SA:N", 4.6, "Medium", "CVSS-B"),  # CVE-2021-44714
        ("AV:N/AC:L/AT:N/PR:N/UI:A/VC:N/VI:N/VA:N/SC:L/SI:L/SA:N", 5.1, "Medium", "CVSS-B"),  # CVE-2022-21830
        ("AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:L/SI:L/SA:N", 6.9, "Medium", "CVSS-B"),  # CVE-2022-22186
        ("AV:L/AC:L/AT:N/PR:H/UI:N/VC:N/VI:N/VA:N/SC:H/SI:N/SA:N", 5.9, "Medium", "CVSS-B"),  # CVE-2023-21989
        ("AV:L/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", 9.4, "Critical", "CVSS-B"),  # CVE-2020-3947
        ("AV:P/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:H/SA:N/S:P/V:D", 8.3, "High", "CVSS-B"),  # CVE-2023-30560
        ("AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:N/VA:N/SC:N/SI:N/SA:N/E:A", 8.7, "High", "CVSS-BT"),  # CVE-2014-0160
        ("AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H/E:A", 10.0, "Critical", "CVSS-BT"),  # CVE-2021-44228
        ("AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/E:A", 9.3, "Critical", "CVSS-BT"),  # CVE-2014-6271
        ("AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:H/VA:N/SC:H/SI:H/SA:H", 9.3, "Critical", "CVSS-B"),  # CVE-2023-48228
        ("AV:A/AC:L/AT:N/PR:N/UI:N/VC:N/VI:L/VA:N/SC:H/SI:N/SA:H", 6.4, "Medium", "CVSS-B"),  # CVE-2013-6014
        ("AV:L/AC:L/AT:N/PR:H/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/R:I", 8.4, "High", "CVSS-B"),  # CVE-2016-5729
        ("AV:L/AC:L/AT:P/PR:H/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/R:I", 7.1, "High", "CVSS-B"),  # CVE-2015-2890
        ("AV:P/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 7.0, "High", "CVSS-B"),  # CVE-2018-3652
        ("AV:N/AC:H/AT:P/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/E:P", 8.2, "High", "CVSS-BT"),  # CVE-2024-6387
    ],
)
def test_the_published_examples_have_their_scores(vector: str, value: float, severity: str, nomenclature: str) -> None:
    score = score_of(f"CVSS:4.0/{vector}")
    assert (score.value, score.severity, score.nomenclature) == (value, severity, nomenclature)


def test_no_impact_is_no_severity() -> None:
    score = score_of("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N")
    assert (score.value, score.severity) == (0.0, "None")


@pytest.mark.parametrize(
    ("vector", "said"),
    [
        ("", "does not begin with CVSS:4.0/"),
        ("CVSS:4.0", "does not begin with CVSS:4.0/"),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "Scores of other versions are not taken"),
        (BASE.lower(), "does not begin with CVSS:4.0/"),
        (f" {BASE}", "does not begin with CVSS:4.0/"),
        (f"{BASE}/", "'' names no metric"),
        (f"{BASE} ", "the metric SA does not take 'N '"),
        (f"{BASE}\n", r"the metric SA does not take 'N\\n'"),
        (BASE.replace("/AV:N", "/AV:X"), "the metric AV does not take 'X'. It takes N, A, L, P"),
        (BASE.replace("/SI:N", "/SI:S"), "the metric SI does not take 'S'"),
        (BASE.replace("/AV:N", "/AV:N:N"), "the metric AV does not take 'N:N'"),
        (BASE.replace("/AV:N", "/AV"), "the metric AV does not take ''"),
        (BASE.replace("/AV:N", "/av:N"), "'av:N' names no metric"),
        (BASE.replace("/AV:N", "//AV:N"), "'' names no metric"),
        (BASE.replace("/AV:N", "/AV:N/AV:N"), "the metric AV stands twice"),
        (BASE.replace("/AV:N/AC:L", "/AC:L/AV:N"), "the metric AV stands after AC"),
        (f"{BASE}/CR:H/E:A", "the metric E stands after CR"),
        (BASE.replace("/AV:N", "").replace("/VC:H", ""), "the metrics AV, VC are missing"),
        (BASE + "\u202e", r"does not take 'N\\u202e'"),
        ("CVSS:4.0/" + "A" * 10_000_000, "has 10000009 characters"),
    ],
)
def test_each_fault_is_named(vector: str, said: str) -> None:
    with pytest.raises(AdvisoryRefused, match=re.escape(said).replace(r"\\\\", r"\\")) as refused:
        score_of(vector, where="report.cvss")
    assert str(refused.value).startswith("report.cvss: ")
    assert str(refused.value).isascii()
    assert len(str(refused.value)) < 400


@st.composite
def vectors(draw: st.DrawFn) -> str:
    chosen = [
        f"{name}:{draw(st.sampled_from(values))}"
        for name, values in METRICS.items()
        if name in _BASE or draw(st.booleans())
    ]
    return "/".join(["CVSS:4.0", *chosen])


@given(vectors())
@settings(max_examples=300, deadline=None)
def test_every_vector_has_a_score_and_undefined_metrics_change_nothing(vector: str) -> None:
    score = score_of(vector)
    assert 0.0 <= score.value <= 10.0
    assert score.value == round(score.value, 1)
    without = score_of("/".join(part for part in vector.split("/") if not part.endswith(":X")))
    assert (without.value, without.severity, without.nomenclature) == (score.value, score.severity, score.nomenclature)


@given(vectors(), st.data())
@settings(max_examples=300, deadline=None)
def test_a_vector_that_is_cut_or_mixed_is_refused_or_complete(vector: str, data: st.DataObject) -> None:
    parts = vector.split("/")[1:]
    mixed = data.draw(st.lists(st.sampled_from(parts), max_size=40))
    is_valid = mixed == [part for part in parts if part in mixed] and set(_BASE) <= {
        part.split(":")[0] for part in mixed
    }
    if is_valid:
        score_of("/".join(["CVSS:4.0", *mixed]))
    else:
        with pytest.raises(AdvisoryRefused):
            score_of("/".join(["CVSS:4.0", *mixed]))


@given(st.text(max_size=200) | st.text("CVSS:4.0/AVNLHPX", max_size=100))
def test_any_text_is_refused_by_our_error_alone(text: str) -> None:
    with pytest.raises(AdvisoryRefused):
        score_of(text)


def test_the_longest_vector_is_taken() -> None:
    longest = "/".join(["CVSS:4.0", *(f"{name}:{max(values, key=len)}" for name, values in METRICS.items())])
    assert score_of(longest).nomenclature
