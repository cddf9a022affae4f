"""A digest is an argument, also the one of 64 that begins with a dash. E10."""

from typing import Any

import pytest

DASHED = ("-yvMK9VVLywsn_XK3pCKwfJHcY8rLtPzytVucnC9vpQ", "--" + "h" * 41, "-" * 43, "-h" + "A" * 41)


@pytest.mark.parametrize("digest", DASHED)
@pytest.mark.parametrize("words", [("agent", "pin"), ("review", "pin"), ("agent", "pin", "--policy", "strict")])
def test_a_digest_that_begins_with_a_dash_is_no_option(failgate: Any, words: tuple[str, ...], digest: str) -> None:
    for written in ((*words, digest), (*words, "--", digest), (*words[:2], digest, *words[2:])):
        done = failgate(*written)
        assert done.returncode == 78, done.stderr  # it was read, and is the next thing asked for
        assert "This machine has no key" in done.stderr


@pytest.mark.parametrize("digest", ["", "x", "-y", "--polcy", "A" * 42, "A" * 44, "A" * 42 + "=", "é" * 43])
@pytest.mark.parametrize("command", ["agent", "review"])
def test_what_is_no_digest_is_refused_with_its_form(failgate: Any, command: str, digest: str) -> None:
    done = failgate(command, "pin", digest)
    assert done.returncode == 2, done.stderr
    assert "43 characters" in done.stderr or "No such option" in done.stderr
    assert "Traceback" not in done.stderr
