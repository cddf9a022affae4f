"""The pages about command lines as plain values. Pure."""

from dataclasses import dataclass

from failgate.web.pages.text import Moment


@dataclass(frozen=True, slots=True)
class CodeView:
    """Where the code is typed; without a second factor it cannot be.

    `provider` is the identity provider that may show one; `may_set_up`: this session may set up one of ours.
    """

    typed: str = ""
    error: str | None = None
    has_factor: bool = True
    provider: str | None = None
    may_set_up: bool = True


@dataclass(frozen=True, slots=True)
class DeviceView:
    """Who asks from where. `host` and `user_agent` are claims; `is_from_here`: the asker's network is the viewer's."""

    code: str
    client: str
    client_id: str
    host: str
    user_agent: str
    address: str
    is_from_here: bool
    own_address: str
    asked: Moment
    error: str | None = None


@dataclass(frozen=True, slots=True)
class DecidedView:
    """What was decided about the command line on `host`."""

    is_approved: bool
    host: str


@dataclass(frozen=True, slots=True)
class LoginLine:
    """A command line that speaks for the viewer. `host` and what `client` adds to its name are its own word."""

    id: str
    host: str
    client: str
    address: str
    seen_address: str
    opened: Moment
    seen: Moment
    ends: Moment


@dataclass(frozen=True, slots=True)
class LoginsView:
    """All of them."""

    rows: tuple[LoginLine, ...]


def client_of(client_id: str, user_agent: str) -> str:
    """Return the client in words: its name here, and the program and version that it calls itself."""
    program = user_agent.split(" ", maxsplit=1)[0][:40]
    return f"{client_id} ({program})" if program else client_id
