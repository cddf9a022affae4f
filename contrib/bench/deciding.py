"""`python deciding.py RULES DECISIONS`: judge commands by many rules of all kinds; print the times as JSON.

Processor time of each decision counts; the time on the wall stands beside it.

A fifth each of the rules is of one kind: exact, prefix, argument and RE2, over 2,000 programs, and the worst fifth has
the same program and the same beginning. Half of the commands fit a rule, a tenth are lines for a shell, none of which
was judged before.
"""

import json
import sys
import time

from failgate_allowlist.entry import Entry
from failgate_allowlist.index import Index

from failgate.gate.policy import CommandContext
from failgate.wire.gate import Argument, Command, ExecutableIdentity, Rule, RuleScope

HERE = "/src/app"
ENV = {"HOME": "/home/dev", "LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin", "PWD": HERE, "USER": "dev"}
PROGRAMS = 2000
SAME = 100  # argument rules with one beginning: each of them is looked at


def rule(number: int) -> Rule:
    """Return the rule `number`."""
    name, scope = f"tool{number % PROGRAMS}", RuleScope(directories=["/src"])
    kind = number % 5
    if kind == 0:
        return Rule(kind="exact", effect="allow", argv=[name, "get", str(number)], scope=scope)
    if kind == 1:
        return Rule(kind="prefix", effect="allow", argv=[name, "list", str(number)], scope=scope)
    if kind == 2:
        return Rule(kind="re2", effect="allow", pattern=f"{name} show [a-z]+ {number}", scope=scope)
    rest = Argument(one_of=["-v"], re2="[a-z]+", under=".")
    if kind == 3:
        return Rule(kind="argument", effect="allow", argv=[name, "read", str(number)], rest=rest, scope=scope)
    if number < 5 * SAME:
        only = [Argument(re2=f"x{number}[a-z]*")]
        return Rule(kind="argument", effect="allow", argv=["same", "way"], arguments=only, scope=scope)
    return Rule(kind="exact", effect="deny", argv=[name, "drop", str(number)], scope=scope)


def argv(number: int, rules: int) -> list[str]:
    """Return the words of the command `number`."""
    chosen = (number // 2 * 7919) % rules
    name = f"tool{chosen % PROGRAMS}"
    words = {
        0: [name, "get", str(chosen)],
        1: [name, "list", str(chosen), "-x", "y"],
        2: [name, "show", "abc", str(chosen)],
        3: [name, "read", str(chosen), "a/b.txt", "-v"],
        4: ["same", "way", f"x{chosen}abc"],
    }[chosen % 5]
    if number % 10 == 1:
        return ["bash", "-c", f"{' '.join(words)} && tool1 list 1 # {number}".replace(" #", " -n")]
    return words if number % 2 == 0 else [*words[:-1], "--other"]


def _share(times: list[float], share: int) -> float:
    return sorted(times)[int(len(times) * share / 100)] * 1e6


def main() -> None:
    """Judge."""
    rules, decisions = int(sys.argv[1]), int(sys.argv[2])
    index = Index()
    for number in range(rules):
        index.put(Entry("w", f"r{number}", rule(number), "ann", 1))
    context = CommandContext("w", "bot", "ann", 5)
    commands = []
    for number in range(decisions):
        words = argv(number, rules)
        attested = ExecutableIdentity(f"/usr/bin/{words[0]}", "0" * 64)
        commands.append(Command(v=1, argv=words, cwd=HERE, env=ENV, host="h", exe=attested, home="/home/dev"))
    for command in commands[:100]:
        index.judge(command, context)
    times, walls, said = [], [], {"allow": 0, "abstain": 0, "deny": 0, "ask": 0}
    cpu = time.process_time()
    for command in commands:
        began, wall = time.thread_time(), time.perf_counter()
        finding = index.judge(command, context)
        times.append(time.thread_time() - began)
        walls.append(time.perf_counter() - wall)
        said[finding.says] += 1
    cpu = time.process_time() - cpu
    facts = {f"p{share}_us": _share(times, share) for share in (50, 99)} | {"wall_p99_us": _share(walls, 99)}
    facts |= {"cpu_us_each": cpu / decisions * 1e6, "allowed": said["allow"] / decisions}
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
