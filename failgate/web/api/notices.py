"""What a browser's own notification says, when the live connection told its page that something happened."""

from typing import Any

from litestar import Request
from litestar.params import FromPath

from failgate.web.context import services_of, visit_of
from failgate.wire.notify import CommandNotice


async def of_command(request: Request[Any, Any, Any], id: FromPath[str]) -> CommandNotice:  # noqa: A002 - the path's word
    """Say in one line what a command is and how it stands, redacted: whoever passes a screen reads it."""
    return await services_of(request).notifications.notice(visit_of(request).here().id, id)
