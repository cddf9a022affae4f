"""Pages that plugins bring: each of their doors is a door of ours, behind the one guard and in our frame.

A plugin's private doors stand under `/platform/x/<instance>`, for the platform role with a second factor. Its public
ones stand where none of ours do. Nothing here knows what any plugin is about.
"""

from collections.abc import Awaitable, Callable, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

import jinja2
from litestar import Response

from failgate.access.permission import Permission
from failgate.audit.record import Actor
from failgate.base.errors import StartRefused
from failgate.loader.slots import OpenedPlugins
from failgate.pages import Answered, Asked, Download, PageDoor, PlainText, SentOn
from failgate.web.context import visit_of
from failgate.web.door import Door
from failgate.web.errors import own_path
from failgate.web.headers import attachment_headers
from failgate.web.pages.showing import Asking, Page, frame_of
from failgate.web.render import html, page_templates, redirect, text

_PLACE: Final = "/platform/x/"
_WELL_KNOWN: Final = ".well-known"  # RFC 8615: the one place that ours and theirs share
_OWN: Final = "x/"  # before the names of a plugin's own templates
_PERMISSIONS: Final = {
    ("anybody", "GET"): Permission.PUBLIC_PAGE_READ,
    ("anybody", "POST"): Permission.PUBLIC_PLUGIN_WRITE,
    ("platform", "GET"): Permission.PLATFORM_PLUGIN_READ,
    ("platform", "POST"): Permission.PLATFORM_PLUGIN_WRITE,
}


def doors_of(plugins: OpenedPlugins, ours: Sequence[Door]) -> tuple[Door, ...]:
    """Return the doors that `plugins` bring beside `ours`.

    Raises: StartRefused naming a door that stands where one of ours or of another plugin does.
    """
    closed = {door.path.split("/")[1] for door in ours} - {_WELL_KNOWN}
    places = {(door.method, door.path) for door in ours}
    made: list[Door] = []
    for opened in plugins.plugins:
        pages, instance = opened.provides.pages, opened.identity.name
        if pages is None:
            continue
        templates = _environment(pages.templates)
        for one in pages.doors:
            path = _path_of(one, instance)
            first = path.split("/")[1]
            is_open = one.audience == "platform" or (first not in closed and not first.startswith("{"))
            if not is_open or (one.method, path) in places:
                raise StartRefused(
                    f"plugins.{instance}: its door {one.name!r} ({one.method} {path}) stands where another one does.",
                    hint="Take one of the two plugins out; if there is one alone, its author has to move the door.",
                )
            places.add((one.method, path))
            made.append(
                Door(
                    name=f"x.{instance}.{one.name}",
                    method=one.method,
                    path=path,
                    handler=_handler(one, templates, instance),
                    permission=_PERMISSIONS[one.audience, one.method],
                    kind="page",
                    form_bytes=one.form_bytes,
                    files=one.files,
                    admit=one.admit,
                )
            )
    return tuple(made)


def _path_of(door: PageDoor, instance: str) -> str:
    return door.path if door.audience == "anybody" else f"{_PLACE}{instance}{door.path}"


def _handler(door: PageDoor, templates: jinja2.Environment, instance: str) -> Callable[[Asking], Awaitable[Page]]:
    async def answer(request: Asking) -> Page:
        visit = visit_of(request)
        is_private = door.audience == "platform"
        asked = Asked(
            here=_PLACE + instance,
            # Who is signed in and writes at a door for anybody is not named to the plugin, nor in its records.
            actor=Actor.of(visit.principal) if is_private else Actor("anonymous", "anonymous"),
            path={name: str(value) for name, value in request.path_params.items()},
            form=visit.form,
            files=visit.files,
            ip=visit.ip,
            account_id=(visit.principal.account_id or "") if is_private else "",
            email=visit.session.email if is_private and visit.session else "",
        )
        return await _shown(request, await door.handler(asked), asked, templates)

    return answer


async def _shown(request: Asking, answered: Answered, asked: Asked, templates: jinja2.Environment) -> Page:
    if isinstance(answered, PlainText):
        return text(answered.text)
    if isinstance(answered, SentOn):
        return redirect(own_path(answered.path))
    if isinstance(answered, Download):
        headers = attachment_headers(answered.name, "file")
        return Response(answered.content, media_type=answered.media_type, headers=headers)
    frame = await frame_of(request, answered.title, asked.here.removeprefix("/"))
    template = templates.get_template(_OWN + answered.template)
    wait = answered.retry_after_seconds
    return html(
        template.render(frame=frame, view=answered.view, here=asked.here),
        status=answered.status,
        headers=None if wait is None else {"retry-after": str(wait)},
    )


def _environment(folder: Traversable | Path) -> jinja2.Environment:
    """Return our own templates with those of `folder` beside them, whose names begin with `x/`."""

    def load(name: str) -> str | None:
        found = folder.joinpath(name.removeprefix(_OWN)) if name.startswith(_OWN) else None
        return found.read_text(encoding="utf-8") if found is not None and found.is_file() else None

    return page_templates(jinja2.FunctionLoader(load))
