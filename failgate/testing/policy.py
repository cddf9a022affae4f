"""The contract of approval policies as tests."""

import asyncio
import copy
from typing import ClassVar

import msgspec
import pytest

from failgate.base.canonical import canonical
from failgate.base.clock import FrozenClock
from failgate.base.ids import new_id
from failgate.gate.policy import ApprovalPolicy, CommandContext, Finding
from failgate.testing.opening import command
from failgate.wire.gate import Command

_ODD_COMMANDS = {
    "no argument at all": command().argv[:0],
    "an empty program": [""],
    "a NUL": ["ls", "a\0b"],
    "a lone surrogate": ["ls", "\ud800"],
    "a line break": ["ls\nrm", "-rf"],
    "an escape": ["\x1b[2Jls"],
    "an override of direction": ["ls", "\u202egpj.exe"],
    "100 kB": ["ls", "x" * 100_000],
    "10,000 arguments": ["ls"] * 10_000,
}


class PolicyContract:
    """What every approval policy keeps. Override the fixture `policy`, and `judged` for a command that concerns it."""

    pytestmark = pytest.mark.asyncio
    seconds_to_answer: ClassVar[float] = 2.0

    @pytest.fixture
    def policy(self) -> ApprovalPolicy:
        """Give the policy."""
        pytest.fail("override the fixture `policy`")

    @pytest.fixture
    def judged(self) -> Command:
        """Give a command that the policy has something to say about."""
        return command()

    @pytest.fixture
    def context(self) -> CommandContext:
        """Give a context with an agent, its owner as requester, and a time."""
        return CommandContext(new_id(), new_id(), new_id(), FrozenClock().now_us())

    async def test_it_answers_a_finding_that_people_can_read(
        self, policy: ApprovalPolicy, judged: Command, context: CommandContext
    ) -> None:
        """One of the four answers, with one line of reason; `ask` demands people and nothing else does."""
        assert_readable(await policy.judge(judged, context))

    async def test_the_same_command_gets_the_same_finding(
        self, policy: ApprovalPolicy, judged: Command, context: CommandContext
    ) -> None:
        """Judging changes nothing: neither the next finding nor the snapshot."""
        before = copy.deepcopy(policy.snapshot(context.workspace_id))
        findings = [await policy.judge(judged, context) for _ in range(3)]
        assert findings == [findings[0]] * 3
        assert policy.snapshot(context.workspace_id) == before

    async def test_judging_at_the_same_time_gives_the_same_finding(
        self, policy: ApprovalPolicy, judged: Command, context: CommandContext
    ) -> None:
        """No finding depends on another one that is under way."""
        alone = await policy.judge(judged, context)
        assert await asyncio.gather(*(policy.judge(judged, context) for _ in range(50))) == [alone] * 50

    async def test_it_does_not_change_the_command(
        self, policy: ApprovalPolicy, judged: Command, context: CommandContext
    ) -> None:
        """What is judged is what is executed."""
        before = copy.deepcopy(judged)
        await policy.judge(judged, context)
        assert judged == before

    @pytest.mark.parametrize("odd", _ODD_COMMANDS)
    async def test_odd_input_is_never_allowed_and_never_raises(
        self, policy: ApprovalPolicy, context: CommandContext, odd: str
    ) -> None:
        """A policy that does not understand a command must not let it pass, and answers in time."""
        async with asyncio.timeout(self.seconds_to_answer):
            finding = await policy.judge(msgspec.structs.replace(command(), argv=_ODD_COMMANDS[odd]), context)
        assert finding.says != "allow", f"allowed a command with {odd}"
        assert_readable(finding)

    async def test_it_answers_for_a_request_without_agent_and_requester(
        self, policy: ApprovalPolicy, judged: Command, context: CommandContext
    ) -> None:
        """An API key submits too; a workspace that it has never heard of has no rules."""
        bare = CommandContext(context.workspace_id, None, None, context.now_us)
        assert_readable(await policy.judge(judged, bare))

    async def test_its_snapshot_can_be_frozen_into_a_request(
        self, policy: ApprovalPolicy, context: CommandContext
    ) -> None:
        """JSON values that have a canonical form: no floats, no dates, no objects of its own."""
        snapshot = policy.snapshot(context.workspace_id)
        assert canonical(snapshot) == canonical(policy.snapshot(context.workspace_id))
        assert len(canonical(snapshot)) <= 1024 * 1024


def assert_readable(finding: Finding) -> None:
    """Fail unless `finding` is one of the four answers with one line of reason, and asks for people only by `ask`."""
    assert isinstance(finding, Finding), f"a Finding is due, not {type(finding).__name__}"
    assert finding.says in {"allow", "ask", "deny", "abstain"}
    assert finding.reason.strip(), "a finding says why"
    assert len(finding.reason) <= 500
    assert finding.reason.isprintable(), "a reason is one line without control characters"
    assert (finding.need >= 1) == (finding.says == "ask"), "`need` goes with `ask`"
