"""The pages on the way to an identity provider and back as plain values. Pure."""

from dataclasses import dataclass

from failgate.web.pages.text import Moment


@dataclass(frozen=True, slots=True)
class LeaveView:
    """The page that takes the browser to a provider by itself: a form with `fields`, or a link."""

    url: str
    fields: tuple[tuple[str, str], ...]
    host: str
    slug: str


@dataclass(frozen=True, slots=True)
class BackView:
    """The page that goes on to `path`, one of our own, by itself."""

    path: str


@dataclass(frozen=True, slots=True)
class AskView:
    """The page that asks whether the person wants to sign in through the provider named `title`.

    `action` takes the form with `fields`; `is_answered`: the provider signed them in already, unasked. `is_signed_in`:
    somebody is signed in in this browser.
    """

    title: str
    action: str
    fields: tuple[tuple[str, str], ...]
    is_answered: bool
    is_signed_in: bool = False


@dataclass(frozen=True, slots=True)
class RefusedView:
    """An answer that signed nobody in, or stepped nothing up. `reference` is the request id by which the log tells why.

    `start` is where one tries again, `back` where one goes instead.
    `is_about_person`: the answer is in order, and who it names is not let in; trying again changes nothing by itself.
    """

    title: str
    sentence: str
    hint: str
    reference: str
    slug: str
    start: str
    back: str
    back_label: str
    is_about_person: bool = False
    is_step_up: bool = False


@dataclass(frozen=True, slots=True)
class NowhereView:
    """Signed in, and no group of the person gives a role anywhere."""

    title: str
    email: str


@dataclass(frozen=True, slots=True)
class LogoutView:
    """Signed out here and at the provider named `title`; `asks`: the provider lets the person stay signed in there."""

    title: str
    asks: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """A connection that one may sign in with."""

    slug: str
    title: str
    kind: str


@dataclass(frozen=True, slots=True)
class ChoiceView:
    """The ways in through identity providers. `workspace` is named to its members alone; `email` was typed."""

    choices: tuple[Choice, ...]
    next_path: str = "/"
    workspace: str | None = None
    email: str = ""
    is_asked: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SignInLine:
    """A sign-in of one's own: `name` is the address or the subject that the provider last said."""

    id: str
    title: str
    name: str
    issuer: str
    linked: Moment
    seen: Moment | None


@dataclass(frozen=True, slots=True)
class SignInsView:
    """All of them, and the providers that could be linked."""

    rows: tuple[SignInLine, ...]
    choices: tuple[Choice, ...]
    may_change: bool
    error: str | None = None
