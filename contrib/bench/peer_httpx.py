"""The client that one would write with httpx: submit, compare the digest, consume, execute, tell how it ended."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx


def main() -> int:
    """Carry out the command on the command line; return its exit code."""
    argv = sys.argv[1:]
    program = Path(shutil.which(argv[0]) or argv[0]).resolve()
    command = {
        "v": 1,
        "argv": argv,
        "cwd": os.getcwd(),
        "env": {"PATH": os.environ["PATH"]},
        "host": "bench",
        "exe": {"path": str(program), "sha256": hashlib.sha256(program.read_bytes()).hexdigest()},
        "programs": {},
        "nonce": os.urandom(16).hex(),
    }
    octets = json.dumps(command, sort_keys=True, separators=(",", ":")).encode()
    digest = base64.urlsafe_b64encode(hashlib.sha256(octets).digest()).rstrip(b"=").decode()
    base = f"{os.environ['FAILGATE_URL']}/api/v1/workspaces/{os.environ['FAILGATE_WORKSPACE']}/commands"
    with httpx.Client(headers={"Authorization": f"Bearer {os.environ['FAILGATE_TOKEN']}"}) as client:
        view = client.post(base, json={"command": command, "digest": digest}).raise_for_status().json()
        if view["state"] != "approved" or view["verdict"]["digest"] != digest:
            return 1
        client.post(f"{base}/{view['id']}/consume", json={"digest": digest}).raise_for_status()
        code = subprocess.run(argv, check=False).returncode
        client.post(
            f"{base}/{view['id']}/outcome", json={"digest": digest, "exit_code": code, "duration_ms": 0}
        ).raise_for_status()
    return code


if __name__ == "__main__":
    sys.exit(main())
