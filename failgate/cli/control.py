"""The command line's end of the control socket: a verb of the operator, through the running server or without one."""

import asyncio
import json
from pathlib import Path
from typing import Any

from failgate.base.errors import (
    BadInput,
    Conflict,
    FailgateError,
    NotFound,
    StartRefused,
    StorageUnavailable,
    Unprocessable,
)
from failgate.cli.server import read_config

BEGINNING = "bootstrap"  # the one verb that makes a data folder where none is


async def carry_out(verb: str, arguments: dict[str, Any], data: Path, config_path: Path | None) -> dict[str, Any]:
    """Carry out `verb` through the running server, or over the data folder itself; return the answer.

    Raises: StartRefused (there is no Failgate in `data`), whatever the verb refuses.
    """
    answer = await ask_server(verb, arguments, data)
    if answer is not None:
        return answer
    from failgate.administration.administration import Administration
    from failgate.assembly import open_services
    from failgate.base.data_folder import require_failgate

    if verb != BEGINNING:
        require_failgate(data)

    async with open_services(read_config(config_path), data, is_serving=False) as services:
        return await Administration(services).run(verb, arguments)


async def ask_server(verb: str, arguments: dict[str, Any], data: Path) -> dict[str, Any] | None:
    """Carry out `verb` through the running server; None when none runs.

    Raises: StartRefused, FailgateError as the server refuses.
    """
    from failgate.web.control import LINE_LIMIT, SOCKET, socket_path

    try:
        if not (data / SOCKET).exists():
            return None
        with socket_path(data) as path:
            reader, writer = await asyncio.open_unix_connection(path, limit=LINE_LIMIT)
    except (ConnectionRefusedError, FileNotFoundError):
        return None  # a socket that a killed server left behind
    except PermissionError as error:
        raise StartRefused(
            f"The data folder {data} belongs to another account.",
            hint="Run as the account that runs the server.",
        ) from error
    try:
        writer.write(json.dumps({"verb": verb, "arguments": arguments}).encode() + b"\n")
        await writer.drain()
        line = await reader.readline()
    finally:
        writer.close()
    if not line:
        raise StartRefused("The server broke off.", hint="Ask again; its log says why.")
    reply: dict[str, Any] = json.loads(line)
    if "error" in reply:
        raise refusal_of(**reply["error"])
    answer: dict[str, Any] = reply["answer"]
    return answer


def refusal_of(slug: str, sentence: str, hint: str | None) -> FailgateError:
    """Return the error that the server met, so that it ends this process as it would have without a server."""
    kinds: list[type[FailgateError]] = [BadInput, NotFound, Conflict, Unprocessable, StorageUnavailable]
    return next((kind for kind in kinds if kind.slug == slug), FailgateError)(sentence, hint=hint)
