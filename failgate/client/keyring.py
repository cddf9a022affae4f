"""What this machine speaks with: a token in the environment, logins and a token in files that nobody else can read.

Logins are kept by server: `logins.json` holds, for each address, an access token, when it runs out, and the refresh
token that gets the next one. The file `token` holds a token and, below it, the address that it was kept for.
"""
# ruff: noqa: PTH100, PTH103, PTH105, PTH108, PTH110, PTH111, PTH118 -- pathlib would slow the start

from __future__ import annotations

import os
import stat
import time

from failgate.base.quick import NamedTuple, loads
from failgate.client.exits import NotConfigured

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

TOKEN_FILE = "token"  # noqa: S105  # the name of a file, no secret
LOGINS_FILE = "logins.json"
SOON_SECONDS = 30.0  # an access token that runs out sooner than this is renewed first
_LONGEST_FILE = 1 << 20


class StoredLogin(NamedTuple):
    """A login at the server `url` (as `str(Address)` writes it). `expires_at`: of the access token, seconds since 1970.

    `retry_key` marks a renewal that began and did not end: it is repeated under the same one.
    """

    url: str
    access_token: str
    expires_at: float
    refresh_token: str
    retry_key: str | None = None

    def is_due(self) -> bool:
        """Tell whether the access token has run out, or is about to."""
        return not time.time() <= self.expires_at - SOON_SECONDS  # also of what is no number


def home(environment: Mapping[str, str]) -> str:
    """Return the folder of the client's own files: `FAILGATE_HOME`, else `failgate` in the user's config folder."""
    named = environment.get("FAILGATE_HOME")
    if named:
        return os.path.abspath(named)
    base = environment.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(base, "failgate")


def stored_token(folder: str, url: str) -> str | None:
    """Return the token kept in `folder`, or None when there is none, or one for another server than `url`.

    A file with a token alone, as a person writes it, is for every server.

    Raises: NotConfigured (others may read the file, it belongs to somebody else, or it is no token).
    """
    path = os.path.join(folder, TOKEN_FILE)
    text = read_private(path, "token file")
    if text is None:
        return None
    token, _, address = text.decode("ascii", "replace").strip().partition("\n")
    if address and address.strip() != url:
        return None
    return checked_token(token.strip(), f"the token file {path}")


def stored_login(folder: str, url: str) -> StoredLogin | None:
    """Return the login kept for the server `url` (as `str(Address)` writes it), or None.

    Raises: NotConfigured (others may read the file, it belongs to somebody else, or it is not what we wrote).
    """
    return _logins(folder).get(url)


def has_logins(folder: str) -> bool:
    """Tell whether there is a file of logins, without reading it."""
    return os.path.exists(os.path.join(folder, LOGINS_FILE))


def store_login(folder: str, login: StoredLogin) -> None:
    """Keep `login` in place of an earlier one at the same server. The caller holds the lock of `login.py`."""
    _write_logins(folder, _logins(folder) | {login.url: login})


def forget_login(folder: str, url: str) -> StoredLogin | None:
    """Remove the login kept for the server `url`; return it. The caller holds the lock of `login.py`."""
    logins = _logins(folder)
    found = logins.pop(url, None)
    if found is not None:
        _write_logins(folder, logins)
    return found


def _logins(folder: str) -> dict[str, StoredLogin]:
    path = os.path.join(folder, LOGINS_FILE)
    text = read_private(path, "file of logins")
    if text is None:
        return {}
    try:
        return {url: _login(url, one) for url, one in loads(text).items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        raise NotConfigured(
            f"The file of logins {path} is damaged.", hint="Remove it and sign in again: failgate login."
        ) from None


def _login(url: str, kept: dict[str, Any]) -> StoredLogin:
    login = StoredLogin(
        url, kept["access_token"], float(kept["expires_at"]), kept["refresh_token"], kept.get("retry_key")
    )
    for token in (login.access_token, login.refresh_token, login.retry_key or "none"):
        checked_token(token, "the file of logins")
    return login


def _write_logins(folder: str, logins: dict[str, StoredLogin]) -> None:
    import json

    kept = {
        one.url: {
            "access_token": one.access_token,
            "expires_at": one.expires_at,
            "refresh_token": one.refresh_token,
            **({"retry_key": one.retry_key} if one.retry_key else {}),
        }
        for one in logins.values()
    }
    write_private(folder, LOGINS_FILE, json.dumps(kept, indent=1).encode() + b"\n")


def read_private(path: str, what: str, most: int = _LONGEST_FILE) -> bytes | None:
    """Return what the file at `path` holds, up to `most` bytes; None when there is none.

    Raises: NotConfigured (others may read it, it belongs to somebody else, it is larger).
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotConfigured(f"The {what} {path} cannot be read: {error.strerror}.") from error
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise NotConfigured(f"The {what} {path} is no regular file.", hint="Sign in again: failgate login.")
        if facts.st_uid not in (os.geteuid(), 0):
            raise NotConfigured(f"The {what} {path} belongs to another user.", hint="Sign in again: failgate login.")
        if facts.st_mode & 0o077:
            raise NotConfigured(
                f"The {what} {path} has mode {stat.S_IMODE(facts.st_mode):04o}; others can read it.",
                hint=f"Revoke what it holds if others use this machine, then: chmod 600 {path}",
            )
        if facts.st_size > most:
            raise NotConfigured(f"The {what} {path} is larger than {most} bytes.", hint="It is none of ours.")
        with os.fdopen(os.dup(descriptor), "rb") as stream:
            return stream.read(most)
    finally:
        os.close(descriptor)


def checked_token(token: str, where: str) -> str:
    """Return `token` when it can stand in a header.

    Raises: NotConfigured (empty, or with characters that no token has; the text itself is not shown).
    """
    if not token or not token.isascii() or not token.isprintable() or " " in token or len(token) > 8192:
        raise NotConfigured(
            f"In {where} there is no usable token.", hint="Sign in again: failgate login, or login --token-stdin."
        )
    return token


def store_token(folder: str, token: str, url: str) -> str:
    """Keep `token` for the server `url` in `folder`, in place of an earlier one; return the path.

    Raises: NotConfigured (the folder takes no file).
    """
    return write_private(folder, TOKEN_FILE, f"{token}\n{url}\n".encode())


def write_private(folder: str, name: str, content: bytes, *, is_lasting: bool = True) -> str:
    """Put `content` in the place of the file `name` for this user alone (0700, 0600), whole or not; return its path.

    What is not `is_lasting` may be gone after a power cut.

    Raises: NotConfigured (the folder takes no file).
    """
    path = os.path.join(folder, name)
    fresh = f"{path}.{os.urandom(8).hex()}.new"
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                if is_lasting:
                    os.fsync(descriptor)
            os.replace(fresh, path)
        except BaseException:
            forget(fresh)  # it holds secrets
            raise
    except OSError as error:
        raise NotConfigured(
            f"{path} cannot be written: {error.strerror}.", hint="Make its folder writable, or set FAILGATE_HOME."
        ) from error
    return path


def forget(path: str) -> bool:
    """Remove the file; tell whether there was one."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def forget_token(folder: str) -> bool:
    """Remove the kept token; tell whether there was one."""
    return forget(os.path.join(folder, TOKEN_FILE))
