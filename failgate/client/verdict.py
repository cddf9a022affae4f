"""Whether an answer of the server is a verdict on exactly what was asked. Pure: the time is given."""

from __future__ import annotations

from failgate.base.quick import NamedTuple, datetime
from failgate.client.exits import Unverified
from failgate.client.messages import inert

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from typing import Any

SKEW_SECONDS = 30
"""How far this machine's clock may differ from the server's."""

_STATES = frozenset(("pending", "approved", "denied", "expired", "cancelled", "executed", "quarantined"))


class Standing(NamedTuple):
    """What one answer about a command says, as far as the client acts on it. Times are seconds since 1970 UTC."""

    id: str
    state: str
    expires: float
    waiting_for: str
    need: int
    verdict: dict[str, Any] | None


def standing_of(view: dict[str, Any], digest: str, expected_id: str | None = None) -> Standing:
    """Return what `view` says, when it speaks of the command with `digest` (and `expected_id`).

    Raises: Unverified (another id or digest, an unknown state, a member of the wrong kind).
    """
    found = view.get("id")
    if not isinstance(found, str) or not found or not all(sign in "0123456789abcdef-" for sign in found):
        raise Unverified("The answer has no usable id.", hint="Nothing was executed.")
    if expected_id is not None and found != expected_id:
        raise Unverified("The answer is about another command.", hint="Nothing was executed.")
    if view.get("digest") != digest:
        raise Unverified("The answer carries the digest of another command.", hint="Nothing was executed.")
    state = view.get("state")
    if state not in _STATES:
        raise Unverified("The answer has a state that this version does not know.", hint="Update failgate.")
    verdict = view.get("verdict")
    waiting_for, need = view.get("waiting_for", ""), view.get("need", 0)
    if (
        not (verdict is None or isinstance(verdict, dict))
        or not isinstance(waiting_for, str)
        or not isinstance(need, int)
    ):
        raise Unverified("The answer is not of the expected form.", hint="Update failgate.")
    return Standing(
        found, str(state), _seconds(view.get("expires_at"), "expires_at"), inert(waiting_for[:300]), need, verdict
    )


def check_approval(standing: Standing, digest: str, now: float) -> float:
    """Return until when (seconds since 1970) the approval in `standing` may be used, when it is one and is ours.

    Raises: Unverified (no verdict, another id or digest, not an approval, past its time of use).
    """
    verdict = standing.verdict
    if standing.state != "approved" or verdict is None:
        raise Unverified("There is no verdict to act on.", hint="Nothing was executed.")
    if verdict.get("id") != standing.id or verdict.get("digest") != digest:
        raise Unverified("The verdict is about another command.", hint="Nothing was executed.")
    if verdict.get("decision") != "approve":
        raise Unverified("The state says approved, the verdict does not.", hint="Nothing was executed.")
    use_by = _seconds(verdict.get("use_by"), "use_by")
    if now > use_by + SKEW_SECONDS:
        raise Unverified("The approval is past its time of use.", hint="Check this machine's clock, and ask again.")
    if _seconds(verdict.get("decided_at"), "decided_at") > now + SKEW_SECONDS:
        raise Unverified("The approval is dated in the future.", hint="Check this machine's clock, and ask again.")
    return use_by


def note_of(standing: Standing) -> str:
    """Return the reviewers' names, whether they want changes, and their note, as inert text; or an empty text.

    Of a command that is only observed it says that instead.
    """
    observed = observed_of(standing)
    if observed:
        return f" ({observed})"
    verdict = standing.verdict or {}
    broken = " without its quorum, by breaking the glass" if verdict.get("glass") is not None else ""
    note, by = verdict.get("note"), verdict.get("by")
    who = ", ".join(inert(str(name)[:100]) for name in by[:10]) if isinstance(by, list) else ""
    said = inert(note[:1000]) if isinstance(note, str) and note else ""
    wish = ", who wants changes" if who and wants_changes(standing) else ""
    if wish and verdict.get("edited") is not None:
        from failgate.client.edited import edited_of, shown

        edited = edited_of(standing)
        wish = f", who approves it in another form: {shown(edited.argv)[:2000]}" if edited is not None else wish
    return (f" by {who}{broken}{wish}" if who else broken) + (f": {said}" if said else "")


def observed_of(standing: Standing) -> str:
    """Return that nobody approved, for the workspace only observes, and what the command would have met; or nothing."""
    found = (standing.verdict or {}).get("observed")
    if found is None:
        return ""
    if not isinstance(found, dict):
        raise Unverified("The answer is not of the expected form.", hint="Update failgate.")
    if found.get("would") == "deny":
        by = found.get("by")
        who = ", ".join(inert(str(name)[:100]) for name in by[:10]) if isinstance(by, list) else ""
        return f"only observed: it would have been denied{f' by {who}' if who else ''}; nobody approved it"
    waiting_for = found.get("waiting_for")
    whom = inert(waiting_for[:300]) if isinstance(waiting_for, str) and waiting_for else "a reviewer"
    return f"only observed: it would have waited for {whom}; nobody approved it"


def remark_of(standing: Standing) -> tuple[str, str] | None:
    """Return an event and a sentence about an approval that no quorum gave, or None for an ordinary one."""
    observed = observed_of(standing)
    if observed:
        return "observed", observed
    if (standing.verdict or {}).get("glass") is not None:
        return "glass", f"the glass was broken: let run{note_of(standing)}"
    return None


def wants_changes(standing: Standing) -> bool:
    """Tell whether the reviewers would take the command in another form, which the note says."""
    return standing.verdict is not None and standing.verdict.get("wants_changes") is True


def _seconds(text: object, name: str) -> float:
    """Return seconds since 1970 of an RFC 3339 text in UTC."""
    try:
        time = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise Unverified(f"The answer's {name} is no time.", hint="Nothing was executed.")
    return time.timestamp()
