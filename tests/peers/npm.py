"""Peers from npm, each installed once from its own lock file into the user's cache."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

PATIENCE_SECONDS = 300


class NotInstalled(Exception):
    """A peer cannot be had here; the text says why, and how it is had."""


def installed(name: str, source: Path, *, is_large: bool = False) -> Path:
    """Return the folder with the packages of the lock file in `source`, installed at the first use.

    What `is_large` is fetched only where no peer may be missing (FAILGATE_REQUIRE_PEERS=1).

    Raises: NotInstalled.
    """
    lock_file = source / "package-lock.json"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "failgate-peers"
    folder = cache / f"{name}-{hashlib.sha256(lock_file.read_bytes()).hexdigest()[:16]}"
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise NotInstalled(f"{name} needs node and npm: install the packages `nodejs` and `npm`")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            if is_large and os.environ.get("FAILGATE_REQUIRE_PEERS") != "1":
                raise NotInstalled(f"{name} is large and not installed yet: FAILGATE_REQUIRE_PEERS=1 fetches it")
            for file in ("package.json", "package-lock.json"):
                shutil.copy(source / file, folder)
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
            try:
                done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
            except subprocess.TimeoutExpired as error:
                raise NotInstalled(f"{name} was not installed by npm within {PATIENCE_SECONDS} s") from error
            if done.returncode != 0:
                raise NotInstalled(f"{name} cannot be installed by npm: {done.stderr[-400:]}")
            (folder / "installed").touch()
    return folder
