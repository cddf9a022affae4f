"""Which steps are due. B6."""

from typing import Any

from failgate.gate.ladder import Taken, silences, taken
from failgate.gate.stored import Stored
from failgate.gate.terms import Escalation, Terms, terms_text

STEPS = (Escalation(5, "near", ("admin",)), Escalation(9, "far", (), ("a@x",)))


def waiting(terms: Terms, **changes: int) -> Stored:
    names = Stored.__struct_fields__[: -len(Stored.__struct_defaults__)]
    required: dict[str, Any] = dict.fromkeys(names, "")
    times = {"created_us": 1_000_000, "expires_us": 61_000_000, "decided_us": None}
    return Stored(**(required | {"id": "c", "workspace_id": "w", "terms": terms_text(terms)} | times | changes))


def test_steps_fall_due_at_their_second_and_stay_due() -> None:
    one = waiting(Terms(escalations=STEPS))
    assert silences([one], 5_999_999) == []
    [near] = silences([one], 6_000_000)
    assert (near.command_id, near.waited_us, near.steps) == ("c", 5_000_000, STEPS[:1])
    assert silences([one], 10_000_000)[0].steps == STEPS


def test_without_a_ladder_and_after_the_end_nothing_is_due() -> None:
    named = waiting(Terms(excluded=('"escalations"@x',)))
    assert silences([named, waiting(Terms())], 30_000_000) == []
    assert silences([waiting(Terms(escalations=STEPS), expires_us=8_000_000)], 8_000_000) == []


def test_the_steps_that_were_taken_are_told_by_their_records_alone() -> None:
    def record(act: str, **data: object) -> dict[str, Any]:
        return {"act": act, "ts": f"2026-01-01T00:00:0{data.get('step', 0)}.000000Z", "data": data}

    records = [
        record("command.escalated", group="leads", step=2, accounts=["a", "b"], waited_us=1),
        record("command.created", group="x", step=9, accounts=[]),
        record("command.escalated", group="oncall", step=1, accounts=[], waited_us=1),
    ]
    assert taken(records) == [
        Taken("oncall", 1, 0, "2026-01-01T00:00:01.000000Z"),
        Taken("leads", 2, 2, "2026-01-01T00:00:02.000000Z"),
    ]
