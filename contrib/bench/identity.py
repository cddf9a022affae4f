"""Who speaks, measured without a server, in a fresh process: `python identity.py JOB FOLDER NUMBER`.

`checks` asks who a credential of each kind is, as the guard does for every request; `argon2` verifies passwords with
the cost that ours are stored with, on as many threads as there are cores. Prints one JSON object.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import argon2
from harness import peak_memory_mib

from failgate.access.principal import Principal
from failgate.accounts.password import Passwords
from failgate.assembly import open_services
from failgate.audit.record import Actor
from failgate.config.load import load_config
from failgate.roster import Services

PASSWORD = "a long sentence that only this bench knows"
OPERATOR = Actor("operator", "bench")
SAN = "spiffe://bench.example/agent"
Check = Callable[[], Awaitable[object]]


async def checks(folder: Path, number: int) -> dict[str, Any]:
    """Ask `number` times for each kind of credential; count the queries of all that."""
    async with open_services(load_config(None, {}), folder, is_serving=False) as services:
        kinds = await _kinds(services)
        for check in kinds.values():
            assert await check(), "the credential is not valid"
        with patch.object(services.db, "fetch", wraps=services.db.fetch) as fetch:
            seen = {f"{kind}_us": await _each_us(check, number) for kind, check in kinds.items()}
    return {"count": number, "queries": fetch.await_count, "floor_us": _dict_us(number), **seen}


async def _kinds(services: Services) -> dict[str, Check]:
    account = await services.accounts.create("bench@bench.example", PASSWORD, OPERATOR)
    workspace = await services.workspaces.create("bench", "Bench", account.id, OPERATOR)
    agent = await services.agents.create(workspace.id, "agent", account.id, OPERATOR)
    await services.certificates.register(workspace.id, agent.id, SAN, OPERATOR)
    token = await services.tokens.mint("agt", agent.id, workspace.id, label="agent", actor=OPERATOR)
    cookie, session = await services.sessions.open(account.id, "127.0.0.1", "bench", ("pwd",))
    access = await _access_token(services, session.principal)
    names = frozenset([f"uri:{SAN}"])
    return {
        "token": lambda: services.tokens.resolve(token, "127.0.0.1"),
        "session": lambda: services.sessions.resolve(cookie),
        "access_token": lambda: services.access_tokens.resolve(access),
        "certificate": lambda: services.certificates.resolve(names),
    }


async def _access_token(services: Services, person: Principal) -> str:
    flow = services.device_login
    begun = await flow.begin("failgate-cli", host="bench", address="127.0.0.1", user_agent="bench")
    await flow.decide(begun.user_code, "approve", person)
    return (await flow.poll(begun.device_code, "failgate-cli", "127.0.0.1")).access.text


async def _each_us(check: Check, number: int) -> float:
    began = time.perf_counter()
    for _ in range(number):
        await check()
    return (time.perf_counter() - began) / number * 1e6


def _dict_us(number: int) -> float:
    known = {f"key {place}": place for place in range(1000)}
    began = time.perf_counter()
    for _ in range(number):
        known.get("key 500")
    return (time.perf_counter() - began) / number * 1e6


async def argon2_alone(_folder: Path, number: int) -> dict[str, Any]:
    """Verify `number` passwords."""
    passwords = Passwords()
    stored = await passwords.hash(PASSWORD)
    passwords.close()
    hasher = argon2.PasswordHasher()  # the cost stands in the hash
    began = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        assert all(pool.map(lambda _: hasher.verify(stored, PASSWORD), range(number)))
    return {"count": number, "seconds": time.perf_counter() - began}


def main() -> None:
    """Carry out the job of the command line."""
    job, folder, number = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    work = {"checks": checks, "argon2": argon2_alone}[job](folder, number)
    print(json.dumps(asyncio.run(work) | {"peak_mib": peak_memory_mib("self")}))


if __name__ == "__main__":
    main()
