"""`failgate doctor`: prove that this installation works, with or without a running server."""

import json
from pathlib import Path
from typing import Any

import click

from failgate.administration.doctor import Finding, as_answer, check_host
from failgate.base.clock import SystemClock
from failgate.base.data_folder import holds_failgate
from failgate.base.errors import FailgateError
from failgate.cli.control import carry_out
from failgate.cli.server import config_option, data_option, read_config, run_loop
from failgate.config.errors import ConfigRefused

_BEGIN = "failgate serve begins it; or say --data DIR."


@click.command()
@config_option
@data_option
@click.option("--deep", is_flag=True, help="Read every byte of every artifact and compare its digest.")
@click.option("--hooks", "is_only_hooks", is_flag=True, help="Only the hooks of agent programs on this machine.")
@click.option("--json", "as_json", is_flag=True, help="Print the checks as a JSON object.")
def doctor(config_path: Path | None, data: Path, deep: bool, as_json: bool, is_only_hooks: bool) -> int:
    """Prove that this installation works; each trouble has its mend. Exit code 1 when something fails."""
    checks = _hooks(is_asked=is_only_hooks)
    if not is_only_hooks:
        checks = run_loop(_examine(config_path, data, is_deep=deep)) + checks
    if as_json:
        print(json.dumps({"checks": checks}))
    else:
        for check in checks:
            print(f"{check['verdict']:<5} {check['name']}: {check['sentence']}")
            if check["mend"] and check["verdict"] != "ok":
                print(f"      {check['mend']}")
    return 1 if any(check["verdict"] == "fail" for check in checks) else 0


def _hooks(*, is_asked: bool) -> list[dict[str, Any]]:
    from failgate.client.hooks.examination import examine

    found = [as_answer(Finding(*proof)) for proof in examine(Path.cwd())]
    if is_asked and not found:
        mend = "failgate init claude-code, or failgate init codex."
        return [as_answer(Finding("hooks", "fail", "No settings of an agent program have our hooks.", mend))]
    return found


async def _examine(config_path: Path | None, data: Path, *, is_deep: bool) -> list[dict[str, Any]]:
    found: list[Finding] = []
    try:
        config = read_config(config_path, with_plugins=True)
        found.append(Finding("config", "ok", f"{config.source.name} can be used."))
    except ConfigRefused as refused:
        mend = "failgate check lists every mistake."
        found.append(Finding("config", "fail", str(refused).strip().splitlines()[0], mend))
    except FailgateError as error:
        found.append(Finding("config", "fail", error.sentence, error.hint))
    found += check_host(data, SystemClock().now_us())
    checks = [as_answer(finding) for finding in found]
    if data.is_dir():
        try:
            if not holds_failgate(data):
                return [*checks, as_answer(Finding("server", "warn", f"There is no Failgate in {data} yet.", _BEGIN))]
            answer = await carry_out("doctor.examine", {"deep": is_deep}, data, config_path)
            checks += answer["checks"]
        except FailgateError as error:
            checks.append(as_answer(Finding("server", "fail", error.sentence, error.hint)))
    return checks
