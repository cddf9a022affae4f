"""A settings file of an agent program: read whole, changed whole or not at all, with a copy of what was there."""

import json
import os
import stat
import time
from pathlib import Path
from typing import Any, cast

from failgate.client.exits import NotConfigured

_LARGEST_BYTES = 4 << 20


def read_settings(path: Path) -> dict[str, Any]:
    """Return the content of `path`; of a file that is absent or empty, nothing.

    Raises: NotConfigured (it cannot be read, is no JSON object, or names a member twice, of which one would be lost).
    """
    try:
        text = path.read_bytes()[: _LARGEST_BYTES + 1]
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise NotConfigured(f"{path} cannot be read: {error.strerror}.") from error
    if not text.strip():
        return {}
    try:
        content: object = json.loads(text.decode("utf-8-sig"), object_pairs_hook=_members)
    except (ValueError, RecursionError) as error:
        raise NotConfigured(f"{path} is not the JSON that it should be: {error}.", hint="Mend it first.") from None
    if not isinstance(content, dict):
        raise NotConfigured(f"{path} holds no JSON object.", hint="Mend it first.")
    return cast("dict[str, Any]", content)


def text_of(content: dict[str, Any]) -> str:
    """Return `content` as the program itself writes it: JSON with an indent of 2."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def replace_settings(path: Path, content: dict[str, Any]) -> Path | None:
    """Put `content` in the place of `path`, whole or not; return where a copy of the earlier file lies, if any.

    A link is followed: the file that it names changes. Mode and, where we may, owner stay.

    Raises: NotConfigured (the folder takes no file).
    """
    real = Path(os.path.realpath(path))
    fresh = real.with_name(f"{real.name}.{os.urandom(6).hex()}.new")
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
        facts = real.stat() if real.exists() else None
        backup = _copied(real, facts) if facts is not None else None
        try:
            _write(fresh, text_of(content).encode(), facts)
            fresh.replace(real)
        finally:
            fresh.unlink(missing_ok=True)
        _sync_folder(real.parent)
    except OSError as error:
        raise NotConfigured(f"{path} cannot be written: {error.strerror}.") from error
    return backup


def _copied(real: Path, facts: os.stat_result) -> Path:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    backup = real.with_name(f"{real.name}.before-failgate-{stamp}")
    number = 1
    while backup.exists():
        number += 1
        backup = real.with_name(f"{real.name}.before-failgate-{stamp}-{number}")
    _write(backup, real.read_bytes(), facts)
    return backup


def _write(path: Path, content: bytes, like: os.stat_result | None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        if like is not None:
            os.fchmod(descriptor, stat.S_IMODE(like.st_mode))
            if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()) and os.geteuid() == 0:
                os.fchown(descriptor, like.st_uid, like.st_gid)
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the member {next(name for name in names if names.count(name) > 1)!a} stands there twice")
    return members
