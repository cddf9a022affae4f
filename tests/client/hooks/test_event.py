"""What an agent program tells its hook. E12."""

import json
from pathlib import Path

import pytest

from failgate.client.hooks.event import Event, model_of


def told(**members: object) -> Event:
    return Event("PreToolUse", "Bash", {}, "/", "s", "t", members)


def test_the_model_is_the_events_or_the_last_of_the_transcript(tmp_path: Path) -> None:
    transcript = tmp_path / "t.jsonl"
    lines = [json.dumps({"message": {"model": name}}, separators=(",", ":")) for name in ("old", "new \x1b[31m")]
    transcript.write_text("x" * 200_000 + "\n" + "\n".join(lines) + "\n")
    assert model_of(told(model="gpt-5", transcript_path=str(transcript))) == "gpt-5"
    assert model_of(told(transcript_path=str(transcript))) == "new \\u001b[31m"


@pytest.mark.parametrize("path", [None, 7, "", "/nonexistent", "/", "/dev/null", "/tmp/\0"])
def test_a_transcript_that_cannot_be_read_names_none(path: object) -> None:
    assert model_of(told(transcript_path=path)) is None
