"""How the tool ended, in the words of the program that ran it. E12."""

from typing import Any

import pytest

from failgate.client.hooks.aftermath import exit_code_of
from failgate.client.hooks.event import Event


def after(name: str, **members: Any) -> int | None:
    return exit_code_of(Event(name, "Bash", {}, "/", "s", "t", members))


@pytest.mark.parametrize(
    ("name", "members", "code"),
    [
        ("PostToolUse", {"tool_response": {"stdout": "x"}}, 0),
        ("PostToolUse", {"tool_response": "text"}, 0),
        ("PostToolUse", {"tool_response": {"exit_code": 7}}, 7),
        ("PostToolUse", {"tool_response": {"exitCode": -9}}, 1),
        ("PostToolUse", {"tool_response": {"interrupted": True}}, 130),
        ("PostToolUse", {"tool_response": {"backgroundTaskId": "b1"}}, None),
        ("PostToolUseFailure", {"error": "Exit code 2\nno rule"}, 2),
        ("PostToolUseFailure", {"error": "Command exited with non-zero status code 127"}, 127),
        ("PostToolUseFailure", {"error": "Exit code 0"}, 1),
        ("PostToolUseFailure", {"error": "Exit code 99999"}, 1),
        ("PostToolUseFailure", {"error": {"a": 1}}, 1),
        ("PostToolUseFailure", {"error": "File not found", "is_interrupt": True}, 130),
        ("PostToolUseFailure", {}, 1),
    ],
)
def test_the_exit_code_is_what_was_said_or_follows(name: str, members: dict[str, Any], code: int | None) -> None:
    assert after(name, **members) == code
