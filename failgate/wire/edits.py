"""Approving a command in another form: what is tried, what would come of it, what is approved."""

from typing import Literal

import msgspec

from failgate.wire.gate import Challenge, Finding, Risk
from failgate.wire.history import CommandChange


class EditWish(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST commands/{id}/edits/trial`: `argv` in place of what was asked, `digest` is that of what was asked."""

    digest: str
    argv: list[str]


class Edit(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST commands/{id}/edits`. `digest` is that of what was asked, `edited_digest` what the trial answered.

    `note` and `confirm` are as in a vote.
    """

    digest: str
    argv: list[str]
    edited_digest: str
    note: str | None = None
    confirm: str | None = None


class EditTrial(msgspec.Struct, frozen=True):
    """What would come of an edit; nothing was decided. With `decision` `deny` a policy refuses it: `reason` says why.

    `digest` is that of the edited call, `rendering` how it looks, `changes` where it differs from what was asked;
    `need`, `groups` and `challenge` are what its approval takes.
    """

    digest: str
    rendering: list[str]
    changes: list[CommandChange]
    decision: Literal["ask", "deny"]
    reason: str
    need: int
    groups: list[str]
    challenge: Challenge
    findings: list[Finding]
    risk: Risk
