"""A real server over real services, on loopback; people, tokens and workspaces to knock at its doors with."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from failgate.access.role import Role
from failgate.accounts.session import SessionToken
from failgate.assembly import open_services
from failgate.audit.record import Actor
from failgate.config.load import load_config
from failgate.config.model import Config
from failgate.config.units import Duration
from failgate.roster import Services
from failgate.web import app
from failgate.web.cookies import FRESH, SESSION, cookie_name
from failgate.web.door import Door
from failgate.web.listening import listen
from failgate.web.router import Router
from failgate.web.routes import DOORS
from failgate.web.serve import serve
from tests.postgres import PostgresServer
from tests.trust import TRUST
from tests.web.authority import AGENT

OPERATOR = Actor(t="operator", id="host")
PASSWORD = "correct horse battery staple 7"


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    services: Services
    host: str
    port: int
    task: asyncio.Task[None]

    @property
    def origin(self) -> str:
        return f"http://{self.host}:{self.port}"

    def client(self, **how: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.origin, trust_env=False, **({"timeout": 60, "verify": TRUST} | how))

    async def stop(self) -> float:
        """Stop it as a signal would; return how long that took in seconds."""
        began = asyncio.get_running_loop().time()
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        return asyncio.get_running_loop().time() - began


Serve = Callable[..., contextlib.AbstractAsyncContextManager[Running]]
OnDatabase = Callable[[Config], Config]
SQLITE = "sqlite"
BOTH_DATABASES = frozenset(
    {
        "api.test_agents", "api.test_audit", "api.test_gate", "api.test_idempotency", "api.test_reports",
        "api.test_sealed",
        "api.test_whoami", "live.test_agent", "live.test_reviewer", "live.test_sockets", "pages.test_device",
        "pages.test_brought", "pages.test_link", "pages.test_platform", "pages.test_platform_exporters", "pages.test_shared",
        "pages.test_signin", "pages.test_sso", "pages.test_step_up", "scim.test_doors", "test_certified",
        "test_denials", "test_freshness", "test_guard", "test_oauth",
    }
)  # fmt: skip
BUILT: list[Router] = []  # the routes of servers that have stopped
HELD: dict[int, socket.socket] = {}  # by port: listeners of services that do not serve yet


def with_optional_factor(config: Config) -> Config:
    """Return the config of a server on which people of tests do without a second factor, and approve as fast as programs."""
    return replace(
        config,
        gate=msgspec.structs.replace(config.gate, read_for=Duration("0s")),
        accounts=msgspec.structs.replace(config.accounts, second_factor="optional"),
        # Webhooks may be anywhere.
        server=msgspec.structs.replace(config.server, outbound_hosts=("*",)),
    )


@contextlib.contextmanager
def at_free_port(config: Config) -> Iterator[Config]:
    """The config with a port that is held for `running`, as `failgate serve` holds it before it opens anything."""
    listener = listen("127.0.0.1", 0)
    port: int = listener.getsockname()[1]
    HELD[port] = listener
    try:
        yield config.with_port(port)
    finally:
        HELD.pop(port, None)
        listener.close()


def _router(made: list[Router], **settings: Any) -> Router:
    """Return the routes of a server that has stopped, with the state of this one, or new ones; note them in `made`.

    Of what a server is built from only the state is its own, and to build the routes of all doors was half of the CPU
    time of these tests.
    """
    is_whole = settings["state"].doors == tuple(DOORS)
    router = BUILT.pop() if is_whole and BUILT else Router(**settings)
    router.state = settings["state"]
    if is_whole:
        made.append(router)
    return router


@contextlib.asynccontextmanager
async def running(services: Services, doors: Sequence[Door] = DOORS) -> AsyncIterator[Running]:
    ready: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
    asked = services.config.server
    listener = HELD.pop(asked.port, None) or listen(asked.host, asked.port)
    made: list[Router] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "Router", partial(_router, made))
        task = asyncio.create_task(
            serve(
                services, listener, doors=doors, has_signals=False,
                on_listening=lambda host, port: ready.set_result((host, port)),
            )
        )  # fmt: skip
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    host, port = ready.result()
    one = Running(services, host, port, task)
    try:
        yield one
    finally:
        await one.stop()
        BUILT.extend(made)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of the modules that are named above on both databases."""
    if "on_database" in metafunc.fixturenames and metafunc.module.__name__.removeprefix("tests.web.") in BOTH_DATABASES:
        metafunc.parametrize("on_database", [SQLITE, "postgres"], indirect=True)


@pytest.fixture
async def on_database(request: pytest.FixtureRequest) -> AsyncIterator[OnDatabase]:
    """Puts a migrated database behind a config: once each where `BOTH_DATABASES` names the module, else SQLite alone.

    It names those whose doors read or write rows: sign-in and its proofs, tokens, the queue and its votes, reports,
    links, the audit log, provisioning. On SQLite alone stay those that end before a row is asked for: bytes of HTTP and
    TLS, headers, forms, routes, views, the request log, starting and stopping.
    """
    if getattr(request, "param", SQLITE) == SQLITE:
        yield lambda config: config
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = await server.migrated()
    yield lambda config: replace(config, database=msgspec.structs.replace(config.database, url=url))
    await server.drop(url)


@pytest.fixture
async def services(migrated_data: Path, on_database: OnDatabase) -> AsyncIterator[Services]:
    with at_free_port(on_database(with_optional_factor(load_config(None, {})))) as config:
        async with open_services(config, migrated_data) as opened:
            yield opened


def with_server(services: Services, **settings: Any) -> Services:
    """Return the services with other settings of `[server]`."""
    config = replace(services.config, server=msgspec.structs.replace(services.config.server, **settings))
    return replace(services, config=config)


@pytest.fixture
async def server(services: Services) -> AsyncIterator[Running]:
    async with running(services) as one:
        yield one


@dataclass(frozen=True)
class People:
    """Two workspaces; in `acme` one account of each role, an agent, an API key of the owner; in `other` one owner."""

    accounts: dict[str, str]
    acme: str
    other: str
    agent: str
    key: str


async def populate(services: Services) -> People:
    accounts: dict[str, str] = {}
    for name in ("owner", "admin", "reviewer", "developer", "auditor", "foreign", "nobody"):
        email = f"{name}@example.org"  # nobody signs in by password here, and a hash takes its time
        account = await services.db.write(
            lambda tx, email=email: services.accounts.create_within(tx, email, "not a hash", OPERATOR)
        )
        accounts[name] = account.id
    acme = await services.workspaces.create("acme", "Acme", accounts["owner"], OPERATOR)
    other = await services.workspaces.create("other", "Other", accounts["foreign"], OPERATOR)
    by = Actor(t="user", id=accounts["owner"])
    for name in ("admin", "reviewer", "developer", "auditor"):
        await services.workspaces.add_member(acme.id, accounts[name], Role(name), by)
    agent = await services.agents.create(acme.id, "builder", accounts["owner"], OPERATOR)
    return People(
        accounts=accounts,
        acme=acme.id,
        other=other.id,
        agent=await services.tokens.mint("agt", agent.id, acme.id, label="builder", actor=OPERATOR),
        key=await services.tokens.mint("usr", accounts["owner"], acme.id, label="key", actor=OPERATOR),
    )


@pytest.fixture
async def people(services: Services) -> People:
    return await populate(services)


async def session_of(services: Services, account_id: str, *, is_proven: bool = False) -> SessionToken:
    """Return the token of a fresh session; with a second factor that was just proven when wanted."""
    token, session = await services.sessions.open(account_id, "127.0.0.1", "tests", ("pwd",))
    if is_proven:
        return await services.sessions.prove_second_factor(session, "otp")
    return token


def cookies_of(token: SessionToken, *, is_https: bool = False) -> str:
    """Return the header `Cookie` of the browser that keeps the session `token`, and what went out with it."""
    return "; ".join(f"{cookie_name(name, is_https=is_https)}={value}" for name, value in jar_of(token).items())


def jar_of(token: SessionToken) -> dict[str, str]:
    """Return the cookies of the browser that keeps the session `token`, over plain http."""
    return {SESSION: token, FRESH: token.fresh}


def kept(answer: httpx.Response, *, is_https: bool = False) -> SessionToken:
    """Return the session token that `answer` keeps in a browser, with what goes out with it."""
    sent = dict(line.partition(";")[0].split("=", 1) for line in answer.headers.get_list("set-cookie"))
    token = SessionToken(sent[cookie_name(SESSION, is_https=is_https)])
    token.fresh = sent[cookie_name(FRESH, is_https=is_https)]
    return token


@pytest.fixture
def files(tmp_path: Path) -> Any:
    """Certificates of a server and of its clients, in a folder of their own."""
    from tests.web.tls_server import TlsFiles  # which starts servers by this module

    (tmp_path / "tls").mkdir()
    return TlsFiles(tmp_path / "tls")


@pytest.fixture
async def builder(services: Services, people: Any) -> Any:
    """The agent that AGENT stands for."""
    [agent] = await services.agents.list(people.acme)
    await services.certificates.register(people.acme, agent.id, AGENT, OPERATOR)
    return agent
