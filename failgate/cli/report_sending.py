"""What is done with a report before others see it, and after: review, upload, share; reports on the server."""

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from failgate.cli.printing import root_option

if TYPE_CHECKING:
    from failgate.client.http import Api
    from failgate.client.report_folder import LocalReport
    from failgate.client.reviewing import Review

_UNITS = {"m": 60, "h": 3600, "d": 86_400}


@click.command()
@root_option
@click.option("--full", is_flag=True, help="Show every line of each artifact.")
@click.option("--json", "is_json", is_flag=True, help="Print what the report holds; ask nothing.")
@click.option("--include", "includes", multiple=True, metavar="NAME", help="Take in these artifacts alone.")
@click.option("--exclude", "excludes", multiple=True, metavar="NAME", help="Leave this artifact out.")
@click.option("--redact", "words", multiple=True, metavar="WORDS", help="Replace WORDS in every artifact.")
@click.option("--redact-pattern", "patterns", multiple=True, metavar="RE2", help="Replace what RE2 matches in a line.")
@click.option("--yes", is_flag=True, help="Make the report anew so, without being asked.")
@click.argument("name", default="latest")
def review(
    root: Path,
    name: str,
    full: bool,
    is_json: bool,
    includes: tuple[str, ...],
    excludes: tuple[str, ...],
    words: tuple[str, ...],
    patterns: tuple[str, ...],
    yes: bool,
) -> int:
    """Look through report NAME, leave artifacts out, replace words, then upload it or not.

    On a terminal it asks; elsewhere it shows the report, and with --yes does what the options say. A report that is
    changed is made anew, with another id.
    """
    from failgate.client.report_folder import open_report
    from failgate.client.review import content, overview
    from failgate.client.reviewing import Review
    from failgate.client.settings import is_interactive

    going = Review(root, open_report(root, name))
    _apply(going, includes, excludes, words, patterns)
    is_told = bool(includes or excludes or words or patterns)
    if is_told and not yes and not _is_agreed(going):
        return 1
    if is_told or yes:
        before = going.report.manifest.id
        if (after := going.finish().manifest.id) != before:
            _say(f"failgate: report {before} is now {after}")
    elif not is_json and not full and is_interactive() and sys.stdout.isatty():
        done = going.run()
        if done.end == "upload":
            return _send(done.report, None, is_json=False)
    elif not is_json:
        click.echo("\n".join([*overview(going.report), *content(going.report, is_whole=full)]))
    if is_json:
        _print_json(_described(going.report))
        return 0
    _say(
        f"failgate: to share it: failgate report upload {going.report.manifest.id}",
        f"failgate: to drop it: failgate report delete {going.report.manifest.id}",
    )
    return 0


def _apply(
    going: "Review",
    includes: tuple[str, ...],
    excludes: tuple[str, ...],
    words: tuple[str, ...],
    patterns: tuple[str, ...],
) -> None:
    if includes:
        going.take_only(frozenset(includes))
    for one in excludes:
        going.leave_out(one)
    going.replace(words, patterns)


def _is_agreed(going: "Review") -> bool:
    from failgate.client.review import ask
    from failgate.client.settings import is_interactive

    if not is_interactive():
        raise click.UsageError("Nobody can be asked here. Give --yes.")
    _say(*going.lines())
    return ask("make the report anew so?")


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
    from failgate.client.review import ask, overview
    from failgate.client.settings import is_interactive

    one = open_report(root, name)
    if not yes:
        _say(*overview(one))
        if not is_interactive():
            raise click.UsageError("Nobody can be asked here. Look with failgate report review, then give --yes.")
        if not ask("upload this report to the workspace?"):
            _say("failgate: not uploaded")
            return 1
    return _send(one, command_id, is_json=is_json)


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
        _print_json(made)
        return
    click.echo(str(made.get("url")))
    _say(f"failgate: the link ends {made.get('expires_at')}; revoke it on the page of the report")


def _send(report: "LocalReport", command_id: str | None, *, is_json: bool) -> int:
    from failgate.client.http import Api
    from failgate.client.settings import load_settings
    from failgate.client.upload import page_of, progress_of, quarantine_notice, upload_report

    with Api(load_settings(os.environ)) as api:
        uploaded = upload_report(api, report, "person", command_id, progress_of(report, is_silent=is_json))
        page = page_of(api, uploaded.id)
        notice = quarantine_notice(api, report, uploaded) if uploaded.is_quarantined else ()
    _say(*(f"failgate: {line}" for line in notice))
    if is_json:
        _print_json({"id": uploaded.id, "url": page, "state": "quarantined" if notice else "sealed"})
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


def _described(report: "LocalReport") -> dict[str, Any]:
    from failgate.client.report_folder import reviewed_in
    from failgate.client.review import findings_of

    reviewed = reviewed_in(report)
    return {
        "id": report.manifest.id,
        "manifest_sha256": report.manifest_sha256,
        "artifacts": [
            {
                "name": one.name,
                "kind": one.kind,
                "size_bytes": one.size_bytes,
                "sha256": one.sha256,
                "findings": findings_of(report, one.name),
                "is_reviewed": one.sha256 in reviewed,
            }
            for one in report.manifest.artifacts
        ],
        "findings": findings_of(report, "manifest"),
        "left_out": [one.path for one in report.manifest.noted_files],
    }


def _say(*lines: str) -> None:
    if lines:
        click.echo("\n".join(lines), err=True)


def _print_json(value: object) -> None:
    import json

    click.echo(json.dumps(value, ensure_ascii=False))
