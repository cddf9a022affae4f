"""A server's memory under hostile bodies, frames and connections: bounded, and nothing of it is an error of the server's. # SECURITY 2

The command with its own figures: `python contrib/security memory`.
"""

import json
import subprocess
import sys
from pathlib import Path

from tests.journeys.harness import clean_environment

MOST_MIB = 64
ROOT = Path(__file__).parents[2]


def test_no_hostile_body_frame_or_connection_makes_the_server_grow_by_64_mib(tmp_path: Path) -> None:
    """Depth, width, packed zeros, 100 MB with and without length, 100 MB frames, bodies and heads that do not end."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "contrib" / "security"), "--quick", "--json", "memory"],
        env=clean_environment(PYTHONPATH=":".join(sys.path), TMPDIR=str(tmp_path), PYTHONWARNINGS=""),
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = {row["attack"]: row for row in json.loads(done.stdout)["memory"]}
    assert {name: row["growth_mib"] for name, row in found.items() if row["growth_mib"] > MOST_MIB} == {}
    statuses = {name: {int(one) for one in row["answers"]} for name, row in found.items()}
    assert statuses["deep"] == {400}
    assert statuses["wide"] <= {400, 408, 429}
    assert statuses["packed"] <= {0, 401, 403, 404, 413, 415}
    assert statuses["large_bodies"] <= {0, 404, 413}
    assert statuses["frames"] <= {0, 1009}
    assert statuses["held"] == statuses["slow"] == {200}  # it goes on answering others
