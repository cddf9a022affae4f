"""What an agent has run before. B7."""

from failgate.gate.familiar import MAX_PROGRAMS
from failgate.gate.policy import Finding
from tests.gate.conftest import agent, command, submission

EXE = {"path": "/usr/bin/make", "sha256": "0" * 64}


class Noting:
    def __init__(self) -> None:
        self.known = []

    async def judge(self, command, context):
        self.known.append(await context.is_known())
        return Finding("allow", "passes")

    def snapshot(self, workspace_id):
        return {}


async def ask(house, bot, *argv, **members):
    return await house.gate.submit(bot, house.workspace, submission(command(*argv, **members)))


async def test_a_program_is_known_once_its_approval_was_used_by_the_same_agent(house):
    noting = Noting()
    await house.restart(extra={"noting": noting})
    bot, other = agent(), agent()
    view = await ask(house, bot, "make", exe=EXE)
    await ask(house, bot, "make", exe=EXE)
    assert noting.known == [False, False], "asking alone makes nothing known"
    await house.consume(bot, view)
    await ask(house, bot, "gmake", "-k", exe=EXE)
    await house.submit(bot, "make")
    await ask(house, other, "make", exe=EXE)
    assert noting.known[2:] == [True, False, False]
    await house.restart()
    await house.gate.explain(bot, house.workspace, command("make", exe=EXE))
    assert noting.known[-1] is True
    rows = await house.db.fetch("SELECT program FROM gate_familiar")
    assert [row["program"] for row in rows] == [EXE["path"]]


async def test_an_agent_that_runs_ever_new_programs_fills_no_table(house):
    noting = Noting()
    await house.restart(extra={"noting": noting})
    bot = agent()
    for number in range(MAX_PROGRAMS):
        await house.sql(
            "INSERT INTO gate_familiar (workspace_id, requester_id, program, first_us) VALUES ($1, $2, $3, 1)",
            house.workspace, bot.id, f"p{number}",
        )  # fmt: skip
    await house.consume(bot, await house.submit(bot, "make"))
    assert len(await house.db.fetch("SELECT program FROM gate_familiar")) == MAX_PROGRAMS
