"""The doors of the review in the browser: look, decide, take back, agree, send, end."""

import asyncio
import hmac
import io
import json
import traceback
from collections.abc import Collection
from http import HTTPStatus
from typing import Any, BinaryIO, Final, cast

from litestar import Request, Response, get, post
from litestar.exceptions import HTTPException
from litestar.params import FromPath

from failgate.base.errors import BadInput, FailgateError
from failgate.client.report_folder import opened_artifact
from failgate.client.reviewing import Item, Review
from failgate.client.rewriting import Outlook, may_rewrite, read_recording, write_recording
from failgate.client.words import Words
from failgate.web.forms import read_own_form
from failgate.web.loopback.desk import Desk, Said, facts_of
from failgate.web.loopback.desk_view import SendingView, consent_view, review_view
from failgate.web.loopback.doorkeeper import NONCE
from failgate.web.loopback.entry import Entry
from failgate.web.loopback.preview import Preview, preview_of, selected
from failgate.web.pages.frame import Frame
from failgate.web.pages.text import size
from failgate.web.playback import MOST_BYTES, Playback, kept_play
from failgate.web.render import html, page, redirect, render, static_files, static_version
from failgate.web.router import Router

Asking = Request[Any, Any, Any]
Page = Response[bytes]
Form = dict[str, str]
_FOREVER: Final = "public, max-age=31536000, immutable"


def application(desk: Desk, entry: Entry) -> Router:
    """Return the doors, without who stands before them."""
    doors = [review, act, frames, consent, save, upload, sending, progress, end, static]
    app = Router(doors, openapi_config=None, logging_config=None, exception_handlers={Exception: _refused})
    app.state.desk, app.state.entry = desk, entry
    return app


@get("/")
async def review(request: Asking) -> Page:
    """Show the report with one artifact open."""
    desk = _desk(request)
    if not desk.is_open:
        return _to(request, "/sending")
    query = request.query_params
    async with desk.turn() as going:
        place, number, part = _entry(request).place, query.get("artifact"), query.get("part")
        view = await asyncio.to_thread(_review_view, desk, place, going, number, part)
    return _page(request, "review", view, "Review a report")


@post("/act")
async def act(request: Asking) -> Page:
    """Take one step of the review; what was wrong with it is said on the page."""
    desk, form = _desk(request), await _form(request)
    async with desk.turn() as going:
        if not desk.is_open:
            return _to(request, "/sending")
        try:
            said = await asyncio.to_thread(_act, going, form)
        except FailgateError as error:
            desk.say(str(error), is_bad=True)
        else:
            desk.say(said)
    number = _number(form.get("artifact", ""))
    return _to(request, f"/?artifact={number}" if number else "/")


@get("/frames/{number:str}")
async def frames(request: Asking, number: FromPath[str]) -> Response[bytes]:
    """Answer the frames of a recording as they would leave, for the page's script."""
    async with _desk(request).turn() as going:
        _, played = await asyncio.to_thread(_previewed, going, going.item(number), 1)
    if played is None:
        raise HTTPException(status_code=404)
    return Response(played.document(), media_type="application/json")


@post("/save")
async def save(request: Asking) -> Page:
    """Write what was decided; go on to the consent, or stay."""
    desk, form = _desk(request), await _form(request)
    async with desk.turn() as going:
        if not desk.is_open:
            return _to(request, "/sending")
        before = going.report.manifest.id
        try:
            report = await asyncio.to_thread(going.finish)
        except (FailgateError, OSError) as error:
            desk.say(str(error), is_bad=True)
            return _to(request, "/")
        if report.manifest.id != before:
            desk.say(f"Saved as report {report.manifest.id}, in place of the one before.")
        elif form.get("then") != "consent":
            desk.say("There was nothing to change; what you looked at is noted.")
    return _to(request, "/consent" if form.get("then") == "consent" else "/")


@get("/consent")
async def consent(request: Asking) -> Page:
    """Ask whether exactly this report may leave the machine, and say where it would go."""
    desk = _desk(request)
    if not desk.is_open:
        return _to(request, "/sending")
    found, missing = None, None
    async with desk.turn() as going:
        if not going.changes.is_nothing:
            desk.say("Save what you decided first: this shows the report as it lies on this machine.", is_bad=True)
            return _to(request, "/")
        try:
            found = await asyncio.to_thread(desk.destination)
        except FailgateError as error:
            missing = Said(str(error), is_bad=True)
        view = consent_view(going, _entry(request).place, found, missing, desk.heard())
    return _page(request, "consent", view, "Upload this report?")


@post("/upload")
async def upload(request: Asking) -> Page:
    """Upload the report whose digest the person saw and agreed to."""
    desk, form = _desk(request), await _form(request)
    async with desk.turn() as going:
        if not desk.is_open:
            return _to(request, "/sending")
        if form.get("agreed") != "yes" or form.get("manifest_sha256") != going.report.manifest_sha256:
            desk.say("Nothing was uploaded: you did not agree to exactly this report.", is_bad=True)
            return _to(request, "/consent")
        if not going.changes.is_nothing:
            desk.say("Nothing was uploaded: save what you decided first.", is_bad=True)
            return _to(request, "/")
        desk.send(going.report)
    return _to(request, "/sending")


@get("/sending")
async def sending(request: Asking) -> Page:
    """Show how far the upload is, and how it ended."""
    desk = _desk(request)
    if desk.phase == "reviewing":
        return _to(request, "/")
    facts, sent = facts_of(desk), desk.sent
    view = SendingView(
        place=_entry(request).place,
        phase=desk.phase,
        sent=facts["sent"],
        total=facts["total"],
        about=f"{size(facts['sent'])} of {size(facts['total'])}",
        note=facts["note"],
        page=sent.page if sent else "",
        notice=sent.notice if sent else (),
        error=desk.error,
        id=desk.review.report.manifest.id,
    )
    return _page(request, "sending", view, {"sending": "Uploading", "sent": "Uploaded"}.get(desk.phase, "Not uploaded"))


@get("/progress")
async def progress(request: Asking) -> Response[bytes]:
    """Answer how far the upload is."""
    facts = facts_of(_desk(request))
    facts["about"] = f"{size(facts['sent'])} of {size(facts['total'])}"
    return Response(json.dumps(facts).encode(), media_type="application/json")


@post("/end")
async def end(request: Asking) -> Page:
    """Say goodbye, and end the process's work: what was not saved is gone."""
    desk = _desk(request)
    await _form(request)
    is_unsaved = desk.is_open and not desk.review.changes.is_nothing
    desk.finished()
    return html(render("loopback/end.html", frame=_frame(request, "Closed"), is_unsaved=is_unsaved, sent=desk.sent))


@get("/static/{path:path}")
async def static(path: FromPath[str]) -> Response[bytes]:
    """Answer a file of the product's own pages: the same for everybody, and nothing of a report."""
    name = path.lstrip("/")
    found = static_files().get(name.removeprefix(f"{static_version()}/"))
    if found is None:
        raise HTTPException(status_code=404)
    return Response(found.body, media_type=found.media_type, headers={"cache-control": _FOREVER})


def _review_view(desk: Desk, place: str, review: Review, number: str | None, part: str | None) -> Any:
    item: Item | None = None
    preview: Preview | None = None
    playback: Playback | None = None
    said = desk.heard()
    try:
        if review.report.manifest.artifacts:
            item = review.item(number or "1")
            preview, playback = _previewed(review, item, _number(part or "1") or 1)
            review.see(item.artifact)
    except FailgateError as error:
        said = Said(str(error), is_bad=True)
    return review_view(review, place, item, preview, playback, said)


def _previewed(review: Review, item: Item, part: int) -> tuple[Preview, Playback | None]:
    """Return what is shown of an artifact; a recording plays as it would leave, one that stays behind as it is."""
    artifact, words = item.artifact, review.words()
    with opened_artifact(review.report, artifact) as stream:
        if artifact.kind != "recording" or artifact.size_bytes > MOST_BYTES:
            return preview_of(stream, artifact.size_bytes, artifact.kind, words, part), None
        content = _rewritten(stream, words)
    return preview_of(io.BytesIO(content), len(content), "recording", words, part), kept_play(content, is_whole=True)


def _rewritten(stream: BinaryIO, words: Words) -> bytes:
    recording = read_recording(stream) if words.has_any else None
    if recording is None or not may_rewrite(recording, words):
        stream.seek(0)
        return stream.read(MOST_BYTES)
    written: list[bytes] = []
    write_recording(recording, written.append, words, lambda _: None)
    return b"".join(written)


def _act(review: Review, form: Form) -> str:
    """Take the step that `form` asks for; return what to say of it."""
    what, text = form.get("act", ""), form.get("text", "")
    if what in {"leave-out", "take-in"}:
        name = review.artifact(form.get("artifact", "")).name
        (review.leave_out if what == "leave-out" else review.take_in)(name)
        return ""
    if what in {"words", "selection", "pattern"}:
        words = selected(text) if what == "selection" else [text.strip()] if what == "words" else []
        if what == "selection" and not words:
            raise BadInput("The selection holds no word of 3 characters that could be replaced everywhere.")
        before = review.outlook()
        review.replace(words, [text] if what == "pattern" else [])
        return _told(before, review.outlook(), review.changes.left_out)
    if what == "forget":
        review.forget(text)
        return ""
    if what == "undo":
        review.undo()
        return "The last step is taken back."
    raise BadInput("That is none of the steps.")


def _told(before: Outlook | None, after: Outlook | None, left_out: Collection[str]) -> str:
    """Return what the words that were added would do more, in what is not left out anyway."""
    if before is None or after is None:
        return "It will be replaced everywhere."
    places = sum(number - before.places.get(name, 0) for name, number in after.places.items() if name not in left_out)
    lost = len(after.lost - before.lost - set(left_out))
    stay = f"; {lost} of the artifacts cannot be rewritten and {'has' if lost == 1 else 'have'} to stay behind"
    if places <= 0 and not lost:
        return "Nothing more in the report holds that: nothing is replaced by it."
    return f"{places} {'place is' if places == 1 else 'places are'} replaced by it{stay if lost else ''}."


def _number(text: str) -> int:
    """Return the number that somebody wrote, 0 for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0


async def _form(request: Asking) -> Form:
    """Return the form. Raises: BadInput and others (no form of ours)."""
    form = await read_own_form(request)
    if not hmac.compare_digest(form.get("csrf_token", "").encode(), _entry(request).form_token.encode()):
        raise HTTPException(status_code=403)
    return form


def _refused(request: Asking, error: Exception) -> Page:
    """Return the page for what is not there or was not asked as ours are; nothing of the cause is said to strangers."""
    status = getattr(error, "status_code", None) or getattr(error, "status", None) or 500
    status = status if isinstance(status, int) and 400 <= status < 600 else 500
    if status == 500:
        traceback.print_exception(error)  # this person's own terminal
    said = str(error) if isinstance(error, FailgateError) else HTTPStatus(status).phrase
    place = _entry(request).place
    return html(render("loopback/refused.html", frame=_frame(request, "Not so"), said=said, place=place), status=status)


def _page(request: Asking, name: str, view: object, title: str) -> Page:
    return page(f"loopback/{name}.html", frame=_frame(request, title), view=view)


def _frame(request: Asking, title: str) -> Frame:
    nonce = cast("dict[str, Any]", request.scope)[NONCE]
    return Frame(title, str(nonce), _entry(request).form_token, static_version())


def _to(request: Asking, path: str) -> Page:
    return redirect(_entry(request).place + path)


def _desk(request: Asking) -> Desk:
    found = request.app.state.desk
    assert isinstance(found, Desk)
    return found


def _entry(request: Asking) -> Entry:
    found = request.app.state.entry
    assert isinstance(found, Entry)
    return found
