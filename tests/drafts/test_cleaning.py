"""Drafts become manifests and artifacts without secrets, which the server takes."""

import pytest

from failgate.drafts import Draft, DraftArtifact
from failgate.drafts.cleaning import HEAD_BYTES, MOST_ARTIFACTS, TAIL_BYTES
from failgate.testing import cleaned

GITHUB = "ghp_" + "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfTa1b2"


def draft(**members) -> Draft:
    return Draft(**({"source": "junit", "title": "t", "artifacts": (), "argv": ("junit",)} | members))


def text(content: bytes, name: str = "a.txt") -> DraftArtifact:
    return DraftArtifact(name, "output", "text/plain", content)


@pytest.mark.parametrize(
    "members",
    [
        {"title": GITHUB},
        {"argv": ("curl", "--token", GITHUB)},
        {"host": GITHUB},
        {"cwd": f"/src/{GITHUB}"},
        {"project": GITHUB},
        {"version": GITHUB},
        {"values": {"API_TOKEN": GITHUB, GITHUB: "x"}},
        {"artifacts": (text(f"a {GITHUB} b".encode()),)},
        {"artifacts": (text(b"", f"{GITHUB}.txt"),)},
    ],
)
def test_no_member_keeps_a_secret(members):
    manifest, contents = cleaned(draft(**members))
    assert GITHUB not in f"{manifest}{contents}"
    assert manifest.redactions


def test_the_same_draft_gives_the_same_report():
    one = draft(id="0190a0a0-0000-7000-8000-00000000000f", artifacts=(text(GITHUB.encode()),))
    assert cleaned(one) == cleaned(one)
    assert cleaned(one)[0].id == one.id


def test_of_a_long_text_the_ends_are_kept_between_lines_and_a_secret_is_not_cut_in_half():
    word, filler, count = GITHUB.encode(), b"x" * len(GITHUB), 160_000
    holding = {*range(100), *range(20_000, 28_000), *range(84_000, 97_000), count - 1}  # around both cuts
    lines = b"".join(b"%07d %s\n" % (number, word if number in holding else filler) for number in range(count))
    manifest, (kept,) = cleaned(draft(artifacts=(text(lines),)))
    assert len(kept) < HEAD_BYTES + TAIL_BYTES + 100
    assert manifest.artifacts[0].truncated_bytes > 0
    assert GITHUB[:12].encode() not in kept
    assert kept.startswith(b"0000000 [redacted:")
    assert kept.splitlines()[-1].startswith(b"0159999 ")


def test_bytes_with_a_nul_are_left_alone():
    attachment = DraftArtifact("core", "file", "application/octet-stream", b"\x7fELF\0" + GITHUB.encode())
    manifest, (kept,) = cleaned(draft(artifacts=(attachment,)))
    assert kept == attachment.content
    assert manifest.artifacts[0].truncated_bytes == 0


@pytest.mark.parametrize(
    "name", ["", ".", "..", "manifest.json", "../../etc/passwd", "a\r\nb", " x ", "\u202e", "x" * 999]
)
def test_names_are_made_a_files_own(name):
    manifest, _ = cleaned(draft(artifacts=(text(b"", name), text(b"1", name))))
    assert len({one.name for one in manifest.artifacts}) == 2


def test_more_artifacts_than_a_report_takes_are_left_out():
    manifest, contents = cleaned(draft(artifacts=[text(b"%d" % number) for number in range(MOST_ARTIFACTS + 9)]))
    assert len(manifest.artifacts) == len(contents) == MOST_ARTIFACTS


@pytest.mark.parametrize("odd", ["", "\0", "\ud800", "\x1b[2J", "a" * 100_000])
def test_odd_texts_are_taken_everywhere(odd):
    members = {"title": odd, "argv": (odd,), "host": odd, "cwd": odd, "platform": odd, "project": odd, "version": odd}
    manifest, _ = cleaned(draft(values={odd: odd}, python=odd, **members))
    assert manifest.title


def test_an_attachment_that_is_something_else_than_it_is_called_is_named_as_bytes():
    """ASVS 5.0 5.2.2: what an SDK sends is called whatever its sender calls it."""
    page, picture = b"<html><script>alert(1)</script>", b"\x89PNG\r\n\x1a\n\0"
    given = (
        DraftArtifact("shot.png", "file", "image/png", page), DraftArtifact("shot.png.bin", "file", "text/plain", b"x"),
        DraftArtifact("true.png", "file", "image/png", picture), DraftArtifact("a.txt", "file", "text/plain", picture),
    )  # fmt: skip
    manifest, _ = cleaned(draft(artifacts=given))
    assert [(one.name, one.media_type) for one in manifest.artifacts] == [
        ("shot.png.bin.bin", "application/octet-stream"), ("shot.png.bin", "text/plain"),
        ("true.png", "image/png"), ("a.txt.bin", "application/octet-stream"),
    ]  # fmt: skip
