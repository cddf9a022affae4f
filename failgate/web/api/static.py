"""Static files of ours, from the package.

`/static/VERSION/page.js` (so that what it imports is of the same version) and `/static/page.js?v=VERSION` are kept by
browsers for a year, `/static/page.js` is asked for again each time.
"""

from typing import Any

from litestar import Request, Response
from litestar.params import FromPath

from failgate.base.errors import NotFound
from failgate.web.render import static_files, static_version

_FOREVER = "public, max-age=31536000, immutable"


async def static_file(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    """Answer the static file `name`, which may begin with the version."""
    version, tag = static_version(), f'"{static_version()}"'
    path = name.lstrip("/")
    is_versioned = path.startswith(f"{version}/") or request.query_params.get("v") == version
    found = static_files().get(path.removeprefix(f"{version}/"))
    if found is None:
        raise NotFound("No such file.")
    headers = {"cache-control": _FOREVER if is_versioned else "no-cache", "etag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(b"", status_code=304, headers=headers)
    return Response(found.body, headers=headers, media_type=found.media_type)
