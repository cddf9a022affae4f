"""What a reporter attaches: judged by its bytes, redacted where it is text, under a name that does no harm. Pure."""

import codecs
import unicodedata
from collections.abc import Sequence
from typing import Final

import msgspec

from failgate.plugin import SentFile, Unprocessable, kinds_of_file, truthful, without_secrets
from failgate_disclosure.archives import ARCHIVES, ArchiveRefused, look_into
from failgate_disclosure.fields import visible

TAKEN: Final = "Taken are text, pictures (PNG, JPEG, GIF, WebP), PDF, video (MP4, WebM), and zip, gzip or tar of these."
LONGEST_NAME: Final = 100
_KINDS: Final = frozenset({"png", "jpg", "gif", "webp", "pdf", "mp4", "webm"}) | ARCHIVES
_HEAD_BYTES: Final = 1_024
_ANY: Final = "application/octet-stream"
_WIDE: Final = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class Attachment(msgspec.Struct, frozen=True):
    """A file as it is kept; `is_redacted` tells that it is not what was sent."""

    name: str
    content: bytes
    is_redacted: bool = False


class AttachmentRefused(Unprocessable):
    """A file that is not kept, and nothing with it."""


def judged(files: Sequence[SentFile]) -> tuple[Attachment, ...]:
    """Return `files` as they may be kept.

    Raises: AttachmentRefused naming the first that may not.
    """
    return tuple(_judged(one) for one in files)


def plain_name(name: str) -> str:
    """Return what is left of a stranger's `name`: its last part, visible, on one line, at most 100 characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    seen = "".join(" " if unicodedata.category(char) in _HIDDEN else char for char in last)
    seen = " ".join(seen.split()).strip(". ")
    stem, stop, ending = seen.rpartition(".")
    if stop and stem and len(ending) <= 10:
        return f"{stem[: LONGEST_NAME - 1 - len(ending)].rstrip()}.{ending}"
    return seen[:LONGEST_NAME].rstrip() or "attachment"


def _judged(sent: SentFile) -> Attachment:
    name = plain_name(sent.name)
    if not sent.content:
        raise _refused(name, "it is empty")
    text = _text_in(sent.content)
    if text is not None:
        plain, charset = text
        clean = without_secrets(plain)
        is_redacted = clean != plain
        # What is left alone stays as it was, byte for byte.
        content = clean.encode(charset, "replace") if is_redacted else sent.content
        return Attachment(_named(name, content), content, is_redacted)
    kinds = kinds_of_file(sent.content[:_HEAD_BYTES])
    if not kinds & _KINDS:
        raise _refused(name, "its bytes are of a kind that is not taken")
    if kinds & ARCHIVES:
        try:
            look_into(sent.content, kinds, _is_kept)
        except ArchiveRefused as refused:
            raise _refused(name, str(refused)) from None
    return Attachment(_named(name, sent.content), sent.content)


def _named(name: str, content: bytes) -> str:
    return truthful(name, _ANY, content[:_HEAD_BYTES])[0]


def _text_in(content: bytes) -> tuple[str, str] | None:
    """Return the text that `content` is, with its charset; None when it is none."""
    charset = _WIDE.get(content[:2])
    if charset is None and b"\0" in content:
        return None
    if charset is None and kinds_of_file(content[:_HEAD_BYTES]):
        charset = "utf-8"  # a text may begin as a short signature does, and a PDF may be text all through
    for each in (charset,) if charset is not None else ("utf-8", "latin-1"):
        try:
            return content.decode(each), each
        except UnicodeDecodeError:
            continue
    return None


def _is_kept(head: bytes) -> bool:
    """Tell whether a file within an archive is kept, by its first bytes: text, or one of the kinds that are taken."""
    kinds = kinds_of_file(head)
    return bool(kinds & _KINDS) or (not kinds and (b"\0" not in head or head[:2] in _WIDE))


def _refused(name: str, why: str) -> AttachmentRefused:
    return AttachmentRefused(f"{visible(name)} is not taken: {why}.", hint=f"Nothing was kept. {TAKEN}")
