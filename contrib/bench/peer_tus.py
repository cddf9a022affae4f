"""The tus server of Node as a peer: resumable uploads, neither verified nor synced. https://tus.io/protocols/resumable-upload."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import Absent, memory_from_now_mib, peak_memory_mib
from server import scratch_folder

SOURCE = Path(__file__).with_name("tus")


@contextmanager
def tus_server() -> Iterator[tuple[subprocess.Popen[str], int, Path]]:
    """Yield a running server, its port and the folder of its files. Raises: Absent."""
    root = str(SOURCE.parents[2])
    if root not in sys.path:
        sys.path.append(root)
    from tests.peers import npm

    try:
        packages = npm.installed("tus-server", SOURCE)
    except npm.NotInstalled as error:
        raise Absent(str(error)) from error
    (packages / "server.mjs").write_bytes((SOURCE / "server.mjs").read_bytes())
    with scratch_folder("tus") as folder:
        process = subprocess.Popen(
            ["node", str(packages / "server.mjs"), str(folder)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            found = re.match(r"listening on (\d+)", process.stdout.readline())
            if found is None:
                raise Absent("the tus server did not start")
            yield process, int(found[1]), folder
        finally:
            process.kill()
            process.wait(10)
            assert process.stdout is not None
            process.stdout.close()


@contextmanager
def measured(process: subprocess.Popen[str], seen: dict[str, float]) -> Iterator[None]:
    """Put how much the memory of `process` grew meanwhile into `seen`."""
    before = memory_from_now_mib(process.pid)
    yield
    seen["memory_growth_mib"] = peak_memory_mib(process.pid) - before
