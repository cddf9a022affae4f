"""Benign text from this machine: sources, manuals, lock files, pictures in base64, logs of real builds.

A fixed seed chooses the lines from what the machine has, so two machines give two samples; each says how many lines of
which kind it took. Lines come with those around them, since rules look at what stands before.
"""

import base64
import gzip
import random
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from measuring import Labelled

PIECE_LINES = 20
_ROOT = Path(__file__).resolve().parents[2]
_MOST_BYTES = 400_000


def benign(seed: int, lines: int) -> Iterator[Labelled]:
    """Yield texts of `PIECE_LINES` lines, about `lines` lines together, spread evenly over the kinds."""
    kinds = {
        "sources in Python": lambda: _files(Path(sysconfig.get_path("purelib")), "*.py"),
        "sources in JavaScript": lambda: _files(Path(sysconfig.get_path("purelib")), "*.js"),
        "sources in C and shell": lambda: [*_files(Path("/usr/include"), "*.h"), *_files(Path("/usr/share"), "*.sh")],
        "manuals": lambda: [*_files(Path("/usr/share/doc"), "*"), *_files(_ROOT / "docs", "*.md")],
        "lock files and metadata": lambda: [
            *_files(Path(sysconfig.get_path("purelib")), "RECORD"),
            *_files(Path(sysconfig.get_path("purelib")), "METADATA"),
            *_files(_ROOT, "*.lock"),
            *_files(_ROOT, "package-lock.json"),
            *_files(Path("/var/lib/dpkg/info"), "*.md5sums"),
        ],
        "pictures in base64": _pictures,
        "logs of builds": _builds,
    }
    each = -(-lines // (PIECE_LINES * len(kinds)))
    for kind, texts in kinds.items():
        chosen = random.Random(f"{seed} {kind}")
        pieces = [piece for text in _some_of(texts(), chosen, 4 * each) for piece in _pieces(text, chosen, 2)]
        chosen.shuffle(pieces)
        for piece in pieces[:each]:
            yield Labelled(piece, kind, is_secret=False, start=0, end=0)


def _files(root: Path, pattern: str) -> "list[Path | str]":
    return sorted(path for path in root.rglob(pattern) if path.is_file()) if root.is_dir() else []


def _some_of(texts: "list[Path | str]", chosen: random.Random, count: int) -> Iterator[str]:
    for one in chosen.sample(texts, min(count, len(texts))):
        text = one if isinstance(one, str) else _read(one)
        if text.strip() and "\0" not in text:
            yield text


def _read(path: Path) -> str:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            content = stream.read(_MOST_BYTES)
    except OSError:
        return ""
    return content.decode("utf-8", "replace")


def _pieces(text: str, chosen: random.Random, count: int) -> Iterator[str]:
    lines = text.splitlines(keepends=True)
    for _ in range(count):
        at = chosen.randrange(max(1, len(lines) - PIECE_LINES))
        yield "".join(line[:4000] for line in lines[at : at + PIECE_LINES])


def _pictures() -> "list[Path | str]":
    roots = (Path(sysconfig.get_path("purelib")), Path("/usr/share"), _ROOT / "docs")
    pictures = [path for root in roots for path in _files(root, "*.png") if isinstance(path, Path)][:400]
    texts: list[Path | str] = []
    for path in pictures:
        content = path.read_bytes()[:60_000]
        lines = base64.encodebytes(content).decode()
        texts += [
            lines,
            f'<img src="data:image/png;base64,{base64.b64encode(content[:3000]).decode()}">\n' * PIECE_LINES,
        ]
    return texts


def _builds() -> "list[Path | str]":
    """Return what real builds print here: tests, compilers, installers, version control."""
    python = sys.executable
    commands = (
        [python, "-m", "pytest", "-v", "--no-header", "-p", "no:cacheprovider", "tests/redaction", "tests/access"],
        [python, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests"],
        [python, "-X", "importtime", "-c", "import asyncio, http.client, unittest.mock, xml.dom.minidom"],
        [python, "-v", "-c", "import json, ssl, sqlite3"],
        ["uv", "pip", "list", "--verbose"],
        ["uv", "pip", "freeze"],
        ["git", "log", "--stat", "-n", "60"],
        ["git", "log", "-p", "-n", "12"],
        ["git", "ls-tree", "-r", "HEAD"],
        ["cc", "-v", "-E", "-x", "c", "/dev/null"],
        ["dpkg", "-l"],
        ["env", "-i", "sh", "-xc", "ls -la /usr/bin; id; uname -a; df; ps aux"],
        ["openssl", "ciphers", "-v"],
        ["find", "/usr/lib/python3", "-name", "*.py", "-size", "+1k"],
        ["sha256sum", *map(str, sorted((_ROOT / "failgate").rglob("*.py")))],
    )
    texts: list[Path | str] = []
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, cwd=_ROOT, timeout=120, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        text = (done.stdout + done.stderr).decode("utf-8", "replace")[:_MOST_BYTES]
        texts += [text] * 6
    return texts
