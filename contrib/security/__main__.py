"""`python contrib/security [--quick] [--json] [--samples N] [--pair NAME] [--database URL] [timing | memory]`.

What a stranger can tell, and take.

`timing` asks a real server the same thing about what exists and what does not, interleaved, and prints medians, their
difference and the p-value of a Mann-Whitney test. `memory` sends it hostile bodies, frames and connections and prints
by how much its memory grew. Figures are read, not asserted; a busy machine widens the first and not the second.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import memory
import timing


def main() -> None:
    """Measure what the command line names, both without."""
    parser = argparse.ArgumentParser(prog="python contrib/security", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["timing", "memory"], help="one of the two; both without")
    parser.add_argument("--samples", type=int, default=1000, help="pairs of each kind (timing)")
    parser.add_argument("--pair", default="", help="only the pairs whose name begins so (timing)")
    parser.add_argument("--database", help="URL of an empty PostgreSQL; else SQLite (timing)")
    parser.add_argument("--quick", action="store_true", help="fewer connections and smaller bodies (memory)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    found: dict[str, list[dict[str, object]]] = {}
    with tempfile.TemporaryDirectory(prefix="failgate-security-") as folder:
        if options.what != "memory":
            found["timing"] = timing.measure(
                Path(folder) / "timing", options.samples, chosen=options.pair, database_url=options.database
            )
        if options.what != "timing":
            found["memory"] = memory.measure(Path(folder) / "memory", is_quick=options.quick)
    if options.json:
        print(json.dumps(found))
        return
    for name, rows in found.items():
        print(f"{name}:")
        for row in rows:
            print("  " + "  ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
