import msgspec
from hypothesis import given
from hypothesis import strategies as st

from failgate.gate.likeness import MAX_ALIGNED, aligned, alike_of, changes_between, program_of, shared
from failgate.wire.gate import Command, ExecutableIdentity, FoundProgram

WORDS = st.lists(st.sampled_from(["git", "push", "-f", "main", "prod", "--dry-run", ""]), min_size=1, max_size=12)


def command(*argv: str, **members) -> Command:
    return Command(v=1, argv=list(argv), cwd="/src/app", env={}, host="h", **members)


def test_another_nonce_or_program_file_is_the_same_command_another_folder_is_not() -> None:
    one = command("make", "all", nonce="a")
    assert alike_of(one) == alike_of(msgspec.structs.replace(one, nonce="b", exe=ExecutableIdentity("/x", "0" * 64)))
    assert alike_of(one) != alike_of(msgspec.structs.replace(one, cwd="/src/other"))
    assert alike_of(command("a", "b c")) != alike_of(command("a", "b", "c"))


def test_what_is_new_gone_and_replaced_is_told_by_its_place() -> None:
    found = changes_between(command("git", "push", "--dry-run", "main"), command("git", "push", "prod", "-f"))
    assert [(one.before, one.now, one.place) for one in found] == [("--dry-run", "prod", 2), ("main", "-f", 3)]
    [gone] = changes_between(command("rm", "-i", "a"), command("rm", "a"))
    assert (gone.before, gone.now, gone.place) == ("-i", None, None)


def test_facts_and_variables_that_changed_are_told_and_the_nonce_is_not() -> None:
    before = Command(1, ["a"], "/src/app", {"A": "1", "B": "2"}, "h", nonce="x", uid=1)
    now = Command(
        1, ["a"], "/src/app", {"B": "3"}, "h", nonce="y", uid=0, exe=ExecutableIdentity("/usr/bin/a", "0" * 64)
    )
    assert [(one.what, one.name) for one in changes_between(before, now)] == [
        ("program", None), ("user", None), ("variable", "A"), ("variable", "B"),
    ]  # fmt: skip


def test_a_name_that_leads_to_another_file_is_told_when_somebody_looked_both_times() -> None:
    before = command("sh", "-c", "make", programs={"make": FoundProgram("/usr/bin/make")})
    now = command("sh", "-c", "make", programs={"make": FoundProgram("/src/bin/make", "0" * 64, "/bin/sh")})
    [change] = changes_between(before, now)
    assert (change.what, change.name, change.before) == ("program", "make", "/usr/bin/make")
    assert changes_between(command("sh", "-c", "make"), now) == []


def test_another_text_of_the_script_is_told() -> None:
    before = command("sh", "d.sh", script=FoundProgram("/src/d.sh", "0" * 64))
    now = command("sh", "d.sh", script=FoundProgram("/src/d.sh", "1" * 64))
    [change] = changes_between(before, now)
    assert (change.what, change.now) == ("script", f"/src/d.sh sha256 {'1' * 64}")


@given(WORDS, WORDS)
def test_what_is_not_told_as_changed_is_equal(before: list[str], now: list[str]) -> None:
    found = [one for one in changes_between(command(*before), command(*now)) if one.what == "token"]
    places = {one.place for one in found}
    assert all(now[one.place] == one.now for one in found if one.place is not None)
    kept_now = [token for place, token in enumerate(now) if place not in places]
    rest = list(before)
    for one in found:
        if one.before is not None:
            rest.remove(one.before)
    assert sorted(rest) == sorted(kept_now)
    assert bool(found) == (before != now)


def test_long_lists_are_compared_by_their_equal_ends() -> None:
    many = [f"f{place}" for place in range(3 * MAX_ALIGNED)]
    changed = [*many[:5], "x", *many[6:-2], "y", many[-1]]
    places = [one.place for one in changes_between(command("rm", *many), command("rm", *changed))]
    assert (places[0], places[-1]) == (6, len(many) - 1)


def test_programs_and_shares() -> None:
    assert program_of(command("/usr/bin/git")) == "git"
    assert shared(["a", "b"], ["a", "c"]) == 0.5


@given(WORDS, WORDS)
def test_aligned_tokens_are_those_of_both_lists_in_their_order(before, now) -> None:
    found = aligned(before, now)
    assert [token for stands, token in found if stands != "new"] == before
    assert [token for stands, token in found if stands != "gone"] == now


def test_what_was_replaced_stands_beside_what_replaces_it() -> None:
    found = aligned(["rm", "-rf", "a"], ["rm", "-r", "a"])
    assert found == [("same", "rm"), ("gone", "-rf"), ("new", "-r"), ("same", "a")]
