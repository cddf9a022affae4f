"""A report goes to the workspace: begun with its manifest and somebody's consent, artifact by artifact, then sealed."""

import os
import time
from typing import Any, Literal, NamedTuple

from failgate.base.clock import SystemClock, to_rfc3339
from failgate.client.answer import Answer, Lost
from failgate.client.exits import Refused, Unverified
from failgate.client.http import Api
from failgate.client.progress import Progress, Tally
from failgate.client.report_folder import LocalReport, note_upload, opened_artifact, reviewed_in
from failgate.wire.reports import ManifestArtifact

Agreed = Literal["person", "standing"]
QUARANTINED = "quarantined"
_TRIES = 3
_BREAKS = 6
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0


class Uploaded(NamedTuple):
    """A report that the server took: its id there, and whether the workspace may read it."""

    id: str
    is_quarantined: bool


def upload_report(
    api: Api, report: LocalReport, agreed: Agreed, command_id: str | None = None, progress: Tally | None = None
) -> Uploaded:
    """Upload `report`; return what became of it.

    Every step may be repeated. After a break the server is asked again what is missing, so that nothing that arrived
    is sent twice; a break that no byte came through is tried six times, each after twice the pause. Who was killed, or
    runs twice at once, ends with one report: the server knows it by the id of its manifest.
    A server that still finds a secret quarantines the report, at any step; nothing more is sent then.
    The consent is over the digest of exactly this manifest, which names the digest of every artifact.

    Raises: what `Api.call` raises, Unprocessable (the folder was changed), Unverified (the server asks for other
    bytes).
    """
    for artifact in report.manifest.artifacts:  # of a folder that was changed nothing is sent
        with opened_artifact(report, artifact):
            pass
    now = to_rfc3339(SystemClock().now_us())
    consent: dict[str, Any] = {"manifest_sha256": report.manifest_sha256, "by": agreed, "at": now}
    if agreed == "person" and (reviewed := reviewed_in(report)):
        consent["reviewed"] = reviewed
    body = {"manifest": report.document, "consent": consent, "command_id": command_id, "format": "failgate"}
    progress = progress or tally_of(report)
    breaks, missing_before = 0, -1
    done: tuple[str, str] | None = None
    try:
        while done is None:
            sending = _Sending(api, report, body, progress)
            try:
                done = sending.run()
            except (Lost, Refused) as error:
                breaks = 1 if 0 <= sending.missing < missing_before else breaks + 1
                missing_before = sending.missing if sending.missing >= 0 else missing_before
                seconds = _pause(error, breaks, was_connected=api.was_connected)
                if seconds is None:
                    raise
                progress.again(seconds, str(error))
                time.sleep(seconds)
    finally:
        progress.close()
    server_id, state = done
    note_upload(report, {"id": server_id, "url": str(api.address), "at": now, "state": state})
    return Uploaded(server_id, state == QUARANTINED)


class _Sending:
    """One pass over what the server lacks. `missing` counts the artifacts that it still lacks, -1 before it said so."""

    def __init__(self, api: Api, report: LocalReport, body: dict[str, Any], progress: Tally) -> None:
        self._api = api
        self._report = report
        self._body = body
        self._progress = progress
        self.missing = -1

    def run(self) -> tuple[str, str]:
        """Return the id on the server and the state of the report."""
        base = self._api.workspace()
        begun = _post(self._api, f"{base}/reports", self._body).content
        server_id, missing = begun.get("id"), begun.get("missing")
        if not isinstance(server_id, str) or not server_id.replace("-", "").isalnum() or not isinstance(missing, list):
            raise Unverified(
                "The answer to the beginning of the upload is not of the expected form.", hint="Update failgate."
            )
        state = begun.get("state")
        wanted = [_named(self._report, digest) for digest in missing]
        self.missing = len(wanted)
        for artifact in wanted:
            if state == QUARANTINED:
                break
            self._progress.begin(artifact.name, sum(one.size_bytes for one in wanted[-self.missing :]))
            route = f"{base}/reports/{server_id}/artifacts/{artifact.sha256}"
            with opened_artifact(self._report, artifact) as stream:
                answer = self._api.put_file(route, stream, artifact.size_bytes, self._progress.sent)
            state = answer.content.get("state")
            self._progress.done(artifact.size_bytes)
            self.missing -= 1
        if state != QUARANTINED:
            state = _post(self._api, f"{base}/reports/{server_id}/seal", {}).content.get("state")
        return server_id, str(state)


def _named(report: LocalReport, digest: object) -> ManifestArtifact:
    for artifact in report.manifest.artifacts:
        if artifact.sha256 == digest:
            return artifact
    raise Unverified("The server asks for an artifact that is not in the report.", hint="Nothing more was uploaded.")


def _size(report: LocalReport) -> int:
    return sum({one.sha256: one.size_bytes for one in report.manifest.artifacts}.values())


def tally_of(report: LocalReport) -> Tally:
    """Return what counts how far the upload of `report` is."""
    return Tally(_size(report))


def progress_of(report: LocalReport, *, is_silent: bool = False) -> Progress:
    """Return what says on stderr how far the upload of `report` is."""
    return Progress(_size(report), is_silent=is_silent)


def _pause(error: Lost | Refused, breaks: int, *, was_connected: bool) -> float | None:
    """Return how many seconds to wait after this break; None when trying again would change nothing."""
    if breaks > _BREAKS or not was_connected:
        return None
    pause = _FIRST_PAUSE * 2.0 ** (breaks - 1)
    if isinstance(error, Lost):
        return pause
    told = error.members.get("retry_after_seconds")
    if error.answered in {429, 503}:
        return min(float(told), _LONGEST_PAUSE) if isinstance(told, int) else pause
    # Somebody else uploads the same report at this moment: the next beginning says how far they are.
    return pause if error.answered == 409 and "state" in error.members else None


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
