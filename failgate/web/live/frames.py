"""The frames of the agent's socket, `/api/v1/agent`: JSON texts of at most 64 KiB, told apart by `type`.

`ref` is the agent's own mark: the answer to a frame carries the same one. A `verdict` comes by itself, once, when a
command that was pending is decided.
"""

from typing import Any, Literal

import msgspec

from failgate.wire.gate import Consume, Outcome, State, Submission, Verdict

Ref = str | int


class Submit(Submission, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="submit", kw_only=True):
    """Ask for a command; answered by `submitted`."""

    ref: Ref | None = None


class Use(Consume, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="consume", kw_only=True):
    """Use an approval, once; answered by `consumed`, and executed only then."""

    id: str
    ref: Ref | None = None


class Finish(Outcome, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="outcome", kw_only=True):
    """Tell how the execution ended; answered by `finished`."""

    id: str
    ref: Ref | None = None


class Cancel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="cancel"):
    """Withdraw a pending command; answered by `cancelled`."""

    id: str
    ref: Ref | None = None


Incoming = Submit | Use | Finish | Cancel


class Submitted(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="submitted"):
    """The command was taken in; `verdict` is there when a policy decided at once."""

    id: str
    state: State
    digest: str
    expires_at: str
    ref: Ref | None = None
    verdict: Verdict | None = None


class Decided(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="verdict"):
    """A pending command is decided; without a `verdict` it was cancelled or quarantined: nothing may run."""

    id: str
    state: State
    digest: str
    ref: Ref | None = None
    verdict: Verdict | None = None


class Done(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a `consume`, `outcome` or `cancel` led to."""

    type: Literal["consumed", "finished", "cancelled"]
    id: str
    state: State
    ref: Ref | None = None


class Refused(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="error"):
    """A frame that could not be done; `problem` is a problem document (RFC 9457)."""

    problem: dict[str, Any]
    ref: Ref | None = None
