"""Recordings: valid asciicast v2 whatever comes in whatever chunks, and a player of others that plays them."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failgate.client.asciicast import CastWriter
from tests.client.seat import Seat

pieces = st.lists(
    st.one_of(
        st.binary(max_size=30),
        st.text(max_size=12).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.sampled_from([b"\x1b]52;c;QQ==\x07", b"\x1b[31m", b"\xe2", b"\x82\xac", b"\r\n", b"\n", b"\x00", b'"\\']),
    ),
    max_size=40,
)


def written(chunks: list[bytes], times: list[int], *, is_terminal: bool) -> list[Any]:
    out = bytearray()
    cast = CastWriter(out.extend, size=(80, 24), timestamp=1, title="x", is_terminal=is_terminal)
    for at, chunk in enumerate(chunks):
        cast.write(times[at] if at < len(times) else 0, chunk)
    cast.finish()
    return [json.loads(line) for line in out.splitlines()] if out.endswith(b"\n") else []


@given(pieces, st.lists(st.integers(0, 10**9), max_size=40), st.booleans())
def test_any_bytes_in_any_chunks_are_a_valid_recording_of_the_decoded_stream(
    chunks: list[bytes], times: list[int], is_terminal: bool
) -> None:
    header, *events = written(chunks, times, is_terminal=is_terminal)
    assert header == {"version": 2, "width": 80, "height": 24, "timestamp": 1, "title": "x"}
    decoded = b"".join(chunks).decode("utf-8", "replace")
    assert "".join(text for _, _, text in events) == (decoded if is_terminal else decoded.replace("\n", "\r\n"))
    moments = [at for at, _, _ in events]
    assert moments == sorted(moments)
    assert all(isinstance(at, float | int) and kind == "o" and text for at, kind, text in events)


def test_a_character_across_two_chunks_is_one() -> None:
    _, *events = written([b"a\xe2\x82", b"\xacb"], [0, 10], is_terminal=True)
    assert [text for _, _, text in events] == ["a", "€b"]


@pytest.fixture
def asciinema() -> str:
    found = shutil.which("asciinema")
    if found is None:
        pytest.skip("asciinema is not installed: apt-get install asciinema")
    return found


def test_asciinema_plays_our_recording(failgate: Any, work: Path, asciinema: str, tmp_path: Path) -> None:
    (work / "odd").write_bytes(b"caf\xc3\xa9 \xff\xfe \x1b[31mred\x1b[0m\n")
    assert failgate("capture", "--", "sh", "-c", "echo one; cat odd; echo two >&2; exit 3", text=False).returncode == 3
    (report,) = (work / ".failgate" / "reports").iterdir()
    manifest = json.loads((report / "manifest.json").read_bytes())
    (name,) = [one["sha256"] for one in manifest["artifacts"] if one["kind"] == "recording"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    (tmp_path / "broken.cast").write_text("no recording\n")
    with Seat(environment, tmp_path) as seat:  # asciinema wants a terminal even to write into a file
        shown = seat.run(f"{asciinema} cat {report / name} > played; echo code=$?")
        assert b"code=0\r\n" in shown
        refused = seat.run(f"{asciinema} cat broken.cast; echo code=$?")
        assert b"code=0" not in refused, "it does read what it is given"
    assert (tmp_path / "played").read_bytes().decode() == "one\r\ncafé \ufffd\ufffd \x1b[31mred\x1b[0m\r\ntwo\r\n"
