"""`failgate audit …`: prove the log from the data folder, also while a server writes to it."""

import json
import sqlite3
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from failgate.base.data_folder import require_failgate
from failgate.base.errors import BadInput, StartRefused
from failgate.cli.audit_evidence import evidence
from failgate.cli.audit_export import export, proof
from failgate.cli.audit_signer import signer
from failgate.cli.audit_witness import witness
from failgate.cli.beside import core_database
from failgate.cli.server import config_option, data_option, read_config, run_loop
from failgate.config.model import Config

if TYPE_CHECKING:
    from failgate.audit.exported import Comparison

TAMPERED = 1
MISSING = 3


@click.group()
def audit() -> None:
    """Verify, export, prove the audit log, have it witnessed."""


audit.add_command(evidence)
audit.add_command(export)
audit.add_command(proof)
audit.add_command(witness)
audit.add_command(signer)


@audit.command()
@click.option(
    "--against",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="A checkpoint that was kept elsewhere; may be given again.",
)
@click.option(
    "--receipt",
    "receipts",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="The receipt of a deleted workspace; may be given again.",
)
@click.option("--vkey", "vkeys", multiple=True, help="Key that signed it, when it is not this installation's own.")
@click.option(
    "--gate", "is_gate", is_flag=True, help="Fold every command and rule again and compare with what is stored."
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as a JSON object.")
@data_option
@config_option
def verify(
    against: tuple[Path, ...],
    receipts: tuple[Path, ...],
    vkeys: tuple[str, ...],
    is_gate: bool,
    as_json: bool,
    data: Path,
    config_path: Path | None,
) -> None:
    """Exit 0 intact, 1 tampered (naming the first bad record), 2 usage, 3 incomplete."""
    config = read_config(config_path)
    notes = [(str(path), _read(path)) for path in against]
    issued = [(str(path), _read(path)) for path in receipts]
    answer: dict[str, Any]
    try:
        answer = run_loop(_verify(config, data, notes, issued, vkeys, is_gate=is_gate))
    except sqlite3.DatabaseError as error:
        lines = [f"The database file is damaged: {error}."]
        answer = {"state": "tampered", "exit_code": TAMPERED, "lines": lines}
    except PermissionError as error:  # unlike a crash, whose exit code would say that somebody tampered
        raise StartRefused(
            f"The data folder {data} cannot be read: {error.strerror}.", hint="Run as the account that runs the server."
        ) from error
    if as_json:
        print(json.dumps(answer))
    else:
        for line in answer["lines"]:
            print(line)
        print(f"failgate: the audit log is {answer['state']}")
    sys.exit(answer["exit_code"])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"The checkpoint {path} cannot be read: {_reason(error)}.", hint="Give the file of a signed note."
        ) from error


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return "it is no text" if isinstance(error, UnicodeDecodeError) else (error.strerror or str(error))


async def _verify(
    config: Config,
    data: Path,
    notes: Sequence[tuple[str, str]],
    issued: Sequence[tuple[str, str]],
    vkeys: Sequence[str],
    *,
    is_gate: bool,
) -> dict[str, Any]:
    from failgate.assembly import signer_in
    from failgate.audit.checkpoint import NoteRejected
    from failgate.audit.log import AuditLog
    from failgate.audit.signing import log_key_of
    from failgate.audit.verification import verify_logs
    from failgate.base.clock import SystemClock
    from failgate.base.db import Database
    from failgate.gate.verification import verify_gate
    from failgate.workspaces.receipts import contradiction_of, read_receipt

    key = log_key_of(config.keys.log)
    elsewhere = signer_in(config)

    def log_of(database: Database) -> AuditLog:
        return AuditLog(database, SystemClock(), data, origin=config.audit.origin, key=key, signer=elsewhere)

    receipts = [(name, read_receipt(text)) for name, text in issued]
    heads = [*notes, *((name, one.receipt.checkpoint) for name, one in receipts)]
    async with core_database(config, data) as database:
        try:
            verification = await verify_logs(database, data, against=heads, vkeys=vkeys, key=key, elsewhere=elsewhere)
        except NoteRejected as error:
            hint = error.hint or "Name its key with --vkey."
            raise BadInput(f"A checkpoint cannot be used: {error.sentence}", hint=hint) from error
        answer: dict[str, Any] = {
            "state": verification.state,
            "exit_code": verification.exit_code,
            "logs": [
                {"log": v.log, "size": v.size, "root": v.root.hex(), "state": v.state, "first_bad": v.first_bad}
                for v in verification.verdicts
            ],
            "lines": [verdict.sentence for verdict in verification.verdicts],
        }
        for name, one in receipts:
            wrong = await contradiction_of(log_of(database), one)
            answer["lines"].append(f"{name}: {wrong or 'the receipt is as it was issued'}")
            if wrong is not None:
                answer |= {"state": "tampered", "exit_code": TAMPERED}
        if is_gate:
            found = await verify_gate(database, log_of(database), await _stored_rules(config, data))
            answer["contradictions"] = [str(each) for each in found]
            answer["lines"] += answer["contradictions"] or ["gate: every command and rule agrees with its records"]
            if found:
                answer |= {"state": "tampered", "exit_code": TAMPERED}
    return answer


class _StoredRules:
    """The rules as they were stored a moment ago."""

    def __init__(self, rows: Iterable[Sequence[str]]) -> None:
        self._rows = [(workspace_id, rule_id, digest) for workspace_id, rule_id, digest in rows]

    async def stored(self) -> Sequence[tuple[str, str, str]]:
        """Return `(workspace_id, rule_id, digest)` of every row."""
        return self._rows


async def _stored_rules(config: Config, data: Path) -> _StoredRules:
    """Return the stored rules: from the server while it runs, else from the plugin that keeps them."""
    from failgate.cli.control import ask_server

    answer = await ask_server("rules.stored", {}, data)
    if answer is None:
        require_failgate(data)
        from failgate.assembly import open_plugins_only

        async with open_plugins_only(config, data) as plugins:
            return _StoredRules(await plugins.rulebook.stored() if plugins.rulebook is not None else ())
    return _StoredRules(answer["rules"])


@audit.command()
@click.option("--json", "as_json", is_flag=True, help="Print the answer as a JSON object.")
@data_option
@config_option
def reconcile(as_json: bool, data: Path, config_path: Path | None) -> None:
    """Compare what is stored with what is recorded: exit 0 as recorded, 1 something differs (each is named)."""
    from failgate.cli.control import carry_out

    answer = run_loop(carry_out("audit.reconcile", {}, data, config_path))
    if as_json:
        print(json.dumps(answer))
    else:
        for one in answer["differences"]:
            print(one["sentence"])
        print(f"failgate: {answer['rows']} rows compared with the audit log, {len(answer['differences'])} differences")
    sys.exit(TAMPERED if answer["differences"] else 0)


@audit.command()
@click.option(
    "--log", default="system", show_default=True, help="`system`, a workspace's slug, or the id of a deleted one."
)
@data_option
@config_option
def checkpoint(log: str, data: Path, config_path: Path | None) -> None:
    """Print the newest signed checkpoint of a log; keep it elsewhere and give it to `verify --against` later."""
    from failgate.cli.control import carry_out

    answer = run_loop(carry_out("audit.checkpoint", {"log": log}, data, config_path))
    print(answer["checkpoint"], end="")


@audit.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--exporter", help="All that this exporter has delivered has to be there, not only up to the last line.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as a JSON object.")
@data_option
@config_option
def exported(
    files: tuple[Path, ...], exporter: str | None, as_json: bool, data: Path, config_path: Path | None
) -> None:
    """Compare what arrived elsewhere with the log: exit 0 whole, 1 something differs, 2 usage, 3 records missing."""
    comparison = run_loop(_compare(read_config(config_path), data, files, exporter))
    is_other = any(one.differing or one.unknown for one in comparison.logs)
    code = TAMPERED if is_other else MISSING if any(one.missing for one in comparison.logs) else 0
    if as_json:
        logs = [
            {
                "log": one.log,
                "due": one.due,
                "missing": [[gap.start, gap.stop - 1] for gap in one.missing],
                "differing": one.differing,
                "unknown": one.unknown,
            }
            for one in comparison.logs
        ]
        print(json.dumps({"logs": logs, "unread_lines": comparison.unread, "exit_code": code}))
    else:
        for one in comparison.logs:
            print(one.sentence)
        if comparison.unread:
            print(f"{comparison.unread} lines are no exported records")
    sys.exit(code)


async def _compare(config: Config, data: Path, files: Sequence[Path], exporter: str | None) -> "Comparison":
    from failgate.audit.exported import compare
    from failgate.audit.log import AuditLog
    from failgate.base.clock import SystemClock

    async with core_database(config, data) as database:
        due: dict[str, int] | None = None
        if exporter is not None:
            rows = await database.fetch("SELECT log, seq FROM audit_cursor WHERE exporter = $1", exporter)
            due = {row["log"]: row["seq"] for row in rows}
            if not due:
                hint = "Name one of [audit] exporters."
                raise BadInput(f"The exporter {exporter} has delivered nothing here.", hint=hint)
        audit_log = AuditLog(database, SystemClock(), data, origin=config.audit.origin)
        return await compare(audit_log, _lines(files), due)


def _lines(files: Sequence[Path]) -> Iterable[bytes]:
    for path in files:
        try:
            with path.open("rb") as stream:
                yield from stream
        except OSError as error:
            raise BadInput(f"{path} cannot be read: {_reason(error)}.", hint="Give files of exported lines.") from error
