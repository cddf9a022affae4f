"""`failgate backup` and `failgate restore`: the installation into one file, and back."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from failgate.base.errors import BadInput
from failgate.cli.printing import say
from failgate.cli.server import config_option, data_option, read_config, run_loop
from failgate.config.model import Config

if TYPE_CHECKING:
    from failgate.backup.making import Wishes
    from failgate.backup.manifest import Manifest

_file = click.Path(path_type=Path, dir_okay=False)


def _passphrase(path: Path | None) -> str | None:
    """Return the first line of the file `path`, or of standard input for `-`. Raises: BadInput."""
    if path is None:
        return None
    try:
        text = sys.stdin.readline() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"The passphrase cannot be read from {path}: {error}.", hint="Its first line is taken."
        ) from error
    return text.partition("\n")[0]


@click.command()
@click.argument("file", type=_file)
@click.option(
    "--seal-keys", type=_file, help="Put the keys in too, sealed by the passphrase in this file (- is stdin)."
)
@click.option(
    "--without-artifacts", is_flag=True, help="Leave out the bytes of artifacts: the store has its own copies."
)
@click.option("--json", "as_json", is_flag=True, help="Print what was made as a JSON object.")
@data_option
@config_option
def backup(
    file: Path,
    seal_keys: Path | None,
    data: Path,
    config_path: Path | None,
    *,
    without_artifacts: bool,
    as_json: bool,
) -> None:
    """Write everything of one moment into the new FILE, also while the server runs."""
    from failgate.backup.making import Wishes

    config = read_config(config_path, with_plugins=True)
    wishes = Wishes(has_artifacts=not without_artifacts, passphrase=_passphrase(seal_keys))
    made = run_loop(_backup(config, config_path, data, file, wishes))
    if as_json:
        print(json.dumps(made))
        return
    print(f"failgate: {file}: {made['size_bytes']} bytes, {made['artifacts']} artifacts, manifest {made['manifest']}")
    for warning in made["warnings"]:
        say(warning)


async def _backup(config: Config, config_path: Path | None, data: Path, file: Path, wishes: "Wishes") -> dict[str, Any]:
    from failgate.assembly import open_store_only
    from failgate.backup.making import make_backup
    from failgate.base.clock import SystemClock
    from failgate.base.data_folder import require_failgate
    from failgate.base.whole_file import refuse_taken
    from failgate.cli.control import carry_out

    refuse_taken(file)
    require_failgate(data)
    asked = {"keys": wishes.passphrase is not None, "artifacts": wishes.has_artifacts}
    await carry_out("backup.begin", asked, data, config_path)  # who copies everything is on record before they have it
    async with open_store_only(config, data) as store:
        made = await make_backup(
            config, data.absolute(), file.absolute(), wishes, store=store, clock=SystemClock(), tell=_tell
        )
    manifest = made.manifest
    facts = {
        "backup": manifest.id,
        "made_us": manifest.made_us,
        "manifest": made.sha256,
        "size_bytes": made.size_bytes,
        "artifacts": len(manifest.objects),
    }
    await carry_out("backup.finish", facts, data, config_path)
    return {**facts, "file": str(file), "keys": manifest.keys, "warnings": _warnings(config, manifest)}


def _tell(step: str) -> None:
    if sys.stderr.isatty():
        say(step)


def _warnings(config: Config, manifest: "Manifest") -> list[str]:
    found: list[str] = []
    if manifest.keys == "left out":
        found.append(
            "audit.key and secrets.key are NOT in it. Keep copies of both, apart from it: without secrets.key nobody "
            "opens second factors, webhooks and connections again (or seal them in: --seal-keys FILE)."
        )
    if config.artifacts.encryption is not None:
        found.append("The key of [artifacts.encryption] is NOT in it: without it nobody reads the artifacts again.")
    if manifest.artifacts == "left out":
        found.append("Artifacts are NOT in it: a restore needs the store as it was.")
    if manifest.lost:
        found.append(
            f"{len(manifest.lost)} artifacts had no object in the store: `failgate doctor` names their reports."
        )
    return found


@click.command()
@click.argument("file", type=_file)
@click.option("--check", "only_check", is_flag=True, help="Read and prove the file alone; put nothing anywhere.")
@click.option("--keys", type=click.Path(path_type=Path, file_okay=False), help="Folder with audit.key and secrets.key.")
@click.option("--passphrase", type=_file, help="File whose first line opens the keys in the backup (- is stdin).")
@click.option("--against", type=_file, multiple=True, help="A checkpoint that was kept elsewhere; may be given again.")
@click.option("--receipt", "receipts", type=_file, multiple=True, help="The receipt of a workspace deleted since.")
@click.option("--erasures", type=_file, multiple=True, help="A copy of audit.erasures.json; may be given again.")
@click.option("--accept-rollback", is_flag=True, help="Restore although the audit log goes back; that is recorded.")
@click.option("--json", "as_json", is_flag=True, help="Print what was restored as a JSON object.")
@data_option
@config_option
def restore(
    file: Path,
    keys: Path | None,
    passphrase: Path | None,
    against: tuple[Path, ...],
    receipts: tuple[Path, ...],
    erasures: tuple[Path, ...],
    data: Path,
    config_path: Path | None,
    *,
    only_check: bool,
    accept_rollback: bool,
    as_json: bool,
) -> None:
    """Put the installation in FILE into the data folder, once its digests and its audit log prove it."""
    from failgate.backup.restoring import Terms, restore_backup
    from failgate.base.clock import SystemClock

    config = read_config(config_path, with_plugins=True)
    terms = Terms(
        keys=keys,
        passphrase=_passphrase(passphrase),
        against=[(str(path), _text(path)) for path in against],
        receipts=[_text(path) for path in receipts],
        erasures=erasures,
        accept_rollback=accept_rollback,
        only_check=only_check,
    )
    restored = run_loop(
        restore_backup(config, data.absolute(), file.absolute(), terms, clock=SystemClock(), tell=_tell)
    )
    if as_json:
        print(json.dumps(asdict(restored)))
        return
    print(f"failgate: {file}: {restored.sentence}")
    for warning in restored.warnings:
        say(warning)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read: {error}.", hint="Name a file of text.") from error
