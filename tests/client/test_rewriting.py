"""F2 F19: what a person replaces or leaves out is gone from everything that the report holds."""

import io
import tarfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from failgate.base.errors import BadInput
from failgate.base.ids import new_id
from failgate.client.report_folder import LocalReport, ReportWriter, open_report, opened_artifact, reports_under
from failgate.client.rewriting import rewrite
from failgate.client.words import BY_HAND, Changes
from failgate.wire.reports import ArtifactKind, EnvironmentSummary, Manifest

WORD = "customer-acme-42"


def archive(content: bytes) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as tar:
        member = tarfile.TarInfo("src/cart.py")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return held.getvalue()


def cast(*texts: str) -> bytes:
    header = {"version": 2, "width": 80, "height": 24, "timestamp": 1, "title": f"run {WORD}"}
    events = [[number / 10, "o", text] for number, text in enumerate(texts)]
    return b"".join(msgspec.json.encode(line) + b"\n" for line in (header, *events))


def kept(root: Path, **contents: tuple[ArtifactKind, bytes]) -> LocalReport:
    with ReportWriter(root, new_id()) as writer:
        for name, (kind, content) in contents.items():
            with writer.adding(name, kind, "text/plain") as file:
                file.write(content)
        environment = EnvironmentSummary(names=["HOME"], values={"LANG": WORD}, platform="Linux")
        return writer.finish(
            Manifest(
                1, writer.report_id, "2026-01-02T03:04:05.000000Z", ["run", WORD], f"/src/{WORD}", "host", 3, 5,
                environment, writer.artifacts, [], "1",
            )
        )  # fmt: skip


def everything(report: LocalReport) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(report.folder.iterdir()))


def read(report: LocalReport, name: str) -> bytes:
    [found] = [one for one in report.manifest.artifacts if one.name == name]
    with opened_artifact(report, found) as stream:
        return stream.read()


def test_a_word_is_gone_from_artifacts_and_manifest_and_the_old_report_too(tmp_path: Path) -> None:
    before = kept(
        tmp_path, output=("output", f"a {WORD}\n\x1b[1mcustomer-\x1b[0macme-42\n".encode()), other=("file", b"x\n")
    )
    after = rewrite(tmp_path, before, Changes(literals=(WORD,)))
    assert [one.manifest.id for one in reports_under(tmp_path)] == [after.manifest.id] != [before.manifest.id]
    assert WORD.encode() not in everything(after)
    assert read(after, "other") == b"x\n"
    noted = {(one.where, one.rule): one.count for one in after.manifest.redactions}
    assert noted["output", BY_HAND] == 2
    assert noted["manifest", BY_HAND] == 3
    opened = open_report(tmp_path, after.manifest.id)
    assert opened.manifest_sha256 == after.manifest_sha256 != before.manifest_sha256


def test_a_word_that_lies_across_events_is_gone_from_the_recording(tmp_path: Path) -> None:
    before = kept(tmp_path, recording=("recording", cast("a customer-ac", "me-42 b\r\n", "end\r\n")))
    after = rewrite(tmp_path, before, Changes(literals=(WORD,)))
    lines = [msgspec.json.decode(line) for line in read(after, "recording").splitlines()]
    shown = "".join(line[2] for line in lines[1:])
    assert WORD not in shown
    assert shown.startswith(f"a [redacted:{BY_HAND}:")
    assert shown.endswith("] b\r\nend\r\n")
    assert WORD not in lines[0]["title"]


def test_a_pattern_is_replaced_line_by_line(tmp_path: Path) -> None:
    before = kept(tmp_path, output=("output", b"id 123\nname\nid 9 and id 10\n"))
    after = rewrite(tmp_path, before, Changes(patterns=("id [0-9]+",)))
    tag = f"[redacted:{BY_HAND}]"
    assert read(after, "output").decode() == f"{tag}\nname\n{tag} and {tag}\n"
    assert [(one.where, one.count) for one in after.manifest.redactions] == [("output", 3)]


def test_what_cannot_be_rewritten_is_left_out_when_it_holds_the_word(tmp_path: Path) -> None:
    before = kept(
        tmp_path,
        tree=("snapshot", archive(WORD.encode())),
        clean=("snapshot", archive(b"nothing")),
        history=("bundle", b"# v2 git bundle\n..."),
        core=("file", b"\0\0" + WORD.encode()),
        recording=("recording", cast("id 7\r\n")),
    )
    after = rewrite(tmp_path, before, Changes(literals=(WORD,), patterns=("id [0-9]",)))
    assert [one.name for one in after.manifest.artifacts] == ["clean"]
    assert {one.path for one in after.manifest.noted_files} == {"tree", "history", "core", "recording"}


def test_left_out_is_gone_and_noted_and_the_rest_keeps_its_digest(tmp_path: Path) -> None:
    before = kept(tmp_path, output=("output", b"fine\n"), tree=("snapshot", archive(b"x")))
    after = rewrite(tmp_path, before, Changes(left_out=frozenset({"tree"})))
    assert [one.sha256 for one in after.manifest.artifacts] == [before.manifest.artifacts[0].sha256]
    assert [(one.path, one.reason) for one in after.manifest.noted_files] == [("tree", "left out at the review")]
    assert after.manifest.argv == before.manifest.argv
    assert len(list(after.folder.iterdir())) == 2


@pytest.mark.parametrize(
    "changes",
    [
        Changes(left_out=frozenset({"nothing"})),
        Changes(literals=("ab",)),
        Changes(patterns=("(",)),
        Changes(patterns=("(?=look)",)),
        Changes(patterns=("a*",)),
    ],
)
def test_what_cannot_be_done_changes_nothing(tmp_path: Path, changes: Changes) -> None:
    before = kept(tmp_path, output=("output", b"fine\n"))
    with pytest.raises(BadInput):
        rewrite(tmp_path, before, changes)
    assert [one.manifest_sha256 for one in reports_under(tmp_path)] == [before.manifest_sha256]
    assert [path.name for path in before.folder.parent.iterdir()] == [before.manifest.id]


def test_a_report_that_was_changed_by_hand_is_not_rewritten(tmp_path: Path) -> None:
    before = kept(tmp_path, output=("output", b"fine\n"))
    (before.folder / before.manifest.artifacts[0].sha256).write_bytes(b"evil\n")
    with pytest.raises(Exception, match="changed after its capture"):
        rewrite(tmp_path, before, Changes(literals=("evil",)))
    assert before.folder.exists()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rewritten")


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=40), st.lists(st.integers(1, 60), max_size=4))
def test_wherever_the_word_stands_it_is_gone(folders: Path, around: str, gaps: list[int]) -> None:
    text = around.join([WORD] * (len(gaps) + 2)) + "".join("-" * gap + WORD for gap in gaps)
    before = kept(folders, output=("output", text.encode()))
    assert WORD.encode() not in everything(rewrite(folders, before, Changes(literals=(WORD,))))
