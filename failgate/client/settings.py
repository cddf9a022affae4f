"""What the client is told: by the environment first, then by `client.toml` in its own folder."""
# ruff: noqa: PTH118, PTH123 -- pathlib would slow the start

from __future__ import annotations

import os
import sys

from failgate.base.quick import NamedTuple, cast
from failgate.client.address import parse_address
from failgate.client.exits import NotConfigured
from failgate.client.keyring import (
    StoredLogin,
    checked_token,
    has_logins,
    home,
    stored_login,
    stored_token,
    write_private,
)

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

DEFAULT_URL = "http://127.0.0.1:8440"
SETTINGS_FILE = "client.toml"
HOOK_KEYS = ("ask", "pass", "deny", "shell")
UPLOAD = ("always", "ask", "never")
_TLS_FILES = (("FAILGATE_CA", "ca_file"), ("FAILGATE_CERTIFICATE", "certificate"), ("FAILGATE_KEY", "key"))
_KEYS = {
    "url": str, "workspace": str, "upload": str, "env": list, "insecure_http": bool, "accept_edits": bool,
    "ca_file": str, "certificate": str, "key": str, "capture": dict, "hook": dict,
}  # fmt: skip


class TlsFiles(NamedTuple):
    """PEM files: the authorities to trust instead of the machine's, the certificate to show and its key."""

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None


class Settings(NamedTuple):
    """Everything that the commands of the client need to know.

    `upload` is one of `UPLOAD`; `env` are further names of variables that a command gets; with `is_http_accepted` the
    token may travel without TLS to an address that is not of this machine. `login` is where the token comes from, when
    it is one that is renewed. With `accepts_edits` a command runs as a reviewer edited it.
    """

    url: str
    workspace: str | None
    token: str | None
    folder: str
    upload: str
    env: tuple[str, ...]
    is_http_accepted: bool
    tls: TlsFiles = TlsFiles()
    login: StoredLogin | None = None
    accepts_edits: bool = False


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings of this process.

    Raises: NotConfigured (a file that cannot be read or has an unknown key, a token file that others can read).
    """
    folder = home(environment)
    kept = _kept(os.path.join(folder, SETTINGS_FILE))
    upload = environment.get("FAILGATE_UPLOAD") or kept.get("upload", "ask")
    if upload not in UPLOAD:
        raise NotConfigured(
            f"FAILGATE_UPLOAD (or `upload` in {SETTINGS_FILE}) is {upload!r}.", hint="It is always, ask or never."
        )
    token = environment.get("FAILGATE_TOKEN")
    url = (environment.get("FAILGATE_URL") or kept.get("url") or DEFAULT_URL).rstrip("/")
    login = stored_login(folder, str(parse_address(url))) if not token and has_logins(folder) else None
    return Settings(
        url=url,
        workspace=environment.get("FAILGATE_WORKSPACE") or kept.get("workspace"),
        token=_token(token, login, folder, url),
        folder=folder,
        upload=upload,
        env=tuple(kept.get("env", ())),
        is_http_accepted=kept.get("insecure_http", False),
        tls=TlsFiles(
            *(
                environment.get(name) or (os.path.join(folder, kept[key]) if key in kept else None)
                for name, key in _TLS_FILES
            )
        ),
        login=login,
        accepts_edits=kept.get("accept_edits", False),
    )


def capture_table(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the table `capture` of `client.toml` as it is written there; a capture needs no other setting.

    Raises: NotConfigured.
    """
    return dict(_kept(os.path.join(home(environment), SETTINGS_FILE)).get("capture", {}))


def hook_table(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the table `hook` of `client.toml`: lists `ask`, `pass` and `deny` of tools, and `shell`.

    Raises: NotConfigured (also: a member of another name).
    """
    table = dict(_kept(os.path.join(home(environment), SETTINGS_FILE)).get("hook", {}))
    for name in table:
        if name not in HOOK_KEYS:
            raise NotConfigured(
                f"{SETTINGS_FILE}: hook.{name}: no such setting.", hint=f"There are {', '.join(HOOK_KEYS)}."
            )
    return table


def _token(named: str | None, login: StoredLogin | None, folder: str, url: str) -> str | None:
    """Return the token to speak with: of the environment, of the login at this server, of the token file."""
    if named:
        return checked_token(named.strip(), "FAILGATE_TOKEN")
    return login.access_token if login is not None else stored_token(folder, str(parse_address(url)))


def _kept(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as stream:
            content = stream.read(65536)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise NotConfigured(f"{path} cannot be read: {error.strerror}.") from error
    kept = _plain(content)
    if kept is None:
        import tomllib

        try:
            kept = tomllib.loads(content.decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise NotConfigured(f"{path} is no TOML: {error}.") from error
    for key, value in kept.items():
        if key not in _KEYS:
            raise NotConfigured(f"{path}: {key}: no such setting.", hint=_nearest(key))
        if not isinstance(value, _KEYS[key]) or (
            isinstance(value, list) and not _are_texts(cast("list[object]", value))
        ):
            raise NotConfigured(f"{path}: {key} is not of the right kind.", hint=f"It is a {_KEYS[key].__name__}.")
    return kept


def _plain(content: bytes) -> dict[str, Any] | None:
    """Return the settings of a file that has only lines `key = "text"` and `key = true`, as we write them; else None.

    `tomllib` takes longer than the call that the settings are for.
    """
    kept: dict[str, Any] = {}
    for line in content.decode("ascii", "replace").splitlines():
        name, sign, value = (part.strip() for part in line.partition("="))
        if not name or name.startswith("#"):
            if sign and not name:
                return None
            continue
        text = value[1:-1]
        if not sign or name in kept or not name.replace("_", "").isalpha() or not value.isprintable():
            return None
        if value in ("true", "false"):
            kept[name] = value == "true"
        elif len(value) > 1 and value[0] == value[-1] == '"' and not any(one in text for one in '"\\\ufffd'):
            kept[name] = text
        else:
            return None
    return kept


def _are_texts(values: list[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _nearest(key: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(key, _KEYS, n=1)
    return f'Did you mean "{near[0]}"?' if near else f"There are {', '.join(sorted(_KEYS))}."


def store_setting(folder: str, changes: Mapping[str, str]) -> None:
    """Keep `changes` (key to text) in `client.toml`, beside what stands there."""
    path = os.path.join(folder, SETTINGS_FILE)
    kept = _kept(path) | dict(changes)
    write_private(
        folder, SETTINGS_FILE, "".join(f"{key} = {_toml(value)}\n" for key, value in sorted(kept.items())).encode()
    )


def _toml(value: object) -> str:
    import json

    if isinstance(value, dict):
        members = cast("dict[str, object]", value).items()
        return "{" + ", ".join(f"{_toml(key)} = {_toml(member)}" for key, member in members) + "}"
    return json.dumps(value, ensure_ascii=False)  # of texts, lists of texts, numbers and booleans JSON is TOML


def is_interactive() -> bool:
    """Tell whether a person can be asked: stdin and stderr are a terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr is not None and sys.stderr.isatty()
