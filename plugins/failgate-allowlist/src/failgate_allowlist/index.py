"""The rules of one workspace, found by how a call begins: a decision looks at few of them, however many there are."""

from collections import defaultdict
from collections.abc import Hashable, Iterator
from typing import Final, NamedTuple, TypeVar

from failgate.plugin import Call, Command, CommandContext, Finding, Uninspectable, call_of, calls_in_line
from failgate_allowlist.entry import Entry

Key = TypeVar("Key")
NO_RULE = Finding("abstain", "no rule matches")
MOST_MET: Final = 1024
MET_CHARACTERS: Final = 4000  # a command with longer texts is not remembered

Word = tuple[Entry, str | None]
"""A rule that speaks of a call, and what keeps it from letting the call pass."""


class Met(NamedTuple):
    """Which rules speak of a command: as a whole, and of each program of its line for a shell."""

    whole: tuple[Word, ...]
    inner: tuple[tuple[Word, ...], ...] | Uninspectable | None


class Index:
    """Rules by their leading words, and those of the kind `path` by that path."""

    def __init__(self) -> None:
        """Have no rule yet."""
        self._by_words: defaultdict[tuple[str, ...], list[Entry]] = defaultdict(list)
        self._by_place: defaultdict[str, list[Entry]] = defaultdict(list)
        self._lengths: defaultdict[int, int] = defaultdict(int)
        self._known: dict[Hashable, Met] = {}

    def put(self, entry: Entry) -> None:
        """Let a rule be found."""
        self._known.clear()
        if entry.matcher.place is not None:
            self._by_place[entry.matcher.place].append(entry)
        else:
            self._by_words[entry.matcher.key].append(entry)
            self._lengths[len(entry.matcher.key)] += 1

    def drop(self, entry: Entry) -> None:
        """Let a rule be found no more."""
        self._known.clear()
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
        met, now_us = self._met(command, context.agent_id), context.now_us
        whole = _said(met.whole, now_us)
        if whole.says == "deny" or met.inner is None:
            return whole
        if isinstance(met.inner, Uninspectable):
            reason = f"the line for a shell is not inspectable: {met.inner.reason}"
            return Finding("deny" if met.inner.is_over_limit else "abstain", reason)
        if whole.says == "allow":
            return whole
        return _joined([_said(each, now_us) for each in met.inner])

    def _met(self, command: Command, agent_id: str | None) -> Met:
        """Return which rules speak of the command; of one that comes again it is known, until a rule comes or goes.

        No clock and no count has a part in it: whether a rule is still in effect is asked each time.
        """
        key = _key_of(command, agent_id)
        met = self._known.get(key)
        if met is None:
            call = call_of(command, agent_id)
            inner = calls_in_line(call)
            parts = tuple(self._words_on(each) for each in inner) if isinstance(inner, list) else inner
            met = Met(self._words_on(call), parts)
            if len(repr(key)) <= MET_CHARACTERS:
                if len(self._known) >= MOST_MET:
                    del self._known[next(iter(self._known))]
                self._known[key] = met
        return met

    def _words_on(self, call: Call) -> tuple[Word, ...]:
        spoken = (entry for entry in self._candidates(call) if entry.matcher.speaks_of(call))
        return tuple((entry, entry.matcher.obstacle(call)) for entry in spoken)

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


def _key_of(command: Command, agent_id: str | None) -> Hashable:
    """Return all that a rule can look at."""
    programs = None if command.programs is None else tuple(command.programs.items())
    env = tuple(command.env.items())
    return (
        tuple(command.argv),
        command.cwd,
        env,
        command.host,
        agent_id,
        command.exe,
        programs,
        command.home,
        command.script,
    )


def _said(words: tuple[Word, ...], now_us: int) -> Finding:
    """Return what rules say that speak of a call."""
    answer = NO_RULE
    for entry, obstacle in words:
        if not entry.is_effective(now_us):
            continue
        if entry.matcher.is_deny:
            return entry.finding
        if obstacle is None:
            answer = entry.finding
        elif answer.says != "allow":
            answer = Finding("abstain", f"a rule would let it pass, but {obstacle}")
    return answer


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
