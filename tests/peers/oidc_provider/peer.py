"""The certified OpenID provider `oidc-provider`, in a process of its own, and a visitor who fills in its forms."""

import html
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self
from urllib.parse import urljoin

import httpx
import pytest

from tests.peers import npm
from tests.trust import TRUST

HERE = Path(__file__).parent
CLIENT_ID = "failgate"
CLIENT_SECRET = "secret-secret-secret-secret-secret"
STARTS = 2  # the peer is no subject of these tests: a machine may be busy for a while, once
PATIENCE_SECONDS = 120
FAULTS = (
    "iss",
    "aud",
    "expired",
    "nonce",
    "future",
    "sub",
    "at_hash",
    "azp",
    "unsigned-kid",
    "none",
    "hs256",
    "wrongkey",
)


def installed() -> Path:
    """Return the folder with the provider's packages, installed from the lock file at the first use."""
    try:
        return npm.installed("oidc-provider", HERE)
    except npm.NotInstalled as error:
        pytest.skip(str(error))


class OidcProvider:
    """A running provider. `issuer` is its address."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        said = []
        for _ in range(STARTS):
            self._start()
            if listening := self._wait_for(r"listening on (\S+)"):
                self.issuer = listening[1]
                return
            ended = self.process.poll()
            self.stop()
            how = f"said nothing of it within {PATIENCE_SECONDS} s" if ended is None else f"ended with {ended}"
            said.append(f"{how}:\n{''.join(self.lines)}")
        raise AssertionError("oidc-provider did not start: it " + "then it ".join(said))

    def _start(self) -> None:
        self.lines = []
        self.process = subprocess.Popen(
            ["node", str(HERE / "provider.mjs")],
            cwd=installed(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, "NODE_ENV": "test"},
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _wait_for(self, pattern: str) -> re.Match[str] | None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            for line in list(self.lines):
                if found := re.match(pattern, line):
                    return found
            time.sleep(0.02)
        return None

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                self.lines.append(line)

    def stop(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self.reader.join(10)

    def _control(self, control: str, **body: object) -> None:
        httpx.post(f"{self.issuer}/__{control}", json=body, trust_env=False, verify=TRUST).raise_for_status()

    def configure(self, **wanted: object) -> None:
        """Set redirect_uris, post_logout_redirect_uris, backchannel_logout_uri or auth_method of the client."""
        self._control("configure", **wanted)

    def serve(self, rp: str, connection: str = "peer") -> None:
        """Let the client be the server at `rp` with a connection of that name."""
        self.configure(
            redirect_uris=[f"{rp}/sso/{connection}/callback"],
            post_logout_redirect_uris=[f"{rp}/sso/{connection}/logout"],
            backchannel_logout_uri=f"{rp}/sso/{connection}/backchannel-logout",
        )

    def spoil(self, fault: str) -> None:
        """Spoil the next id token."""
        self._control("fault", name=fault)

    def handed(self) -> list[dict[str, str]]:
        """Return every answer of the token endpoint: `access_token`, `id_token` and so on."""
        lines = [line.removeprefix("handed ") for line in list(self.lines) if line.startswith("handed ")]
        return [json.loads(line) for line in lines]

    def rotate(self, *, drop: bool) -> None:
        """Sign with new keys; `drop`: the old ones leave the key set."""
        self._control("rotate", drop=drop)

    def say(self, login: str, **claims: object) -> None:
        """Change what is said of the user `login`."""
        self._control("user", name=login, claims={"sub": login, **claims})

    def show(self, login: str, *, amr: list[str] | None = None, acr: str | None = None, seconds_ago: int = 0) -> None:
        """Have `login` show these methods from the next login on; its time is `seconds_ago`."""
        how = {"amr": amr, "acr": acr, "seconds_ago": seconds_ago}
        self._control("login", name=login, **{name: value for name, value in how.items() if value is not None})


@contextmanager
def provider() -> Iterator[OidcProvider]:
    running = OidcProvider()
    try:
        yield running
    finally:
        running.stop()


class Visitor:
    """A browser without a screen: keeps cookies, follows redirects, fills in the provider's forms."""

    def __init__(self) -> None:
        self.client = httpx.Client(trust_env=False, follow_redirects=False, timeout=60, verify=TRUST)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def sign_in(self, url: str, login: str, *, back_to: str, is_cancelling: bool = False) -> str:
        """Follow `url` through login and consent, and return the address below `back_to` to which the provider sends."""
        response = self.client.get(url)
        for _ in range(20):
            if "location" in response.headers:
                url = urljoin(str(response.url), response.headers["location"])
                if url.startswith(back_to):
                    return url
                response = self.client.get(url)
                continue
            assert response.status_code == 200, response.text[:2000]
            response = self._answer(response, login, is_cancelling=is_cancelling)
        raise AssertionError("the provider does not come to an end")

    def _answer(self, response: httpx.Response, login: str, *, is_cancelling: bool) -> httpx.Response:
        page, here = response.text, str(response.url)
        if is_cancelling:
            abort = re.search(r'href="([^"]*/abort)"', page)
            assert abort, page
            return self.client.get(urljoin(here, html.unescape(abort[1])))
        action, fields = read_form(page)
        if "login" in fields:
            fields |= {"login": login, "password": "any"}
        return self.client.post(urljoin(here, action), data=fields)

    def submit(self, response: httpx.Response, **changed: str) -> httpx.Response:
        """Post the one form of a page."""
        action, fields = read_form(response.text)
        return self.client.post(urljoin(str(response.url), action), data={**fields, **changed})


def read_form(page: str) -> tuple[str, dict[str, str]]:
    """Return where the first form of `page` goes (empty: to the page itself) and what it holds."""
    form = re.search(r"<form([^>]*)>(.*?)</form>", page, re.DOTALL)
    assert form, page
    action = re.search(r'\baction="([^"]*)"', form[1])
    fields = {}
    for tag in re.findall(r"<input[^>]*>", form[2]):
        name = re.search(r'\bname="([^"]*)"', tag)
        value = re.search(r'\bvalue="([^"]*)"', tag)
        if name:
            fields[html.unescape(name[1])] = html.unescape(value[1]) if value else ""
    return html.unescape(action[1]) if action else "", fields
