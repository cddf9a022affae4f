"""`python contrib/campaigns [C1 …] --level ci|nightly|release --json`: try to break what is promised."""

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import c01_killed
import c02_points
import c03_power
import c05_full
import c06_lost
import c06_store
import c07_order
import c08_model
import c10_document
import c12_sockets
import c13_slow
import c15_backups
import c16_mutants
import c17_covered
from c06_store import NoCeph
from c10_document import NoSchemathesis
from c16_mutants import NoCoverage
from campaign import LEVELS, Campaign, Verdict, carry_out
from postgres import NoPostgres
from small_disk import NoSmallDisk

CAMPAIGNS: tuple[Campaign, ...] = (
    c01_killed.CAMPAIGN,
    c02_points.KILLS,
    c03_power.CAMPAIGN,
    c02_points.ERRORS_OF_THE_DISK,
    c05_full.CAMPAIGN,
    c06_lost.CAMPAIGN,
    c06_store.CAMPAIGN,
    c07_order.CAMPAIGN,
    c08_model.CAMPAIGN,
    c10_document.CAMPAIGN,
    c12_sockets.CAMPAIGN,
    c13_slow.CAMPAIGN,
    c15_backups.CAMPAIGN,
    c16_mutants.CAMPAIGN,
    c17_covered.CAMPAIGN,
)
SEED = 20261123
MISSING = 3


def main() -> int:
    """Return 0 when every promise was kept and every planted fault was caught, 3 when something is missing here."""
    words = argparse.ArgumentParser(prog="python contrib/campaigns", description=__doc__)
    words.add_argument("names", nargs="*", metavar="C1", help="which (default: all)")
    words.add_argument("--level", choices=LEVELS, default="ci")
    words.add_argument("--seed", type=int, default=SEED)
    words.add_argument("--count", type=int, help="rounds, instead of the level's")
    words.add_argument("--json", action="store_true", dest="as_json")
    words.add_argument("--folder", type=Path, help="where to work (default: a temporary folder, removed afterwards)")
    asked = words.parse_args()
    known = {campaign.name: campaign for campaign in CAMPAIGNS}
    if strangers := [name for name in asked.names if name not in known]:
        words.error(f"there is no {strangers[0]}; there are {', '.join(known)}")
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="campaigns-"))
    verdicts: list[Verdict] = []
    missing = False
    chosen = [one for one in known if not asked.names or one in asked.names or one.partition("-")[0] in asked.names]
    try:
        for name in chosen:
            try:
                verdicts.append(carry_out(known[name], folder / name, asked.level, asked.seed, asked.count))
            except (NoCeph, NoCoverage, NoPostgres, NoSchemathesis, NoSmallDisk) as error:
                missing = True
                print(error, file=sys.stderr)
                continue
            if not asked.as_json:
                print(_line(verdicts[-1]), flush=True)
    finally:
        if asked.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    if asked.as_json:
        print(json.dumps([{**asdict(one), "passed": one.passed} for one in verdicts]))
    if not all(one.passed for one in verdicts):
        return 1
    return MISSING if missing else 0


def _line(one: Verdict) -> str:
    figures = ", ".join(f"{name} {value}" for name, value in one.figures.items())
    control = f"caught {one.caught}" if one.caught else "NOT CAUGHT"
    state = "kept" if one.passed else "BROKEN"
    line = f"{state:<6} {one.name:<4} {one.promise}: {one.count} {one.unit}, seed {one.seed}, {len(one.broken)} broken"
    rest = f"control ({one.fault}): {control}; {one.seconds:.1f} s; {figures}"
    return "\n".join([f"{line}; {rest}", *(f"       {what}" for what in (*one.broken[:20], *one.notes))])


if __name__ == "__main__":
    sys.exit(main())
