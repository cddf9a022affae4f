"""Whether a report may leave this machine: a person says so now, or said so once and for all in the settings."""

from typing import NamedTuple

from failgate.base.errors import FailgateError
from failgate.client.http import Api
from failgate.client.messages import Messages, inert
from failgate.client.report_folder import LocalReport
from failgate.client.settings import Settings, is_interactive
from failgate.client.upload import Agreed, page_of, quarantine_notice, upload_report


class Destination(NamedTuple):
    """Where an upload goes and who it comes from, as a person reads it."""

    server: str
    workspace: str
    speaker: str


def destination(api: Api) -> Destination:
    """Return where an upload by `api` would go; nothing of a report is sent to find out.

    Raises: what `Api.call` and `Api.workspace` raise.
    """
    who = api.call("GET", "/api/v1/whoami").content
    speaker = f"{inert(str(who.get('kind'))).replace('_', ' ')} {inert(str(who.get('label')))}"
    return Destination(str(api.address), api.workspace().rpartition("/")[2], speaker)


def is_agreed(api: Api, report: LocalReport) -> bool:
    """Ask the person at the terminal whether exactly this report goes there, and say where, and whose it will be.

    Raises: what `destination` raises.
    """
    from failgate.client.review import ask

    where = destination(api)
    what = f"report {report.manifest.id} (digest {report.manifest_sha256[:12]})"
    return ask(f"upload {what} to workspace {inert(where.workspace)} at {where.server}, as {where.speaker}?")


def offer_upload(
    api: Api, report: LocalReport, settings: Settings, messages: Messages, command_id: str | None
) -> str | None:
    """Upload `report` when that is agreed; return its id on the server. What goes wrong is said, nothing is raised."""
    try:
        agreed = _agreed(api, report, settings, messages)
        if agreed is None:
            return None
        uploaded = upload_report(api, report, agreed, command_id)
    except FailgateError as error:
        messages.say("upload-failed", f"the report was not uploaded: {inert(str(error))}")
        messages.say("upload-hint", f"try again: failgate report upload {report.manifest.id}")
        return None
    if uploaded.is_quarantined:
        sentence, hint = quarantine_notice(api, report, uploaded)
        messages.say("quarantined", sentence, id=uploaded.id)
        messages.say("quarantined-hint", hint)
    else:
        messages.say("uploaded", f"report uploaded: {page_of(api, uploaded.id)}", id=uploaded.id)
    return uploaded.id


def _agreed(api: Api, report: LocalReport, settings: Settings, messages: Messages) -> Agreed | None:
    if settings.upload == "always":
        return "standing"
    if settings.upload == "never":
        return None
    if not is_interactive():
        messages.say("upload-hint", f"to share it: failgate report upload {report.manifest.id} --yes")
        return None
    from failgate.client.review import overview

    for line in overview(report):
        messages.say("review", line)
    return "person" if is_agreed(api, report) else None
