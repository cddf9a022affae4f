"""Links that a person can open, from the address that the server listens at."""

import asyncio

from failgate.config.addresses import is_wildcard, machine_name

RESOLVE_SECONDS = 2.0


async def openable_host(host: str) -> str:
    """Return how a link names `host`: a wildcard is this machine's name where that resolves, else loopback."""
    if not is_wildcard(host):
        return f"[{host}]" if ":" in host else host
    name = machine_name()
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            await asyncio.get_running_loop().getaddrinfo(name, None)
    except (OSError, UnicodeError, TimeoutError):
        return "127.0.0.1"
    return name
