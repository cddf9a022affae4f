"""Identity providers to sign in with, and a browser that goes there and back by following redirects and forms."""

import html
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx

from tests.journeys.harness import Server, clean_environment
from tests.journeys.team import Visitor


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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
    process = subprocess.Popen(
        [Path(sys.executable).with_name("oidc-provider-mock"), "--port", str(port)],
        env=clean_environment(PYTHONWARNINGS="default"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                if httpx.get(f"{url}/.well-known/openid-configuration", trust_env=False).status_code == 200:
                    break
            except httpx.TransportError:
                assert process.poll() is None, "the provider ended"
                assert time.monotonic() < deadline, "the provider did not start"
                time.sleep(0.05)
        yield MockProvider(url)
    finally:
        process.kill()
        process.wait(10)


def at_port(server: Server, more: str = "") -> Server:
    """Have `server` listen at a port that is known before it starts, as providers must know our addresses.

    `more` are further settings of `[server]`.
    """
    port = free_port()
    server.config.write_text(
        f'[server]\npublic_url = "http://127.0.0.1:{port}"\nallow_loopback = true\n{more}\n{server.config.read_text()}'
    )
    server.arguments = (*server.arguments, "--listen", f"127.0.0.1:{port}")
    return server


def wander(client: httpx.Client, answer: httpx.Response, subject: str, *, stops_before_us: bool = False) -> Any:
    """Follow redirects and the provider's forms, signing in there as `subject`, until our own server answers a page.

    `stops_before_us` returns the request with which the browser would come back, unsent.
    """
    ours = str(client.base_url).rstrip("/")
    for _ in range(20):
        if answer.is_redirect:
            place = urljoin(str(answer.url), answer.headers["location"])
            if place.startswith(f"{ours}/sso/") and "/callback" in place:
                client.last_callback = place
                if stops_before_us:
                    return client.build_request("GET", place)
            answer = client.get(place)
        elif str(answer.url).startswith(ours) and "data-leave" not in answer.text:
            return answer
        else:
            answer = client.send(_form_of(client, answer, subject))
    raise AssertionError("the browser wanders without end")


def _form_of(client: httpx.Client, answer: httpx.Response, subject: str) -> httpx.Request:
    form = re.search(r"<form[^>]*>", answer.text)
    assert form is not None, answer.text[:2000]
    action = re.search(r'action="([^"]*)"', form[0])
    url = urljoin(str(answer.url), html.unescape(action[1]) if action else "")
    fields = {
        name[1]: html.unescape(value[1]) if (value := re.search(r'value="([^"]*)"', field)) else ""
        for field in re.findall(r"<input[^>]*>", answer.text)
        if (name := re.search(r'name="([^"]*)"', field))
    }
    fields |= {name: subject for name in fields if name in {"sub", "username"}}
    return client.build_request("POST", url, data=fields or {"sub": subject}, headers={"origin": "null"})


def start(client: Visitor, slug: str, next_path: str = "/", *, subject: str) -> httpx.Response:
    """Sign in through `slug` as `subject`; return the page where that ends."""
    return wander(client, client.get(f"/sso/{slug}/start", params={"next": next_path}), subject)
