"""JUnit XML: documents of real runners, hostile ones, and the way to a local report."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from failgate_junit import JunitFormat, plugin
from failgate_junit.cases import LONGEST_TEXT, MOST_CASES

from failgate.plugin import Plugin, Unprocessable
from failgate.testing import DocumentContract, cleaned

# Made up, for no account has it.
GITHUB = "ghp_" + "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfTa1b2"

# As maven-surefire 3.2 writes it.
SUREFIRE = """<?xml version="1.0" encoding="UTF-8"?>
<testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="https://maven.apache.org/surefire/maven-surefire-plugin/xsd/surefire-test-report.xsd" version="3.0.1" name="shop.CartTest" time="1,234.5" tests="3" errors="1" skipped="0" failures="1">
  <properties><property name="java.version" value="21"/></properties>
  <testcase name="adds" classname="shop.CartTest" time="0.01"/>
  <testcase name="totals" classname="shop.CartTest" time="0.02">
    <failure message="expected:&lt;3&gt; but was:&lt;4&gt;" type="org.opentest4j.AssertionFailedError"><![CDATA[org.opentest4j.AssertionFailedError: expected:<3> but was:<4>
	at shop.CartTest.totals(CartTest.java:12)
]]></failure>
    <system-out><![CDATA[cart has 4]]></system-out>
    <rerunFailure message="again" type="AssertionFailedError"><stackTrace>at x</stackTrace></rerunFailure>
  </testcase>
  <testcase name="pays" classname="shop.CartTest" time="0"><error type="java.lang.NullPointerException">NPE</error></testcase>
</testsuite>
"""
# As Gradle 8 writes it: outputs belong to the suite.
GRADLE = """<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="shop.CartTest" tests="2" skipped="1" failures="1" errors="0" timestamp="2026-01-02T03:04:05.678Z" hostname="build-7" time="0.042">
  <properties/>
  <testcase name="skipped one" classname="shop.CartTest" time="0.0"><skipped/></testcase>
  <testcase name="totals()" classname="shop.CartTest" time="0.04">
    <failure message="java.lang.AssertionError: 3 != 4" type="java.lang.AssertionError">java.lang.AssertionError: 3 != 4
	at shop.CartTest.totals(CartTest.kt:9)
</failure>
  </testcase>
  <system-out><![CDATA[all of it]]></system-out>
  <system-err><![CDATA[]]></system-err>
</testsuite>
"""
# As jest-junit 16 writes it: no message attribute, colours of the terminal are removed by it.
JEST = """<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="jest tests" tests="2" failures="1" errors="0" time="0.9">
  <testsuite name="cart" errors="0" failures="1" skipped="0" timestamp="2026-01-02T03:04:05" time="0.6" tests="2">
    <testcase classname="cart totals" name="cart totals" time="0.003">
      <failure>Error: expect(received).toBe(expected)

Expected: 3
Received: 4
    at Object.toBe (/src/cart.test.js:5:20)</failure>
    </testcase>
    <testcase classname="cart adds" name="cart adds" time="0.001"></testcase>
  </testsuite>
</testsuites>
"""


def text_of(document: str | bytes) -> str:
    content = document.encode() if isinstance(document, str) else document
    (draft,) = JunitFormat().drafts(content).drafts
    return cleaned(draft)[1][0].decode()


class TestJunitFormat(DocumentContract):
    @pytest.fixture
    def document_format(self) -> JunitFormat:
        return JunitFormat()

    @pytest.fixture
    def documents(self) -> list[bytes]:
        return [one.encode() for one in (SUREFIRE, GRADLE, JEST)]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pytest that runs this writes of a failing session."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "test_cart.py").write_text(
        "import sys, pytest\n"
        f"def test_total(capsys):\n    print('before token={GITHUB}', flush=True)\n    assert 3 == 4, 'totals \\x1b[31mdiffer'\n"
        "def test_passes(): pass\n"
        "@pytest.mark.skip\ndef test_skipped(): pass\n"
        "@pytest.fixture\ndef broken(): raise RuntimeError('no database')\n"
        "def test_error(broken): pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junit-xml=results.xml",
         "-o", "junit_logging=all", "-o", "junit_family=xunit1", "test_cart.py"],
        cwd=folder, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    return folder / "results.xml"


def test_a_document_of_pytest_itself_is_read(real):
    reading = JunitFormat().drafts(real.read_bytes())
    (draft,) = reading.drafts
    manifest, (text,) = cleaned(draft)
    assert manifest.source == "junit"
    assert manifest.title.startswith("test_cart::test_total (and 1 more): AssertionError: totals")
    assert manifest.argv[0] == "junit"
    assert reading.passed_over == {"passed": 1, "skipped": 1}
    assert b"2 of 4 cases failed, 1 were skipped" in text
    assert b"failed on setup with" in text
    assert b"no database" in text
    assert GITHUB.encode() not in text
    assert b"before token=[redacted:" in text
    assert manifest.redactions


def test_import_keeps_a_local_report_without_the_secret(real, tmp_path):
    environment = {**os.environ, "FAILGATE_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-m", "failgate", "report", "import", "--format", "junit", "--json", str(real)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (kept,) = json.loads(done.stdout)
    folder = tmp_path / kept["path"]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["source"] == "junit"
    assert manifest["artifacts"][0]["name"] == "failures.txt"
    for file in folder.iterdir():
        assert GITHUB not in file.read_text()


@pytest.mark.parametrize(
    ("document", "title", "words"),
    [
        (
            SUREFIRE,
            "shop.CartTest::totals (and 1 more): expected:<3> but was:<4>",
            ["2 of 3 cases failed", "CartTest.java:12", "--- system-out\ncart has 4", "error: java.lang.NullPointer"],
        ),
        (GRADLE, "shop.CartTest::totals(): java.lang.AssertionError: 3 != 4", ["of the suite\nall of it", "1 were sk"]),
        (JEST, "cart totals::cart totals: Error: expect(received).toBe(expected)", ["Received: 4", "1 of 2"]),
    ],
)
def test_documents_of_other_runners_are_read(document, title, words):
    (draft,) = JunitFormat().drafts(document.encode()).drafts
    manifest, (text,) = cleaned(draft)
    assert manifest.title == title
    for word in words:
        assert word in text.decode()


def test_time_host_and_duration_come_from_the_suite():
    (draft,) = JunitFormat().drafts(GRADLE.encode()).drafts
    manifest, _ = cleaned(draft)
    assert manifest.created_at == "2026-01-02T03:04:05.678000Z"
    assert (manifest.host, manifest.duration_ms) == ("build-7", 42)
    (other,) = JunitFormat().drafts(SUREFIRE.encode()).drafts
    assert other.duration_ms == 1_234_500


def test_where_nothing_failed_there_is_no_report():
    reading = JunitFormat().drafts(b'<testsuites><testsuite name="a"><testcase name="b"/></testsuite></testsuites>')
    assert reading.drafts == ()
    assert reading.passed_over == {"passed": 1, "skipped": 0}


BOMB = "<!DOCTYPE a [" + "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(9)) + '<!ENTITY e0 "ha">]>'


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (BOMB + "<testsuite><testcase><failure>&e9;</failure></testcase></testsuite>", "DTD or an entity"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuite>&x;</testsuite>', "DTD or an entity"),
        ('<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><testsuite/>', "DTD or an entity"),
        ("<testsuite>&x;</testsuite>", "well-formed"),
        ("<testsuite>" * 100, "deeper than 64"),
        ("<testsuite><testcase>", "well-formed"),
        ("<html></html>", "not JUnit XML"),
        (b"<testsuite>\xff\xfe</testsuite>", "line 1, column 12"),
        (b'<?xml version="1.0" encoding="nobody"?><testsuite/>', "encoding|well-formed"),
        (b'<?xml version="1.0" encoding="shift_jis"?><testsuite/>', "encoding"),
    ],
)
def test_a_hostile_or_broken_document_is_refused_clearly(document, says):
    with pytest.raises(Unprocessable, match=says):
        JunitFormat().drafts(document.encode() if isinstance(document, str) else document)


def test_long_outputs_keep_their_beginning_and_end():
    long = "first\n" + "x" * (5 * LONGEST_TEXT) + "\nlast"
    document = f"<testsuite><testcase name='a'><failure>{long}</failure></testcase></testsuite>"
    began = time.monotonic()
    text = text_of(document)
    assert time.monotonic() - began < 20
    assert "first" in text
    assert "last" in text
    assert "characters left out" in text
    assert len(text) < 2 * LONGEST_TEXT


def test_cases_without_end_are_counted_and_not_kept():
    cases = "<testcase name='a'><failure message='m'/></testcase>" * (MOST_CASES + 5)
    assert "[failgate: 5 more failing cases left out]" in text_of(f"<testsuite>{cases}</testsuite>")


def test_names_with_line_breaks_and_marks_stay_on_their_line():
    document = "<testsuite hostname='a&#10;b'><testcase name='x&#10;&#x202e;y'><failure message='m&#10;n'/></testcase></testsuite>"
    (draft,) = JunitFormat().drafts(document.encode()).drafts
    manifest, _ = cleaned(draft)
    assert manifest.title == "x y: m"
    assert manifest.host == "a b"


def test_the_plugin_is_a_value_that_provides_one_format():
    assert isinstance(plugin, Plugin)
    assert plugin.name == "junit"
