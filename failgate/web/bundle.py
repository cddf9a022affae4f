"""The reviewer's bundle: every file that the page of sealed commands loads, as one canonical manifest of digests.

Which files these are is read where a browser reads it, in the templates and in what scripts import: a file that is
added is in it by itself. The digest of the manifest names all of them; it is what `failgate web-manifest` prints, what
the page shows, and what is put on record when a server starts with another one than before.
"""

import base64
import functools
import hashlib
import posixpath
import re
from collections.abc import Mapping
from typing import Any, Final

from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, SYSTEM, Act, Event
from failgate.base.canonical import JSON, digest_of
from failgate.web.render import static_files, static_version, templates

TEMPLATES: Final = ("base.html", "layout.html", "sealed.html")
_OBJECT: Final = "web_bundle"
_LOADED: Final = re.compile(r"""(?:src|href)="/static/(?:\{\{ frame\.version \}\}/)?([\w./-]+)\"""")
_IMPORTED: Final = re.compile(
    r"""^(?:import|export)\s(?:[^"';]*?\sfrom\s)?"(\.{1,2}/[\w./-]+)";|\bimport\("([^"]+)"\)""", re.MULTILINE
)


@functools.cache
def bundle_files() -> Mapping[str, bytes]:
    """Return the content of each file of the bundle by its path below `/static/`, in order."""
    waiting = [path for name in TEMPLATES for path in _LOADED.findall(_source(name))]
    found: dict[str, bytes] = {}
    while waiting:
        path = waiting.pop()
        if path not in found:
            found[path] = static_files()[path].body
            if path.endswith(".js"):
                folder = posixpath.dirname(path)
                names = [one or other for one, other in _IMPORTED.findall(found[path].decode())]
                waiting += [posixpath.normpath(posixpath.join(folder, name)) for name in names]
    return dict(sorted(found.items()))


@functools.cache
def web_manifest() -> dict[str, Any]:
    """Return the manifest: `{"typ", "v", "files": [{"path", "sha256", "size_bytes"}]}`, digests in hexadecimal."""
    files = [
        {"path": path, "sha256": hashlib.sha256(body).hexdigest(), "size_bytes": len(body)}
        for path, body in bundle_files().items()
    ]
    return {"typ": "failgate-web-manifest", "v": 1, "files": files}


@functools.cache
def bundle_digest() -> str:
    """Return the digest of the manifest: base64url of the SHA-256 of its canonical JSON."""
    return digest_of(web_manifest())


@functools.cache
def integrity_map() -> dict[str, dict[str, str]]:
    """Return the import map by which a browser refuses a script of the bundle that is another one.

    Source: HTML Living Standard section 8.1.5.2, `integrity` of import maps.
    """
    known = {
        f"/static/{static_version()}/{path}": integrity_of(path) for path in bundle_files() if path.endswith(".js")
    }
    return {"integrity": known}


def integrity_of(path: str) -> str:
    """Return the `integrity` of a file of the bundle, as W3C Subresource Integrity writes it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(bundle_files()[path]).digest()).decode()


async def record_bundle(audit: AuditLog) -> bool:
    """Put the bundle on record when it is another one than was recorded last; return whether it is."""
    last = await audit.newest(SYSTEM, limit=1, obj_id=_OBJECT)
    before = last[0].record["data"]["manifest"] if last else None
    if before == bundle_digest():
        return False
    data: dict[str, JSON] = {"manifest": bundle_digest(), "files": len(bundle_files())}
    if before is not None:
        data["before"] = before
    await audit.record(Event(Act.WEB_BUNDLE_CHANGED, SYSTEM, _OBJECT, _OBJECT, SERVER, data))
    return True


def _source(template: str) -> str:
    environment = templates()
    assert environment.loader is not None  # `templates` gives one
    return environment.loader.get_source(environment, template)[0]
