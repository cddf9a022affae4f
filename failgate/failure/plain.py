"""The output of a program as text: what a terminal would obey is taken out, what was written over is gone."""

import re

# CSI; OSC, DCS, SOS, PM and APC up to their end or the end of the text; every other escape of two or three bytes.
_CONTROL_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)


def without_escapes(text: str) -> str:
    """Return `text` without what a terminal would obey; of a line that was overwritten, the last writing stays.

    Source: ECMA-48 section 5; SECURITY section 4, terminal escapes.
    """
    plain = _CONTROL_SEQUENCE.sub("", text).replace("\r\n", "\n")
    if "\r" in plain or "\b" in plain:
        plain = "\n".join(_overwritten(line) for line in plain.split("\n"))
    return plain


def lines_of(octets: bytes) -> list[str]:
    """Return the lines of an output as plain text, without the empty ones at its end."""
    text = without_escapes(octets.decode("utf-8", "replace")).rstrip("\n")
    return text.split("\n") if text else []


def _overwritten(line: str) -> str:
    last = line.rstrip("\r").rpartition("\r")[2]
    kept: list[str] = []
    for character in last:
        if character != "\b":
            kept.append(character)
        elif kept:
            kept.pop()
    return "".join(kept)
