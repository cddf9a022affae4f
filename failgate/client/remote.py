"""Reports on the server, from the command line: which one a name means, listed, shown, deleted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from failgate.base.errors import BadInput, NotFound, Unprocessable
from failgate.base.ids import is_id
from failgate.client.http import Api
from failgate.client.messages import inert
from failgate.client.progress import size_text
from failgate.client.report_folder import open_report, uploaded_to

_MOST_PAGES = 20


class Known(NamedTuple):
    """A report on the server: its id there; of one that was uploaded from here also the digest of its manifest."""

    id: str
    manifest_sha256: str | None = None


def server_id_of(root: Path, name: str) -> str:
    """Return the id on the server of report `name`, as `known_of` finds it."""
    return known_of(root, name).id


def known_of(root: Path, name: str) -> Known:
    """Return what is known here of report `name`: a local one that was uploaded, or an id of the server itself.

    Raises: NotFound, BadInput (several fit, or it was not uploaded yet).
    """
    try:
        report = open_report(root, name)
    except (NotFound, Unprocessable):
        if is_id(name):
            return Known(name)
        raise
    sent = uploaded_to(report)
    if sent is None:
        raise BadInput(
            f"Report {report.manifest.id} is on this machine only.",
            hint=f"Upload it first: failgate report upload {report.manifest.id}",
        )
    return Known(sent["id"], report.manifest_sha256)


def remote_reports(api: Api) -> Iterator[dict[str, Any]]:
    """Yield the reports of the workspace, newest first, at most 2000.

    Raises: what `Api.call` raises.
    """
    after = ""
    for _ in range(_MOST_PAGES):
        answer = api.call("GET", f"{api.workspace()}/reports?limit=100{after}").content
        yield from answer.get("items", [])
        following = answer.get("next")
        if not isinstance(following, str) or not is_id(following):
            return
        after = f"&after={following}"


def remote_line(one: dict[str, Any]) -> str:
    """Return one report of the server as a line."""
    made = str(one.get("created_at"))[:19]
    title = inert(str(one.get("title")))[:100]
    return f"{inert(str(one.get('id')))}  {made}Z  {inert(str(one.get('state'))):<11}  {title}"


def remote_overview(api: Api, one: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that say what a report of the server holds."""
    yield f"report    {inert(str(one.get('id')))}, {inert(str(one.get('state')))}"
    yield f"title     {inert(str(one.get('title')))}"
    yield f"uploaded  {inert(str(one.get('created_at')))} by {inert(str(one.get('uploaded_by')))}"
    for artifact in one.get("artifacts", []):
        there = "" if artifact.get("is_present") else ", missing"
        size = size_text(int(artifact.get("size_bytes", 0)))
        yield f"artifact  {inert(str(artifact.get('name')))}  {inert(str(artifact.get('kind')))}  {size}{there}"
    yield f"digest    {inert(str(one.get('manifest_sha256')))}"
    yield f"page      {api.address}/w/{api.workspace().rpartition('/')[2]}/reports/{inert(str(one.get('id')))}"
