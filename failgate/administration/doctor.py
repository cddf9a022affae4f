"""What proves that this installation works: small checks, each with its mend. `failgate doctor` prints them.

The checks of the host need its files alone, so they also run where the server does not start. The others need open
services: those of the running server, or of a command that opened the data folder itself.
"""

import os
import shutil
import stat
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from failgate.administration.verb import Answer, Arguments, Verbs
from failgate.artifacts.artifact import Artifact
from failgate.artifacts.comparison import Compared, Comparison
from failgate.audit.erasure_list import LIST_FILE
from failgate.audit.stored import read_heads
from failgate.base.clock import MICROSECONDS
from failgate.base.errors import FailgateError
from failgate.base.ids import new_id
from failgate.base.migrate import core_migrations, pending_migrations
from failgate.redaction import RULES_VERSION, installed_engines
from failgate.roster import Services

LITTLE_BYTES: Final = 1 << 30
LEAST_BYTES: Final = 128 << 20
CLOCK_SKEW_SECONDS: Final = 30
OLD_BACKUP_HOURS: Final = 48
SLOW_EXPORT_SECONDS: Final = 300
_BUILT_US: Final = 1_767_225_600 * MICROSECONDS  # 2026-01-01: no machine of this version lives before
_PROBE: Final = b"failgate doctor\n" * 64
Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what is true, and what mends it when that is not good."""

    name: str
    verdict: Verdict
    sentence: str
    mend: str | None = None


def check_host(data: Path, now_us: int) -> list[Finding]:
    """Return what the files of the data folder, the disk and the clock say; changes nothing."""
    if not data.is_dir():
        return [
            Finding("data folder", "warn", f"There is no {data} yet.", "failgate serve makes it; or say --data DIR.")
        ]
    return [_folder(data), _space(data), _clock(data, now_us), _redaction()]


def _folder(data: Path) -> Finding:
    own = os.geteuid()
    for path in (data, *sorted(data.glob("*.key")), *sorted(data.glob("*.sqlite"))):
        facts = path.stat()
        if facts.st_uid != own:
            mend = "Run as the account that runs the server, or give the files to it."
            return Finding("data folder", "fail", f"{path} belongs to another account.", mend)
        if stat.S_IMODE(facts.st_mode) & 0o077:
            wanted = "700" if path.is_dir() else "600"
            return Finding("data folder", "fail", f"{path} is open to other accounts.", f"chmod {wanted} {path}")
    if not os.access(data, os.W_OK | os.X_OK):
        return Finding("data folder", "fail", f"{data} is not writable.", "Mount or make it writable.")
    return Finding("data folder", "ok", f"{data} and its keys are private and writable.")


def _space(data: Path) -> Finding:
    free = shutil.disk_usage(data).free
    sentence = f"{free >> 20} MiB are free where the data folder lies."
    mend = "Make space, or move the data folder to a larger disk."
    if free < LEAST_BYTES:
        return Finding("disk", "fail", sentence, mend)
    return Finding("disk", "warn", sentence, mend) if free < LITTLE_BYTES else Finding("disk", "ok", sentence)


def _clock(data: Path, now_us: int) -> Finding:
    mend = "Let NTP set the clock: timedatectl set-ntp true."
    heads = data / "audit.heads.json"
    written_us = int(heads.stat().st_mtime * MICROSECONDS) if heads.exists() else 0
    if now_us < _BUILT_US:
        return Finding("clock", "fail", "The clock stands before this version was made.", mend)
    if now_us < written_us - CLOCK_SKEW_SECONDS * MICROSECONDS:
        return Finding("clock", "fail", "The clock stands before the last signed head of the audit log.", mend)
    return Finding("clock", "ok", "The clock has not gone back.")


def _redaction() -> Finding:
    engines = installed_engines()
    if "re2" not in engines:
        mend = "Install google-re2, which a workspace's own rules need."
        return Finding("redaction", "fail", "RE2 is not installed.", mend)
    return Finding("redaction", "ok", f"{RULES_VERSION}; engines: {', '.join(engines)}.")


async def _database(services: Services, _: "Examination") -> list[Finding]:
    waiting = await pending_migrations(services.db, core_migrations())
    if waiting:
        return [Finding("database", "fail", f"{len(waiting)} migrations have not run.", "failgate migrate")]
    if services.db.failure is not None:
        return [Finding("database", "fail", f"The last change failed: {services.db.failure}", "See its log and disk.")]
    return [Finding("database", "ok", f"{services.db.dialect} answers and is up to date.")]


async def _plugins(services: Services, _: "Examination") -> list[Finding]:
    found = [Finding("plugins", "ok", f"{len(services.plugins.plugins)} plugins are open.")]
    for name, health in services.plugins.health.items():
        problem = await health()
        if problem is not None:
            found.append(Finding(f"plugin {name}", "fail", problem, f"See [plugins.{name}]."))
    for name, sentence in services.plugins.advice:
        found.append(Finding(f"plugin {name}", "warn", sentence, f"See [plugins.{name}]."))
    return found


async def _store(services: Services, _: "Examination") -> list[Finding]:
    """Put, read in a range and unlink a probe."""
    store, key = services.plugins.artifact_store, new_id()
    name = services.config.artifacts.store
    try:
        async with store.put(key) as incoming:
            await incoming.write(_PROBE)
            await incoming.commit()
        try:
            read = b"".join([piece async for piece in store.open(key, 8, None)])
        finally:
            is_removed = await store.unlink(key)
    except FailgateError as error:
        return [Finding("store", "fail", f"{name}: {error.sentence}", error.hint)]
    if read != _PROBE[8:] or not is_removed:
        return [Finding("store", "fail", f"{name} does not give back what it took.", "Use another store.")]
    return [Finding("store", "ok", f"{name} takes, gives back and removes a probe.")]


async def _scanner(services: Services, _: "Examination") -> list[Finding]:
    """Ask the virus scanner who it is; a scanner that is away withholds what came meanwhile."""
    scanning, name = services.report_room.scanning, "virus scanner"
    mend = "See [artifacts.scan]; what waits is scanned by itself once it answers."
    try:
        standing = await scanning.standing()
    except FailgateError as error:
        return [Finding(name, "fail", f"{error.sentence} Artifacts that it did not see are withheld.", mend)]
    if standing is None:
        return []
    version, waiting = standing
    if scanning.problem is not None:
        return [Finding(name, "fail", f"{waiting} artifacts wait, withheld. {scanning.problem}", mend)]
    return [Finding(name, "ok", f"{version} answers; {waiting} artifacts wait for it.")]


async def _artifacts(services: Services, examination: "Examination") -> list[Finding]:
    comparison = Comparison(services.db, services.plugins.artifact_store, services.artifacts, services.artifact_keys)
    try:
        compared = await comparison.run(is_deep=examination.deep, emptied=await _emptied(services))
    except FailgateError as error:
        return [Finding("artifacts", "fail", f"Store and database were not compared: {error.sentence}", error.hint)]
    found = [
        *await _damages(services, compared),
        *_orphans(compared),
        *_leaving(compared),
    ]
    depth = "sizes and digests" if examination.deep else "sizes"
    good = f"{compared.rows} artifacts in the database, {compared.objects} objects in the store: {depth} compared."
    return [Finding("artifacts", "ok", good), *found]


async def _emptied(services: Services) -> frozenset[str]:
    """Return the deleted workspaces of which something is left."""
    return frozenset(one.id for one in await services.deletion.deleted() if one.state == "emptying")


def _leaving(compared: Compared) -> list[Finding]:
    if not compared.leaving:
        return []
    sentence = f"{compared.leaving} artifacts of deleted workspaces are removed from the store; their rows go next."
    return [Finding("artifacts", "ok", sentence)]


def _orphans(compared: Compared) -> list[Finding]:
    if not compared.orphans:
        return []
    sentence = f"{compared.orphans} objects have no row: uploads of this moment, or left by a kill."
    return [Finding("artifacts", "warn", sentence, "The next start sweeps those that are older than a day.")]


async def _damages(services: Services, compared: Compared) -> list[Finding]:
    found: list[Finding] = []
    for what, number, named in (
        ("have no object in the store", compared.lost_count, compared.lost),
        ("have an object of another size", compared.resized_count, compared.resized),
        ("have an object of other bytes", compared.changed_count, compared.changed),
    ):
        if number:
            reports = await _reports_of(services, named)
            sentence = f"{number} artifacts {what}; reports: {', '.join(reports) or 'none names them'}."
            mend = "Put the objects back from a backup of the store, or delete these reports."
            found.append(Finding("artifacts", "fail", sentence, mend))
    return found


async def _reports_of(services: Services, artifacts: Sequence[Artifact]) -> list[str]:
    """Return workspace/report of the reports that name these artifacts."""
    numbers = ", ".join(f"${number}" for number in range(1, len(artifacts) + 1))
    query = (
        "SELECT DISTINCT workspace.slug AS slug, report_id FROM report_artifact "
        "JOIN workspace ON workspace.id = report_artifact.workspace_id "
        f"WHERE artifact_id IN ({numbers}) ORDER BY slug, report_id LIMIT 50"
    )
    rows = await services.db.fetch(query, *(artifact.id for artifact in artifacts))
    return [f"{row['slug']}/{row['report_id']}" for row in rows]


async def _backup(services: Services, _: "Examination") -> list[Finding]:
    newest = await services.db.fetch_one("SELECT max(made_us) AS made_us FROM backup_made")
    mend = "failgate backup FILE, each day, kept on another machine."
    if newest is None or newest["made_us"] is None:
        return [Finding("backup", "warn", "No backup was ever made.", mend)]
    hours = max(0, services.clock.now_us() - newest["made_us"]) // (3600 * MICROSECONDS)
    sentence = f"The last backup is {hours} hours old."
    return [Finding("backup", "warn" if hours >= OLD_BACKUP_HOURS else "ok", sentence, mend)]


async def _audit(services: Services, examination: "Examination") -> list[Finding]:
    """Sign every head, which fails where the database contradicts what was signed before."""
    problem = await services.audit.notary.problem()
    if problem is not None:
        mend = "Start the signer: failgate audit signer serve; what it refused: failgate audit verify."
        return [Finding("audit signer", "fail", problem, mend)]
    try:
        heads = await read_heads(services.db)
        for stored in heads:
            await services.audit.checkpoint(stored.log)
    except FailgateError as error:
        return [Finding("audit log", "fail", error.sentence, error.hint)]
    found = [
        Finding("audit log", "ok", f"{len(heads)} logs continue what was signed. All of it: failgate audit verify.")
    ]
    for follower in services.exporting.followers:
        lag = await follower.lag()
        behind = f"{follower.name}: {lag.records} records wait, the oldest {lag.seconds:.0f} s"
        name, mend = "audit exporter", f"See [plugins.{follower.name}]; nothing is lost, it goes on where it was."
        problem = await services.exporting.problem(follower)
        if problem is not None:
            found.append(Finding(name, "fail", f"{behind}. {problem}", mend))
        else:
            found.append(Finding(name, "warn" if lag.seconds > SLOW_EXPORT_SECONDS else "ok", f"{behind}.", mend))
    return [*found, *await _witnesses(services), await _reconciled(services, is_due=examination.deep)]


async def _erasures(services: Services, _: "Examination") -> list[Finding]:
    """Tell whether each erasure that was asked for will outlive a restore."""
    name = "audit erasures"
    try:
        not_in_file, not_in_database = await services.evidence.erasing.compare_lists()
    except FailgateError as error:
        return [Finding(name, "fail", error.sentence, error.hint)]
    if not_in_file or not_in_database:
        sentence = (
            f"Of the erasures asked for, {len(not_in_file)} are missing in {LIST_FILE} and {len(not_in_database)} in"
            " the database."
        )
        mend = "The next start of the server writes each into both, and erases again what came back."
        return [Finding(name, "warn", sentence, mend)]
    return [Finding(name, "ok", f"{LIST_FILE} and the database list the same.")]


async def _reconciled(services: Services, *, is_due: bool) -> Finding:
    """Tell what the last comparison of tables and log found; make one when `is_due`."""
    room, name, mend = services.reconciliation, "rows and records", "failgate audit reconcile names each of them."
    if is_due:
        await room.run()
    if room.problem is not None:
        return Finding(name, "fail", room.problem, mend)
    if room.outcome is None:
        sentence = "Not compared since the start; the server does so each day, and --deep does now."
        return Finding(name, "ok", sentence, mend)
    return Finding(name, "ok", f"{room.outcome.rows} rows are as the audit log records them.", mend)


async def _witnesses(services: Services) -> list[Finding]:
    room, found = services.witnessing, list[Finding]()
    for one in room.witnesses:
        lag = await room.lag_of(one)
        behind = f"{one.name}: {lag.records} records are not cosigned, the oldest for {lag.seconds:.0f} s"
        mend = (
            "Run failgate audit verify, and keep both checkpoints."
            if one.conflict
            else f"See [audit.witnesses.{one.name}]."
        )
        problem = room.problem(one)
        verdict: Verdict = "fail" if problem else "warn" if lag.seconds > SLOW_EXPORT_SECONDS else "ok"
        found.append(Finding("audit witness", verdict, f"{behind}. {problem or ''}".strip(), mend))
    if services.exporting.required.is_unwitnessed:
        sentence = "Nothing is changed until enough witnesses have cosigned the audit log."
        found.append(Finding("audit witness", "fail", sentence, "See [audit] require_witness_within."))
    return found


Check = Callable[[Services, "Examination"], Awaitable[list[Finding]]]
CHECKS: Final[tuple[Check, ...]] = (_database, _audit, _erasures, _backup, _plugins, _store, _scanner, _artifacts)


class Examination(Arguments, frozen=True):
    """Arguments of `doctor.examine`; `deep` reads every byte of every artifact."""

    deep: bool = False


class Doctor:
    """The verb over open services."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def table(self) -> Verbs:
        """Return the verb with the shape of its arguments."""
        return {"doctor.examine": (Examination, self._examine)}

    async def _examine(self, examination: Examination) -> Answer:
        findings = [finding for check in CHECKS for finding in await check(self._services, examination)]
        return {"checks": [as_answer(finding) for finding in findings]}


def as_answer(finding: Finding) -> dict[str, Any]:
    """Return a finding as JSON knows it."""
    return asdict(finding)
