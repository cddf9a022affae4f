import hashlib
from typing import Any

import msgspec

from failgate.base.clock import to_rfc3339
from failgate.web.pages.report_view import Content, ReportPageView, report_page_view, reports_view, shown_artifacts
from failgate.wire.reports import (
    ArtifactView,
    EnvironmentSummary,
    GitState,
    Manifest,
    ManifestArtifact,
    Redaction,
    ReportView,
)

OUTPUT = b"\x1b[31mFAILED\x1b[0m tests/test_x.py\nE   AssertionError \xe2\x80\xae\n<b>bold</b>\n"
DIFF = b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n-old\n+new\n+more\n same\n"


def sha(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


def report(now_us: int, **changes: Any) -> ReportView:
    kept = [("output.txt", "output", OUTPUT), ("changes.diff", "diff", DIFF), ("env.json", "environment", b"{}")]
    entries = [ManifestArtifact(name, kind, "text/plain", len(body), sha(body)) for name, kind, body in kept]  # type: ignore[arg-type]  # three literals
    manifest = Manifest(
        1, "m", to_rfc3339(now_us), ["pytest", "-q"], "/srv", "laptop", 1, 3402,
        EnvironmentSummary(["HOME", "TOKEN"], {"LANG": "C"}, "Linux", "3.11.2", {"git": "2.39"}),
        entries, [Redaction("github-token", "output.txt", 2)], "2026.1", git=GitState("4be1d09c77aa0f3e", "main", True, 3),
    )  # fmt: skip
    views = [ArtifactView(e.name, e.kind, e.media_type, e.size_bytes, e.sha256, e.name != "env.json") for e in entries]
    given = {"state": "sealed", "manifest": msgspec.to_builtins(manifest), "artifacts": views} | changes
    return ReportView(
        "r1",
        given["state"],
        "pytest failed",
        to_rfc3339(now_us),
        "agent",
        "ab" * 32,
        given["artifacts"],
        "c1",
        given["manifest"],
    )


def shown(now_us: int, **changes: Any) -> ReportPageView:
    contents = {sha(OUTPUT): Content(OUTPUT, b"", 0), sha(DIFF): Content(DIFF, b"", 0)}
    return report_page_view(report(now_us, **changes), contents, slug="acme", now_us=now_us)


def test_the_output_is_numbered_inert_and_its_failures_stand_out(now_us: int) -> None:
    lines = shown(now_us).outputs[0].start
    assert [line.number for line in lines] == [1, 2, 3]
    assert [line.kind for line in lines] == ["bad", "bad", ""]
    assert "".join(part.text for part in lines[1].parts) == "E   AssertionError ⟨U+202E⟩"


def test_a_change_is_counted_and_coloured(now_us: int) -> None:
    diff = shown(now_us).diffs[0]
    assert (diff.added, diff.removed) == (2, 1)
    assert [line.kind for line in diff.start] == ["file", "file", "file", "hunk", "bad", "add", "add", ""]


def test_a_long_output_keeps_both_ends_open(now_us: int) -> None:
    body = b"\n".join(b"%d" % number for number in range(1, 1001))
    view = report_page_view(report(now_us), {sha(OUTPUT): Content(body, b"", 0)}, slug="acme", now_us=now_us)
    listing = view.outputs[0]
    assert [len(listing.start), len(listing.middle), len(listing.end)] == [120, 680, 200]
    assert listing.end[-1].number == 1000


def test_a_cut_output_says_how_much_is_missing_and_numbers_no_line_it_cannot_know(now_us: int) -> None:
    view = report_page_view(report(now_us), {sha(OUTPUT): Content(b"a\nb", b"y\nz", 9000)}, slug="acme", now_us=now_us)
    listing = view.outputs[0]
    assert listing.cut_bytes == 9000
    assert [line.number for line in listing.start] == [1, 2, 0, 0, 0]


def test_only_artifacts_that_are_there_can_be_downloaded(now_us: int) -> None:
    hrefs = [item.href for item in shown(now_us).artifacts]
    assert hrefs[0] == f"/api/v1/workspaces/acme/reports/r1/artifacts/{sha(OUTPUT)}"
    assert hrefs[2] is None


def test_a_report_whose_content_is_withheld_still_has_a_page(now_us: int) -> None:
    view = shown(now_us, state="quarantined", manifest=None, artifacts=[])
    assert (view.state, view.outputs, view.argv) == ("quarantined", (), ())


def test_the_page_reads_only_output_and_changes(now_us: int) -> None:
    assert shown_artifacts(report(now_us)) == (sha(OUTPUT), sha(DIFF))


def test_the_list_leads_to_older_reports(now_us: int) -> None:
    view = reports_view([report(now_us, manifest=None)], "r0", slug="acme", now_us=now_us)
    assert view.next_href == "/w/acme/reports?after=r0"
    assert view.rows[0].artifact_count == 3
