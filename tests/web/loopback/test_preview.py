"""F2 F19: what is shown of an artifact is inert, and what is selected there is what the artifact holds."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failgate.client.words import Changes, Words
from failgate.web.loopback.preview import HEX_BYTES, PART_BYTES, Preview, preview_of, selected, shown
from tests.client.test_rewriting import archive

NOTHING = Words(Changes())


def looked(content: bytes, kind: str = "file", part: int = 1, words: Words = NOTHING) -> Preview:
    return preview_of(io.BytesIO(content), len(content), kind, words, part)


def text_of(preview: Preview) -> str:
    return "\n".join("".join(part.text for part in row.parts) for row in preview.rows)


@given(st.text())
def test_nothing_that_a_terminal_or_a_reader_would_obey_is_shown(line: str) -> None:
    told = "".join(part.text for part in shown(line))
    assert all(character == "\t" or character.isprintable() for character in told)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="[⟨⟩\x1b\x9b"), min_size=3))
def test_what_is_selected_is_what_the_artifact_holds(text: str) -> None:
    told = "".join(part.text for part in shown("".join(text.splitlines())))
    wanted = "".join(text.splitlines()).strip()
    assert selected(told) == ([wanted] if len(wanted) >= 3 else [])


def test_escapes_and_what_was_replaced_already_are_no_words() -> None:
    told = "".join(part.text for part in shown("a\x1b[31mcme\x1b[0m id [redacted:github-token:0a1b2c3d] by\u202ehand"))
    assert told == "a⟨ESC[31m⟩cme⟨ESC[0m⟩ id [redacted:github-token:0a1b2c3d] by⟨U+202E⟩hand"
    assert selected(f"{told}\nab\n  second line ") == ["acme id", "by\u202ehand", "second line"]
    assert selected("⟨U+D800⟩ ⟨U+110000⟩") == ["⟨U+D800⟩ ⟨U+110000⟩"]


def test_marks_say_who_replaced_what() -> None:
    kinds = [(part.text, part.kind) for part in shown("x [redacted:aws-key:0a1b2c3d] [redacted:by-hand] \u200b")]
    assert kinds == [
        ("x ", ""), ("[redacted:aws-key:0a1b2c3d]", "finding"), (" ", ""), ("[redacted:by-hand]", "hand"), (" ", ""),
        ("⟨U+200B⟩", "unusual"),
    ]  # fmt: skip


def test_a_word_by_hand_is_replaced_in_what_is_shown() -> None:
    assert "[redacted:by-hand:" in text_of(looked(b"of acme\n", words=Words(Changes(literals=("acme",)))))


def test_every_line_of_a_long_text_is_on_one_part_and_whole() -> None:
    lines = [b"%06d %s" % (number, b"x" * (number % 90)) for number in range(6000)]
    content = b"\n".join(lines) + b"\n"
    parts = [looked(content, part=number) for number in range(1, looked(content).parts + 1)]
    assert len(parts) > 2
    assert "\n".join(map(text_of, parts)).encode() == content.rstrip(b"\n")
    assert [one.part for one in (looked(content, part=0), looked(content, part=999))] == [1, len(parts)]


def test_one_line_without_an_end_is_cut_into_parts() -> None:
    content = b"y" * (3 * PART_BYTES)
    assert sum(len(text_of(looked(content, part=number))) for number in (1, 2, 3)) == len(content)


@pytest.mark.parametrize(
    ("content", "kind"), [(b"\0<svg onload=alert(1)>" * 400, "file"), (b"# v2 git bundle", "bundle")]
)
def test_what_is_no_text_is_hex(content: bytes, kind: str) -> None:
    preview = looked(content, kind)
    assert preview.how == "hex"
    octets = "".join("".join(part.text for part in row.parts)[:48] for row in preview.rows)
    assert bytes.fromhex(octets) == content[:HEX_BYTES]


def test_an_archive_is_shown_by_the_names_in_it() -> None:
    preview = looked(archive(b"secret"), "snapshot")
    assert (preview.how, "src/cart.py" in text_of(preview), "secret" in text_of(preview)) == ("names", True, False)
    assert "not an archive" in text_of(looked(b"nothing", "snapshot"))


def test_an_empty_artifact_is_shown_empty() -> None:
    assert (looked(b"").parts, text_of(looked(b""))) == (1, "")
