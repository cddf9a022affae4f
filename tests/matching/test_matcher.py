"""Rules of each kind: what allows is narrow, what denies is broad. E2 E28."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failgate.base.errors import BadInput, FailgateError, TooLarge, Unprocessable
from failgate.client.environment import HARMLESS
from failgate.matching.calls import Call
from failgate.matching.matcher import MAX_TEXT, check_rule, matcher_of
from failgate.wire.gate import Argument, ExecutableIdentity, Rule, RuleExecutable, RuleScope


def rule(kind: str = "exact", *argv: str, effect: str = "allow", **members) -> Rule:
    return Rule(kind=kind, effect=effect, argv=list(argv), **members)


def call(*argv: str, exe: str | None = None, **members) -> Call:
    attested = None if exe is None else ExecutableIdentity(exe, members.pop("sha256", "0" * 64))
    return Call(
        tuple(argv), members.pop("folder", "/src/app"), members.pop("env", {}), members.pop("host", "h"),
        members.pop("agent_id", "bot"), attested, **members,
    )  # fmt: skip


def fits(one: Rule, *argv: str, **members) -> bool:
    return matcher_of(one).fits(call(*argv, **members))


def test_prefix_lets_anything_follow_and_nothing_else():
    one = rule("prefix", "ls", "-l")
    assert fits(one, "ls", "-l")
    assert fits(one, "ls", "-l", "x", "--y")
    for other in (["ls"], ["ls", "-la"], ["/bin/ls", "-l"], ["xls", "-l"], ["ls", "x", "-l"], ["ls -l"]):
        assert not fits(one, *other)


def test_arguments_are_compared_position_by_position():
    one = rule(
        "argument", "tool", "get",
        arguments=[Argument(one_of=["pods", "nodes"]), Argument(re2="[a-z]{1,5}"), Argument(under=".")],
        rest=Argument(one_of=["-v", "--"], under="/srv/data"),
    )  # fmt: skip
    assert fits(one, "tool", "get", "pods", "abc", "a/b.txt")
    assert fits(one, "tool", "get", "nodes", "abc", "/src/app/x", "-v", "--", "/srv/data/y")
    for other in (
        ["tool", "get", "pods", "abc"],
        ["tool", "get", "pods", "abc", "../x"],
        ["tool", "get", "pods", "abc", "a", "-x"],
        ["tool", "get", "pods", "abc", "a", "/srv/datax/y"],
        ["tool", "get", "pods", "abc", "a", "/srv/data/../../etc/x"],
        ["tool", "get", "pods", "abcdef", "a"],
        ["tool", "get", "secrets", "abc", "a"],
        ["tool", "get", "pods", "abc\n", "a"],
        ["tool", "pods", "get", "abc", "a"],
    ):
        assert not fits(one, *other), other


def test_without_rest_nothing_may_follow():
    one = rule("argument", "tool", arguments=[Argument(literal="x")])
    assert fits(one, "tool", "x")
    assert not fits(one, "tool", "x", "y")


def test_a_pattern_takes_an_option_only_when_it_begins_as_one():
    assert not fits(rule("argument", "tool", rest=Argument(re2=".*")), "tool", "--output=x")
    assert not fits(rule("argument", "tool", rest=Argument(re2="(-x|a)")), "tool", "-x")
    assert fits(rule("argument", "tool", rest=Argument(re2="-[abc]+")), "tool", "-ab")


def test_re2_is_over_words_that_hold_no_space():
    one = rule("re2", pattern="tool (get|list) [a-z]+")
    assert fits(one, "tool", "get", "x")
    for other in (
        ["tool", "get x"],
        ["tool", "get", ""],
        ["tool", "get", "x", "y"],
        ["tool get x"],
        ["tool", "get", "x\n"],
        ["/tool", "get", "x"],
    ):
        assert not fits(one, *other), other
    wide = rule("re2", pattern="tool|rm .*")
    assert fits(wide, "tool")
    assert not fits(wide, "rm", "x")


def test_path_needs_the_attested_file():
    one = rule("path", pattern="/srv/tools/lint")
    assert fits(one, "lint", "x", exe="/srv/tools/lint")
    assert not fits(one, "/srv/tools/lint", "x")
    assert not fits(one, "/srv/tools/lint", "x", exe="/srv/tools/lint2")
    folder = rule("path", pattern="/srv/tools/")
    assert fits(folder, "y", exe="/srv/tools/y")
    assert not fits(folder, "y", exe="/srv/tools2/y")
    assert not fits(folder, "sh", exe="/srv/tools/bash")


def test_the_executable_is_the_attested_one():
    one = rule("exact", "deploy", executable=RuleExecutable("/srv/bin/deploy", "a" * 64))
    assert fits(one, "deploy", exe="/srv/bin/deploy", sha256="a" * 64)
    assert not fits(one, "deploy", exe="/srv/bin/deploy", sha256="b" * 64)
    assert not fits(one, "deploy", exe="/srv/bin/deploy2", sha256="a" * 64)
    assert not fits(one, "deploy")


@pytest.mark.parametrize(
    ("asked", "attested", "is_same"),
    [
        ("git", "/usr/bin/git", True), ("python3", "/usr/bin/python3.11", True), ("awk", "/usr/bin/mawk", True), ("sh", "/usr/bin/dash", True),
        ("git", "/tmp/git", False), ("git", "/home/dev/bin/git", False), ("git", "/usr/bin/bash", False), ("git", "/usr/bin/gitk", False),
        ("/usr/bin/git", "/usr/bin/git", True), ("/usr/bin/git", "/tmp/git", False), ("/bin/ls", "/usr/bin/ls", True), ("/bin/ls", "/usr/bin/bash", False),
        ("/src/app/run.sh", "/src/app/run.sh", True), ("/src/venv/bin/python", "/build/python/bin/python3.11", True), ("/src/venv/bin/python", "/tmp/python3.11", False),
        ("./run.sh", "/src/app/run.sh", False), ("git", "/usr/bin/../../tmp/git", False), ("git", "usr/bin/git", False),
    ],
)  # fmt: skip
def test_a_program_is_the_file_that_its_name_means(asked, attested, is_same):
    assert fits(rule("exact", asked, "--version"), asked, "--version", exe=attested) is is_same


def test_path_in_env_lets_a_program_lie_anywhere_but_where_everybody_writes():
    one = rule("exact", "pytest", env=["PATH"])
    assert fits(one, "pytest", exe="/home/dev/venv/bin/pytest")
    assert not fits(one, "pytest", exe="/tmp/venv/bin/pytest")
    assert not fits(one, "pytest", exe="/home/dev/venv/bin/py")
    assert not fits(rule("exact", "pytest"), "pytest", exe="/home/dev/venv/bin/pytest")


def test_variables_are_named_or_ordinary():
    one = rule("exact", "tool", env=["APP_MODE"])
    assert fits(one, "tool", env={"APP_MODE": "x", "LANG": "C.UTF-8", "HOME": "/home/dev", "PATH": "/usr/bin"})
    assert not fits(rule("exact", "tool"), "tool", env={"APP_MODE": "x"})
    shown = {name: "1" for name in HARMLESS if name not in {"SHELL", "VIRTUAL_ENV"}}  # what a replay passes on
    assert fits(one, "tool", env=shown)
    for name in ("LD_PRELOAD", "BASH_ENV", "GIT_SSH", "PYTHONPATH", "NODE_OPTIONS"):
        assert not fits(one, "tool", env={name: "x"})
        with pytest.raises(Unprocessable):
            check_rule(rule("exact", "tool", env=[name]))


def test_scope_is_agent_host_and_folder():
    one = rule("exact", "tool", scope=RuleScope(agents=["bot"], hosts=["h"], directories=["/src/app"]))
    assert fits(one, "tool")
    assert fits(one, "tool", folder="/src/app/deep")
    for other in (
        {"agent_id": "x"},
        {"agent_id": None},
        {"host": "x"},
        {"folder": "/src/app2"},
        {"folder": "/src"},
        {"folder": "/src/app/../x"},
    ):
        assert not fits(one, "tool", **other), other
    assert fits(one, "tool", folder="/src/app", is_attested=False)
    assert not fits(one, "tool", folder="/src/app/deep", is_attested=False)  # a link could lead out of it


def test_a_denial_takes_every_name_of_the_program():
    one = rule("prefix", "rm", effect="deny")
    for argv, exe in (
        (("rm", "x"), None),
        (("/bin/rm",), None),
        (("x",), "/usr/bin/rm"),
        (("./rm",), None),
        (("rm",), "/tmp/x"),
    ):
        assert fits(one, *argv, exe=exe), argv
    assert fits(one, "rm", env={"LD_PRELOAD": "x"}, folder="/a/../b")
    assert fits(rule("prefix", "python", effect="deny"), "python3.11", "x")
    by_path = rule("path", pattern="/usr/sbin/", effect="deny")
    assert fits(by_path, "/usr/sbin/x")
    assert fits(by_path, "x", exe="/usr/sbin/x")


def test_what_is_too_long_for_a_pattern_is_denied_and_never_allowed():
    long = "a" * (MAX_TEXT + 1)
    for effect, expected in (("allow", False), ("deny", True)):
        assert fits(rule("re2", pattern="tool a*", effect=effect), "tool", long) is expected
        assert fits(rule("argument", "tool", rest=Argument(re2="a*"), effect=effect), "tool", long) is expected
        assert fits(rule("argument", "tool", rest=Argument(re2="a*"), effect=effect), "tool", *["a"] * 500) is expected


@pytest.mark.parametrize("kind", ["prefix", "re2"])
@pytest.mark.parametrize(
    "name", ["bash", "env", "find", "tar", "git", "ssh", "awk", "vi", "xargs", "less", "python3.11", "/usr/bin/env", "sudo", "sed", "node", "perl5.36", "nice", "timeout"]
)  # fmt: skip
def test_a_program_that_can_do_anything_needs_every_argument(kind, name):
    with pytest.raises(Unprocessable):
        check_rule(
            rule("prefix", name, "x") if kind == "prefix" else rule("re2", pattern=name.replace(".", "\\.") + " x.*")
        )
    with pytest.raises(Unprocessable):
        check_rule(rule("argument", name, rest=Argument(re2=".*")))
    with pytest.raises(Unprocessable):
        check_rule(rule("argument", name, rest=Argument(re2="-.*")))
    with pytest.raises(Unprocessable):
        check_rule(rule("path", pattern=name if name.startswith("/") else f"/usr/bin/{name}"))
    check_rule(rule("argument", name, rest=Argument(one_of=["-x"], under=".")))
    check_rule(rule("exact", name, "x"))
    check_rule(rule("prefix", name, effect="deny"))


def test_a_stored_rule_that_is_too_wide_by_what_is_known_now_fits_nothing():
    assert not fits(rule("prefix", "git"), "git", "status")


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (rule("exact", "a", pattern="x"), BadInput),
        (rule("exact", "a", rest=Argument(literal="x")), BadInput),
        (rule("re2", "a", pattern="x"), BadInput),
        (rule("re2"), Unprocessable),
        (rule("path"), Unprocessable),
        (rule("path", pattern="relative"), Unprocessable),
        (rule("path", pattern="/a/../b"), Unprocessable),
        (rule("path", pattern="/a//b"), Unprocessable),
        (rule("re2", pattern="("), Unprocessable),
        (rule("re2", pattern="(a|b) c"), Unprocessable),
        (rule("re2", pattern="a" * 1001), Unprocessable),
        (rule("re2", pattern="tool ((a{1,100}){1,10})"), Unprocessable),
        (rule("re2", pattern="tool \\pL{1000}"), Unprocessable),
        (rule("argument", "tool"), Unprocessable),
        (rule("argument", "tool", rest=Argument()), Unprocessable),
        (rule("argument", "tool", rest=Argument(under="x")), Unprocessable),
        (rule("argument", "tool", rest=Argument(re2="(?!x)")), Unprocessable),
        (rule("argument", "tool", rest=Argument(one_of=[str(n) for n in range(501)])), TooLarge),
        (rule("exact", "tool", executable=RuleExecutable("tool")), Unprocessable),
        (rule("exact", "tool", executable=RuleExecutable("/tool", "x")), Unprocessable),
        (rule("exact", "tool", scope=RuleScope(directories=["x"])), Unprocessable),
        (rule("exact", "tool", scope=RuleScope(hosts=[])), Unprocessable),
        (rule("exact", "tool", env=["A B"]), Unprocessable),
        (rule("exact", "tool", review_by="tomorrow"), Unprocessable),
        (rule("exact", "sh", "-c", "ls $X"), Unprocessable),
        (rule("exact", "zsh", "-c", "ls"), Unprocessable),
    ],
)  # fmt: skip
def test_a_rule_that_says_nothing_sound_is_refused(wrong, error):
    with pytest.raises(error):
        check_rule(wrong)


@pytest.mark.parametrize(
    ("argv", "reads"),
    [
        (["bash"], True), (["sh", "-s"], True), (["bash", "-x"], True), (["bash", "--norc"], True), (["dash", "-"], True), (["zsh", "-s", "x"], True),
        (["sh", "/dev/stdin"], True), (["-bash"], True), (["/bin/sh"], True), (["python3"], True), (["python3.11", "-"], True), (["python", "-i"], True),
        (["perl", "-w"], True), (["node", "/dev/fd/0"], True), (["ruby", "-"], True), (["php"], True), (["bash", "-v"], True), (["python3", "-v"], True), (["sh", "-h"], True), (["bash", "-es", "x"], True),
        (["bash", "run.sh"], False), (["python3", "-m", "pytest"], False), (["python3", "--version"], False), (["node", "-v"], False), (["bash", "--version"], False),
        (["perl", "run.pl", "-"], False), (["cat"], False), (["sort", "-"], False), (["sh", "-c", "ls"], False),
    ],
)  # fmt: skip
def test_nothing_passes_that_runs_what_comes_by_its_standard_input(argv, reads):
    one = matcher_of(rule("exact", *argv))
    assert one.fits(call(*argv)) is not reads
    assert matcher_of(rule("exact", *argv, effect="deny")).fits(call(*argv))


HOSTILE = [
    "tool (a+)+b",
    "tool (a|a)*b",
    "tool ([a-z]+)*x",
    "tool (.*)(.*)(.*)(.*)(.*)x",
    "tool [a-q][^u-z]{13}x",
    "tool (a?){50}a{50}",
    "tool (x+x+)+y",
]


@pytest.mark.parametrize("pattern", HOSTILE)
def test_hostile_patterns_are_answered_soon(pattern):
    """50 ms at 64 KiB: what is longer than the limit is not compared, what is shorter is linear."""
    one = rule("re2", pattern=pattern)
    try:
        check_rule(one)
    except Unprocessable:
        return
    for size in (MAX_TEXT - 5, 64 * 1024):
        started = time.process_time()
        fits(one, "tool", "a" * size)
        assert time.process_time() - started < 0.5  # far above what it takes, far below what backtracking takes


_WORDS = st.sampled_from(
    [
        "ls",
        "-l",
        "-la",
        "x",
        "..",
        "/etc",
        "a/b",
        "--",
        "-",
        "",
        "$(id)",
        ";",
        "a b",
        "\n",
        "\u202e",
        "git",
        "LS",
        "./ls",
        "~",
        "@x",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_WORDS, min_size=1, max_size=5), st.lists(_WORDS, min_size=1, max_size=5))
def test_an_exact_rule_fits_its_words_alone(ruled, asked):
    try:
        one = matcher_of(rule("exact", *ruled))
    except FailgateError:
        return
    if one.fits(call(*asked)):
        assert ruled == asked


@settings(max_examples=300, deadline=None)
@given(st.lists(_WORDS, min_size=1, max_size=6))
def test_no_word_of_an_argument_rule_leaves_the_folder(asked):
    one = rule("argument", "ls", rest=Argument(one_of=["-l", "-la"], under="."))
    if fits(one, *asked):
        assert all(word in {"-l", "-la", "x", "a/b", "a b", "ls", "LS", "git", "./ls"} for word in asked[1:]), asked
