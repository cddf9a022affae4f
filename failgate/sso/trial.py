"""What a test of a connection showed: everything that was asserted, and what a sign-in would make of it."""

import json
from dataclasses import dataclass
from typing import Final

import msgspec

from failgate.base.clock import Clock
from failgate.base.db import Database, Transaction
from failgate.base.ids import new_id
from failgate.base.secretbox import SecretBox
from failgate.sso.assertion import Assertion
from failgate.sso.connection import Connection
from failgate.sso.linking import Step, Verdict

TRIAL_PURPOSE: Final = "sso test"
_EMPTY: Final[tuple[str, ...]] = ()


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A test. `reason` and `detail` say why the answer, or the person, would be refused; times are microseconds."""

    made_us: int = 0
    reason: str | None = None
    detail: str = ""
    issuer: str | None = None
    subject: str | None = None
    email: str | None = None
    is_email_verified: bool = False
    name: str | None = None
    groups: tuple[str, ...] = _EMPTY
    unmapped: tuple[str, ...] = _EMPTY
    attributes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    methods: tuple[str, ...] = _EMPTY
    context: str | None = None
    is_factor_trusted: bool = False
    authenticated_us: int | None = None
    session_ends_us: int | None = None
    account: str | None = None
    account_id: str | None = None
    steps: tuple[tuple[str, str | None, str | None, str], ...] = ()

    @property
    def result(self) -> str:
        """Return one word for the log: `passed`, or why not."""
        return self.reason or "passed"


@dataclass(frozen=True, slots=True)
class Judged:
    """An assertion and what linking made of it."""

    assertion: Assertion
    verdict: Verdict
    steps: tuple[Step, ...]
    unmapped: tuple[str, ...]
    is_factor_trusted: bool


def trial_of(judged: Judged, made_us: int) -> Trial:
    """Return the test that shows `judged`."""
    assertion, verdict = judged.assertion, judged.verdict
    return Trial(
        made_us=made_us,
        reason=verdict.reason,
        issuer=assertion.issuer,
        subject=assertion.subject,
        email=assertion.email,
        is_email_verified=assertion.is_email_verified,
        name=assertion.name,
        groups=assertion.groups,
        unmapped=judged.unmapped,
        attributes=tuple(sorted((name, tuple(values)) for name, values in assertion.attributes.items())),
        methods=assertion.methods,
        context=assertion.context,
        is_factor_trusted=judged.is_factor_trusted,
        authenticated_us=assertion.authenticated_us,
        session_ends_us=assertion.session_ends_us,
        account=verdict.kind,
        account_id=verdict.account_id,
        steps=tuple(
            (
                step.workspace_slug,
                step.before.value if step.before else None,
                step.after.value if step.after else None,
                step.reason,
            )
            for step in judged.steps
        ),
    )


class Trials:
    """Keeps tests sealed for an hour, each for the person who made it."""

    def __init__(self, database: Database, clock: Clock, box: SecretBox) -> None:
        self._database = database
        self._clock = clock
        self._box = box

    async def keep(self, tx: Transaction, connection: Connection, account_id: str, trial: Trial) -> str:
        """Keep a test inside a transaction; return its id."""
        trial_id = new_id()
        sealed = self._box.seal(msgspec.json.encode(trial), purpose=TRIAL_PURPOSE, owner=trial_id)
        await tx.execute(
            "INSERT INTO sso_test (id, connection_id, account_id, outcome_sealed, made_us) VALUES ($1, $2, $3, $4, $5)",
            trial_id, connection.id, account_id, sealed, self._clock.now_us(),
        )  # fmt: skip
        return trial_id

    async def one(self, connection_id: str, account_id: str, trial_id: str) -> Trial | None:
        """Return a test of that connection that this person made, or None."""
        row = await self._database.fetch_one(
            "SELECT id, outcome_sealed FROM sso_test WHERE id = $1 AND connection_id = $2 AND account_id = $3",
            trial_id, connection_id, account_id,
        )  # fmt: skip
        if row is None:
            return None
        opened = self._box.unseal(row["outcome_sealed"], purpose=TRIAL_PURPOSE, owner=row["id"])
        return msgspec.convert(json.loads(opened), Trial)
