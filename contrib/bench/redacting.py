"""`python redacting.py ENGINE BYTES`: redact the log of a build once; print what it took as JSON.

With `hyperscan alone …` only the engine runs over the text, and nothing is decided: the floor.
"""

import json
import sys
import time

from ci_log import ci_log
from harness import peak_memory_mib

from failgate.redaction import RedactingStream, Scanner
from failgate.redaction.catalogue import RULES
from failgate.redaction.prefilter import engines_of

CHUNK_BYTES = 1 << 20


def main() -> None:
    """Redact; a first megabyte warms up and does not count."""
    name, size = sys.argv[1], int(sys.argv[2])
    content = ci_log(size)
    work = _engine_alone if " " in name else _redacted
    work(name, content[:CHUNK_BYTES])
    cpu, wall = time.process_time(), time.perf_counter()
    found = work(name, content)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    facts = {"bytes": size, "cpu_seconds": cpu, "seconds": wall, "found": found, "peak_mib": peak_memory_mib("self")}
    print(json.dumps(facts))


def _redacted(name: str, content: bytes) -> int:
    scanner = Scanner(key=bytes(32))
    if scanner.prepare(name) != name:
        raise SystemExit(f"{name} is not installed")
    stream = RedactingStream(scanner)
    for at in range(0, len(content), CHUNK_BYTES):
        stream.feed(content[at : at + CHUNK_BYTES])
    stream.finish()
    return len(stream.findings)


def _engine_alone(name: str, content: bytes) -> int:
    prefilter = engines_of(RULES).named(name.partition(" ")[0])
    assert prefilter is not None
    return sum(len(prefilter.possible(content[at : at + CHUNK_BYTES])) for at in range(0, len(content), CHUNK_BYTES))


if __name__ == "__main__":
    main()
