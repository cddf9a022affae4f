"""How a report gets to others: upload, share."""

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from failgate.cli.printing import print_json, root_option, say

if TYPE_CHECKING:
    from failgate.client.http import Api
    from failgate.client.report_folder import LocalReport

_UNITS = {"m": 60, "h": 3600, "d": 86_400}


@click.command()
@root_option
@click.option("--yes", is_flag=True, help="You looked at it and agree to its upload.")
@click.option("--command-id", help="Link it to this command of the gate.")
@click.option("--json", "is_json", is_flag=True, help="Print an object with id and url.")
@click.argument("name", default="latest")
def upload(root: Path, name: str, yes: bool, command_id: str | None, is_json: bool) -> int:
    """Upload report NAME to the workspace, once somebody agreed to exactly this manifest.

    After a break it goes on with what is missing; given again, it does the same.
    """
    from failgate.client.report_folder import open_report
    from failgate.client.review import overview
    from failgate.client.settings import is_interactive

    one = open_report(root, name)
    if not yes:
        click.echo("\n".join(overview(one)), err=True)
        if not is_interactive():
            raise click.UsageError("Nobody can be asked here. Look with failgate report review, then give --yes.")
    return send(one, command_id, is_json=is_json, is_asking=not yes)


@click.command()
@root_option
@click.option("--expires", default="7d", help="When the link ends: 30m, 12h, 7d; at most 90d.")
@click.option("--passphrase-stdin", is_flag=True, help="Read a passphrase from standard input.")
@click.option(
    "--artifact", "artifacts", multiple=True, metavar="NAME", help="Show this artifact (default: outputs, diffs)."
)
@click.option("--json", "is_json", is_flag=True, help="Print an object with id, url, expires_at, artifacts.")
@click.argument("name", default="latest")
def share(
    root: Path, name: str, expires: str, passphrase_stdin: bool, artifacts: tuple[str, ...], is_json: bool
) -> None:
    """Make a link to report NAME, which was uploaded, for people without an account. It is printed this once."""
    from failgate.client.http import Api
    from failgate.client.remote import server_id_of
    from failgate.client.settings import load_settings

    wish: dict[str, Any] = {"ttl_seconds": _seconds(expires)}
    if passphrase_stdin:
        wish["passphrase"] = sys.stdin.readline().rstrip("\r\n")
    server_id = server_id_of(root, name)
    with Api(load_settings(os.environ)) as api:
        if artifacts:
            wish["artifacts"] = _digests(api, server_id, artifacts)
        route = f"{api.workspace()}/reports/{server_id}/shares"
        made = api.call("POST", route, wish, idempotency_key=os.urandom(16).hex()).content
    if is_json:
        print_json(made)
        return
    click.echo(str(made.get("url")))
    say(f"the link ends {made.get('expires_at')}; revoke it on the page of the report")


def send(report: "LocalReport", command_id: str | None, *, is_json: bool, is_asking: bool) -> int:
    """Upload `report`, to which a person agreed, or agrees when `is_asking`; print where it is.

    Return the exit code: 1 when it is quarantined, or nobody agreed.
    """
    from failgate.client.consent import is_agreed
    from failgate.client.http import Api
    from failgate.client.settings import load_settings
    from failgate.client.upload import page_of, progress_of, quarantine_notice, upload_report

    with Api(load_settings(os.environ)) as api:
        if is_asking and not is_agreed(api, report):
            say(f"not uploaded; to share it: failgate report upload {report.manifest.id}")
            return 1
        uploaded = upload_report(api, report, "person", command_id, progress_of(report, is_silent=is_json))
        page = page_of(api, uploaded.id)
        notice = quarantine_notice(api, report, uploaded) if uploaded.is_quarantined else ()
    say(*notice)
    if is_json:
        print_json({"id": uploaded.id, "url": page, "state": "quarantined" if notice else "sealed"})
    elif not notice:
        click.echo(page)
    return 1 if notice else 0


def _digests(api: "Api", server_id: str, names: tuple[str, ...]) -> list[str]:
    answer = api.call("GET", f"{api.workspace()}/reports/{server_id}").content
    known = {str(one.get("name")): str(one.get("sha256")) for one in answer.get("artifacts", [])}
    for name in names:
        if name not in known:
            raise click.UsageError(f"The report has no artifact {name!a}. It has: {', '.join(map(ascii, known))}.")
    return [known[name] for name in names]


def _seconds(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,6})([mhd])", text, re.ASCII)
    if found is None:
        raise click.UsageError(f"--expires is {text!a}. Write a number with m, h or d: 30m, 12h, 7d.")
    return int(found[1]) * _UNITS[found[2]]
