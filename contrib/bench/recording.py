"""Record a command on a terminal of its own, streamed in chained chunks to a server: `failgate shell` without a gate.

`recording.py CMD …`, with FAILGATE_URL, FAILGATE_TOKEN and FAILGATE_WORKSPACE. It ends when the server has the end.
"""

import os
import sys
from pathlib import Path

from failgate.client.execution import execute
from failgate.client.http import Api
from failgate.client.recorder import start_recorder
from failgate.client.redacting import open_scanner
from failgate.client.settings import load_settings

if __name__ == "__main__":
    begun = {"width": 80, "height": 24, "host": "bench", "began_at": "2026-01-02T03:04:05Z"}
    scanner = open_scanner(os.environ)
    with Api(load_settings(os.environ)) as api:
        tap, _, recorder = start_recorder(api, scanner, begun)
        path = str(Path(sys.argv[1]).resolve())
        ended = execute(sys.argv[1:], path=path, environment=os.environ, output=tap, way="terminal")
        tap.finish(ended.exit_code)
        _, status = os.waitpid(recorder, 0)
    sys.exit(ended.exit_code or os.waitstatus_to_exitcode(status))
