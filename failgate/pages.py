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
_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_PATH = re.compile(r"(?:/(?:\.?[a-z0-9][a-z0-9.-]*|\{[a-z_]+\}))+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that passed its door.

    `here` is the path under which the plugin's private doors stand; `path` has the parameters of the door's path,
    `form` the fields of a form that stood on a page of this visit. `ip` is the address of who asks, None when unknown;
    `actor` is who acts, for `Host.record`. `account_id` and `email` are of the person, empty at a door for anybody.
    """

    here: str
    actor: Actor
    path: Mapping[str, str] = field(default_factory=dict[str, str])
    form: Mapping[str, str] = field(default_factory=dict[str, str])
    ip: str | None = None
    account_id: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A page: `template` of the plugin's own, with `view` under that name, in the frame of the core."""

    title: str
    template: str
    view: object
    status: int = 200


@dataclass(frozen=True, slots=True)
class PlainText:
    """A text that browsers show as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class SentOn:
    """The browser goes on to `path`, a path of this server that begins with one slash."""

    path: str


Answered = Shown | PlainText | SentOn
Handler = Callable[[Asked], Awaitable[Answered]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageDoor:
    """A door: GET reads, POST takes a form of at most `form_bytes`.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """Doors, the folder of their templates, and how the private ones are called in the navigation, if there are any."""

    doors: Sequence[PageDoor]
    templates: Traversable | Path
    label: str = ""
