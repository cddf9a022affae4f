"""The pack of approvals: what a line says is what the records say, on both databases. E7 E3"""

import pytest

from failgate.audit.bundle import Period
from failgate.audit.record import Act, Actor
from tests.evidence.office import DIGEST, OTHER, POLICY, WS, Office, Person


@pytest.fixture
async def people(office: Office):
    """An owner with an agent, and two reviewers."""
    olga = await office.person("olga@acme.example", "owner")
    rita, rolf = await office.person("rita@acme.example"), await office.person("rolf@acme.example")
    return olga, rita, rolf, await office.agent("deploy-bot", olga)


async def leaf_hash(office: Office, seq: int, log: str = WS) -> str:
    return f"sha256:{(await office.audit.record_at(log, seq)).leaf_hash.hex()}"


async def test_a_decision_by_people_says_who_when_how_long_and_by_which_factor(office: Office, people) -> None:
    olga, rita, rolf, bot = people
    await office.sign_in(rita, "pwd")
    await office.sign_in(rolf, "passkey")
    await office.prove(rita, "pwd", "otp")
    await office.vote("elsewhere", rolf)  # something before
    asked = await office.ask("c1", bot, olga, need=2)
    first = await office.vote("c1", rita, after=10)
    await office.sign_in(rolf, "passkey")  # another one: the sessions of the office have one name each
    second = await office.vote("c1", rolf, "approve", "passkey", after=20)
    ended = await office.end(Act.COMMAND_APPROVED, "c1", rolf.by("passkey"), digest=DIGEST, use_by_us=9, approvals=2)
    await office.end(Act.COMMAND_CONSUMED, "c1", bot, digest=DIGEST)
    await office.end(Act.COMMAND_FINISHED, "c1", bot, exit_code=3)
    pack = await office.pack("approvals")
    [line] = pack.lines("decisions")
    expected = {
        "log": WS, "record": str(ended), "leaf_hash": await leaf_hash(office, ended), "command": "c1",
        "outcome": "approved", "decided_by": "people", "who_or_rule": "rolf@acme.example", "who_or_rule_id": rolf.id,
        "asked_by": "deploy-bot", "asked_by_id": bot.id, "left_out": "olga@acme.example", "left_out_ids": olga.id,
        "seconds_to_first_vote": "10.000", "seconds_to_decision": "32.000", "approvals_needed": "2", "votes_for": "2",
        "votes_against": "0", "second_factor": "passkey", "second_factor_age_seconds": "21.000", "break_glass": "no",
        "break_glass_review": "", "exit_code": "3", "afterwards": "", "command_digest": DIGEST,
        "policy_digest": f"'{POLICY}",
    }  # fmt: skip
    assert {name: line[name] for name in expected} == expected
    assert f"{asked} {first} {second}" in line["further_records"]
    one, two = pack.lines("votes")[1:]
    assert (one["record"], one["voter"], one["second_factor"], one["second_factor_age_seconds"]) == (
        str(first), "rita@acme.example", "authenticator code", "12.000",
    )  # fmt: skip
    assert (two["seconds_since_request"], two["counted"], two["signed_in_by"]) == ("31.000", "yes", "passkey")
    assert "system:" in one["further_records"]
    assert pack.lines("waiting") == []


async def test_the_age_is_that_of_the_last_proof_before_in_the_same_session(office: Office, people) -> None:
    olga, rita, rolf, bot = people
    elsewhere = Person(rita.id, rita.email, "another-browser")
    await office.ask("c1", bot, olga, need=3)
    await office.sign_in(rolf, "pwd")
    await office.vote("c1", rolf, "approve", "pwd")
    await office.sign_in(rita, "pwd", "otp")
    await office.prove(rita, "pwd", "otp")
    await office.sign_in(elsewhere, "pwd")
    await office.prove(elsewhere, "pwd", "otp")
    await office.vote("c1", rita, after=30)
    await office.prove(rita, "pwd", "otp")
    found = [
        (row["second_factor"], row["second_factor_age_seconds"])
        for row in (await office.pack("approvals")).lines("votes")
    ]
    assert found == [("none", ""), ("authenticator code", "32.000")]


async def test_votes_that_were_taken_out_do_not_count(office: Office, people) -> None:
    olga, rita, rolf, bot = people
    await office.ask("c1", bot, olga, need=2)
    await office.vote("c1", rita)
    out = await office.end(Act.VOTE_VOIDED, "c1", account=rita.id, reason="left")
    await office.vote("c1", rolf)
    await office.vote("c1", rolf, "deny")  # thinks better of it
    await office.end(Act.COMMAND_DENIED, "c1", rolf.by("pwd", "otp"), digest=DIGEST)
    pack = await office.pack("approvals")
    [line] = pack.lines("decisions")
    assert (line["outcome"], line["votes_for"], line["votes_against"]) == ("denied", "0", "1")
    rows = pack.lines("votes")
    assert [(one["voter_id"], one["counted"], one["taken_out_by_record"]) for one in rows] == [
        (rita.id, "no", str(out)),
        (rolf.id, "no", rows[2]["record"]),
        (rolf.id, "yes", ""),
    ]


async def test_rules_policies_time_requesters_and_emergencies_are_told_apart(office: Office, people) -> None:
    olga, rita, _rolf, bot = people
    facts = {"digest": DIGEST, "policy": POLICY}
    await office.end(Act.COMMAND_ALLOWED, "c1", bot, **facts, use_by_us=1, rule="r-7")
    await office.end(Act.COMMAND_REFUSED, "c2", bot, **facts)
    observed = {"would": "wait", "need": 1, "observing": "o1", "use_by_us": 1}
    await office.end(Act.COMMAND_OBSERVED, "c3", bot, **facts, **observed)
    for name in ("c4", "c5", "c6", "c7", "c8"):
        await office.ask(name, bot, olga)
    await office.end(Act.COMMAND_EXPIRED, "c4")
    await office.end(Act.COMMAND_CANCELLED, "c5", bot)
    await office.end(Act.GLASS_BROKEN, "c6", rita.by("pwd", "otp"), digest=DIGEST, use_by_us=1)
    await office.end(Act.GLASS_BROKEN, "c7", rita.by("pwd", "otp"), digest=DIGEST, use_by_us=1)
    await office.end(Act.GLASS_REVIEWED, "c7", olga.by("pwd"), digest=DIGEST, verdict="unjustified")
    await office.end(Act.COMMAND_MISMATCHED, "c1", bot, digest=DIGEST, digest_found="f" * 43)
    pack = await office.pack("approvals")
    found = {
        one["command"]: (one["outcome"], one["decided_by"], one["who_or_rule"], one["break_glass_review"])
        for one in pack.lines("decisions")
    }
    assert found == {
        "c1": ("allowed", "rule", "r-7", ""),
        "c2": ("refused", "policy", "", ""),
        "c3": ("ran, only observed", "observing", "", ""),
        "c4": ("expired", "time", "", ""),
        "c5": ("cancelled", "requester", "deploy-bot", ""),
        "c6": ("let run in an emergency", "one person", "rita@acme.example", "open at the end of the period"),
        "c7": ("let run in an emergency", "one person", "rita@acme.example", "unjustified"),
    }
    [first, *_] = pack.lines("decisions")
    assert "another command was tried" in first["afterwards"]
    assert len(pack.lines("decisions")) == len(found)  # whatever came of a decision, it has one line
    assert [one["command"] for one in pack.lines("waiting")] == ["c8"]


async def test_a_period_holds_what_happened_in_it_and_nothing_later(office: Office, people) -> None:
    olga, rita, _, bot = people
    await office.ask("c1", bot, olga)
    office.clock.advance(100)
    begin = office.clock.now_us()
    await office.vote("c1", rita)
    await office.end(Act.COMMAND_APPROVED, "c1", rita.by("pwd", "otp"), digest=DIGEST, use_by_us=1)
    await office.ask("c2", bot, olga)
    office.clock.advance(100)
    end = office.clock.now_us()
    await office.end(Act.COMMAND_EXPIRED, "c1", reason="not used in time")
    await office.vote("c2", rita, "deny")
    await office.end(Act.COMMAND_DENIED, "c2", rita.by("pwd", "otp"), digest=DIGEST)
    pack = await office.pack("approvals", Period(begin, end))
    [line] = pack.lines("decisions")
    assert (line["command"], line["afterwards"], line["seconds_to_decision"]) == ("c1", "", "102.000")
    assert [one["command"] for one in pack.lines("waiting")] == ["c2"]
    later = (await office.pack("approvals", Period(end, None))).lines("decisions")
    assert [(one["command"], one["outcome"]) for one in later] == [("c1", "approved"), ("c2", "denied")]
    assert later[0]["afterwards"].startswith("expired, not used in time")
    before = await office.pack("approvals", Period(None, begin))
    assert before.lines("decisions") == []
    assert [one["command"] for one in before.lines("waiting")] == ["c1"]


async def test_another_workspace_and_strangers_stay_out(office: Office, people) -> None:
    olga, _, _, bot = people
    await office.say(Act.COMMAND_CANCELLED, "command", "c1", bot, {}, log=OTHER)
    stranger = await _stranger(office)
    await office.ask("c1", bot, olga)
    await office.vote("c1", stranger, "deny", "pwd")
    pack = await office.pack("approvals")
    assert pack.lines("decisions") == []
    [vote] = pack.lines("votes")
    assert (vote["voter"], vote["second_factor"], vote["second_factor_age_seconds"]) == (
        f"user {stranger.id}", "none", "",
    )  # fmt: skip
    assert b"eve@elsewhere.example" not in pack.content


async def test_a_key_of_the_api_shows_no_factor_and_no_age(office: Office, people) -> None:
    olga, rita, _, bot = people
    await office.ask("c1", bot, olga)
    key = Actor("api_key", rita.id, ("key",))
    await office.say(Act.VOTE_CAST, "command", "c1", key, {"digest": DIGEST, "decision": "deny"})
    [vote] = (await office.pack("approvals")).lines("votes")
    found = (vote["voter"], vote["credential"], vote["second_factor"], vote["second_factor_age_seconds"])
    assert found == ("rita@acme.example", "api_key", "none", "")


async def _stranger(office: Office):
    one = Person("0197f0c2-0000-7000-8000-00000000dead", "eve@elsewhere.example", "nowhere")
    await office.account(one)
    return one
