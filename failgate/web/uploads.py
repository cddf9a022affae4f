"""Forms that carry files: fields as `forms` reads them, and files that are held in memory while the form is answered.

Everything is bounded before it is taken: what is announced, what arrives, and what all forms with files hold at once,
apart from other bodies, so that uploads of strangers never keep an agent's request out.
"""

import asyncio
from contextlib import ExitStack
from typing import Any, Final, cast

from litestar.connection import Request

from failgate.base.errors import BadInput, TooLarge, WrongMediaType
from failgate.pages import LARGEST_FILES_BYTES, FilesTaken, SentFile
from failgate.web.asgi import Scope
from failgate.web.context import Visit
from failgate.web.errors import OtherStatus
from failgate.web.forms import FORM_FIELDS, pieces_of
from failgate.web.headers import header
from failgate.web.held import HeldBodies
from failgate.web.multipart import FormReader, Malformed, Part, boundary_in

MOST_UPLOADED_BYTES: Final = 3 * LARGEST_FILES_BYTES
MOST_UPLOADED_BYTES_EACH: Final = LARGEST_FILES_BYTES
UPLOAD_SECONDS: Final = 120.0  # for a whole form with files, from a telephone too
_AROUND_BYTES: Final = 65_536  # for what stands between the parts


def is_multipart(request: Request[Any, Any, Any]) -> bool:
    """Tell whether the body says that it is a form with files."""
    kind = header(cast("Scope", request.scope), b"content-type") or ""
    return kind.partition(";")[0].strip().lower() == "multipart/form-data"


async def read_upload(
    request: Request[Any, Any, Any], visit: Visit, form_bytes: int, taken: FilesTaken
) -> dict[str, str]:
    """Return the fields of a form of at most `form_bytes`, each once; its files are `visit.files` afterwards.

    What they take in memory is counted until `visit.held` is closed.

    Raises: TooLarge (fields, files or their number), BadInput (broken, cut off, a field twice, not UTF-8, a NUL),
    WrongMediaType, TooManyRequests (it and others are too much at once), OtherStatus 408.
    """
    scope = cast("Scope", request.scope)
    if (header(scope, b"content-encoding") or "identity").lower() != "identity":
        raise WrongMediaType("The body is compressed.", hint="Send it as it is.")
    held: HeldBodies = request.app.state.held_uploads
    visit.held = visit.held or ExitStack()
    counted = visit.held.enter_context(held.body_of(visit.ip or ""))
    form = _Form(form_bytes, taken)
    try:
        reader = FormReader(boundary_in(header(scope, b"content-type") or ""), form.take)
        async with asyncio.timeout(UPLOAD_SECONDS):
            async for piece in pieces_of(request, form_bytes + taken.bytes_together + _AROUND_BYTES):
                counted.grow(len(piece))
                reader.read(piece)
        reader.finish()
    except TimeoutError:
        raise OtherStatus(408, "The body came too slowly.", {"connection": "close"}) from None
    except Malformed:
        raise BadInput("The form is malformed, or ends too early.", hint="Send it from the page again.") from None
    visit.files = form.files
    return form.fields


class _Form:
    """What a form holds, part by part."""

    def __init__(self, form_bytes: int, taken: FilesTaken) -> None:
        self.fields: dict[str, str] = {}
        self.files: list[SentFile] = []
        self._form_bytes = form_bytes
        self._taken = taken
        self._of_fields = self._of_files = 0

    def take(self, part: Part) -> None:
        """Keep a part. Raises: TooLarge, BadInput."""
        if part.filename is None:
            self._take_field(part)
        elif part.filename or len(part.content):  # a browser sends an empty one where no file was chosen
            self._take_file(part.name, part.filename, part.content)

    def _take_field(self, part: Part) -> None:
        self._of_fields += len(part.content)
        if self._of_fields > self._form_bytes or len(self.fields) >= FORM_FIELDS:
            limit = f"{self._form_bytes:,} bytes"
            raise TooLarge(f"The fields of the form hold more than {limit} together.", hint="Write less.")
        if part.name in self.fields:
            raise BadInput("The form holds a field twice.", hint="Send it from the page.")
        try:
            text = part.content.decode()
        except UnicodeDecodeError:
            raise BadInput("The form is not UTF-8.", hint="Send it from the page.") from None
        if "\0" in text:
            raise BadInput("The form holds a NUL character.", hint="Remove it.")
        self.fields[part.name] = text

    def _take_file(self, field: str, name: str, content: bytes) -> None:
        most, together = self._taken.most, self._taken.bytes_together
        self._of_files += len(content)
        if self._of_files > together:
            raise TooLarge(f"The files hold more than {together:,} bytes together.", hint="Send less, or smaller ones.")
        if len(self.files) >= most:
            raise TooLarge("The form carries too many files.", hint=f"Send {most} at most, or pack them into one.")
        self.files.append(SentFile(field, name, content))
