"""The log of a build as hosted runners write it: times, installers, compilers, tests, a few secrets."""

import random
from string import ascii_letters, digits, hexdigits

_LOWER_HEX = hexdigits[:16]
_WORDS = [
    "http",
    "client",
    "server",
    "parser",
    "token_stream",
    "keyboard",
    "secretary",
    "author",
    "cache",
    "build",
    "worker",
    "queue",
    "table",
    "index",
    "session",
    "storage",
    "common",
    "core",
    "utils",
    "model",
    "view",
    "render",
    "layout",
    "buffer",
    "socket",
    "stream",
    "config",
    "loader",
    "plugin",
]
_LINES = (
    "##[group]Run actions/checkout@{sha}",
    "Collecting {word}-{word}>={n}.{n}",
    "  Downloading https://files.example.org/packages/{hex2}/{hex2}/{sha}/{word}_{word}-{n}.{n}-py3-none-any.whl",
    "Requirement already satisfied: {word} in /opt/venv/lib/python3.11/site-packages (from {word}) ({n}.{n}.{n})",
    "npm http fetch GET 200 https://packages.example.org/@{word}/{word} {n}{n}ms (cache miss)",
    "npm warn deprecated {word}-{word}@{n}.{n}.{n}: this version is no longer supported",
    "tests/{word}/test_{word}.py::test_{word}_{word}_is_{word} PASSED [ {n}%]",
    "tests/{word}/test_{word}.py::TestQueue::test_{word}[key-{n}-{word}] PASSED [ {n}%]",
    "gcc -Wall -O2 -fPIC -Iinclude -DKEY_BITS={n}{n} -c src/{word}/{word}.c -o build/{word}/{word}.o",
    "src/{word}/{word}.c:{n}{n}:{n}: warning: unused variable '{word}_key' [-Wunused-variable]",
    '  File "/build/{word}/{word}/{word}.py", line {n}{n}, in {word}_{word}',
    "E       AssertionError: assert {n} == {n}{n}  # {word}.{word}",
    "[{n}/{n}{n}] Building CXX object {word}/CMakeFiles/{word}.dir/{word}.cpp.o",
    "   Compiling {word}-{word} v{n}.{n}.{n} (/build/{word}/{word})",
    "sha256:{sha}{hex2}{sha2}: Pulling fs layer",
    "commit {sha}",
    " {word}/{word}/{word}.py | {n}{n} +++++++++---",
    "INFO  {word}.{word} request_id={uuid} method=GET path=/api/v{n}/{word}/{n}{n} status=200 duration={n}{n}ms",
    "\x1b[32m✓\x1b[0m {word} > {word} renders the {word} with a key ({n} ms)",
    "\x1b[36;1mmake[{n}]: Entering directory '/build/{word}/{word}'\x1b[0m",
    "Cache restored from key: Linux-{word}-{sha}",
    "drwxr-xr-x  {n} runner docker  4096 May 11 09:12 {word}_{word}",
    "PASSWORD_MIN_LENGTH is {n}; token bucket refilled after {n} s; author: {word} {word} <{word}@example.org>",
    "Successfully installed {word}-{n}.{n}.{n} {word}-{word}-{n}.{n} {word}-{n}.{n}.{n}",
)
_SECRETS = (
    "Authorization: Bearer {b64}",
    "export DEPLOY_TOKEN={b64}",
    "fatal: unable to access 'https://ci:{b20}@git.example.org/app.git/': 403",
    '  "password": "{b20}",',
    "using gh" + "p_{b36} to push",
)
_EVERY = 2000  # lines to a secret


def ci_log(size: int, seed: int = 16) -> bytes:
    """Return `size` bytes, the same for the same arguments."""
    chosen = random.Random(seed)
    lines: list[str] = []
    for number in range(40_000):
        form = chosen.choice(_SECRETS if number % _EVERY == _EVERY // 2 else _LINES)
        when = f"2026-05-11T{9 + number // 3600 % 10:02d}:{number // 60 % 60:02d}:{number % 60:02d}.{number:07d}Z "
        lines.append(when + _filled(form, chosen))
    block = ("\n".join(lines) + "\n").encode()
    return (block * (size // len(block) + 1))[:size]


def _filled(form: str, chosen: random.Random) -> str:
    def some(letters: str, count: int) -> str:
        return "".join(chosen.choices(letters, k=count))

    kinds = {
        "{word}": lambda: chosen.choice(_WORDS),
        "{n}": lambda: str(chosen.randrange(1, 99)),
        "{sha}": lambda: some(_LOWER_HEX, 40),
        "{sha2}": lambda: some(_LOWER_HEX, 20),
        "{hex2}": lambda: some(_LOWER_HEX, 4),
        "{uuid}": lambda: "-".join(some(_LOWER_HEX, count) for count in (8, 4, 4, 4, 12)),
        "{b64}": lambda: some(ascii_letters + digits, 48),
        "{b36}": lambda: some(ascii_letters + digits, 36),
        "{b20}": lambda: some(ascii_letters + digits, 20),
    }
    for name, make in kinds.items():
        while name in form:
            form = form.replace(name, make(), 1)
    return form
