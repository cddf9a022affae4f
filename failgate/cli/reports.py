"""Reports of this folder and of the workspace: list, show, delete, import; what is done with one is in rooms beside."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from failgate.cli.printing import print_json, root_option, say
from failgate.cli.report_review import review
from failgate.cli.report_sending import share, upload
from failgate.cli.report_use import context, replay

if TYPE_CHECKING:
    from failgate.client.report_folder import LocalReport


@click.group()
def report() -> None:
    """Local reports: captured by failgate capture, or imported."""


@report.command(name="list")
@root_option
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
        print_json([_summary(one) for one in reports])
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
@root_option
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
        print_json(one.document)
        return
    click.echo("\n".join(overview(one)))


@report.command()
@root_option
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
@root_option
@click.option("--format", "name", required=True, help="What FILE is: junit, sarif, or another installed format.")
@click.option("--json", "is_json", is_flag=True, help="Print a list of objects.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
def import_documents(root: Path, name: str, is_json: bool, files: tuple[Path, ...]) -> None:
    """Keep what failed in FILE, which another tool wrote, as a redacted local report."""
    from failgate.client.importing import import_documents as kept
    from failgate.client.importing import open_format

    reports = list(kept(open_format(name), list(files), root, os.environ))
    if is_json:
        print_json([_summary(one) for one in reports])
        return
    for one in reports:
        say(f"report kept at {os.path.relpath(one.folder)}")
        click.echo(one.manifest.id)
    say("look at it: failgate report review latest" if reports else "nothing failed in there: no report")


@report.command()
def schema() -> None:
    """Print the JSON Schema of manifest.json, version 1."""
    from failgate.wire.manifest_schema import schema_text

    click.echo(schema_text(), nl=False)


def _list_remote(*, is_json: bool) -> None:
    from failgate.client.http import Api
    from failgate.client.remote import remote_line, remote_reports
    from failgate.client.settings import load_settings

    with Api(load_settings(os.environ)) as api:
        found = list(remote_reports(api))
    if is_json:
        print_json(found)
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
        print_json(one)
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
    say(f"report {server_id} is deleted on the server; record {receipt.get('record')} of the audit log says so")
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
