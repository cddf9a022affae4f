"""The pages that a plugin brings: its doors, what it is asked and what it answers. Pure; the contract of slot `pages`.

The core stands at each door: it decides who passes, checks the form, renders in its own frame and sets the headers. The
plugin gets values and gives values; it never sees a cookie, a credential or a header.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final, Literal

from failgate.audit.record import Actor

Audience = Literal["anybody", "platform"]
LARGEST_FORM_BYTES: Final = 1 << 20
LARGEST_FILES_BYTES: Final = 16 << 20  # of one form together: they are held in memory while it is answered
MOST_FILES: Final = 20
_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+(?:; charset=utf-8)?", re.ASCII)
_PATH = re.compile(r"(?:/(?:\.?[a-z0-9][a-z0-9.-]*|\{[a-z_]+\}))+", re.ASCII)


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file of a form, as a stranger sent it: `field` it stood in, the `name` they give it, which may be any text."""

    field: str
    name: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesTaken:
    """The files that a form may carry: at most `most`, which hold at most `bytes_together`."""

    most: int
    bytes_together: int

    def __post_init__(self) -> None:
        """Refuse what a server could not hold. Raises: ValueError."""
        if not (0 < self.most <= MOST_FILES and 0 < self.bytes_together <= LARGEST_FILES_BYTES):
            raise ValueError(f"FilesTaken: 1 to {MOST_FILES} files of 1 to {LARGEST_FILES_BYTES} bytes together")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that passed its door.

    `here` is the path under which the plugin's private doors stand; `path` has the parameters of the door's path,
    `form` the fields of a form that stood on a page of this visit, `files` what it carried where the door takes
    files. `ip` is the address of who asks, None when unknown;
    `actor` is who acts, for `Host.record`. `account_id` and `email` are of the person, empty at a door for anybody.
    """

    here: str
    actor: Actor
    path: Mapping[str, str] = field(default_factory=dict[str, str])
    form: Mapping[str, str] = field(default_factory=dict[str, str])
    ip: str | None = None
    account_id: str = ""
    email: str = ""
    files: Sequence[SentFile] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """A page: `template` of the plugin's own, with `view` under that name, in the frame of the core.

    `retry_after_seconds` is told to programs beside a status of 429 or 503.
    """

    title: str
    template: str
    view: object
    status: int = 200
    retry_after_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class PlainText:
    """A text that browsers show as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Download:
    """Bytes that a browser keeps under `name`, any text, and never shows: as an attachment, in a sandbox."""

    name: str
    content: bytes
    media_type: str = "application/octet-stream"

    def __post_init__(self) -> None:
        """Refuse what is no media type. Raises: ValueError."""
        if not _MEDIA_TYPE.fullmatch(self.media_type):
            raise ValueError(f"Download({self.name!r}): {self.media_type!r} is no media type like text/csv")


@dataclass(frozen=True, slots=True)
class SentOn:
    """The browser goes on to `path`, a path of this server that begins with one slash."""

    path: str


Answered = Shown | PlainText | Download | SentOn
Handler = Callable[[Asked], Awaitable[Answered]]
Admit = Callable[[str | None], None]
"""Called with the address of who sends, before any of a body is read. Raises: TooManyRequests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageDoor:
    """A door: GET reads, POST takes a form of at most `form_bytes`, and `files` beside them when it says so.

    `admit` may turn a form away before it is read.

    For `anybody`, `path` is the whole path. For `platform` it is what follows the plugin's own place, and who passes is
    a person with the platform role who proved a second factor in this session. Parameters stand in braces: `{id}` is an
    identifier of ours.
    """

    name: str
    path: str
    handler: Handler
    audience: Audience
    method: Literal["GET", "POST"] = "GET"
    form_bytes: int = 65_536
    files: FilesTaken | None = None
    admit: Admit | None = None

    def __post_init__(self) -> None:
        """Refuse a door that could not stand. Raises: ValueError naming the part."""
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"PageDoor(name={self.name!r}): use lower-case letters, digits and underscores")
        if not (_PATH.fullmatch(self.path) or (self.path == "" and self.audience == "platform")):
            raise ValueError(f"PageDoor({self.name!r}): {self.path!r} is no path like /security/{{id}}")
        if self.audience not in {"anybody", "platform"} or self.method not in {"GET", "POST"}:
            raise ValueError(f'PageDoor({self.name!r}): for "anybody" or "platform", by GET or POST')
        if not 0 < self.form_bytes <= LARGEST_FORM_BYTES:
            raise ValueError(f"PageDoor({self.name!r}): form_bytes is 1 to {LARGEST_FORM_BYTES}")
        if self.method == "GET" and (self.files is not None or self.admit is not None):
            raise ValueError(f"PageDoor({self.name!r}): files and admit are of a POST")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """Doors, the folder of their templates, and how the private ones are called in the navigation, if there are any."""

    doors: Sequence[PageDoor]
    templates: Traversable | Path
    label: str = ""
