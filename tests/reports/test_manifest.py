"""What a manifest may say."""

import hashlib
import json

import msgspec
import pytest

from failgate.base.errors import TooLarge, Unprocessable
from failgate.redaction import Scanner
from failgate.reports.inspection import scan_text
from failgate.reports.manifest import ManifestLimits, check, one_line, seal_bytes, texts
from failgate.wire.reports import Manifest

LIMITS = ManifestLimits()
DIGEST = hashlib.sha256(b"x").hexdigest()


def artifact(**members: object) -> dict:
    return {
        "name": "output.txt",
        "kind": "output",
        "media_type": "text/plain",
        "size_bytes": 1,
        "sha256": DIGEST,
        **members,
    }


def document(**members: object) -> dict:
    return {
        "v": 1,
        "id": "0190a0a0-0000-7000-8000-000000000001",
        "created_at": "2026-01-02T03:04:05.000000Z",
        "argv": ["pytest", "-q"],
        "cwd": "/src",
        "host": "build-1",
        "exit_code": 1,
        "duration_ms": 12,
        "environment": {"names": ["PATH"], "values": {"LANG": "C"}, "platform": "Linux"},
        "artifacts": [artifact()],
        "redactions": [],
        "redaction_rules": "1",
        **members,
    }


def git_state(*status: dict) -> dict:
    return {"head": None, "branch": None, "is_dirty": True, "changed_files": 1, "status": list(status)}


def checked(**members: object) -> None:
    check(msgspec.convert(document(**members), Manifest), LIMITS)


def test_the_digest_is_over_the_canonical_bytes_of_what_was_sent():
    text, digest = seal_bytes(document(), LIMITS)
    plain = json.dumps(document(), sort_keys=True, separators=(",", ":"))
    assert (text, digest) == (plain, hashlib.sha256(plain.encode()).hexdigest())


def test_an_ordinary_manifest_passes():
    checked()
    checked(artifacts=[], signal=9, exit_code=137, title="Überschrift", git={"head": None, "branch": None, "is_dirty": False, "changed_files": 0})  # fmt: skip
    checked(artifacts=[artifact(), artifact(name="same bytes.txt")])
    checked(source="pytest", project="till", version="1.2", usage={"user_ms": 1, "system_ms": 0, "max_rss_bytes": 9})
    checked(tools=[{"name": "git", "version": "git version 2.39.5"}], artifacts=[artifact(kind="snapshot", path="a/b")])
    checked(noted_files=[{"path": "core", "reason": "binary", "size_bytes": 4, "sha256": DIGEST}])
    checked(cwd="/a folder\nwith a line feed")


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "manifest.json", "a/b", "..\\b", "a\r\nSet-Cookie: x", "a\nb", "a\0b", "a\x1b[2J", "x" * 201, " a", "a\u202egpj.exe", "a\u200bb", "a\u2028b"],
)  # fmt: skip
def test_a_name_that_could_harm_its_reader_is_refused(name):
    with pytest.raises(Unprocessable) as refused:
        checked(artifacts=[artifact(name=name)])
    assert refused.value.facts["member"] == "artifacts[0].name"


@pytest.mark.parametrize(
    ("members", "member"),
    [
        ({"id": "../../x"}, "id"),
        ({"created_at": "yesterday"}, "created_at"),
        ({"argv": []}, "argv"),
        ({"argv": ["sh", "a\0b"]}, "argv[1]"),
        ({"cwd": ""}, "cwd"),
        ({"host": "a\nb"}, "host"),
        ({"exit_code": 256}, "exit_code"),
        ({"exit_code": -1}, "exit_code"),
        ({"duration_ms": -1}, "duration_ms"),
        ({"signal": 0}, "signal"),
        ({"title": "a\nb"}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"git": {"head": "abc", "branch": None, "is_dirty": False, "changed_files": 0}}, "git.head"),
        ({"artifacts": [artifact(sha256=DIGEST.upper())]}, "artifacts[0].sha256"),
        ({"artifacts": [artifact(sha256=DIGEST + "\n")]}, "artifacts[0].sha256"),
        ({"artifacts": [artifact(size_bytes=-1)]}, "artifacts[0].size_bytes"),
        ({"artifacts": [artifact(media_type="text/html\r\nX: y")]}, "artifacts[0].media_type"),
        ({"artifacts": [artifact(), artifact()]}, "artifacts[1].name"),
        ({"artifacts": [artifact(), artifact(name="b", size_bytes=2)]}, "artifacts[1].size_bytes"),
        ({"redactions": [{"rule": "", "where": "manifest", "count": 1}]}, "redactions[0].rule"),
        ({"redactions": [{"rule": "jwt", "where": "manifest", "count": 0}]}, "redactions[0].count"),
        ({"project": "a\nb"}, "project"),
        ({"version": ""}, "version"),
        ({"fingerprint": DIGEST.upper()}, "fingerprint"),
        ({"usage": {"user_ms": -1, "system_ms": 0, "max_rss_bytes": 0}}, "usage"),
        ({"tools": [{"name": "git", "version": "\x1b[2J"}]}, "tools[0].version"),
        ({"noted_files": [{"path": "../../x", "reason": "binary"}]}, "noted_files[0].path"),
        ({"noted_files": [{"path": "x", "reason": "binary", "sha256": "abc"}]}, "noted_files[0].sha256"),
        ({"artifacts": [artifact(path="/etc/passwd")]}, "artifacts[0].path"),
        ({"git": git_state({"state": "evil", "path": "a"})}, "git.status[0].state"),
        ({"git": git_state({"state": "??", "path": "a\r\nb"})}, "git.status[0].path"),
        ({"environment": {"names": ["A\0"], "values": {}, "platform": "x"}}, "environment.names"),
    ],
)
def test_a_member_that_cannot_be_true_is_refused_by_name(members, member):
    with pytest.raises(Unprocessable) as refused:
        checked(**members)
    assert refused.value.facts["member"] == member


def test_a_thousand_artifacts_are_too_many():
    with pytest.raises(TooLarge, match="1000 artifacts"):
        checked(artifacts=[artifact(name=f"{number}.txt") for number in range(1000)])


def test_artifacts_are_bounded_alone_and_together():
    with pytest.raises(TooLarge):
        checked(artifacts=[artifact(size_bytes=(1 << 30) + 1)])
    digests = [hashlib.sha256(bytes([number])).hexdigest() for number in range(5)]
    with pytest.raises(TooLarge, match="together"):
        checked(artifacts=[artifact(name=one, sha256=one, size_bytes=1 << 30) for one in digests])


def test_a_manifest_over_its_limit_is_too_large():
    with pytest.raises(TooLarge):
        seal_bytes(document(argv=["x" * (1 << 20)]), LIMITS)


@pytest.mark.parametrize("value", [1.5, 1 << 60, "\ud800"])
def test_a_manifest_without_canonical_form_is_refused(value):
    with pytest.raises(Unprocessable):
        seal_bytes(document(duration_ms=value), LIMITS)


SECRET = "ghp_" + "R4nD0mR4nD0mR4nD0mR4nD0mR4nD0mR4nD0m"


@pytest.mark.parametrize(
    "members",
    [
        {"argv": ["curl", "-H", f"Authorization: Bearer {SECRET}"]},
        {"cwd": f"/tmp/{SECRET}"},
        {"title": f"push with {SECRET}"},
        {"environment": {"names": [], "values": {"API_TOKEN": SECRET}, "platform": "x"}},
        {"environment": {"names": [], "values": {}, "platform": "x", "tools": {"git": SECRET}}},
        {"git": {"head": None, "branch": SECRET, "is_dirty": False, "changed_files": 0}},
        {"artifacts": [artifact(name=SECRET)]},
        {"redactions": [{"rule": "jwt", "where": SECRET, "count": 1}]},
    ],
)
async def test_a_secret_in_any_free_text_is_found(members):  # F18
    manifest = msgspec.convert(document(**members), Manifest)
    assert await scan_text(texts(manifest), Scanner())


async def test_digests_ids_and_times_are_not_taken_for_secrets():
    many = [artifact(name=f"{n}.txt", sha256=hashlib.sha256(bytes([n])).hexdigest()) for n in range(100)]
    git = {"head": "a1b2c3d4" * 5, "branch": "main", "is_dirty": True, "changed_files": 3}
    manifest = msgspec.convert(document(artifacts=many, git=git), Manifest)
    assert await scan_text(texts(manifest), Scanner()) == {}


async def test_two_texts_are_no_broken_line_and_a_broken_line_in_one_text_is():
    halves = SECRET[:20], SECRET[20:]
    beside = msgspec.convert(document(cwd=f"/src/of/some/large/project/{halves[0]}", host=halves[1]), Manifest)
    assert await scan_text(texts(beside), Scanner()) == {}
    within = msgspec.convert(document(cwd=f"/src/of/some/large/project/{halves[0]}\n{halves[1]}"), Manifest)
    assert await scan_text(texts(within), Scanner())


@pytest.mark.parametrize(
    ("title", "line"),
    [
        ("a\r\nb", "a b"),
        ("", "(no title)"),
        ("\x1b[31mred", "[31mred"),
        ("a\u202eb", "a b"),
        ("x" * 500, "x" * 199 + "…"),
    ],
)
def test_a_title_is_one_visible_line(title, line):
    assert one_line(title) == line
