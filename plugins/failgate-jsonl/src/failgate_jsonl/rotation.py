"""When the file is moved away and under which name; what was moved away before."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from failgate.plugin import Clock


class Rotation:
    """Moves a file away when it has `size_bytes`, or when its first record is `age_us` old; None: not for that."""

    def __init__(self, clock: Clock, *, size_bytes: int | None = None, age_us: int | None = None) -> None:
        self._clock = clock
        self._size_bytes = size_bytes
        self._age_us = age_us

    def is_due(self, size_bytes: int, first_line: bytes | None) -> bool:
        """Tell whether a file of that size, beginning with that line, is to be moved away."""
        if self._size_bytes is not None and size_bytes >= self._size_bytes:
            return True
        began_us = _time_of(first_line)
        return self._age_us is not None and began_us is not None and self._clock.now_us() - began_us >= self._age_us

    def move(self, path: Path) -> None:
        """Move it to its name, a dot and the time, on the disk too. Raises: OSError; then it stays where it is."""
        now = datetime.fromtimestamp(self._clock.now_us() / 1_000_000, UTC)
        number = 0
        while (place := path.with_name(f"{path.name}.{now:%Y%m%dT%H%M%SZ}-{number:04d}")).exists():
            number += 1
        path.rename(place)
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def newest_before(path: Path) -> Path | None:
    """Return the file that was moved away from `path` last, or None."""
    found = sorted(path.parent.glob(f"{path.name}.[0-9]*T[0-9]*Z-[0-9]*"))
    return found[-1] if found else None


def _time_of(line: bytes | None) -> int | None:
    try:
        moment = datetime.fromisoformat(json.loads(line or b"")["record"]["ts"])
    except (ValueError, KeyError, TypeError):
        return None
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond if moment.tzinfo is not None else None
