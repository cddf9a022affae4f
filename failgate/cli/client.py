"""Commands of developers and agents. Each imports what it needs when it is called."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from failgate.cli.report_sending import review, share, upload
from failgate.cli.report_use import context, replay

if TYPE_CHECKING:
    from failgate.client.execution import Way
    from failgate.client.report_folder import LocalReport
    from failgate.client.settings import Settings

_REST = {"ignore_unknown_options": True, "allow_interspersed_args": False}
_root = click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Folder that holds .failgate (default: here).",
)


@click.command(context_settings={**_REST, "help_option_names": []}, add_help_option=False)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def run(words: tuple[str, ...]) -> int:
    """Ask for a command, wait for the verdict, execute it once."""
    from failgate.client.run import main

    return main(words)


@click.command(context_settings=_REST)
@click.option("--pty", "way", flag_value="terminal", help="Give the command a pseudo-terminal.")
@click.option("--pipes", "way", flag_value="pipes", help="Give it pipes. Without both: as our own output is.")
@click.option("--file", "files", multiple=True, metavar="PATTERN", help="Keep these files too, as 'logs/*.log'.")
@click.option("--binary-files", is_flag=True, help="Keep binary files among them, not only their digests.")
@click.option("--snapshot", is_flag=True, help="Keep the source tree, without what git ignores.")
@click.option("--bundle", is_flag=True, help="Keep the history as a git bundle. The rules cannot look into it.")
@click.option("--project", metavar="NAME", help="Project of the report (default: the repository's folder).")
@click.option("--project-version", metavar="TEXT", help="Version of the project.")
@click.option("--json", "is_json", is_flag=True, help="Messages on stderr as JSON lines.")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED)
def capture(
    argv: tuple[str, ...],
    way: str | None,
    files: tuple[str, ...],
    project: str | None,
    project_version: str | None,
    binary_files: bool,
    snapshot: bool,
    bundle: bool,
    is_json: bool,
) -> int:
    """Run ARGV; when it fails, keep a redacted report under .failgate/reports. No server is needed."""
    from failgate.client.capture import capture_command
    from failgate.client.capture_settings import read_wishes
    from failgate.client.messages import Messages
    from failgate.client.patterns import parse_pattern
    from failgate.client.settings import capture_table

    kept = read_wishes(capture_table(os.environ))
    wishes = kept._replace(
        patterns=(*kept.patterns, *map(parse_pattern, files)),
        has_binary_files=kept.has_binary_files or binary_files,
        has_snapshot=kept.has_snapshot or snapshot,
        has_bundle=kept.has_bundle or bundle,
        project=project or kept.project,
        version=project_version,
    )
    chosen = {"terminal": "terminal", "pipes": "pipes"}.get(way or "", "auto")
    return capture_command(argv, Messages(is_json=is_json), wishes, cast("Way", chosen))


@click.group()
def report() -> None:
    """Local reports: captured by failgate capture, or imported."""


@report.command(name="list")
@_root
@click.option("--json", "is_json", is_flag=True, help="Print a list of objects.")
@click.option("--remote", is_flag=True, help="Those of the workspace on the server.")
def list_reports(root: Path, is_json: bool, remote: bool) -> None:
    """List the reports of this folder, newest first."""
    if remote:
        _list_remote(is_json=is_json)
        return
    from failgate.client.messages import inert
    from failgate.client.report_folder import reports_under, uploaded_to

    reports = list(reports_under(root))
    if is_json:
        _print_json([_summary(one) for one in reports])
        return
    for one in reports:
        sent = "uploaded" if uploaded_to(one) else "local"
        click.echo(
            f"{one.manifest.id}  {one.manifest.created_at[:19]}Z  {one.manifest.exit_code:>3}  {sent:<8}  "
            f"{inert(' '.join(one.manifest.argv))[:100]}"
        )
    if not reports:
        click.echo("No report here yet. Make one: failgate capture -- CMD", err=True)


@report.command()
@_root
@click.option("--json", "is_json", is_flag=True, help="Print the manifest.")
@click.option("--remote", is_flag=True, help="As it is on the server.")
@click.argument("name", default="latest")
def show(root: Path, name: str, is_json: bool, remote: bool) -> None:
    """Show what report NAME (an id, part of one, or latest) holds."""
    if remote:
        _show_remote(root, name, is_json=is_json)
        return
    from failgate.client.report_folder import open_report
    from failgate.client.review import overview

    one = open_report(root, name)
    if is_json:
        _print_json(one.document)
        return
    click.echo("\n".join(overview(one)))


@report.command()
@_root
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--remote", is_flag=True, help="Delete it on the server, where your role allows that.")
@click.argument("name")
def delete(root: Path, name: str, yes: bool, remote: bool) -> int:
    """Delete the local report NAME. What was uploaded stays on the server, unless --remote is given."""
    if remote:
        return _delete_remote(root, name, is_agreed=yes)
    from failgate.client.report_folder import delete_report, open_report
    from failgate.client.review import ask
    from failgate.client.settings import is_interactive

    one = open_report(root, name)
    if not yes:
        if not is_interactive():
            raise click.UsageError("Nobody can be asked here. Give --yes.")
        if not ask(f"delete report {one.manifest.id} and its {len(one.manifest.artifacts)} artifacts?"):
            return 1
    delete_report(one)
    click.echo(f"failgate: report {one.manifest.id} is deleted", err=True)
    return 0


report.add_command(replay)
report.add_command(context)
report.add_command(review)
report.add_command(upload)
report.add_command(share)


@report.command(name="import")
@_root
@click.option("--format", "name", required=True, help="What FILE is: junit, or another installed format.")
@click.option("--json", "is_json", is_flag=True, help="Print a list of objects.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
def import_documents(root: Path, name: str, is_json: bool, files: tuple[Path, ...]) -> None:
    """Keep what failed in FILE, which another tool wrote, as a redacted local report."""
    from failgate.client.importing import import_documents as kept
    from failgate.client.importing import open_format

    reports = list(kept(open_format(name), list(files), root, os.environ))
    if is_json:
        _print_json([_summary(one) for one in reports])
        return
    for one in reports:
        _say(f"report kept at {os.path.relpath(one.folder)}")
        click.echo(one.manifest.id)
    _say("look at it: failgate report review latest" if reports else "nothing failed in there: no report")


@report.command()
def schema() -> None:
    """Print the JSON Schema of manifest.json, version 1."""
    from failgate.wire.manifest_schema import schema_text

    click.echo(schema_text(), nl=False)


@click.group()
def policy() -> None:
    """Policies of the gate."""


@policy.command(context_settings=_REST)
@click.option("--json", "is_json", is_flag=True, help="Print {decision, findings}.")
@click.option("--env", "names", multiple=True, help="As in failgate run.")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED)
def explain(argv: tuple[str, ...], names: tuple[str, ...], is_json: bool) -> None:
    """Say which policy would decide what about ARGV and why; nothing is submitted."""
    from failgate.client.command import build_call, close_call
    from failgate.client.http import Api
    from failgate.client.messages import inert
    from failgate.client.settings import load_settings

    settings = load_settings(os.environ)
    call = build_call(argv, os.environ, (*settings.env, *names))
    close_call(call)
    with Api(settings) as api:
        answer = api.call("POST", f"{api.workspace()}/policy/explain", {"command": call.command}).content
    if is_json:
        _print_json(answer)
        return
    click.echo(inert(str(answer.get("decision"))))
    for found in answer.get("findings", []):
        click.echo(
            f"  {inert(str(found.get('policy')))}: {inert(str(found.get('says')))}, {inert(str(found.get('reason')))}"
        )


@click.command()
@click.option("--open", "is_opening", is_flag=True, help="Open a browser too.")
@click.option("--token-stdin", is_flag=True, help="Read an agent's token or an API key from standard input instead.")
@click.option("--workspace", help="Keep this workspace as the default.")
@click.argument("url", required=False)
def login(url: str | None, workspace: str | None, token_stdin: bool, is_opening: bool) -> None:
    """Sign this machine in at URL: a person approves it in a browser. Tokens lie in a file that only you can read."""
    from failgate.client.address import parse_address
    from failgate.client.login import sign_in, sign_out
    from failgate.client.settings import load_settings, store_setting

    environment = {name: value for name, value in os.environ.items() if name != "FAILGATE_TOKEN"}
    if url:
        environment["FAILGATE_URL"] = str(parse_address(url.rstrip("/")))
    settings = load_settings(environment)
    settings = settings._replace(workspace=workspace or settings.workspace)
    if token_stdin:
        from failgate.client.keyring import checked_token, store_token

        token = checked_token(sys.stdin.readline().strip(), "standard input")
        settings = settings._replace(token=token, login=None)
        answer = _asked_who(settings)
        store_token(settings.folder, token, str(parse_address(settings.url)))
        sign_out(settings, str(parse_address(settings.url)))
    else:
        kept = sign_in(settings, _say, is_opening=is_opening)
        answer = _asked_who(settings._replace(token=kept.access_token, login=kept))
    changes = {"url": settings.url} if url else {}
    named = [one.get("workspace") for one in answer.get("workspaces", [])]
    chosen = workspace or (named[0] if len(named) == 1 else None)
    if chosen:
        changes["workspace"] = chosen
    if changes:
        store_setting(settings.folder, changes)
    click.echo(_who(answer, settings.url))


@click.command()
def logout() -> int:
    """End the login of this machine at the server, and forget it and a kept token here."""
    from failgate.client.address import parse_address
    from failgate.client.exits import UNREACHABLE
    from failgate.client.keyring import forget_token
    from failgate.client.login import sign_out
    from failgate.client.settings import load_settings

    settings = load_settings(os.environ | {"FAILGATE_TOKEN": "of-no-use-here"})
    address = str(parse_address(settings.url))
    had_token, was_told = forget_token(settings.folder), sign_out(settings, address)
    if was_told is False:
        _say(f"signed out here; {address} did not answer: end the login at {address}/account/logins")
        return UNREACHABLE
    if was_told:
        _say(f"signed out at {address}")
    if had_token:
        _say("the token is forgotten; it stays valid until it is revoked on the server")
    if was_told is None and not had_token:
        _say("this machine was not signed in")
    return 0


@click.command()
@click.option("--json", "is_json", is_flag=True, help="Print the server's answer.")
def whoami(is_json: bool) -> None:
    """Name who this machine speaks for."""
    from failgate.client.http import Api
    from failgate.client.settings import load_settings

    with Api(load_settings(os.environ)) as api:
        answer = api.call("GET", "/api/v1/whoami").content
    if is_json:
        _print_json(answer)
    else:
        click.echo(_who(answer, str(api.address)))


@click.command()
def version() -> None:
    """Print the version."""
    from failgate import __version__

    click.echo(__version__)


def _say(sentence: str) -> None:
    click.echo(f"failgate: {sentence}", err=True)


def _asked_who(settings: "Settings") -> dict[str, Any]:
    from failgate.client.http import Api

    with Api(settings) as api:
        return api.call("GET", "/api/v1/whoami").content


def _who(answer: dict[str, Any], address: str) -> str:
    from failgate.client.messages import inert

    rows = [f"{inert(str(answer.get('kind')))} {inert(str(answer.get('label')))} at {address}"]
    rows += [
        f"  {inert(str(one.get('workspace')))}: {inert(str(one.get('role')))}" for one in answer.get("workspaces", [])
    ]
    return "\n".join(rows)


def _list_remote(*, is_json: bool) -> None:
    from failgate.client.http import Api
    from failgate.client.remote import remote_line, remote_reports
    from failgate.client.settings import load_settings

    with Api(load_settings(os.environ)) as api:
        found = list(remote_reports(api))
    if is_json:
        _print_json(found)
        return
    for one in found:
        click.echo(remote_line(one))


def _show_remote(root: Path, name: str, *, is_json: bool) -> None:
    from failgate.client.http import Api
    from failgate.client.remote import remote_overview, server_id_of
    from failgate.client.settings import load_settings

    with Api(load_settings(os.environ)) as api:
        one = api.call("GET", f"{api.workspace()}/reports/{server_id_of(root, name)}").content
        lines = list(remote_overview(api, one))
    if is_json:
        _print_json(one)
        return
    click.echo("\n".join(lines))


def _delete_remote(root: Path, name: str, *, is_agreed: bool) -> int:
    from failgate.client.http import Api
    from failgate.client.remote import server_id_of
    from failgate.client.review import ask
    from failgate.client.settings import is_interactive, load_settings

    server_id = server_id_of(root, name)
    if not is_agreed:
        if not is_interactive():
            raise click.UsageError("Nobody can be asked here. Give --yes.")
        if not ask(f"delete report {server_id} on the server, for everybody?"):
            return 1
    with Api(load_settings(os.environ)) as api:
        receipt = api.call("DELETE", f"{api.workspace()}/reports/{server_id}").content
    _say(f"report {server_id} is deleted on the server; record {receipt.get('record')} of the audit log says so")
    return 0


def _summary(one: "LocalReport") -> dict[str, Any]:
    from failgate.client.report_folder import uploaded_to

    manifest = one.manifest
    return {
        "id": manifest.id,
        "created_at": manifest.created_at,
        "title": manifest.title,
        "argv": manifest.argv,
        "exit_code": manifest.exit_code,
        "path": str(one.folder),
        "manifest_sha256": one.manifest_sha256,
        "uploaded": uploaded_to(one),
    }


def _json(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)


def _print_json(value: object) -> None:
    click.echo(_json(value))
