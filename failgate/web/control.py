"""The control socket: a Unix socket, mode 0600, in the data folder, for the command line on the same host.

One JSON object a line: `{"verb", "arguments"}` in, `{"answer"}` or `{"error": {"slug", "sentence", "hint"}}` out.
"""

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from failgate.base.errors import FailgateError

if TYPE_CHECKING:
    from failgate.administration.administration import Administration

SOCKET = "control.sock"
LINE_LIMIT = 1024 * 1024
_log = logging.getLogger("failgate.control")


@contextlib.contextmanager
def socket_path(data: Path) -> Iterator[str]:
    """Yield a path to the socket that fits into the 107 bytes of a Unix socket's path, however deep `data` is."""
    folder = os.open(data, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{SOCKET}"
    finally:
        os.close(folder)


@contextlib.asynccontextmanager
async def open_control(administration: "Administration", data: Path) -> AsyncIterator[None]:
    """Answer on the socket until left; only the account that runs the server can connect."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await reader.readline()
            writer.write(json.dumps(await _answer(administration, line)).encode() + b"\n")
            await writer.drain()
        except (ValueError, ConnectionError):
            _log.warning("a control connection broke off")
        finally:
            writer.close()

    (data / SOCKET).unlink(missing_ok=True)
    with socket_path(data) as path:
        mask = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(answer, path, limit=LINE_LIMIT)
        finally:
            os.umask(mask)
    try:
        yield
    finally:
        server.close()
        (data / SOCKET).unlink(missing_ok=True)


async def _answer(administration: "Administration", line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
        return {"answer": await administration.run(request["verb"], request["arguments"])}
    except FailgateError as error:
        return {"error": {"slug": error.slug, "sentence": error.sentence, "hint": error.hint}}
    except (ValueError, KeyError, TypeError):
        return {"error": {"slug": "bad-input", "sentence": "The request is not a verb with arguments.", "hint": None}}
    except Exception as error:  # noqa: BLE001  # the server goes on
        _log.exception("an administrative verb failed")
        return {
            "error": {
                "slug": "error",
                "sentence": f"The server failed: {type(error).__name__}.",
                "hint": "See its log.",
            }
        }
