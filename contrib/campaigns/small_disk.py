"""A real file system of a few mebibytes, for what happens when it is full.

`inside(folder, size, command)` runs a command for which `folder` is one: in a namespace of its own where this account
may make one, else (a container that forbids it) in the shared memory, the rest of which is taken meanwhile.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path("/dev/shm")
MIB = 1 << 20
LARGEST_SHARED = 256 * MIB  # a container has 64 MiB there; more than this is not taken from other programs
_MOUNT = 'mount -t tmpfs -o size="$1",mode=700 small "$0" && shift && exec "$@"'


class NoSmallDisk(Exception):
    """None can be made here; the text says why, and how one can."""


def inside(folder: Path, size: int, *arguments: str) -> str:
    """Run this Python with `arguments`, and last of all a folder of `size` bytes in all; return what it printed.

    Raises: NoSmallDisk, AssertionError (it failed; with the end of what it printed).
    """
    for way in (("unshare", "-Urm"), ("unshare", "-m")):
        if shutil.which("unshare") and subprocess.run([*way, "sh", "-c", _MOUNT, folder, str(size), "true"],
                                                      capture_output=True, check=False).returncode == 0:  # fmt: skip
            return _run([*way, "sh", "-c", _MOUNT, str(folder), str(size), sys.executable, *arguments, str(folder)])
    with _shared(size) as place:
        return _run([sys.executable, *arguments, str(place)])


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [ROOT, *sys.path]))},
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@contextmanager
def _shared(size: int) -> Iterator[Path]:
    free = _free(SHARED) if SHARED.is_dir() else 0
    if not size <= free <= LARGEST_SHARED:
        raise NoSmallDisk(
            "a small file system cannot be made: neither `unshare -Urm` nor `unshare -m` may mount a tmpfs here, and "
            f"{SHARED} has {free} bytes free; give the container CAP_SYS_ADMIN or a {SHARED} of 64 MiB"
        )
    place = Path(tempfile.mkdtemp(dir=SHARED))
    try:
        with (place / "taken").open("wb") as taken:
            os.posix_fallocate(taken.fileno(), 0, free - size)
            yield place
    finally:
        shutil.rmtree(place)


def _free(folder: Path) -> int:
    space = os.statvfs(folder)
    return space.f_bavail * space.f_frsize


class Ballast:
    """A file that takes what is free on its file system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = (folder / "ballast").open("wb", buffering=0)

    def fill(self, left: int = 0) -> None:
        """Take all but `left` bytes."""
        self.release()
        size = _free(self._folder) - left
        os.posix_fallocate(self._file.fileno(), 0, max(size, 1))

    def release(self) -> None:
        """Give everything back."""
        self._file.truncate(0)
