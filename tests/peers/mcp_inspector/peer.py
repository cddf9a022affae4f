"""The MCP inspector's command line: one call of a server's tool, or the list of its tools, as JSON."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.peers import npm

HERE = Path(__file__).parent


def installed() -> Path:
    """Return the folder with the inspector, installed from the lock file at the first use."""
    try:
        return npm.installed("mcp-inspector", HERE)
    except npm.NotInstalled as error:
        pytest.skip(str(error))


def inspected(
    server: Sequence[str], environment: Mapping[str, str], method: str, *options: str, cwd: Path
) -> dict[str, Any]:
    """Start `server` below the inspector, carry out `method`, return its result."""
    script = installed() / "node_modules/@modelcontextprotocol/inspector-cli/build/index.js"
    done = subprocess.run(
        ["node", str(script), *server, "--method", method, *options],
        env=dict(environment), cwd=cwd, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)
