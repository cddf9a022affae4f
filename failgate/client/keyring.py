"""The token of this machine: in the environment or in a file that nobody else can read."""
# ruff: noqa: PTH100, PTH103, PTH105, PTH108, PTH111, PTH118 -- pathlib would slow the start

import os
import stat
from collections.abc import Mapping

from failgate.client.exits import NotConfigured

TOKEN_FILE = "token"  # noqa: S105  # the name of a file, no secret


def home(environment: Mapping[str, str]) -> str:
    """Return the folder of the client's own files: `FAILGATE_HOME`, else `failgate` in the user's config folder."""
    named = environment.get("FAILGATE_HOME")
    if named:
        return os.path.abspath(named)
    base = environment.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(base, "failgate")


def stored_token(folder: str) -> str | None:
    """Return the token kept in `folder`, or None when there is none.

    Raises: NotConfigured (others may read the file, it belongs to somebody else, or it is no token).
    """
    path = os.path.join(folder, TOKEN_FILE)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotConfigured(f"The token file {path} cannot be read: {error.strerror}.") from error
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise NotConfigured(f"The token file {path} is no regular file.", hint="Sign in again: failgate login.")
        if facts.st_uid not in (os.geteuid(), 0):
            raise NotConfigured(
                f"The token file {path} belongs to another user.", hint="Sign in again: failgate login."
            )
        if facts.st_mode & 0o077:
            raise NotConfigured(
                f"The token file {path} has mode {stat.S_IMODE(facts.st_mode):04o}; others can read it.",
                hint=f"Revoke that token if others use this machine, then: chmod 600 {path}",
            )
        text = os.read(descriptor, 8192)
    finally:
        os.close(descriptor)
    return checked_token(text.decode("ascii", "replace").strip(), f"the token file {path}")


def checked_token(token: str, where: str) -> str:
    """Return `token` when it can stand in a header.

    Raises: NotConfigured (empty, or with characters that no token has; the text itself is not shown).
    """
    if not token or not token.isascii() or not token.isprintable() or " " in token or len(token) > 4096:
        raise NotConfigured(
            f"In {where} there is no usable token.", hint="Sign in again: failgate login --token-stdin."
        )
    return token


def store_token(folder: str, token: str) -> str:
    """Keep `token` in `folder` for this user alone (0700, 0600), in place of an earlier one; return the path."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path = os.path.join(folder, TOKEN_FILE)
    fresh = f"{path}.{os.getpid()}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, token.encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(fresh, path)
    return path


def forget_token(folder: str) -> bool:
    """Remove the kept token; tell whether there was one."""
    try:
        os.unlink(os.path.join(folder, TOKEN_FILE))
    except FileNotFoundError:
        return False
    return True
