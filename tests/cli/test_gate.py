"""Asking the gate by the command line. F17."""

import json
from typing import Any

from tests.client.wire_server import Wire

GITHUB = "ghp_" + "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfTa1b2"


def test_explain_says_what_the_policies_say_and_submits_nothing(failgate: Any, wire: Wire) -> None:
    done = failgate("policy", "explain", "--json", "--", "rm", "-r", "x")
    assert json.loads(done.stdout)["decision"] == "ask"
    assert wire.of("/policy/explain")[0]["command"]["argv"] == ["rm", "-r", "x"]
    assert not wire.of("/commands")
