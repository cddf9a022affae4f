"""What runs in the end and nobody looked at is said to reviewers, and passes by no rule. P4; SECURITY section 4."""

import shlex

import pytest

from failgate.audit.record import Actor
from failgate.matching.unlooked import unlooked
from failgate.wire.gate import Command, FoundProgram, Rule
from tests.gate.conftest import House, agent, command, submission

SCRIPT = {"path": "/srv/app/d.sh", "sha256": "0" * 64}


def said(line: str, script: bool = False, programs: tuple[str, ...] = ()) -> str | None:
    files = {name: FoundProgram(f"/srv/app/{name}", "0" * 64) for name in programs}
    found = FoundProgram(**SCRIPT) if script else None
    return unlooked(
        Command(v=1, argv=shlex.split(line), cwd="/srv/app", env={}, host="h", programs=files, script=found)
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("python3 d.py", "python3 reads d.py, which was not looked at"),
        ("env A=1 python3 d.py", "python3 reads d.py"), ("timeout 5 sh d.sh", "sh reads d.sh"),
        ("sh -c 'python3 d.py'", "python3 reads d.py"), ("sh -c 'make && sh d.sh'", "sh reads d.sh"),
        ("sh -c 'cd sub && sh d.sh'", "sh reads d.sh"), ("env ./d", "./d was not looked at"),
        ("nice /srv/app/d", "/srv/app/d was not looked at"), ("sh -c './d x'", "./d was not looked at"),
        ("env -S 'sh d.sh'", "env starts a program that cannot be told from its options"),
        ("sudo ./d", "sudo starts ./d; what that runs was not looked at"), ("sudo -u ann sh d.sh", "sudo starts sh"),
        ("env sudo /srv/d", "sudo starts /srv/d"), ("xargs -n 1 python3 d.py", "xargs starts python3"),
    ],
)  # fmt: skip
def test_what_nobody_looked_at_is_said(line: str, words: str) -> None:
    assert (said(line) or "").startswith(words)


@pytest.mark.parametrize(
    "line",
    [
        "make", "./d", "git status", "env", "env make test", "nice -n 5 make", "sh -c 'make && git status'",
        "python3 -m pytest x", "python3 -c 'print()' x", "sh -c 'echo $(x)'", "bash -s x", "sudo systemctl restart nginx",
        "sudo /usr/bin/systemctl restart nginx", "python3", "python3 --version", "timeout 5 /usr/bin/make",
    ],
)  # fmt: skip
def test_nothing_is_said_of_what_was_looked_at_or_runs_no_file(line: str) -> None:
    assert said(line) is None


def test_what_was_digested_was_looked_at() -> None:
    for line in ("python3 d.py", "env python3 d.py", "sh -c 'sh d.sh'"):
        assert said(line, script=True) is None
    for line in ("sh -c 'sh a.sh && sh b.sh'", "sh -c 'cd sub && sh a.sh'"):
        assert said(line, script=True) is not None  # one digest covers not both, nor a file of another folder
    for line in ("env ./d", "sh -c './d && ./d'"):
        assert said(line, programs=("./d",)) is None


def test_what_is_said_cannot_deceive_and_has_an_end() -> None:
    found = said("python3 'a\u202eb" + "x" * 500 + ".py'") or ""
    assert "U+202E" in found
    assert len(found) < 150


async def passes(house: House, argv: list[str], **members) -> bool:
    raw = command(*argv, **members)
    return (await house.gate.submit(agent(), house.workspace, submission(raw))).state == "approved"


async def test_no_rule_lets_pass_what_a_program_starts_that_nobody_looked_at(house: House) -> None:
    owner = await house.person("owner")
    lines = (
        ["env", "sh", "d.sh"], ["timeout", "5", "./d"], ["sudo", "./d"], ["nice", "make"],
        ["sudo", "systemctl", "restart", "nginx"],
    )  # fmt: skip
    for argv in lines:
        await house.rules.create(Actor.of(owner), house.workspace, Rule(kind="exact", effect="allow", argv=argv))
    assert [await passes(house, argv) for argv in lines] == [False, False, False, True, True]
    assert await passes(house, lines[0], script=SCRIPT)
    assert await passes(house, lines[1], programs={"./d": {"path": "/srv/app/d", "sha256": "0" * 64}})
    assert not await passes(house, lines[1], programs={"./e": {"path": "/srv/app/d", "sha256": "0" * 64}})


async def test_the_request_and_why_it_waits_say_it(house: House) -> None:
    owner, bot = await house.person("owner"), agent()
    argv = ["env", "sh", "d.sh"]
    await house.rules.create(Actor.of(owner), house.workspace, Rule(kind="exact", effect="allow", argv=argv))
    view = await house.submit(bot, *argv)
    said = "sh reads d.sh, which was not looked at"
    assert f"It runs what was not looked at: {said}" in view.risk.reasons
    assert any(f"a rule would let it pass, but {said}" in one.reason for one in view.findings)
