from typing import Any

import msgspec
import pytest

from failgate.matching.rendering import render, unrender
from failgate.web.pages.command_view import CommandDetail, detail_of, facts_of, row_of
from failgate.web.pages.token_view import TokenView, parts_of, preview

HOSTILE = [
    "pay\u200bments", "--x\u202egnp.exe", "", "  padded  ", "a\nb", "\x1b[31m", "<script>alert(1)</script>", "⟨U+202E RLO⟩", "\U000e0041",
    "раypal", "a" * 5000, "x\u202e" * 900, "é", "a b",
]  # fmt: skip


def detail(command: Any, now_us: int, **more: Any) -> CommandDetail:
    given: dict[str, Any] = {
        "standing": "vote",
        "viewer": "mara@acme.example",
        "is_full": False,
        "report_id": None,
    } | more
    return detail_of(command, now_us, **given)


def joined(token: TokenView) -> str:
    return "".join(part.text for part in (*token.head, *token.middle, *token.tail))


@pytest.mark.parametrize("token", HOSTILE)
def test_the_shown_token_is_its_whole_rendering(make_command: Any, now_us: int, token: str) -> None:
    """SECURITY section 4: nothing is cut off silently; what is shown decodes to what was sent."""
    shown = detail(make_command(["tool", token]), now_us).tokens[1]
    assert unrender([joined(shown)]) == [token]


@pytest.mark.parametrize("token", HOSTILE)
def test_what_was_written_out_is_marked_and_nothing_else(token: str) -> None:
    for part in parts_of(render([token])[0]):
        assert part.unusual == ("⟨" in part.text)


def test_a_long_token_is_collapsed_with_its_count_and_shows_both_ends(make_command: Any, now_us: int) -> None:
    shown = detail(make_command(["sh", "-c", "A" * 300 + "B" * 9000 + "C" * 300]), now_us)
    token = shown.tokens[2]
    assert shown.has_collapsed
    assert token.middle_bytes == 9600 - 320
    assert token.head[0].text == "A" * 160
    assert token.tail[-1].text == "C" * 160


def test_a_written_out_character_is_never_cut_in_two(make_command: Any, now_us: int) -> None:
    token = detail(make_command(["tool", "\u202ex" * 700]), now_us).tokens[1]
    for part in (*token.head, *token.middle, *token.tail):
        assert part.text.count("⟨") == part.text.count("⟩")


def test_many_tokens_collapse_and_count(make_command: Any, now_us: int) -> None:
    shown = detail(make_command(["tool", *["file"] * 199]), now_us)
    assert (shown.late_tokens, shown.late_bytes, shown.has_collapsed) == (120, 480, True)


def test_nothing_is_collapsed_when_all_is_asked_for(make_command: Any, now_us: int) -> None:
    shown = detail(make_command(["tool", "a" * 9000, *["file"] * 199]), now_us, is_full=True)
    assert not shown.has_collapsed


def test_an_unusual_command_cannot_be_copied_as_if_it_were_plain(make_command: Any, now_us: int) -> None:
    assert not detail(make_command(["ls", "a\u200bb"]), now_us).can_copy
    assert detail(make_command(["ls", "a b"]), now_us).shell_text == "ls 'a b'"


def test_the_preview_says_that_there_is_more() -> None:
    assert preview(render(["tool", "a" * 500]))[-1][-1].text == "…"
    assert preview(render(["tool", *["x"] * 40]))[-1][-1].text == "…"
    assert [part.text for token in preview(render(["git", "status"])) for part in token] == ["git", "status"]


def test_a_vote_of_mine_is_seen_in_the_list_and_ends_my_turn(make_command: Any, now_us: int) -> None:
    command = make_command(["ls"], need=2, votes=[("mara@acme.example", "approve")])
    assert row_of(command, now_us, "mara@acme.example").is_voted
    assert not row_of(command, now_us, "other@acme.example").is_voted
    assert detail(command, now_us).standing == "voted"
    assert detail(command, now_us, standing="prove").standing == "prove"


def test_the_page_says_whether_an_approval_decides(make_command: Any, now_us: int) -> None:
    assert detail(make_command(["ls"]), now_us).if_approved.startswith("Runs once")
    assert "one of 2" in detail(make_command(["ls"], need=2), now_us).if_approved
    last = make_command(["ls"], need=2, votes=[("lead@acme.example", "approve")])
    assert detail(last, now_us).if_approved_short == "Your approval decides: it runs once on ci-7."


@pytest.mark.parametrize(
    ("state", "verdict", "outcome", "headline"),
    [
        ("denied", "deny", None, "Denied"),
        ("approved", "approve", None, "Approved"),
        ("executed", "approve", 0, "Executed"),
        ("executed", "approve", 3, "Executed, failed with exit code 3"),
        ("expired", None, None, "Expired"),
        ("cancelled", None, None, "Cancelled"),
        ("quarantined", None, None, "Quarantined"),
    ],
)
def test_every_end_is_told(
    make_command: Any, now_us: int, state: str, verdict: Any, outcome: Any, headline: str
) -> None:
    shown = detail(make_command(["ls"], state=state, verdict=verdict, outcome=outcome), now_us)
    assert shown.verdict is not None
    assert shown.verdict.headline == headline


def test_the_version_changes_with_what_is_shown(make_command: Any, now_us: int) -> None:
    before = detail(make_command(["ls"], need=2), now_us).version
    voted = detail(make_command(["ls"], need=2, votes=[("lead@acme.example", "approve")]), now_us).version
    ended = detail(make_command(["ls"], state="expired"), now_us).version
    assert len({before, voted, ended}) == 3


def test_the_script_that_an_interpreter_is_given_stands_on_the_page(make_command: Any, now_us: int) -> None:
    command = make_command(["sh", "d.sh"])
    told = {**(command.command or {}), "script": {"path": "/srv/d\u202e.sh", "sha256": "ab" * 32}}
    shown = next(fact for fact in facts_of(msgspec.structs.replace(command, command=told)) if fact.label == "Script")
    assert ("".join(part.text for part in shown.parts), shown.remark) == (
        "/srv/d⟨U+202E RLO⟩.sh",
        "sha256 abababababab…",
    )


@pytest.mark.parametrize(
    ("umask", "remark"),
    [
        ("0022", "uid 1000, gid 100, umask 0022"),
        ("0027", "uid 1000, gid 100, umask 0027"),
        ("0000", "uid 1000, gid 100, umask 0000: every account may change the files that it makes"),
        ("0021", "uid 1000, gid 100, umask 0021: every account may change the files that it makes"),
        (None, "uid 1000, gid 100"),
    ],
)
def test_as_whom_it_runs_stands_on_the_page(make_command: Any, now_us: int, umask: str | None, remark: str) -> None:
    command = make_command(["touch", "x"])
    told = {**(command.command or {}), "uid": 1000, "gid": 100, "umask": umask}
    shown = next(
        fact for fact in facts_of(msgspec.structs.replace(command, command=told)) if fact.label == "Host, user"
    )
    assert shown.remark == remark
