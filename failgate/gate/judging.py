"""Asking the policies. A policy that fails, answers nonsense or stays silent for 2 seconds denies, by its name."""

import asyncio
import copy
from collections.abc import Awaitable, Coroutine, Generator, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from time import monotonic
from types import CoroutineType, coroutine
from typing import Any, Generic, TypeGuard, TypeVar, cast

import msgspec

from failgate.base.canonical import canonical
from failgate.base.errors import Unprocessable
from failgate.base.log import get_logger
from failgate.gate.command import MAX_TTL_SECONDS, digest_of_body
from failgate.gate.policy import ApprovalPolicy, Combined, CommandContext, Finding, combine
from failgate.gate.terms import NO_TERMS, Escalation, Terms, people_needed
from failgate.wire.gate import Command
from failgate.wire.gate import Finding as WireFinding

T = TypeVar("T")
JUDGE_SECONDS = 2.0
MAX_NEED = 100
MAX_STEPS = 20  # of a ladder
MAX_NAME = 100  # characters of the name of a step
MAX_SCORE = 100
_TEXT_OR_NONE = (str, type(None))
_SAYS = frozenset({"allow", "ask", "deny", "abstain"})
_MOST_SOUND = 256
_log = get_logger("failgate.gate")
_sound: dict[int, Finding] = {}  # by identity: what was looked at and cannot have changed


async def judge_all(
    policies: Mapping[str, ApprovalPolicy], command: Command, context: CommandContext, seconds: float = JUDGE_SECONDS
) -> list[tuple[str, Finding]]:
    """Return what each policy says, in the order of `policies`; one that fails or answers later than `seconds` denies.

    Never raises for a policy's fault.
    """
    findings: list[tuple[str, Finding]] = []
    now = monotonic()
    for name, policy in policies.items():
        started = now
        try:
            said: object = begin(policy.judge(command, context))
            if isinstance(said, Unfinished):
                said = await said.within(seconds)
        except TimeoutError:
            finding, now = _failed(name, _late(seconds)), monotonic()
        except Exception as error:  # noqa: BLE001  # a policy's fault must fail closed
            _log.error("policy.failed", policy=name, error=type(error).__name__)
            finding, now = _failed(name, f"failed ({type(error).__name__})"), monotonic()
        else:
            now = monotonic()
            if now - started > seconds:
                finding = _failed(name, _late(seconds))
            else:
                finding = said if _is_sound(said) else _failed(name, "gave no usable answer")
        findings.append((name, finding))
    return findings


def _is_sound(finding: object) -> TypeGuard[Finding]:
    """Tell whether it is a finding, by its members too: a plugin's types are not checked when it runs.

    A policy that gives the same finding for many commands is looked at once: what can be hashed does not change.
    """
    if finding is not None and _sound.get(id(finding)) is finding:
        return True
    if not isinstance(finding, Finding) or not _has_sound_members(finding):
        return False
    try:
        hash(finding)
    except TypeError:
        return True
    if len(_sound) >= _MOST_SOUND:
        _sound.clear()
    _sound[id(finding)] = finding
    return True


def _has_sound_members(finding: Finding) -> bool:
    reason, need, rule_id = cast("tuple[object, object, object]", (finding.reason, finding.need, finding.rule_id))
    is_text = isinstance(reason, str) and isinstance(rule_id, _TEXT_OR_NONE) and _are_texts(finding.more_rule_ids)
    is_number = type(need) is int and 0 <= need <= MAX_NEED
    return finding.says in _SAYS and is_text and is_number and _is_rated(finding) and _are_terms(finding.terms)


def _are_texts(more: object) -> bool:
    return more == () or (
        isinstance(more, tuple) and all(isinstance(one, str) for one in cast("tuple[object, ...]", more))
    )


def _is_rated(finding: Finding) -> bool:
    score = cast("object", finding.score)
    is_score = score is None or (type(score) is int and 0 <= score <= MAX_SCORE)
    return is_score and _are_texts(finding.reasons)


def _are_terms(terms: object) -> bool:
    """Tell whether they are terms that can be met, by their members too."""
    if terms is NO_TERMS:
        return True
    try:
        checked = msgspec.convert(msgspec.to_builtins(terms), Terms) if isinstance(terms, Terms) else None
    except (msgspec.MsgspecError, TypeError, ValueError):
        return False
    if checked is None:
        return False
    seconds = (checked.decide_within_seconds, checked.use_within_seconds)
    is_time = all(limit is None or 1 <= limit <= MAX_TTL_SECONDS for limit in seconds)
    is_met = all(group.need >= 1 and (group.roles or group.members) for group in checked.groups)
    denials = checked.deny_after
    if not all(map(_is_step, checked.escalations)) or len(checked.escalations) > MAX_STEPS:
        return False
    return is_time and is_met and people_needed(checked) <= MAX_NEED and (denials is None or 1 <= denials <= MAX_NEED)


def _is_step(step: Escalation) -> bool:
    """Tell whether a step of the ladder comes in time, names somebody, and has a name that its record can hold."""
    is_named = 1 <= len(step.name) <= MAX_NAME and step.name.isprintable() and step.name.isascii()
    return is_named and 1 <= step.after_seconds <= MAX_TTL_SECONDS and bool(step.roles or step.members)


def _late(seconds: float) -> str:
    return f"did not answer within {seconds:g} seconds"


def _failed(name: str, what: str) -> Finding:
    reason = f"policy {name} {what}"
    _log.warning("policy.silenced", policy=name, reason=reason)
    return Finding("deny", reason)


class Unfinished(Generic[T]):
    """An answer that takes time; `waits_for` is what its coroutine has yielded."""

    __slots__ = ("_answer", "_waits_for")

    def __init__(self, answer: Awaitable[T], waits_for: object = None) -> None:
        """Go on with `answer` when `within` is awaited."""
        self._answer = answer
        self._waits_for = waits_for

    async def within(self, seconds: float) -> T:
        """Return the answer. Raises: TimeoutError after `seconds`; whatever the answer raises."""
        answer = self._answer
        async with asyncio.timeout(seconds):
            return await (_continued(answer, self._waits_for) if isinstance(answer, CoroutineType) else answer)


def begin(answer: Awaitable[T]) -> T | Unfinished[T]:
    """Return what `answer` gives when it gives it at once, which costs no task and no timer; else what is left of it.

    Raises: whatever `answer` raises.
    """
    if not isinstance(answer, CoroutineType):
        return Unfinished(answer)
    try:
        waits_for = answer.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    return Unfinished(answer, waits_for)


@coroutine
def _continued(started: Coroutine[Any, Any, T], waits_for: Any) -> Generator[Any, Any, T]:
    """Go on with a coroutine that was started by hand and has yielded `waits_for`."""
    while True:
        try:
            sent = yield waits_for
        except BaseException as error:  # noqa: BLE001  # the coroutine decides what it means
            resume = partial(started.throw, error)
        else:
            resume = partial(started.send, sent)
        try:
            waits_for = resume()
        except StopIteration as stop:
            return cast("T", stop.value)


class Snapshots:
    """The policies' settings as they are frozen into a request: canonical text and its digest."""

    def __init__(self, policies: Mapping[str, ApprovalPolicy]) -> None:
        """Ask `policies` in their order."""
        self._policies = policies
        self._kept: dict[str, tuple[dict[str, object], str, str]] = {}

    def take(self, workspace_id: str) -> tuple[str, str]:
        """Return `(text, digest)` of what the policies would apply in the workspace now.

        Raises: Unprocessable naming the policy whose snapshot fails or has no canonical form.
        """
        current: dict[str, object] = {}
        for name, policy in self._policies.items():
            try:
                current[name] = policy.snapshot(workspace_id)
            except Exception as error:
                raise Unprocessable(f"Policy {name} cannot tell its settings.", hint="Ask the operator.") from error
        kept = self._kept.get(workspace_id)
        if kept is not None and kept[0] == current:
            return kept[1], kept[2]
        octets = canonical(current)
        text, digest = octets.decode(), digest_of_body(octets)
        self._kept[workspace_id] = (copy.deepcopy(current), text, digest)
        return text, digest


_encode_findings = msgspec.json.Encoder().encode
_decode_findings = msgspec.json.Decoder(list[WireFinding]).decode


def to_wire(findings: tuple[tuple[str, Finding], ...]) -> list[WireFinding]:
    """Return `findings` as the API shows them."""
    return [
        WireFinding(name, finding.says, finding.reason, finding.need, finding.score, list(finding.reasons))
        for name, finding in findings
    ]


def findings_text(findings: list[WireFinding]) -> str:
    """Return `findings` as the JSON that a row keeps."""
    return _encode_findings(findings).decode()


class Conclusion(msgspec.Struct, frozen=True):
    """What findings come to, and what is written down of that.

    `findings_text` and `deciders` (the names of the policies that decided) are JSON; `rule_id` is the rule's behind it.
    `rules_used` has the id of each rule that lets the command pass, once for each use.
    """

    combined: Combined
    findings_text: str
    deciders: str
    rule_id: str | None
    rules_used: tuple[str, ...] = ()


def conclude(findings: Sequence[tuple[str, Finding]]) -> Conclusion:
    """Return what `findings` come to. Most commands meet few rules again and again: the last ones are remembered."""
    return _concluded(tuple(findings))


@lru_cache(maxsize=256)
def _concluded(findings: tuple[tuple[str, Finding], ...]) -> Conclusion:
    return conclusion_of(combine(findings))


def conclusion_of(combined: Combined) -> Conclusion:
    """Return what is written down of the law's answer."""
    deciding = [(name, finding) for name, finding in combined.findings if finding.says == combined.decision]
    return Conclusion(
        combined,
        findings_text(to_wire(combined.findings)),
        _encode_findings([name for name, _ in deciding]).decode(),
        next((finding.rule_id for _, finding in deciding if finding.rule_id is not None), None),
        tuple(_rules_used(combined)),
    )


def _rules_used(combined: Combined) -> Iterator[str]:
    for _, finding in combined.findings:
        if finding.says == "allow" and finding.rule_id is not None:
            yield finding.rule_id
            yield from finding.more_rule_ids


def stored_findings(text: str) -> list[WireFinding]:
    """Return the findings that a row keeps."""
    return _decode_findings(text)
