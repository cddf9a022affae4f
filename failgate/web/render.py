"""HTML from our own templates, and the static files beside them, read once from the package.

Templates escape by themselves and fail on a name that is not there. A static file is served under `/static/` and cached
for a year when its URL carries the version, a digest over all of them.
"""

import functools
import hashlib
import mimetypes
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import jinja2
from litestar import Response

from failgate.web.context import Connection, Visit, visit_of
from failgate.web.cookies import form_cookie
from failgate.web.csrf import form_token, new_form_key

_PACKAGE = "failgate.web"
_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".ico": "image/x-icon",
    ".txt": "text/plain",
    ".webmanifest": "application/manifest+json",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A static file as it is answered."""

    body: bytes
    media_type: str


@functools.cache
def static_files() -> dict[str, StaticFile]:
    """Return every file below `failgate/web/static` by its path there, `/` between its parts."""
    found: dict[str, StaticFile] = {}

    def walk(folder: Traversable, prefix: str) -> None:
        for entry in sorted(folder.iterdir(), key=lambda item: item.name):
            if entry.is_dir():
                walk(entry, f"{prefix}{entry.name}/")
            elif not entry.name.startswith("."):
                found[prefix + entry.name] = StaticFile(entry.read_bytes(), _media_type(entry.name))

    root = files(_PACKAGE).joinpath("static")
    if root.is_dir():
        walk(root, "")
    return found


@functools.cache
def static_version() -> str:
    """Return a digest over all static files: 16 hex digits."""
    digest = hashlib.sha256()
    for path, file in static_files().items():
        digest.update(f"{path}\0{len(file.body)}\0".encode())
        digest.update(file.body)
    return digest.hexdigest()[:16]


@functools.cache
def templates() -> jinja2.Environment:
    """Return the environment of our templates."""
    return page_templates()


def page_templates(*further: jinja2.BaseLoader) -> jinja2.Environment:
    """Return an environment of our templates, and of `further` ones, that escapes by itself."""
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(_PACKAGE, "templates"), *further]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def render(template: str, **values: Any) -> str:
    """Return the HTML of `template` with `values`."""
    return templates().get_template(template).render(**values)


def page(template: str, *, status: int = 200, headers: dict[str, str] | None = None, **values: Any) -> Response[bytes]:
    """Return the answer that shows `template` with `values`."""
    return html(render(template, **values), status=status, headers=headers)


def html(text: str, *, status: int = 200, headers: dict[str, str] | None = None) -> Response[bytes]:
    """Return `text` as an HTML answer."""
    return Response(text.encode(), status_code=status, media_type="text/html", headers=headers)


def text(plain: str) -> Response[bytes]:
    """Return `plain` as an answer of plain text."""
    return Response(plain.encode(), media_type="text/plain")


def redirect(path: str, *, status: int = 303) -> Response[bytes]:
    """Return the answer that sends the browser to `path`, a path of our own."""
    return Response(b"", status_code=status, headers={"location": path}, media_type="text/plain")


def csrf_token(connection: Connection) -> str:
    """Return the token that every form of this visitor carries in the field `csrf_token`.

    A visitor without a session is given a form cookie with the answer, once.
    """
    return token_of(visit_of(connection))


def token_of(visit: Visit) -> str:
    """Return the form token of `visit`; see `csrf_token`."""
    if visit.session is not None and visit.credential is not None:
        return form_token(visit.credential)
    if visit.form_key is None:
        visit.form_key = new_form_key()
        visit.set_cookies.append(form_cookie(visit.form_key, is_https=visit.is_https))
    return form_token(visit.form_key)


def _media_type(name: str) -> str:
    suffix = name[name.rfind(".") :].lower() if "." in name else ""
    return _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
