"""What is sent: reports of 2.7 KB and commands, each one distinct, with their real digests; the same for the same
seed.
"""

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from failgate.base.canonical import canonical, digest_of

REPORT_BYTES = 2_700  # of the whole request body
LARGE_BYTES = 50_000
ERRORS = ("AssertionError", "KeyError", "TimeoutError", "ConnectionRefusedError", "ValueError", "OSError", "TypeError")
COMMAND = ("make", "check", "--silent")
_BEGAN_MS = 1_760_000_000_000  # identifiers are ordered by time, as the client's are

_NAMES = [
    "CARGO_HOME",
    "CI",
    "COLORTERM",
    "DEBIAN_FRONTEND",
    "DISPLAY",
    "EDITOR",
    "GIT_PAGER",
    "GOPATH",
    "HISTSIZE",
    "HOME",
    "HOSTNAME",
    "JAVA_HOME",
    "LANG",
    "LC_ALL",
    "LESSOPEN",
    "LOGNAME",
    "LS_COLORS",
    "MAIL",
    "MANPATH",
    "NODE_ENV",
    "NVM_DIR",
    "OLDPWD",
    "PAGER",
    "PATH",
    "PS1",
    "PWD",
    "PYENV_ROOT",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONHASHSEED",
    "PYTHONUNBUFFERED",
    "RUSTUP_HOME",
    "SHELL",
    "SHLVL",
    "SSH_CLIENT",
    "SSH_CONNECTION",
    "SSH_TTY",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "VIRTUAL_ENV",
    "VISUAL",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_SESSION_ID",
]


def identifiers(seed: int) -> "Identifiers":
    """Return an endless source of identifiers."""
    return Identifiers(seed)


class Identifiers:
    """Version 7 UUIDs that grow, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._ms = _BEGAN_MS + seed * 10_000_000

    def __next__(self) -> str:
        self._ms += 1
        digits = f"{self._ms:012x}7{self._random.getrandbits(12):03x}{0b10 << 62 | self._random.getrandbits(62):016x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def manifest(identifier: str, number: int) -> dict[str, Any]:
    """Return a manifest as `failgate capture` writes it, without an artifact, so that its report is sealed at once."""
    home = f"/home/dev/project-{number % 97}"
    second = f"{number % 24:02d}:{number % 60:02d}:{number // 60 % 60:02d}.{number % 1_000_000:06d}"
    return {
        "v": 1,
        "id": identifier,
        "created_at": f"2026-01-{1 + number % 28:02d}T{second}Z",
        "argv": ["pytest", "-x", "-q", f"tests/unit/test_module_{number}.py", "-k", f"case_{number % 1009}"],
        "cwd": home,
        "host": f"build-{number % 31}",
        "exit_code": 1 + number % 4,
        "duration_ms": 100 + number % 50_000,
        "environment": {
            "names": _NAMES,
            "values": {
                "CI": "true",
                "HOME": "/home/dev",
                "LANG": "C.UTF-8",
                "PATH": f"{home}/.venv/bin:/usr/local/bin:/usr/bin:/bin",
                "PWD": home,
                "SHELL": "/bin/bash",
                "TERM": "xterm-256color",
                "TZ": "UTC",
                "USER": "dev",
            },
            "platform": "Linux-6.12.9-x86_64-with-glibc2.41",
            "python": "3.11.9",
            "tools": {"git": "2.47.1", "make": "4.4.1", "node": "22.12.0", "pytest": "8.3.4"},
        },
        "artifacts": [],
        "redactions": [{"rule": "assignment", "where": "manifest", "count": 1 + number % 3}],
        "redaction_rules": "failgate 1",
        "signal": None,
        "git": {
            "head": hashlib.sha1(identifier.encode()).hexdigest(),
            "branch": f"topic/{number % 211}",
            "is_dirty": bool(number % 2),
            "changed_files": number % 13,
        },
        "title": f"pytest tests/unit/test_module_{number}.py exited with {1 + number % 4}",
    }


def report(identifier: str, number: int) -> dict[str, Any]:
    """Return the body of `POST reports`: a manifest, padded to the size of the row, and a person's consent to it."""
    document = manifest(identifier, number)
    body = _with_consent(document)
    room = REPORT_BYTES - len(json.dumps(body, separators=(",", ":")))
    words = random.Random(number)
    while room > 12:
        word = f"--deselect=case_{words.getrandbits(20)}"[: room - 3]
        document["argv"].append(word)
        room -= len(word) + 3
    return _with_consent(document)


def _with_consent(document: dict[str, Any]) -> dict[str, Any]:
    digest = hashlib.sha256(canonical(document)).hexdigest()
    return {"manifest": document, "consent": {"manifest_sha256": digest, "by": "person", "at": "2026-01-02T03:04:05Z"}}


def output(number: int) -> bytes:
    """Return the output of a test that failed: lines of words of 5,000, some often and most seldom, and its error."""
    words = random.Random(number)
    lines = [" ".join(_word(words) for _ in range(12)) for _ in range(20)]
    lines += [f"E       {ERRORS[number % len(ERRORS)]}: case {number % 1009} of module {number}", f"FAILED in {number}"]
    return "\n".join(lines).encode()


def _word(words: random.Random) -> str:
    return f"w{int(5000 ** words.random())}"


def with_output(identifier: str, number: int) -> tuple[dict[str, Any], bytes]:
    """Return a report that names its output, and the output."""
    document, content = manifest(identifier, number), output(number)
    document["artifacts"] = [
        {
            "name": "output.txt",
            "kind": "output",
            "media_type": "text/plain",
            "size_bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    ]
    return _with_consent(document), content


def large_report(identifier: str, number: int) -> dict[str, Any]:
    """Return a report of 50 KB: the manifest of a long session with a thousand arguments."""
    document = manifest(identifier, number)
    room = LARGE_BYTES - len(json.dumps(_with_consent(document), separators=(",", ":")))
    words = random.Random(number)
    document["argv"] += [f"--deselect=tests/test_{words.getrandbits(28):09d}.py::case" for _ in range(room // 43)]
    return _with_consent(document)


def stormy_report(identifier: str, number: int) -> dict[str, Any]:
    """Return a report that has the same fingerprint as each other one: one failure, again and again."""
    document = manifest(identifier, number) | {"argv": ["make", "check"], "exit_code": 2}
    document["title"] = "make check exited with 2"
    document["cwd"] += "/" + "x" * (REPORT_BYTES - 1 - len(json.dumps(_with_consent(document), separators=(",", ":"))))
    return _with_consent(document)


def reports(seed: int, count: int, made: Callable[[str, int], dict[str, Any]] = report) -> list[str]:
    """Return `count` distinct bodies of `POST reports`."""
    ids = identifiers(seed)
    return [json.dumps(made(next(ids), seed * 1_000_003 + number), separators=(",", ":")) for number in range(count)]


def submissions(seed: int, count: int, argv: Sequence[str] = COMMAND, ttl_seconds: int | None = None) -> list[str]:
    """Return `count` distinct `submit` frames of the agent's socket, each with its own nonce and its right digest."""
    nonces = random.Random(seed)
    command: dict[str, Any] = {
        "v": 1,
        "argv": list(argv),
        "cwd": "/home/dev/project",
        "env": {
            "HOME": "/home/dev",
            "LANG": "C.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "PWD": "/home/dev/project",
            "USER": "dev",
        },
        "host": "build-1",
        "exe": {"path": "/usr/bin/make", "sha256": hashlib.sha256(b"make").hexdigest()},
        "uid": 1000,
    }
    frames = []
    more = {} if ttl_seconds is None else {"ttl_seconds": ttl_seconds}
    for number in range(count):
        command["nonce"] = f"{nonces.getrandbits(258):065x}"[:43]
        frames.append(
            json.dumps(
                {"type": "submit", "command": command, "digest": digest_of(command), "ref": number, **more},
                separators=(",", ":"),
            )
        )
    return frames


def envelopes(seed: int, count: int) -> list[str]:
    """Return `count` distinct Sentry envelopes, for a peer that reads those."""
    from peer_bugsink import envelope

    return [envelope(seed + number) for number in range(count)]


def large_envelopes(seed: int, count: int) -> list[str]:
    """Return `count` distinct Sentry envelopes of 50 KB."""
    from peer_bugsink import envelope

    return [envelope(seed + number, frame_count=555) for number in range(count)]


def made(order: dict[str, Any]) -> list[str]:
    """Return the messages that a job orders: `{"what": "reports" | "submissions" | …, "seed", "count"}`."""
    kinds: dict[str, Callable[[int, int], list[str]]] = {
        "reports": reports,
        "large reports": partial(reports, made=large_report),
        "stormy reports": partial(reports, made=stormy_report),
        "submissions": submissions,
        "waiting": partial(submissions, argv=("deploy", "--all"), ttl_seconds=3600),
        "envelopes": envelopes,
        "large envelopes": large_envelopes,
    }
    return kinds[order["what"]](order["seed"], order["count"])
