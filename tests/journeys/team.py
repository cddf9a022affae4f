"""Who stands at the doors of a real server: people who signed in by its pages, programs with a token, strangers."""

import asyncio
import json
import re
import sqlite3
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import httpx
import pyotp
from playwright.sync_api import Page

from failgate.base.canonical import digest_of
from failgate.base.ids import new_id
from failgate.cli.control import ask_server
from tests.journeys.harness import Server
from tests.trust import TRUST

T = TypeVar("T")
PASSWORD = "a long and plain passphrase"
WHERE = "/api/v1/workspaces/acme"


def apart(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop of its own, whatever loop this thread has."""
    found: list[T] = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(coroutine)))
    thread.start()
    thread.join()
    return found[0]


@contextmanager
def served(server: Server) -> Iterator[Server]:
    """Run `server`; afterwards its log holds no failure of its own."""
    try:
        yield server.start()
        server.stop()
        assert failures_in(server) == [], "".join(failures_in(server))[:3000]
    finally:
        server.kill()


def failures_in(server: Server) -> list[str]:
    """Return the lines of the log that tell of a failure of the server's own: a traceback, an answer of 500 and up."""
    found = [line for line in server.lines + server.logs if "Traceback" in line]
    for line in server.logs:
        try:
            entry = json.loads(line)
        except ValueError:
            found.append(line)
            continue
        status = entry.get("status") or 0
        if entry.get("level") in {"error", "critical"} or (status >= 500 and status != 501):  # 501: SCIM without bulk
            found.append(line)
    return found


def admin(server: Server, verb: str, **arguments: Any) -> dict[str, Any]:
    """Carry out a verb of `failgate admin` through the running server, without a process for each."""
    answer = apart(ask_server(verb, arguments, server.data))
    assert answer is not None, "no server runs"
    return answer


def sql(server: Server, statement: str, *values: object) -> None:
    """Change the database behind the server's back; `statement` has `$1 $2` placeholders."""
    url = re.search(r'url = "(postgresql.*)"', server.config.read_text())
    if url is None:
        connection = sqlite3.connect(server.data / "failgate.sqlite", timeout=10)
        with connection:
            connection.execute(re.sub(r"\$(\d)", r"?\1", statement), values)
        connection.close()
        return

    async def change(address: str) -> str:
        import asyncpg

        connection = await asyncpg.connect(address)
        try:
            return await connection.execute(statement, *values)
        finally:
            await connection.close()

    apart(change(url[1]))


def rows(server: Server, query: str) -> list[tuple[Any, ...]]:
    """Return what `query` finds in the database, behind the server's back; it may have stopped."""
    url = re.search(r'url = "(postgresql.*)"', server.config.read_text())
    if url is None:
        connection = sqlite3.connect(server.data / "failgate.sqlite", timeout=10)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    async def read(address: str) -> list[tuple[Any, ...]]:
        import asyncpg

        opened = await asyncpg.connect(address)
        try:
            return [tuple(row) for row in await opened.fetch(query)]
        finally:
            await opened.close()

    return apart(read(url[1]))


@dataclass(frozen=True)
class Person:
    """An account whose password and second factor the tests know."""

    email: str
    id: str
    totp: str | None


def person(server: Server, name: str, role: str | None = None, *, with_totp: bool = True) -> Person:
    """Make an account, in workspace `acme` when it gets a role."""
    email = f"{name}@acme.example"
    made = admin(server, "user.create", email=email, password=PASSWORD, with_totp=with_totp)
    if role is not None:
        admin(server, "workspace.add_member", workspace="acme", email=email, role=role)
    return Person(email, made["user"], made.get("totp_secret"))


def found_acme(server: Server) -> dict[str, Any]:
    """Make the first account and the workspace; return what `bootstrap` prints."""
    return admin(server, "bootstrap", email="owner@acme.example", password=PASSWORD, workspace="acme")


CLICKED = {"sec-fetch-site": "same-origin", "sec-fetch-user": "?1"}


class Visitor(httpx.Client):
    """A client that may be put into a `with` after it was used; leaving closes its connections.

    It leaves for an identity provider as a browser does after a click on a page of ours.
    """

    def get(self, url: httpx.URL | str, **how: Any) -> httpx.Response:
        """Ask by GET."""
        if str(url).startswith("/sso/") and str(url).partition("?")[0].endswith("/start"):
            how["headers"] = CLICKED | dict(how.get("headers") or {})
        return super().get(url, **how)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def stranger(server: Server, **headers: str) -> Visitor:
    """Return a browser that is nobody yet."""
    return Visitor(base_url=server.url, headers=headers, trust_env=False, timeout=60, verify=TRUST)


def program(server: Server, token: str) -> Visitor:
    """Return a program with a token."""
    return stranger(server, authorization=f"Bearer {token}")


def form(client: httpx.Client, path: str, *, to: str | None = None, **fields: str) -> httpx.Response:
    """Send a form of the page at `path` to that path or to `to`, as a browser does."""
    shown = client.get(path)
    token = re.search(r'name="csrf_token" value="([^"]+)"', shown.text)
    assert token is not None, shown.text
    return client.post(
        to or path.partition("?")[0],
        data=fields | {"csrf_token": token[1]},
        headers={"origin": str(client.base_url).rstrip("/")},
    )


def codes(secret: str) -> Iterator[str]:
    """Yield the codes that are good now, each good once; then, after a wait, the next one."""
    clock = pyotp.TOTP(secret)
    yield clock.now()
    yield clock.at(int(time.time()) - 30)
    time.sleep(30.5 - time.time() % 30)
    yield clock.now()


def sign_in(server: Server, who: Person, *, with_factor: bool | None = None) -> Visitor:
    """Return a browser in which `who` signed in, with a second factor when there is one; it sends its Origin."""
    client = stranger(server, origin=server.url)
    answer = form(client, "/signin", email=who.email, password=PASSWORD)
    assert answer.status_code == 303, answer.text
    if who.totp is not None and with_factor is not False:
        for code in codes(who.totp):
            answer = form(client, "/signin/code", code=code)
            if answer.status_code == 303:
                break
        assert answer.status_code == 303, answer.text
    return client


def enter(page: Page, server: Server, who: Person) -> None:
    """Sign in by the page, with the second factor."""
    page.goto(f"{server.url}/signin")
    page.get_by_label("E-mail").fill(who.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    for code in codes(who.totp or ""):  # another test of this person may have used one
        page.locator("#code").fill(code)
        with page.expect_navigation():
            page.get_by_role("button", name=re.compile("Continue|Sign in|Confirm")).first.click()
        if page.url == f"{server.url}/":
            return
    raise AssertionError(page.locator("main").inner_text())


def session_of(client: httpx.Client) -> str:
    return client.cookies["fg_session"]


def cookies_of(client: httpx.Client) -> str:
    """Return the header `Cookie` of the browser that `client` is, with what shows that its proof is fresh."""
    return f"fg_session={client.cookies['fg_session']}; fg_fresh={client.cookies['fg_fresh']}"


def command(*argv: str, **members: Any) -> dict[str, Any]:
    return {
        "v": 1,
        "argv": list(argv or ("/usr/bin/rm", "-r", "build")),
        "cwd": "/src",
        "env": {},
        "host": "builder",
        "nonce": new_id(),
    } | members


def submission(*argv: str, **more: Any) -> dict[str, Any]:
    body = command(*argv)
    return {"command": body, "digest": digest_of(body), **more}


def ask(agent: httpx.Client, *argv: str, **more: Any) -> dict[str, Any]:
    """Submit a command; return its view."""
    answer = agent.post(f"{WHERE}/commands", json=submission(*argv, **more))
    assert answer.status_code == 201, answer.text
    return answer.json()


def vote(client: httpx.Client, view: dict[str, Any], decision: str = "approve", **more: Any) -> httpx.Response:
    body = {"decision": decision, "digest": view["digest"], **more}
    return client.post(f"{WHERE}/commands/{view['id']}/votes", json=body)


def slug(answer: httpx.Response) -> str:
    """Return the kind of a problem document."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.json()["type"].removeprefix("urn:failgate:error:")
