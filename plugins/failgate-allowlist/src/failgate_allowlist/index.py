"""The rules of one workspace, found by how a call begins: a decision looks at few of them, however many there are."""

from collections import defaultdict
from collections.abc import Iterator
from typing import TypeVar

from failgate.plugin import Call, Command, CommandContext, Finding, Uninspectable, call_of, calls_in_line
from failgate_allowlist.entry import Entry

Key = TypeVar("Key")
NO_RULE = Finding("abstain", "no rule matches")


class Index:
    """Rules by their leading words, and those of the kind `path` by that path."""

    def __init__(self) -> None:
        """Have no rule yet."""
        self._by_words: defaultdict[tuple[str, ...], list[Entry]] = defaultdict(list)
        self._by_place: defaultdict[str, list[Entry]] = defaultdict(list)
        self._lengths: defaultdict[int, int] = defaultdict(int)

    def put(self, entry: Entry) -> None:
        """Let a rule be found."""
        if entry.matcher.place is not None:
            self._by_place[entry.matcher.place].append(entry)
        else:
            self._by_words[entry.matcher.key].append(entry)
            self._lengths[len(entry.matcher.key)] += 1

    def drop(self, entry: Entry) -> None:
        """Let a rule be found no more."""
        place, key = entry.matcher.place, entry.matcher.key
        if place is not None:
            _remove(self._by_place, place, entry)
        elif _remove(self._by_words, key, entry):
            self._lengths[len(key)] -= 1
            if not self._lengths[len(key)]:
                del self._lengths[len(key)]

    def judge(self, command: Command, context: CommandContext) -> Finding:
        """Say what the effective rules say of the command; a denial beats everything.

        A line for a shell passes when each program that it could run passes, or when a rule allows exactly this line.
        """
        if not command.argv or not command.argv[0]:
            return NO_RULE
        call = call_of(command, context.agent_id)
        inner = calls_in_line(call)
        whole = self._said_of(call, context.now_us)
        if whole.says == "deny" or inner is None:
            return whole
        if isinstance(inner, Uninspectable):
            reason = f"the line for a shell is not inspectable: {inner.reason}"
            return Finding("deny" if inner.is_over_limit else "abstain", reason)
        if whole.says == "allow":
            return whole
        return _joined([self._said_of(each, context.now_us) for each in inner])

    def _said_of(self, call: Call, now_us: int) -> Finding:
        answer = NO_RULE
        for entry in self._candidates(call):
            if not entry.is_effective(now_us) or not entry.matcher.speaks_of(call):
                continue
            if entry.matcher.is_deny:
                return entry.finding
            obstacle = entry.matcher.obstacle(call)
            if obstacle is None:
                answer = entry.finding
            elif answer.says != "allow":
                answer = Finding("abstain", f"a rule would let it pass, but {obstacle}")
        return answer

    def _candidates(self, call: Call) -> Iterator[Entry]:
        for name in call.names():
            for length in self._lengths:
                if length <= len(call.argv):
                    yield from self._by_words.get((name, *call.argv[1:length]), ())
        if self._by_place:
            for path in call.paths():
                yield from self._by_place.get(path, ())
                folder = path
                while folder := folder.rpartition("/")[0]:
                    yield from self._by_place.get(f"{folder}/", ())


def _joined(findings: list[Finding]) -> Finding:
    """Return what is said of a line whose commands have these findings."""
    for place, finding in enumerate(findings, 1):
        if finding.says == "deny":
            return Finding("deny", f"{finding.reason}: command {place} of the line", rule_id=finding.rule_id)
    for place, finding in enumerate(findings, 1):
        if finding.says != "allow":
            return Finding("abstain", f"command {place} of the line: {finding.reason}")
    ids = tuple(finding.rule_id for finding in findings if finding.rule_id is not None)
    return Finding("allow", "rules allow each command of the line", rule_id=ids[0], more_rule_ids=ids[1:])


def _remove(entries: defaultdict[Key, list[Entry]], key: Key, entry: Entry) -> bool:
    same = entries.get(key, [])
    if entry not in same:
        return False
    same.remove(entry)
    if not same:
        del entries[key]
    return True
