"""Signing this machine in and out, and keeping it signed in: the client's half of the device flow.

Source: RFC 8628 sections 3.1 to 3.5, RFC 6749 section 6, RFC 7009.
"""
# ruff: noqa: PTH103, PTH118 -- pathlib would slow the start

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from failgate.client.answer import Lost, Strange
from failgate.client.exits import DENIED, EXPIRED, ClientError, NotConfigured, Refused, Unreachable
from failgate.client.http import Api
from failgate.client.keyring import StoredLogin, forget_login, store_login, stored_login
from failgate.client.messages import inert
from failgate.client.settings import Settings

CLIENT = "failgate-cli"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
LOCK_FILE = "logins.lock"
PATIENCE_SECONDS = 60.0  # a server that does not answer for longer ends the wait for an approval
_INTERVAL_SECONDS = 5.0  # where the server names none. Source: RFC 8628 section 3.2
_SHORTEST_SECONDS = 1.0
_SLOWER_SECONDS = 5.0
_LONGEST_SECONDS = 1800.0

Say = Callable[[str], None]
Sleep = Callable[[float], None]


class NotApproved(ClientError):
    """Nobody let this machine in; `exit_code` is 77 for a denial, 75 when time ran out."""

    slug = "not-approved"

    def __init__(self, exit_code: int, sentence: str) -> None:
        super().__init__(sentence, hint="Nothing is kept.")
        self.exit_code = exit_code


def sign_in(settings: Settings, say: Say, *, is_opening: bool = False, sleep: Sleep = time.sleep) -> StoredLogin:
    """Ask for a login, wait until a person has decided, and keep it; return it.

    `say` gets sentences for the person. `is_opening` opens a browser as well; nothing is opened unasked.

    Raises: NotApproved; Unreachable; Refused (this server has no such door, or too many wait).
    """
    with Api(settings, is_anonymous=True) as api:
        answer = api.form("/oauth/device_authorization", {"client_id": CLIENT, "host": _host_name()}).content
        device_code, user_code, address = (
            _text(answer, name) for name in ("device_code", "user_code", "verification_uri")
        )
        lasts = min(_number(answer, "expires_in"), _LONGEST_SECONDS)
        say(f"open {inert(address)} in a browser and type this code: {inert(user_code)}")
        say(f"waiting for your approval, {max(1, round(lasts / 60))} minutes at most (Ctrl-C stops)")
        if is_opening and address.startswith(("https://", "http://")):
            import webbrowser

            webbrowser.open(address)
        interval = _number(answer, "interval") if "interval" in answer else _INTERVAL_SECONDS
        interval = min(max(interval, _SHORTEST_SECONDS), _LONGEST_SECONDS)
        fields = {"client_id": CLIENT, "grant_type": DEVICE_CODE, "device_code": device_code}
        tokens = _approved(api, fields, interval, time.monotonic() + lasts, sleep)
        login = _login_of(str(api.address), tokens)
    with locked(settings.folder):
        before = stored_login(settings.folder, login.url)
        store_login(settings.folder, login)
    if before is not None:
        _revoke(settings, before)
    return login


def renewed(settings: Settings, stale: StoredLogin) -> StoredLogin:
    """Return the login of this server with an access token that is good; of several processes one gets it.

    Raises: NotConfigured (the login has ended); Unreachable; Refused.
    """
    with locked(settings.folder):
        kept = stored_login(settings.folder, stale.url)
        if kept is None:
            raise _ended(stale.url)
        if kept.access_token != stale.access_token and not kept.is_due():
            return kept
        if kept.retry_key is None:  # kept before it is sent: whoever comes after a crash repeats, and does not reuse
            kept = kept._replace(retry_key=os.urandom(16).hex())
            store_login(settings.folder, kept)
        try:
            tokens = _refreshed(settings, kept)
        except Refused as error:
            if error.problem != "invalid_grant":
                raise
            forget_login(settings.folder, stale.url)
            raise _ended(stale.url) from error
        fresh = _login_of(stale.url, tokens)
        store_login(settings.folder, fresh)
        return fresh


def sign_out(settings: Settings, url: str) -> bool | None:
    """Forget the login kept for `url` and end it at the server; None when there was none, False when it did not hear.

    Raises: NotConfigured.
    """
    with locked(settings.folder):
        login = forget_login(settings.folder, url)
    return None if login is None else _revoke(settings, login)


@contextlib.contextmanager
def locked(folder: str) -> Iterator[None]:
    """Keep every other process of this user from changing the logins until left."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        handle = os.open(os.path.join(folder, LOCK_FILE), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise NotConfigured(
            f"The folder {folder} cannot be used: {error.strerror}.", hint="Make it writable, or set FAILGATE_HOME."
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _approved(api: Api, fields: Mapping[str, str], interval: float, until: float, sleep: Sleep) -> dict[str, Any]:
    """Poll until somebody has decided; return the tokens."""
    lost_since: float | None = None
    while True:
        sleep(interval)
        now = time.monotonic()
        if now >= until:
            raise NotApproved(EXPIRED, "Nobody approved in time.")
        try:
            return api.form("/oauth/token", fields).content
        except Lost:
            lost_since = now if lost_since is None else lost_since
            if now - lost_since > PATIENCE_SECONDS:
                raise
            continue
        except Refused as error:
            lost_since = None
            interval += _slower_by(error)


def _slower_by(error: Refused) -> float:
    """Return by how many seconds to poll slower after `error`; raise what ends the wait."""
    if error.problem == "authorization_pending":
        return 0.0
    if error.problem == "slow_down" or error.answered in (429, 503):
        return _SLOWER_SECONDS
    if error.problem == "access_denied":
        raise NotApproved(DENIED, "The request was denied.") from error
    if error.problem in ("expired_token", "invalid_grant"):
        raise NotApproved(EXPIRED, "Nobody approved in time.") from error
    raise error


def _refreshed(settings: Settings, login: StoredLogin) -> dict[str, Any]:
    """Return new tokens; a try whose answer was lost is repeated once, under the same key."""
    fields = {"client_id": CLIENT, "grant_type": "refresh_token", "refresh_token": login.refresh_token}
    with Api(settings, is_anonymous=True) as api:
        try:
            return api.form("/oauth/token", fields, idempotency_key=login.retry_key).content
        except Lost:
            if not api.was_connected:
                raise
        return api.form("/oauth/token", fields, idempotency_key=login.retry_key).content


def _revoke(settings: Settings, login: StoredLogin) -> bool:
    try:
        with Api(settings, is_anonymous=True) as api:
            api.form("/oauth/revoke", {"client_id": CLIENT, "token": login.refresh_token})
    except (Unreachable, Refused):
        return False
    return True


def _login_of(url: str, tokens: Mapping[str, Any]) -> StoredLogin:
    access_token, refresh_token = _text(tokens, "access_token"), _text(tokens, "refresh_token")
    return StoredLogin(url, access_token, time.time() + _number(tokens, "expires_in"), refresh_token)


def _text(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value or len(value) > 8192 or not (value.isascii() and value.isprintable()):
        raise Strange(
            f"The server's answer has no usable {name}.", hint="Check that FAILGATE_URL is a Failgate server."
        )
    return value


def _number(answer: Mapping[str, Any], name: str) -> float:
    value = answer.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e9:
        raise Strange(
            f"The server's answer has no usable {name}.", hint="Check that FAILGATE_URL is a Failgate server."
        )
    return float(value)


def _ended(url: str) -> NotConfigured:
    return NotConfigured(f"The login at {url} has ended.", hint=f"Sign in again: failgate login {url}")


def _host_name() -> str:
    return socket.gethostname()[:64]
