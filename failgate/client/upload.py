"""A report goes to the workspace: begun with its manifest and somebody's consent, artifact by artifact, then sealed."""

import io
import os
import time
from typing import Any, Literal, NamedTuple

from failgate.base.clock import SystemClock, to_rfc3339
from failgate.client.answer import Answer, Lost
from failgate.client.exits import Unverified
from failgate.client.http import Api
from failgate.client.report_folder import LocalReport, artifact_bytes, note_upload

Agreed = Literal["person", "standing"]
QUARANTINED = "quarantined"
_TRIES = 3


class Uploaded(NamedTuple):
    """A report that the server took: its id there, and whether the workspace may read it."""

    id: str
    is_quarantined: bool


def upload_report(api: Api, report: LocalReport, agreed: Agreed, command_id: str | None = None) -> Uploaded:
    """Upload `report`; return what became of it. Every step may be repeated: what is there is not sent again.

    A server that still finds a secret quarantines the report, at any step; nothing more is sent then.
    The consent is over the digest of exactly this manifest, which names the digest of every artifact.

    Raises: what `Api.call` raises, Unprocessable (the folder was changed), Unverified (the server asks for other
    bytes).
    """
    base = api.workspace()
    now = to_rfc3339(SystemClock().now_us())
    body: dict[str, Any] = {
        "manifest": report.document,
        "consent": {"manifest_sha256": report.manifest_sha256, "by": agreed, "at": now},
        "command_id": command_id,
        "format": "failgate",
    }
    content = {artifact.sha256: artifact_bytes(report, artifact) for artifact in report.manifest.artifacts}
    begun = _post(api, f"{base}/reports", body).content
    server_id, missing = begun.get("id"), begun.get("missing")
    if not isinstance(server_id, str) or not server_id.replace("-", "").isalnum() or not isinstance(missing, list):
        raise Unverified(
            "The answer to the beginning of the upload is not of the expected form.", hint="Update failgate."
        )
    state = begun.get("state")
    for digest in missing:
        if state == QUARANTINED:
            break
        if digest not in content:
            raise Unverified(
                "The server asks for an artifact that is not in the report.", hint="Nothing more was uploaded."
            )
        route = f"{base}/reports/{server_id}/artifacts/{digest}"
        state = api.put_file(route, io.BytesIO(content[digest]), len(content[digest])).content.get("state")
    if state != QUARANTINED:
        state = _post(api, f"{base}/reports/{server_id}/seal", {}).content.get("state")
    note_upload(report, {"id": server_id, "url": str(api.address), "at": now, "state": str(state)})
    return Uploaded(server_id, state == QUARANTINED)


def _post(api: Api, route: str, body: object) -> Answer:
    """Return the answer, asked for again under the same key when it was lost on the way."""
    key = os.urandom(16).hex()
    for attempt in range(1, _TRIES):
        try:
            return api.call("POST", route, body, idempotency_key=key)
        except Lost:
            if not api.was_connected:
                raise
            time.sleep(0.3 * attempt)
    return api.call("POST", route, body, idempotency_key=key)


def quarantine_notice(api: Api, report: LocalReport, uploaded: Uploaded) -> tuple[str, str]:
    """Return what a person has to know of a report that the server quarantined, and what they can do."""
    sentence = (
        "the report is quarantined: the server still found what looks like a secret in it, so that only its uploader "
        f"may read it: {page_of(api, uploaded.id)}"
    )
    hint = (
        f"find it with failgate report review {report.manifest.id} --full, keep it out of the output, capture again; "
        "if it is a real secret, replace it, and ask an admin to delete this report"
    )
    return sentence, hint


def page_of(api: Api, server_id: str) -> str:
    """Return the address of the report's page."""
    workspace = api.workspace().rpartition("/")[2]
    return f"{api.address}/w/{workspace}/reports/{server_id}"
