"""SARIF 2.1.0: logs of real tools, every part that is read, hostile documents, and the way to a local report."""

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from failgate_sarif import SarifFormat, plugin
from failgate_sarif.report import MOST_RESULTS
from failgate_sarif.run import LONGEST_TEXT
from failgate_sarif.writing import MOST_CHARACTERS

from failgate.plugin import Plugin, Reading, TooLarge, Unprocessable
from failgate.testing import DocumentContract, cleaned

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
# Made up, for no account has it.
GITHUB = "ghp_" + "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfTa1b2"


@pytest.fixture(scope="session")
def schema() -> Any:
    """The published schema, that every input here has to fit; see tests/vectors/README.md."""
    document = json.loads((ROOT / "tests" / "vectors" / "sarif-2.1.0.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


def log(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": list(runs)}


def run(*results: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"tool": {"driver": {"name": "scan"}}, "results": list(results), **members}


def result(text: str = "it fails", **members: Any) -> dict[str, Any]:
    return {"ruleId": "R1", "level": "error", "message": {"text": text}, **members}


def at(uri: str | None = None, line: int | None = None, **members: Any) -> dict[str, Any]:
    """Return a location."""
    artifact = {name: value for name, value in {"uri": uri, **members}.items() if value is not None}
    return {
        "physicalLocation": {"artifactLocation": artifact} | ({"region": {"startLine": line}} if line else {}),
    }


# A scanner's run with nearly every part that is read.
FULL: Any = json.loads((HERE / "full.sarif").read_text().replace("<token>", GITHUB))
CRASHED: Any = json.loads((HERE / "crashed.sarif").read_text())


def read(document: object) -> Reading:
    return SarifFormat().drafts(json.dumps(document).encode())


def told(document: object) -> tuple[Any, str]:
    """Return the manifest and the text of the one report."""
    (draft,) = read(document).drafts
    manifest, (text,) = cleaned(draft)
    return manifest, text.decode()


class TestSarifFormat(DocumentContract):
    @pytest.fixture
    def document_format(self) -> SarifFormat:
        return SarifFormat()

    @pytest.fixture
    def documents(self) -> list[bytes]:
        return [json.dumps(one).encode() for one in (FULL, CRASHED, log(run(result())))]


@pytest.mark.parametrize("document", [FULL, CRASHED, log(run(result()))])
def test_what_is_read_here_fits_the_published_schema(schema, document):
    schema.validate(document)


# Real producers.


@pytest.fixture(scope="module")
def ruff_log(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    ruff = shutil.which("ruff") or str(Path(sys.executable).with_name("ruff"))
    folder = tmp_path_factory.mktemp("linted")
    (folder / "cart.py").write_text(
        "import os\nimport sys\n\n\ndef total(items):\n    return sum(item.prise for itme in items)\n"
    )
    done = subprocess.run(
        [ruff, "check", "--isolated", "--no-cache", "--select", "F", "--output-format", "sarif", "cart.py"],
        cwd=folder, capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    return done.stdout


def test_a_log_of_ruff_is_read(ruff_log, schema):
    schema.validate(json.loads(ruff_log))
    (draft,) = SarifFormat().drafts(ruff_log).drafts
    manifest, (text,) = cleaned(draft)
    assert manifest.source == "sarif"
    assert manifest.title.startswith("F401 (and 2 more): `os` imported but unused")
    assert manifest.argv == ["sarif", "ruff"]
    assert manifest.tools[0].name == "ruff"
    lines = text.decode().splitlines()
    assert lines[0].startswith("ruff ")
    assert lines[0].endswith("3 errors, 0 warnings")
    assert any(line.endswith("/cart.py:6:16: error: [F821] Undefined name `item`") for line in lines)


def test_a_log_of_our_own_redaction_fits_the_schema_and_comes_back_as_a_report(tmp_path, schema):
    environment = {**os.environ, "FAILGATE_HOME": str(tmp_path / "home")}

    def failgate(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "failgate", *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    (tmp_path / "build log.txt").write_text(f"ok\ntoken={GITHUB}\n")
    failgate("redact", "--findings", "found.sarif", "--findings-format", "sarif", "build log.txt")
    schema.validate(json.loads((tmp_path / "found.sarif").read_text()))
    (kept,) = json.loads(failgate("report", "import", "--format", "sarif", "--json", "found.sarif"))
    folder = tmp_path / kept["path"]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["source"] == "sarif"
    assert len(manifest["fingerprint"]) == 64
    assert manifest["tools"][0]["name"] == "failgate redact"
    (text,) = [(folder / one["sha256"]).read_text() for one in manifest["artifacts"]]
    assert "/build log.txt (character 9): error: [" in text
    for file in folder.iterdir():
        assert GITHUB not in file.read_text()


# What is read.


def test_every_part_of_a_run_is_where_people_look_for_it():
    manifest, text = told(FULL)
    assert manifest.id == "0190a0a0-0000-7000-8000-00000000abcd"
    assert manifest.argv[:2] == ["/usr/bin/taintscan", "--token"]
    assert (manifest.exit_code, manifest.duration_ms, manifest.host) == (2, 1500, "build-7")
    assert manifest.created_at == "2026-01-02T03:04:05.500000Z"
    assert manifest.cwd == "/src/shop app/"
    assert (manifest.project, manifest.version) == ("shop", "v1.2")
    assert manifest.title.startswith("TNT0001 (and 2 more): Tainted 'name' reaches token=[redacted:")
    assert [tool.version for tool in manifest.tools] == ["4.2.0", "0.3"]
    values = manifest.environment.values
    assert values["automation.id"] == "nightly/2026-01-02"
    assert (values["repository.revision"], values["base.APP"]) == ("9f1e", "/src/shop app/")
    assert GITHUB not in text
    tag = text.partition("reaches token=")[2].partition(" in {braces}")[0]
    assert text == (
        "taintscan 4.2.0: 1 errors, 2 warnings\n"
        "warning: gave up on one file\n"
        "  exception: ValueError: bad byte\n"
        "    at /src/tool.py:8 (reader)\n"
        "  exception: OSError: no file\n"
        "warning: [CFG01] No rule X9.\n"
        f"/src/shop app/cart.py:12:5: error: [TNT0001] Tainted 'name' reaches token={tag} in {{braces}}. "
        "See there (/src/shop app/in.py:2).\n"
        "    in shop.cart.total\n"
        "    | run(name)\n"
        "    at sink.py:30 (the last of 2 steps)\n"
        "    at deep.py:4 (core)\n"
        "/src/shop app/lib/db.py: warning: [CRY/md5] Shared by all: md5\n"
        "https://h.example/a?b:1: warning: [SQL1] SQL is glued.\n"
    )
    assert read(FULL).passed_over == {"note": 1, "pass": 1, "absent": 1, "suppressed": 1}


def test_a_tool_that_failed_makes_a_report_without_results():
    manifest, text = told(CRASHED)
    assert manifest.title == "lint failed: out of cheese"
    assert manifest.exit_code == 139
    assert manifest.fingerprint is None
    assert text.splitlines()[1:] == ["The tool failed.", "error: out of cheese", "    redo"]


def test_each_run_that_fails_is_a_report_and_one_that_does_not_is_none():
    reading = read(log(run(result("one")), run(result(level="note")), run(), run(result("two"))))
    assert [draft.title for draft in reading.drafts] == ["R1: one", "R1: two"]
    assert reading.passed_over == {"note": 1}
    assert read({"version": "2.1.0", "runs": None}).drafts == ()


def test_two_runs_that_claim_one_guid_are_two_reports():
    details = {"guid": "0190a0a0-0000-7000-8000-000000000001"}
    reading = read(log(run(result(), automationDetails=details), run(result(), automationDetails=details)))
    assert [draft.id for draft in reading.drafts] == [details["guid"], None]


@pytest.mark.parametrize(
    ("suppressions", "is_reported"),
    [
        (None, True),
        ([], True),
        ([{"kind": "inSource"}], False),
        ([{"kind": "external", "status": "accepted"}], False),
        ([{"kind": "external", "status": "rejected"}], True),
        ([{"kind": "external", "status": "underReview"}], True),
        ([{"kind": "external", "status": "rejected"}, {"kind": "inSource"}], False),
    ],
)
def test_a_result_is_left_out_when_a_suppression_of_it_holds(suppressions, is_reported):
    assert bool(read(log(run(result(suppressions=suppressions)))).drafts) is is_reported


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ("{0} and {1} and {0}", ["a", "b"], "a and b and a"),
        ("{{0}} is {0}", ["{1}"], "{0} is {1}"),
        ("{2} {x} {} {-1}", ["a"], "{2} {x} {} {-1}"),
        (r"[para\[0\]](https://e.example/x)", [], "para[0] (https://e.example/x)"),
        ("[here](9) [a] (b)", [], "here [a] (b)"),
    ],
)
def test_placeholders_and_links_of_a_message_are_resolved(text, arguments, said):
    (draft,) = read(log(run(result(message={"text": text, "arguments": arguments})))).drafts
    assert draft.title == f"R1: {said}"


@pytest.mark.parametrize(
    ("uri", "bases", "path"),
    [
        ("file:///C:/src/a%20b.c", {}, "C:/src/a b.c"),
        ("file://host/share/a.c", {}, "//host/share/a.c"),
        ("a.c", {"B": {"uri": "file:///src"}}, "/src/a.c"),
        ("../a.c", {"B": {"uri": "file:///src/x/"}}, "/src/a.c"),
        ("a.c", {}, "a.c"),
        ("a.c", {"B": {"uriBaseId": "C"}, "C": {"uriBaseId": "B"}}, "a.c"),
        ("a.c", {"B": {"uri": "http://[::1/"}}, "a.c"),
    ],
)
def test_places_are_resolved_against_their_bases(uri, bases, path):
    _, text = told(log(run(result(locations=[at(uri, 3, uriBaseId="B")]), originalUriBaseIds=bases)))
    assert text.splitlines()[1] == f"{path}:3: error: [R1] it fails"


# What is the same.


def same_as(*results: dict[str, Any]) -> str | None:
    (draft,) = read(log(run(*results))).drafts
    return cleaned(draft)[0].fingerprint


def test_fingerprints_of_the_tool_make_two_reports_the_same():
    print_ = {"partialFingerprints": {"line/v1": "abc"}}
    here, moved = (
        result("at 3", locations=[at("a.py", 3)], **print_),
        result("at 9", locations=[at("a.py", 9)], **print_),
    )
    bare = result("no print", locations=[at("/one/b.py", 3)])
    assert same_as(here) == same_as(moved) is not None
    assert same_as(here, bare) == same_as(bare, moved)
    assert same_as(here) != same_as(here, bare)
    assert same_as(here) != same_as({**here, "ruleId": "R2"})
    assert same_as(here) != same_as({**here, "partialFingerprints": {"line/v1": "abd"}})
    assert same_as(here) != same_as({**here, "fingerprints": {"x": "abc"}})
    assert same_as(bare) is None


# What is refused.


def test_a_byte_order_mark_of_utf8_is_passed_over():
    assert SarifFormat().drafts(b"\xef\xbb\xbf" + json.dumps(FULL).encode()) == read(FULL)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (json.dumps(FULL).encode("utf-16"), "UTF-16"),
        (json.dumps(FULL).encode("utf-16-be"), "UTF-16"),
        (b'{"version": "2.1.0", "runs": [], "runs": []}', "'runs' twice"),
        (b'{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "a"}}, "properties": {"x": 1, "x": 1}}]}', "'x' twice"),
        (b'{"version": "2.1.0",\n "runs": [}', "line 2, column 11"),
        (b'{"version": "2.1.0", "runs": []} x', "line 1, column 34"),
        (b'{"version": "2.1.0", "runs": [], "properties": {"x": NaN}}', "NaN"),
        (b'{"version": "2.1.0", "runs": []}\xff', "byte 32"),
        (b'{"version": "2.1.0", "runs": ' + b"[" * 5000, "nested"),
        (b'{"runs": []}', "names no version"),
        (b'{"version": "2.0.0", "runs": []}', "version '2.0.0'"),
        (b'{"version": "2.1.0"}', "is missing something"),
        (json.dumps(log(run({"message": "it"}))).encode(), r"\$\.runs\[0\]\.results\[0\]\.message is"),
        (json.dumps(log(run(result(level="fatal")))).encode(), r"\.level"),
        (json.dumps(log(run(externalPropertyFileReferences={"results": [{"location": {"uri": "a.sarif-external-properties"}}]}))).encode(), "Run 1 .*'results'"),
    ],
)  # fmt: skip
def test_a_document_that_is_none_is_refused_with_its_place(document, says):
    with pytest.raises(Unprocessable, match=says) as refused:
        SarifFormat().drafts(document)
    assert refused.value.hint


def test_a_log_of_too_many_runs_or_values_is_refused():
    with pytest.raises(TooLarge, match="101 runs"):
        read(log(*[run()] * 101))
    with pytest.raises(TooLarge, match="values"):
        SarifFormat().drafts(b'{"version": "2.1.0", "runs": [], "properties": {"x": [' + b"0," * 2_000_000 + b"0]}}")


# What is bounded.


def test_a_message_that_multiplies_itself_is_cut():
    message = {"text": "{0}" * 50_000, "arguments": ["word " * 50_000]}
    _, text = told(log(run(result(message=message))))
    assert "characters left out]" in text
    assert len(text) < 2 * LONGEST_TEXT


def test_one_long_text_named_by_many_results_is_not_written_without_end():
    rules = [{"id": "R1", "messageStrings": {"m": {"text": "long " * 2_000}}}]
    many = [{"ruleId": "R1", "message": {"id": "m"}}] * (MOST_RESULTS - 1)
    document = log(run(*many, tool={"driver": {"name": "scan", "rules": rules}}))
    (draft,) = read(document).drafts
    assert len(draft.artifacts[0].content) < MOST_CHARACTERS + 2 * LONGEST_TEXT
    assert b"more results left out]" in draft.artifacts[0].content


def test_results_without_end_are_counted_and_not_kept():
    _, text = told(log(run(*[result()] * (MOST_RESULTS + 5))))
    assert text.startswith(f"scan: {MOST_RESULTS + 5} errors")
    assert text.endswith("[failgate: 5 more results left out]\n")


def test_exceptions_within_exceptions_end():
    innermost: dict[str, Any] = {"kind": "E"}
    for _ in range(100):
        innermost = {
            "kind": "E",
            "innerExceptions": [innermost, innermost] if "innerExceptions" not in innermost else [innermost],
        }
    document = copy.deepcopy(CRASHED)
    document["runs"][0]["invocations"][1]["toolExecutionNotifications"][0]["exception"] = innermost
    _, text = told(document)
    assert text.count("exception: E") == 10


def test_names_with_line_breaks_and_marks_stay_on_their_line():
    document = log(run(result("m\u2028n", ruleId="x\n\u202ey", locations=[at("a%0Ab.py", 1)])))
    manifest, text = told(document)
    assert manifest.title == "x y: m"
    assert text.splitlines()[1].startswith("a b.py:1: error: [x ")


def test_the_plugin_is_a_value_that_provides_one_format():
    assert isinstance(plugin, Plugin)
    assert plugin.name == "sarif"
