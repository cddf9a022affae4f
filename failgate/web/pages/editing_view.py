"""The page on which a command is approved in another form: its fields, and what would come of it. Pure.

Fields hold tokens as the page of the request shows them: what is unusual is written out, so that nobody edits what they
do not see. What stands in a field is read back the same way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from failgate.base.errors import BadInput, Conflict, FailgateError
from failgate.gate.likeness import aligned
from failgate.matching.rendering import read_token, render, unrender, warnings
from failgate.web.pages.token_view import Text, preview, texts
from failgate.wire.edits import Edit, EditTrial, EditWish
from failgate.wire.gate import Challenge, CommandView

MAX_TOKENS: Final = 100  # arguments beyond which there are no fields
MAX_CHARACTERS: Final = 6000  # of all fields together: nine bytes for one of them, at worst, fit a form
_KINDS: Final = {"same": "", "gone": "is gone", "new": "is new"}


@dataclass(frozen=True, slots=True)
class FieldView:
    """A field for the argument `number`, counted from 1."""

    number: int
    name: str
    text: str
    is_next: bool


@dataclass(frozen=True, slots=True)
class DiffToken:
    """A token: `kind` is `same`, `gone` or `new`, `said` the same for those who do not see it."""

    kind: Literal["same", "gone", "new"]
    parts: tuple[Text, ...]
    said: str
    is_odd: bool


@dataclass(frozen=True, slots=True)
class TrialView:
    """What would come of the edit, and what its approval takes. `fields` are its tokens as the form sends them."""

    digest: str
    digest_short: str
    difference: tuple[DiffToken, ...]
    tokens: tuple[DiffToken, ...]
    fields: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    is_denied: bool
    reason: str
    need: int
    groups: str
    challenge: Challenge
    risk: int | None


@dataclass(frozen=True, slots=True)
class EditView:
    """The form. Without `fields` the command is too long to be edited here."""

    here: str
    id: str
    agent: str
    host: str
    digest: str
    asked: tuple[tuple[Text, ...], ...]
    program: tuple[Text, ...]
    fields: tuple[FieldView, ...]
    is_long: bool
    is_waiting: bool
    state: str
    note: str
    error: str | None
    trial: TrialView | None


@dataclass(frozen=True, slots=True)
class EditStory:
    """What a reviewer made of a request, on the page of either: `id` is the other one; `is_made`: this is the edit."""

    id: str
    is_made: bool
    difference: tuple[DiffToken, ...]


def edit_story(command: CommandView, asked: CommandView | None) -> EditStory | None:
    """Return what was edited into `command` (`asked`) or what it was edited into; None when nobody edited it."""
    argv = unrender(command.rendering)
    if command.verdict is not None and command.verdict.edited is not None:
        edited = command.verdict.edited
        return EditStory(edited.id, is_made=False, difference=difference(argv, edited.argv))
    if asked is not None:
        return EditStory(asked.id, is_made=True, difference=difference(unrender(asked.rendering), argv))
    return None


def edit_view(
    command: CommandView, here: str, typed: Mapping[str, str], *, error: FailgateError | None, trial: EditTrial | None
) -> EditView:
    """Return the page of `command`; `typed` is what its form said, empty at first."""
    fields, at = _with_act([*map(_written, _fields_in(typed))], typed) if typed else (command.rendering[1:], 0)
    is_long = len(command.rendering) > MAX_TOKENS or sum(map(len, command.rendering)) > MAX_CHARACTERS
    # What was decided meanwhile is no mistake of the form.
    is_waiting = command.state == "pending" and not isinstance(error, Conflict)
    return EditView(
        here=here,
        id=command.id,
        agent=command.agent,
        host=command.host,
        digest=command.digest,
        asked=preview(command.rendering),
        program=texts(unrender(command.rendering[:1])[0]),
        fields=() if is_long else tuple(_field(place, text, at) for place, text in enumerate(fields)),
        is_long=is_long,
        is_waiting=is_waiting,
        state=command.state,
        note=typed.get("note", ""),
        error=None if error is None else str(error),
        trial=None if trial is None else _trial(command, trial),
    )


def _field(place: int, text: str, at: int | None) -> FieldView:
    return FieldView(place + 1, f"t{place}", text, is_next=place == at)


def _written(text: str) -> str:
    """Return what was typed as it is shown: unusual characters written out, unless nobody can say what it means."""
    try:
        return render([read_token(text)])[0] if text else ""
    except ValueError:
        return text


def _fields_in(typed: Mapping[str, str]) -> list[str]:
    fields: list[str] = []
    while (text := typed.get(f"t{len(fields)}")) is not None:
        fields.append(text)
    return fields


def _with_act(fields: list[str], typed: Mapping[str, str]) -> tuple[list[str], int | None]:
    """Return the fields after the button that was pressed, and which of them comes next."""
    act, _, where = typed.get("action", "").partition("-")
    if act not in {"add", "remove"} or not (where.isascii() and where.isdigit() and len(where) < 4):
        return fields, None
    place = min(int(where), len(fields))
    if act == "remove":
        return fields[:place] + fields[place + 1 :], min(place, len(fields) - 2)
    return ([*fields[:place], "", *fields[place:]], place) if len(fields) < MAX_TOKENS else (fields, None)


def argv_of(command: CommandView, typed: Mapping[str, str]) -> list[str]:
    """Return the arguments that the form says, the program first. A field that is empty is no token.

    Raises: BadInput (a field that cannot be read back).
    """
    argv = unrender(command.rendering[:1])
    for place, text in enumerate(_fields_in(typed), 1):
        if not text:
            continue
        try:
            argv.append(read_token(text))
        except ValueError:
            raise BadInput(
                f"Argument {place} holds a bracket that names no character.",
                hint="Write a character as it is, or as ⟨U+000A⟩; an empty argument is ⟨empty⟩.",
            ) from None
    return argv


def wish_of(command: CommandView, typed: Mapping[str, str]) -> EditWish:
    """Return what is tried. Raises: BadInput."""
    return EditWish(typed.get("digest", ""), argv_of(command, typed))


def edit_of(command: CommandView, typed: Mapping[str, str]) -> Edit:
    """Return what is approved. Raises: BadInput."""
    return Edit(
        digest=typed.get("digest", ""),
        argv=argv_of(command, typed),
        edited_digest=typed.get("shown", ""),
        note=typed.get("note", "").strip() or None,
        confirm=typed.get("confirm", "").strip() or None,
    )


def difference(before: Sequence[str], now: Sequence[str]) -> tuple[DiffToken, ...]:
    """Return the tokens of both argument lists in their order, as they look on the page."""
    return tuple(_token(kind, token) for kind, token in aligned(before, now))


def _token(kind: Literal["same", "gone", "new"], token: str) -> DiffToken:
    parts = texts(token)
    return DiffToken(kind, parts, _KINDS[kind], any(part.is_unusual for part in parts))


def _trial(command: CommandView, trial: EditTrial) -> TrialView:
    asked, argv = unrender(command.rendering), unrender(trial.rendering)
    return TrialView(
        digest=trial.digest,
        digest_short=trial.digest[:10],
        difference=difference(asked, argv),
        tokens=tuple(_token("same", token) for token in argv),
        fields=tuple((f"t{place}", text) for place, text in enumerate(render(argv[1:]))),
        warnings=tuple(warnings(argv)),
        is_denied=trial.decision == "deny",
        reason=trial.reason,
        need=trial.need,
        groups=", ".join(trial.groups),
        challenge=trial.challenge,
        risk=trial.risk.score,
    )
