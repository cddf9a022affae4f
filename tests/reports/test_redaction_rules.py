"""A workspace's own rules on both databases: checked by examples, sealed, audited, in effect at once. F17 F18."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from failgate.audit.record import Actor
from failgate.base.clock import FrozenClock
from failgate.base.errors import Conflict, NotFound, Unprocessable
from failgate.base.ids import new_id
from failgate.base.secretbox import SecretBox
from failgate.redaction import redact
from failgate.reports.redaction_rules import MOST_RULES, RedactionRules
from failgate.wire.redaction import RedactionRule
from tests.reports.conftest import Room

ACTOR = Actor("user", new_id())


def rule(name: str = "acme", pattern: str = "ACME-[0-9]{4}", **more: Any) -> RedactionRule:
    return RedactionRule(name, pattern, **{"must_match": ["x ACME-4711"], "must_not_match": ["ACME-47"], **more})


@pytest.fixture
def rules(room: Room, clock: FrozenClock, tmp_path: Path) -> RedactionRules:
    box = SecretBox.open(tmp_path / "secrets.key")
    return RedactionRules(room.database, room.audit, clock, box)


async def test_a_rule_is_in_effect_when_it_is_created_and_out_when_it_is_revoked(
    room: Room, rules: RedactionRules
) -> None:
    before = await rules.scanner_of(room.workspace_id)
    assert redact("ACME-4711", before).findings == []
    view = await rules.create(ACTOR, room.workspace_id, rule())
    scanner = await rules.scanner_of(room.workspace_id)
    assert [one.rule for one in redact("ACME-4711", scanner).findings] == ["x-acme"]
    assert redact("ACME-4711", await rules.scanner_of(new_id())).findings == []
    await rules.revoke(ACTOR, room.workspace_id, view.id)
    assert redact("ACME-4711", await rules.scanner_of(room.workspace_id)).findings == []
    assert await room.acts() == ["redaction_rule.created", "redaction_rule.revoked"]


async def test_those_who_ask_at_once_get_one_scanner_which_is_the_current_one(
    room: Room, rules: RedactionRules
) -> None:
    """Else what the first reports of a workspace were looked through with counts as old, and all is scanned again."""
    scanners = await asyncio.gather(*(rules.scanner_of(room.workspace_id) for _ in range(16)))
    assert all(rules.is_current(room.workspace_id, scanner) for scanner in scanners)


async def test_a_workspace_has_a_key_of_its_own_that_stays(room: Room, rules: RedactionRules, tmp_path: Path) -> None:
    text = "password=hunter2!"
    tag = redact(text, await rules.scanner_of(room.workspace_id)).text
    again = RedactionRules(room.database, room.audit, FrozenClock(), SecretBox.open(tmp_path / "secrets.key"))
    assert redact(text, await again.scanner_of(room.workspace_id)).text == tag
    assert redact(text, await rules.scanner_of(new_id())).text != tag


async def test_the_text_of_a_rule_is_sealed_and_its_examples_are_not_kept(room: Room, rules: RedactionRules) -> None:
    view = await rules.create(ACTOR, room.workspace_id, rule(description="our seats"))
    (row,) = await room.database.fetch("SELECT * FROM redaction_rule")
    assert "ACME" not in str(dict(row))
    (shown,) = (await rules.page(room.workspace_id)).items
    assert shown == view
    assert (shown.pattern, shown.description) == ("ACME-[0-9]{4}", "our seats")


@pytest.mark.parametrize(
    "refused",
    [
        rule(pattern="(ACME"),
        rule(pattern="(?=ACME)"),
        rule(pattern="A*"),
        rule(must_match=["ACME-47"]),
        rule(must_match=["ACME-4711", "ACME-\n4711"]),
        rule(must_not_match=["nothing", "ACME-4712"]),
    ],
)
async def test_a_rule_that_does_not_do_what_its_examples_say_is_refused(
    room: Room, rules: RedactionRules, refused: RedactionRule
) -> None:
    with pytest.raises(Unprocessable):
        await rules.create(ACTOR, room.workspace_id, refused)
    assert await room.acts() == []


async def test_names_are_taken_once_and_there_is_a_most(room: Room, rules: RedactionRules) -> None:
    await rules.create(ACTOR, room.workspace_id, rule())
    with pytest.raises(Conflict, match="'acme' already"):
        await rules.create(ACTOR, room.workspace_id, rule())
    for number in range(MOST_RULES - 1):
        await rules.create(ACTOR, room.workspace_id, rule(f"r{number}"))
    with pytest.raises(Conflict, match="100 redaction rules"):
        await rules.create(ACTOR, room.workspace_id, rule("more"))
    with pytest.raises(NotFound):
        await rules.revoke(ACTOR, new_id(), (await rules.page(room.workspace_id)).items[0].id)
