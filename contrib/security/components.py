"""`python contrib/security/components.py [--at DATE | --look]`: whether a locked library is past its time.

SECURITY.md says within how many days a library is replaced after a fault of it, or a newer version, was published. This
compares `contrib/dev/requirements.lock` with what `components.json` beside this file knows, and asks nobody:

- `advisories`: known faults of libraries that are or were locked, with the day of publication, the first version
  without it, and the row of SECURITY.md's table that it falls under. They are added by hand when one becomes known.
- `newest`: of each locked library the newest version that was `days` (90) old when it was `looked` at. A lock below it
  is past its time. `held` names what may stay below, and why.
- `looked`: a file that nobody renewed for 30 days says nothing any more, and is refused.

The day it judges by is that of the last commit, so that a checkout's verdict stays what it was; an archive has none,
and is judged by the day on which it was looked at. `--at` names another day (`--at today`: for those who keep it).
`--look` renews `newest` by `uv`, from the index that is configured there; the lock itself is renewed by
`contrib/dev/lock --upgrade`.

Source: ASVS 5.0 15.2.1.
"""

import argparse
import datetime as dt
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
LOCK, KNOWN, POLICY = ROOT / "contrib/dev/requirements.lock", Path(__file__).parent / "components.json", "SECURITY.md"
LOOKED_DAYS = 30  # how long what is known may be left alone
# The words of SECURITY.md by which an advisory is rated here, and the row that they begin.
ROWS = {
    "used": "a fault that somebody without an account can use",
    "high": "one that is rated critical or high",
    "reached": "any other that can be reached",
    "unreached": "one in code that is never reached",
    "newer": "a newer version without a known fault",
}


def days_allowed(policy: str) -> dict[str, int]:
    """Return the days of each row of SECURITY.md's table, by the words of `ROWS`."""
    found = {}
    for word, begin in ROWS.items():
        row = re.search(rf"^\| {re.escape(begin)}[^|]*\| (\d+) days \|$", policy, re.MULTILINE)
        if row is None:
            raise SystemExit(f"{POLICY} has no row that begins with “{begin}”.")
        found[word] = int(row[1])
    return found


def locked(lock: str) -> dict[str, str]:
    """Return the version of each library of a lock file; of several for several Pythons the oldest."""
    found: dict[str, str] = {}
    for name, version in re.findall(r"^([a-z0-9._-]+)==([^ \\;\n]+)", lock, re.MULTILINE):
        found[name] = min(found.get(name, version), version, key=Version)
    return found


def breaches(lock: dict[str, str], known: dict[str, Any], days: dict[str, int], at: dt.date) -> Iterator[str]:
    """Yield a sentence for each library that is past its time on the day `at`, and for what is not known."""
    looked = dt.date.fromisoformat(known["looked"])
    if (at - looked).days > LOOKED_DAYS:
        yield f"components.json was looked at on {looked}, more than {LOOKED_DAYS} days before {at}: run it with --look"
    for name, version in sorted(lock.items()):
        newest = known["newest"].get(name)
        if newest is None:
            yield f"{name} {version} is not in components.json: run it with --look"
        elif Version(version) < Version(newest) and name not in known["held"]:
            yield f"{name} {version}: {newest} is there for more than {days['newer']} days"
    for advisory in known["advisories"]:
        version = lock.get(advisory["library"])
        if version is None or not _is_affected(Version(version), advisory):
            continue
        due = dt.date.fromisoformat(advisory["published"]) + dt.timedelta(days[advisory["rated"]])
        if at > due:
            mended = advisory["mended"] or "a version without it, or walled in"
            yield f"{advisory['library']} {version} has {advisory['id']}; {mended} was due on {due}"


def _is_affected(version: Version, advisory: dict[str, Any]) -> bool:
    since, mended = advisory.get("since"), advisory["mended"]
    if advisory.get("walled"):  # says how the part that uses it is switched off, where there is no mended version
        return False
    return (since is None or version >= Version(since)) and (mended is None or version < Version(mended))


def look(known: dict[str, Any], lock: dict[str, str], today: dt.date, days: int) -> dict[str, Any]:
    """Return `known` with the newest versions of `days` ago, as `uv` finds them in its configured index."""
    with tempfile.TemporaryDirectory() as folder:
        names, found = Path(folder) / "names.in", Path(folder) / "found.txt"
        names.write_text("\n".join(sorted(lock)) + "\n")
        before = today - dt.timedelta(days)
        # Each by itself: what another library holds back is told, and held by a line with its reason or not at all.
        command = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--no-deps"]
        command += ["--no-emit-index-url", "--no-annotate", "--no-header", "--exclude-newer", before.isoformat()]
        subprocess.run([*command, str(names), "-o", str(found)], check=True)
        newest = locked(found.read_text())
    return {**known, "looked": today.isoformat(), "newest": newest}


def day_of_last_commit() -> dt.date | None:
    """Return the day of the checkout's last commit, in UTC; None where there is none, as in an archive."""
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    if asked.returncode != 0 or not asked.stdout.strip():
        return None
    return dt.datetime.fromtimestamp(int(asked.stdout), dt.UTC).date()


def main(arguments: list[str] | None = None) -> int:
    """Judge the lock, or look anew; return 1 when something is past its time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at", metavar="DATE", help="judge by this day, as 2026-11-30, or `today`")
    parser.add_argument("--look", action="store_true", help="renew components.json by uv")
    options = parser.parse_args(arguments)
    days, lock, known = (
        days_allowed((ROOT / POLICY).read_text()),
        locked(LOCK.read_text()),
        json.loads(KNOWN.read_text()),
    )
    today = dt.datetime.now(dt.UTC).date()
    if options.look:
        known = look(known, lock, today, days["newer"])
        KNOWN.write_text(json.dumps(known, indent=2, ensure_ascii=False) + "\n")
    if options.at is None:
        at = day_of_last_commit() or dt.date.fromisoformat(known["looked"])
    else:
        at = today if options.at == "today" else dt.date.fromisoformat(options.at)
    found = list(breaches(lock, known, days, at))
    for sentence in found:
        print(sentence, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
