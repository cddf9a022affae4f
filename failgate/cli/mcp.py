"""`failgate mcp`: the gate as tools of the Model Context Protocol, over standard input and output or streamable HTTP.

No tool approves. A tool answers within 50 seconds: with what happened, or with `pending ID` for `await_decision`.
"""

import asyncio
import hmac
import os
import secrets
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from failgate import __version__
from failgate.base.errors import BadInput, FailgateError, StartRefused

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context, MCPServer

    from failgate.client.approval import Approval
    from failgate.client.gate import Gate
    from failgate.client.gated import Finished, Gated

T = TypeVar("T")
BLOCK_SECONDS: Final = 50.0
MOST_WAITING: Final = 100
_INSTRUCTIONS: Final = (
    "Commands of this machine are run through a gate that people review. Use run_gated instead of a shell. An answer "
    "that begins with `pending` names a request: call await_decision with its id. A denial's reason is for you: change "
    "the plan or ask for something else; asking for the same thing again helps nobody."
)
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


@click.command()
@click.option("--http", "listen", metavar="HOST:PORT", help="Serve streamable HTTP at this loopback address instead.")
def mcp(listen: str | None) -> None:
    """Serve the gate's tools to a program that speaks MCP: run_gated, request_approval, await_decision and two more."""
    if find_spec("mcp") is None:
        raise StartRefused("The MCP SDK is not installed.", hint="pip install 'failgate[mcp]'")
    from failgate.client.gate import Gate

    desk = Desk(Gate())
    server = make_server(desk)
    try:
        if listen is None:
            asyncio.run(server.run_stdio_async())
        else:
            _serve_http(server, *_place(listen))
    finally:
        desk.close()


class Desk:
    """What waits or runs for the program that speaks to us, by its request. Its methods block."""

    def __init__(self, gate: "Gate") -> None:
        """Ask at `gate`."""
        self.gate = gate
        self._running: dict[str, Gated] = {}
        self._asked: dict[str, Approval] = {}

    def run(self, argv: list[str], cwd: str | None, reason: str | None, origin: dict[str, str]) -> str:
        """Ask for a command and execute it once it is approved; return its outcome, or `pending ID`."""
        self._make_room()
        gated = self.gate.start(argv, cwd=cwd, reason=reason, origin=origin)
        if (finished := gated.wait(BLOCK_SECONDS)) is not None:
            return told(finished)
        request = gated.wait_for_request(1.0)
        if request is None:
            gated.stop()
            return "nothing was executed: the server did not take the request in time"
        self._running[request] = gated
        return pending(request)

    def ask(self, argv: list[str], cwd: str | None, reason: str | None, origin: dict[str, str]) -> str:
        """Ask for a command that the program executes by itself; return the decision, or `pending ID`."""
        self._make_room()
        approval = self.gate.ask(argv, cwd=cwd, reason=reason, origin=origin)
        self._asked[approval.request] = approval
        return self._decided(approval.request, 1.0)

    def decide(self, request: str) -> str:
        """Wait for a request of ours; return what came of it, or `pending ID`."""
        gated = self._running.get(request)
        if gated is None:
            return self._decided(request, BLOCK_SECONDS)
        finished = gated.wait(BLOCK_SECONDS)
        if finished is None:
            return pending(request)
        self._running.pop(request, None)
        return told(finished)

    def close(self) -> None:
        """Withdraw what waits, end what runs."""
        for gated in self._running.values():
            gated.stop()
        for approval in self._asked.values():
            approval.withdraw()
            approval.close()

    def _decided(self, request: str, seconds: float) -> str:
        approval = self._asked.get(request)
        if approval is None:
            raise BadInput("There is no such request of this session.", hint="Use the id that `pending` named.")
        state = approval.wait(seconds)
        if state == "pending":
            return pending(request)
        del self._asked[request]
        try:
            if state != "approved":
                return f"{state} {approval.note}".strip()
            approval.use()
            return f"approved {approval.note}: execute it now, once, exactly as asked (request {request})"
        finally:
            approval.close()

    def _make_room(self) -> None:
        for request in [one for one, gated in self._running.items() if gated.wait(0) is not None]:
            if len(self._running) >= MOST_WAITING:
                del self._running[request]
        if len(self._running) + len(self._asked) >= MOST_WAITING:
            raise BadInput(f"{MOST_WAITING} requests wait already.", hint="Await their decisions first.")


def make_server(desk: Desk) -> "MCPServer[Any]":
    """Return the server with its tools."""
    from mcp.server.mcpserver import Context, MCPServer

    server: MCPServer[Any] = MCPServer("failgate", instructions=_INSTRUCTIONS, version=__version__, log_level="ERROR")

    @server.tool(structured_output=False)
    async def run_gated(argv: list[str], ctx: Context, cwd: str | None = None, reason: str | None = None) -> str:
        """Ask for a command, wait for its approval, run it once without a shell; return exit code and output.

        `argv` is the program and its arguments. `cwd` is an absolute folder. `reason` is shown to the reviewers.
        """
        return await _told(lambda: desk.run(argv, _folder(cwd), reason, _origin(ctx, "run_gated")))

    @server.tool(structured_output=False)
    async def request_approval(argv: list[str], ctx: Context, cwd: str | None = None, reason: str | None = None) -> str:
        """Ask for a command that you will execute by other means, once, if it is approved. Prefer run_gated."""
        return await _told(lambda: desk.ask(argv, _folder(cwd), reason, _origin(ctx, "request_approval")))

    @server.tool(structured_output=False)
    async def await_decision(request: str) -> str:
        """Wait up to 50 seconds for a request that is pending; return what came of it, or `pending` again."""
        return await _told(lambda: desk.decide(request))

    @server.tool(structured_output=False)
    async def policy_check(argv: list[str], cwd: str | None = None) -> str:
        """Say what the policies would decide about a command now, and why. Nothing is asked for."""

        def check() -> str:
            explained = desk.gate.explain(argv, cwd=_folder(cwd))
            return "\n".join(
                [explained.decision, *(f"{one.policy}: {one.says}, {one.reason}" for one in explained.findings)]
            )

        return await _told(check)

    @server.tool(structured_output=False)
    async def report_context(report: str, tokens: int = 8000) -> str:
        """Return what a failure report says, as Markdown: what ran, how it ended, the error, the changes."""
        return await _told(lambda: desk.gate.report_context(report, tokens))

    return server


def pending(request: str) -> str:
    """Return the answer for a request that still waits."""
    return f"pending {request}"


def told(finished: "Finished") -> str:
    """Return how a command ended as a program reads it."""
    if finished.state != "executed":
        return f"{finished.state}: {finished.message}"
    parts = [f"exit code {finished.exit_code}", *([finished.message] if finished.message else [])]
    parts += [f"stdout:\n{finished.output}"] if finished.output else []
    parts += [f"stderr:\n{finished.errors}"] if finished.errors else []
    return "\n".join(parts)


async def _told(act: Callable[[], str]) -> str:
    from mcp.server.mcpserver.exceptions import ToolError

    try:
        return await asyncio.to_thread(act)
    except FailgateError as error:
        raise ToolError(str(error)) from None


def _folder(cwd: str | None) -> str | None:
    if cwd is not None and not Path(cwd).is_absolute():
        raise BadInput("cwd is no absolute folder.", hint="Name it from /.")
    return cwd


def _origin(ctx: "Context[Any, Any]", tool: str) -> dict[str, str]:
    """Return where the request comes from, as the program named itself."""
    params = getattr(getattr(ctx, "session", None), "client_params", None)
    about = getattr(params, "client_info", None)
    name = f"{getattr(about, 'name', '')} {getattr(about, 'version', '')}".strip()
    return {"program": "mcp", "tool": tool, "session": _SESSION, **({"run": name[:200]} if name else {})}


_SESSION: Final = secrets.token_hex(8)


def _place(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    if host not in _LOOPBACK or not (port.isascii() and port.isdecimal() and int(port) < 65536):
        raise BadInput(
            f"--http is {listen!a}, which is no loopback address.",
            hint="Write it like 127.0.0.1:8441: what comes in there runs commands of this machine.",
        )
    return host, int(port)


def _serve_http(server: "MCPServer[Any]", host: str, port: int) -> None:
    """Serve at a loopback address to whoever knows the token, which is FAILGATE_MCP_TOKEN or made now and printed."""
    import socket

    import uvicorn
    from mcp.server.transport_security import TransportSecuritySettings

    token = os.environ.pop("FAILGATE_MCP_TOKEN", "") or secrets.token_urlsafe(32)
    with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        port = listener.getsockname()[1]
        names = [f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")]
        security = TransportSecuritySettings(allowed_hosts=names, allowed_origins=[f"http://{name}" for name in names])
        app = _guarded(server.streamable_http_app(transport_security=security), token)
        shown = f"[{host}]" if ":" in host else host
        sys.stderr.write(f"failgate: MCP at http://{shown}:{port}/mcp\nfailgate: Authorization: Bearer {token}\n")
        sys.stderr.flush()
        config = uvicorn.Config(app, log_level="error", lifespan="on", access_log=False)
        uvicorn.Server(config).run(sockets=[listener])


def _guarded(app: Any, token: str) -> Any:
    """Return `app` behind its token. Source: RFC 6750 section 3."""
    wanted = f"Bearer {token}".encode()

    async def guard(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, wanted):
                headers = [(b"www-authenticate", b"Bearer"), (b"content-length", b"0")]
                await send({"type": "http.response.start", "status": 401, "headers": headers})
                await send({"type": "http.response.body", "body": b""})
                return
        await app(scope, receive, send)

    return guard
