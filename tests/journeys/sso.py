"""Identity providers to sign in with, how the config file names them, and a way there and back."""

import html
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import urljoin

import httpx

from tests.journeys.harness import clean_environment, free_port
from tests.journeys.team import Visitor
from tests.peers.oidc_provider.peer import read_form
from tests.peers.starting import wait_until_up


class MockProvider:
    """`oidc-provider-mock`: an OpenID provider of its own process, whose people and claims tests choose."""

    def __init__(self, url: str) -> None:
        self.url = url

    def person(self, subject: str, **claims: Any) -> None:
        answer = httpx.put(f"{self.url}/users/{subject}", json=claims, trust_env=False)
        assert answer.status_code < 300, answer.text


class NameServer:
    """A DNS server for TXT records: `texts` holds them by name, with the dot at the end."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        import dns.flags
        import dns.message
        import dns.rcode
        import dns.rrset

        while True:
            try:
                packet, peer = self._socket.recvfrom(4096)
            except OSError:
                return
            query = dns.message.from_wire(packet)
            name = query.question[0].name
            found = self.texts.get(name.to_text().lower(), [])
            answer = dns.message.make_response(query)
            answer.flags |= dns.flags.AA | dns.flags.RA
            if found:
                answer.answer.append(dns.rrset.from_text(name, 1, "IN", "TXT", *(f'"{text}"' for text in found)))
            else:
                answer.set_rcode(dns.rcode.NXDOMAIN)
            self._socket.sendto(answer.to_wire(), peer)

    def close(self) -> None:
        self._socket.close()


@contextmanager
def name_server() -> Iterator[NameServer]:
    made = NameServer()
    try:
        yield made
    finally:
        made.close()


@contextmanager
def mock_provider() -> Iterator[MockProvider]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{url}/.well-known/openid-configuration", trust_env=False).status_code == 200
        return False

    with NamedTemporaryFile(prefix="oidc-provider-mock") as heard:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("oidc-provider-mock"), "--port", str(port)],
            env=clean_environment(PYTHONWARNINGS="default"), stdout=heard, stderr=heard, start_new_session=True,
        )  # fmt: skip
        try:
            wait_until_up(process, Path(heard.name), answers)
            yield MockProvider(url)
        finally:
            process.kill()
            process.wait(60)


def connection(slug: str, *roles: tuple[str, str], **settings: Any) -> str:
    """Return the section of a connection in the config file; `roles` are (group, role) in workspace `acme`.

    A path among the settings is the file that holds a secret; what stays unsaid has a default here.
    """
    said = {"title": f"The {slug}", "domains": ["example.org"], **settings}
    lines = [f"[sso.connections.{slug}]"]
    for name, value in said.items():
        text = json.dumps(str(value) if isinstance(value, Path) else value)
        lines.append(f"{name} = {{ file = {text} }}" if isinstance(value, Path) else f"{name} = {text}")
    for group, role in roles:
        lines += [f"[[sso.connections.{slug}.roles]]", f"group = {json.dumps(group)}"]
        lines += ['workspace = "acme"', f'role = "{role}"']
    return "\n".join(lines) + "\n"


def travel(
    client: httpx.Client,
    answer: httpx.Response,
    login: str,
    *,
    is_cancelling: bool = False,
    until: Callable[[str], bool] = lambda _url: False,
) -> httpx.Response:
    """Follow redirects and the provider's forms, signing in there as `login`, until our own server answers a page.

    It may end earlier, at a redirect to what is `until`.
    """
    ours = str(client.base_url).rstrip("/")
    for _ in range(25):
        if answer.is_redirect:
            url = urljoin(str(answer.url), answer.headers["location"])
            if until(url):
                return answer
            answer = client.get(url, headers={"origin": ""})
            continue
        is_leaving = "data-leave" in answer.text
        if str(answer.url).startswith(ours) and not is_leaving:
            return answer
        if is_leaving:
            answer = client.get(way_out(answer))
            continue
        if is_cancelling:
            abort = re.search(r'href="([^"]*/abort)"', answer.text)
            assert abort, answer.text
            answer = client.get(urljoin(str(answer.url), abort[1]))
            continue
        action, fields = read_form(answer.text)
        fields |= {name: login for name in fields if name in {"login", "sub"}}
        if "logout" in answer.text and "xsrf" in fields:
            fields["logout"] = "yes"
        answer = client.post(urljoin(str(answer.url), action), data=fields, headers={"origin": "null"})
    raise AssertionError("the browser travels without end")


def way_out(page: httpx.Response) -> str:
    """Return the address that our page leads to by itself: at the provider, or of ours after an answer of one."""
    link = re.search(r'href="((?:http|/)[^"]*)" data-leave', page.text)
    assert link is not None, page.text
    return urljoin(str(page.url), html.unescape(link[1]))


def way_back(page: httpx.Response) -> str:
    """Return the path of ours to which the page leads that answers a sign-in or a step-up at a provider."""
    assert page.status_code == 200, page.text
    return way_out(page).removeprefix(str(page.url.copy_with(raw_path=b"")).rstrip("/"))


def callback_of(client: httpx.Client, answer: httpx.Response, login: str, *, is_cancelling: bool = False) -> str:
    """Sign in at the provider; return the address of ours with which it sends the browser back, not opened yet."""
    ours = str(client.base_url).rstrip("/")
    last = travel(
        client, answer, login, is_cancelling=is_cancelling, until=lambda url: url.startswith(f"{ours}/sso/")
    )  # fmt: skip
    return urljoin(str(last.url), last.headers["location"])


def start(client: Visitor, slug: str, next_path: str = "/", *, subject: str) -> httpx.Response:
    """Sign in through `slug` as `subject`; return the page where that ends."""
    return travel(client, client.get(f"/sso/{slug}/start", params={"next": next_path}), subject)
