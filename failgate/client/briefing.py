"""`failgate report context`: a report, here or on the server, as Markdown for a program that reads it."""

import os
from pathlib import Path

from failgate.base.errors import BadInput, NotFound
from failgate.base.ids import is_id
from failgate.client.exits import Unverified
from failgate.client.report_folder import LocalReport, artifact_bytes, open_report
from failgate.client.settings import Settings, load_settings
from failgate.failure.context import LEAST_TOKENS, MOST_TOKENS, Failure, context
from failgate.failure.plain import lines_of


def parse_tokens(text: str) -> int:
    """Return the tokens of `8000` or `8k` (thousands). Raises: BadInput (another form, or out of bounds)."""
    digits = text[:-1] if text[-1:] in {"k", "K"} else text
    number = int(digits) * (1000 if digits != text else 1) if digits.isascii() and digits.isdigit() else 0
    if len(digits) > 7 or not LEAST_TOKENS <= number <= MOST_TOKENS:
        raise BadInput(
            f"--budget is {text!a}.", hint=f"Write tokens, {LEAST_TOKENS} to {MOST_TOKENS}, like 8000 or 8k."
        )
    return number


def briefing(root: Path, name: str, budget: int, *, is_remote: bool = False) -> str:
    """Return the Markdown of the report `name`: the local one, or the server's when there is none here.

    `is_remote`: the server's, also when there is one here.

    Raises: what `open_report`, `known_of` and `Api.call` raise.
    """
    if is_remote:
        from failgate.client.remote import server_id_of

        return _told_by_server(load_settings(os.environ), server_id_of(root, name), budget)
    try:
        report = open_report(root, name)
    except NotFound:
        settings = load_settings(os.environ)
        if not is_id(name) or (settings.token is None and settings.tls.certificate is None):
            raise
        return _told_by_server(settings, name, budget)
    return context(Failure(report.manifest, _lines(report, "output"), _lines(report, "diff")), budget)


def _told_by_server(settings: Settings, report_id: str, budget: int) -> str:
    from failgate.client.http import Api

    with Api(settings) as api:
        answer = api.call("GET", f"{api.workspace()}/reports/{report_id}/context?budget={budget}").content
    if not isinstance(answer.get("markdown"), str) or answer.get("id") != report_id:
        raise Unverified("The answer is not of the expected form.", hint="Update failgate.")
    return str(answer["markdown"])


def _lines(report: LocalReport, kind: str) -> list[str]:
    found = next((one for one in report.manifest.artifacts if one.kind == kind), None)
    return lines_of(artifact_bytes(report, found)) if found is not None else []
