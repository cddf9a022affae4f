"""`python warm.py TREE`: run chosen tests of a tree again and again, each time in a copy of this process.

What the tests need of others is loaded once; of the product nothing, for each time another line of it is changed. Each
line of the input is one order; each is answered by one line: how it ended, and after how many seconds.
"""

import contextlib
import importlib
import json
import math
import os
import resource
import signal
import sys
import time
import traceback
from typing import Any

LIBRARIES = (
    "pytest", "pytest_asyncio.plugin", "hypothesis.strategies", "hypothesis.stateful", "msgspec", "litestar.testing",
    "piccolo.columns", "piccolo.engine.sqlite", "piccolo.engine.postgres", "cryptography.x509", "httptools", "uvicorn",
    "structlog", "jinja2", "re2", "argon2", "httpx", "httpx2", "webauthn", "joserfc.jwt", "lxml.etree", "pyte",
    "brotli", "prometheus_client", "tree_sitter_bash", "rfc8785",
    "concurrent.futures.process", "multiprocessing.connection",
)  # fmt: skip
QUIET = ("-W", "ignore::pytest.PytestAssertRewriteWarning")  # what is loaded already is asserted in as it is
MEMORY_BYTES = 4 << 30
GRACE_SECONDS = 3.0  # to end what a test began
LONGEST_STEP = 0.05  # seconds
PATIENCE = 10  # how much longer than its work on a quiet machine something may take on a busy one


class Chosen:
    """Keeps of what was collected only what is wanted, in the wanted order."""

    def __init__(self, wanted: list[str]) -> None:
        self._place = {name: number for number, name in enumerate(wanted)}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = [one for one in items if one.nodeid in self._place]
        items.sort(key=lambda one: self._place[one.nodeid])


def carry_out(order: dict[str, Any]) -> tuple[str, float]:
    """Return "killed", "survived" or "timeout", and the seconds that it took."""
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _tests(order)
    waited, last = 0.0, began
    while waited < PATIENCE * order["seconds"]:
        now = time.monotonic()
        waited, last = waited + min(now - last, LONGEST_STEP), now  # a machine that stands still is no slow mutant
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            code = os.waitstatus_to_exitcode(status)
            if code == -signal.SIGXCPU:
                return "timeout", time.monotonic() - began
            return ("survived" if code in {0, 5} else "killed"), time.monotonic() - began
        time.sleep(0.005)
    for sig in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, sig)
        over = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < over or sig == signal.SIGKILL:
            if os.waitpid(child, os.WNOHANG)[0]:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child, signal.SIGKILL)
                return "timeout", time.monotonic() - began
            time.sleep(0.01)
    raise AssertionError


def _tests(order: dict[str, Any]) -> None:
    import pytest

    code = 3
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(order["seconds"]), math.ceil(order["seconds"]) + 5))
        said = os.open(order["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        words = ["-x", "-q", "--tb=line", "-p", "no:cacheprovider", "--hypothesis-seed=0", *QUIET, *order["files"]]
        code = int(pytest.main(words, plugins=[Chosen(order["tests"])]))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    os.chdir(sys.argv[1])
    sys.path.insert(0, sys.argv[1])
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(carry_out(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
