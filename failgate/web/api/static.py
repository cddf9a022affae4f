"""Static files of ours, from the package.

`/static/VERSION/page.js` is kept by browsers for a year, with what it imports; `/static/page.js` is asked for again
each time, and so is another version: a page that was open during an update gets the file as it is now.
"""

import re
from typing import Any

from litestar import Request, Response
from litestar.params import FromPath

from failgate.base.errors import NotFound
from failgate.web.render import static_files, static_version

_VERSION = re.compile(r"([0-9a-f]{16})/")
_FOREVER = "public, max-age=31536000, immutable"


async def static_file(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    """Answer the static file `name`, which may begin with a version."""
    tag = f'"{static_version()}"'
    path = name.lstrip("/")
    version = _VERSION.match(path)
    is_current = version is not None and version[1] == static_version()
    found = static_files().get(path[version.end() :] if version else path)
    if found is None:
        raise NotFound("No such file.")
    headers = {"cache-control": _FOREVER if is_current else "no-cache", "etag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(b"", status_code=304, headers=headers)
    return Response(found.body, headers=headers, media_type=found.media_type)
