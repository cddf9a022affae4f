"""What the index remembers of commands changes no answer. E2 E28."""

from collections.abc import Callable

import msgspec
import pytest
from failgate_allowlist import index as remembered
from failgate_allowlist.entry import Entry
from failgate_allowlist.index import Index
from hypothesis import given
from hypothesis import strategies as st

from failgate.plugin import Argument, Command, CommandContext, Rule, RuleScope
from failgate.testing import command
from failgate.wire.gate import ExecutableIdentity, FoundProgram

RULES = (
    Rule(kind="exact", effect="allow", argv=["make", "check"]),
    Rule(kind="exact", effect="deny", argv=["make", "check"]),
    Rule(kind="exact", effect="allow", argv=["make", "check"], max_uses=1),
    Rule(kind="exact", effect="allow", argv=["git", "status"], ttl_seconds=10),
    Rule(kind="exact", effect="allow", argv=["git", "status"], scope=RuleScope(agents=["bot"])),
    Rule(kind="exact", effect="allow", argv=["git", "status"], scope=RuleScope(directories=["/srv"])),
    Rule(kind="argument", effect="allow", argv=["git", "log"], arguments=[Argument(re2="[a-z]+")]),
    Rule(kind="path", effect="deny", pattern="/opt/"),
)
COMMANDS: tuple[Callable[[], Command], ...] = (
    lambda: command("make", "check"),
    lambda: command("make", "check", env={"LD_PRELOAD": "/tmp/x.so"}),
    lambda: command("git", "status"),
    lambda: command("git", "status", cwd="/srv/app"),
    lambda: command("git", "status", host="another"),
    lambda: command("git", "log", "main"),
    lambda: command("/opt/tool"),
    lambda: command("/bin/sh", "-c", "make check && git status"),
    lambda: command("sh", "-c", "make check; $X"),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, len(RULES) - 1)),
        st.tuples(st.just("drop"), st.integers(0, len(RULES) - 1)),
        st.tuples(st.just("use"), st.integers(0, len(RULES) - 1)),
        st.tuples(st.just("wait"), st.integers(1, 20)),
    ),
    min_size=4,
    max_size=12,
)


@given(STEPS)
def test_an_index_that_has_met_commands_says_what_a_new_one_says(steps: list[tuple[str, int]]) -> None:
    met, entries, now_us = Index(), dict[int, Entry](), 1
    for verb, number in steps:
        if verb == "wait":
            now_us += number * 1_000_000
        elif verb == "put" and number not in entries:
            entries[number] = Entry("w", str(number), RULES[number], "ann", now_us)
            met.put(entries[number])
        elif verb == "drop" and number in entries:
            met.drop(entries.pop(number))
        elif verb == "use" and number in entries:
            entries[number].uses += 1
        new = Index()
        for entry in entries.values():
            new.put(entry)
        for agent in ("bot", "other"):
            context = CommandContext("w", agent, "ann", now_us)
            for made in COMMANDS:
                assert met.judge(made(), context) == new.judge(made(), context)


def test_so_many_are_remembered_and_none_that_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MOST_MET", 3)
    index, context = Index(), CommandContext("w", "bot", "ann", 1)
    for number in range(5):
        index.judge(command("make", str(number)), context)
    assert len(index._known) == 3
    index.judge(command("make", "x" * remembered.MET_CHARACTERS), context)
    assert len(index._known) == 3


def test_whatever_may_matter_of_a_command_makes_it_another_one() -> None:
    """A member that the memory left out would let a command pass by what was said of another."""
    other = {
        "argv": ["make", "all"], "cwd": "/srv", "env": {"A": "b"}, "host": "another", "home": "/home/dev",
        "exe": ExecutableIdentity("/usr/bin/make", "0" * 64), "programs": {"a": FoundProgram("/usr/bin/a")},
        "script": FoundProgram("/src/app/deploy.sh", "0" * 64),
    }  # fmt: skip
    of_one_call = {"v", "cwd_dev_ino", "uid", "gid", "umask", "stdin_sha256", "nonce"}  # no rule looks at them
    assert set(other) | of_one_call == {field.name for field in msgspec.structs.fields(Command)}
    one = command("make", "check")
    for name, value in other.items():
        changed = msgspec.structs.replace(one, **{name: value})
        assert remembered._key_of(changed, "bot") != remembered._key_of(one, "bot"), name
