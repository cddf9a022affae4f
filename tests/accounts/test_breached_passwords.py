"""The operator's list of breached passwords: found wherever it stands, never taken for another, closed when spoiled."""

import asyncio
import hashlib
import random
import re
from pathlib import Path

import pytest

from failgate.access.role import Role
from failgate.accounts.breached_passwords import BreachedPasswords
from failgate.base.errors import BadInput, StartRefused, StorageUnavailable
from failgate.config.load import load_config

LOST = "seven purple kettles drive north"
ENDS = {"lf": "\n", "crlf": "\r\n"}


def sha1(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest().upper()


def written(path: Path, passwords: list[str], end: str = "\n", *, is_ended: bool = True) -> Path:
    lines = sorted(f"{sha1(one)}:{number % 9_000_000 + 1}" for number, one in enumerate(passwords))
    path.write_bytes((end.join(lines) + (end if is_ended else "")).encode())
    return path


def folder(path: Path, passwords: list[str]) -> Path:
    path.mkdir()
    ranges: dict[str, list[str]] = {f"{number:05X}": ["0" * 35 + ":1"] for number in range(64)}
    for digest in map(sha1, passwords):
        ranges.setdefault(digest[:5], []).append(f"{digest[5:]}:3")
    for name, lines in ranges.items():
        (path / f"{name}.txt").write_bytes("\r\n".join(sorted(lines)).encode())
    return path


async def is_refused(lists: BreachedPasswords, password: str) -> bool:
    try:
        await lists.refuse(password)
    except BadInput:
        return True
    return False


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("is_ended", [True, False])
@pytest.mark.parametrize("number", [1, 2, 3, 4000])
async def test_each_password_of_the_file_is_found_and_no_other(
    tmp_path: Path, end: str, number: int, is_ended: bool
) -> None:
    lost = [f"a password that was lost {n}" for n in range(number)]
    lists = BreachedPasswords(written(tmp_path / "pwned.txt", lost, end, is_ended=is_ended))
    lists.check()
    edges = sorted(lost, key=sha1)
    for one in {*edges[:3], *edges[-3:], *random.Random(5).sample(lost, min(number, 200))}:
        assert await is_refused(lists, one), one
    for n in range(200):
        assert not await is_refused(lists, f"nobody lost this one {n}")


async def test_three_thousand_of_the_policys_length_are_refused(tmp_path: Path) -> None:
    """ASVS 6.2.4 counts them: with a list of that size each of them is refused."""
    lost = [f"{word} and {word} again {n}" for n, word in enumerate(["walnut", "harbour", "copper"] * 1000)]
    assert len(set(lost)) == 3000
    lists = BreachedPasswords(written(tmp_path / "pwned.txt", lost))
    assert [one for one in lost if not await is_refused(lists, one)] == []


async def test_a_large_file_is_asked_by_few_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = BreachedPasswords(written(tmp_path / "pwned.txt", [str(n) for n in range(50_000)]))
    seen: list[int] = []
    real = lists._at
    monkeypatch.setattr(lists, "_at", lambda *given: (seen.append(1), real(*given))[1])
    assert not await is_refused(lists, LOST)
    assert len(seen) <= 24  # 2.3 MB: log2


async def test_the_folder_of_ranges_is_the_same_list(tmp_path: Path) -> None:
    lost = [LOST, *(f"lost as well {n}" for n in range(50))]
    lists = BreachedPasswords(folder(tmp_path / "ranges", lost))
    lists.check()
    for one in lost:
        assert await is_refused(lists, one)
    unlisted = next(
        text for n in range(9) if (text := f"another end {n}") and sha1(text)[:5] not in {sha1(x)[:5] for x in lost}
    )
    with pytest.raises(StorageUnavailable):  # a range that is missing is no proof of anything
        await lists.refuse(unlisted)
    digest = sha1(LOST)
    (tmp_path / "ranges" / f"{digest[:5]}.txt").write_text("0" * 35 + ":1\n")
    assert not await is_refused(lists, LOST)


async def test_both_ways_to_type_the_same_letters_are_looked_for(tmp_path: Path) -> None:
    typed, composed = "un cafe\u0301 tre\u0300s lointain", "un caf\u00e9 tr\u00e8s lointain"
    for known in (typed, composed):
        lists = BreachedPasswords(written(tmp_path / "pwned.txt", [known]))
        assert await is_refused(lists, typed)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"seven purple kettles\n",
        b"a" * 5000,
        b"%PDF-1.7 \x00\xff\n" * 40,
        b"F" * 40 + b":1\n" + b"0" * 40 + b":1\n",
    ],
)
def test_a_file_that_is_none_stops_the_start(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pwned.txt"
    path.write_bytes(content)
    with pytest.raises(StartRefused, match=re.escape(str(path))) as refused:
        BreachedPasswords(path).check()
    assert "ascending order" in (refused.value.hint or "")


def test_a_missing_file_and_an_empty_folder_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "ranges").mkdir()
    for path in (tmp_path / "absent.txt", tmp_path / "ranges"):
        with pytest.raises(StartRefused, match="No such file"):
            BreachedPasswords(path).check()


@pytest.mark.parametrize("spoil", ["gone", "garbage", "cut"])
async def test_while_the_list_cannot_be_read_no_password_is_taken(tmp_path: Path, spoil: str) -> None:
    path = written(tmp_path / "pwned.txt", [str(n) for n in range(1000)])
    lists = BreachedPasswords(path)
    lists.check()
    if spoil == "gone":
        path.unlink()
    else:
        path.write_bytes(b"x" * 50_000 if spoil == "garbage" else b"\0" * 50_000)
    with pytest.raises(StorageUnavailable):
        await lists.refuse(LOST)


async def test_questions_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    lost = [f"lost {n}" for n in range(500)]
    lists = BreachedPasswords(written(tmp_path / "pwned.txt", lost))
    answers = await asyncio.gather(*(is_refused(lists, f"lost {n}") for n in range(450, 550)))
    assert answers == [True] * 50 + [False] * 50


async def test_no_place_where_a_password_is_chosen_takes_a_breached_one(room, tmp_path: Path, monkeypatch) -> None:
    """Setup, a new account, an invitation, a change, an operator's reset, a link for a new password."""
    letters = []
    monkeypatch.setattr(room.mail, "post", lambda letter: letters.append(letter) or True)
    monkeypatch.setattr(room.accounts, "_breached", BreachedPasswords(written(tmp_path / "pwned.txt", [LOST])))
    refused = pytest.raises(BadInput, match="others lost")
    link = await room.setup_links.mint()
    with refused:
        await room.setup_links.complete(link, "ann@acme.test", LOST, "moon-base", "Moon Base")
    ann = await room.setup_links.complete(link, "ann@acme.test", room.password, "moon-base", "Moon Base")
    workspace = await room.workspaces.by_slug("moon-base")
    with refused:
        await room.accounts.create("bob@acme.test", LOST, room.operator)
    _, invitation = await room.invitations.create(workspace.id, Role.REVIEWER, room.operator)
    with refused:
        await room.invitations.accept_as_new(invitation, "cleo@acme.test", LOST, "192.0.2.1")
    _, session = await room.sessions.open(ann.id, "192.0.2.1", "browser", ("pwd",))
    with refused:
        await room.accounts.change_password(ann, room.password, LOST, session)
    with refused:
        await room.accounts.set_password(ann.id, LOST, room.operator)
    room.password_reset.ask(ann.email, "192.0.2.1")
    await room.password_reset.settle()
    found = re.search(r"fg_rst_\w+", letters[-1].text)
    assert found
    with refused:
        await room.password_reset.complete(found[0], LOST)


async def test_the_config_names_the_list_and_a_bad_one_stops_the_start(tmp_path: Path) -> None:
    from failgate.assembly import open_services

    path = written(tmp_path / "pwned.txt", [LOST])
    (tmp_path / "failgate.toml").write_text('[accounts]\nbreached_passwords = "pwned.txt"\n')
    config = load_config(tmp_path / "failgate.toml", {})
    async with open_services(config, tmp_path / "data") as services:
        with pytest.raises(BadInput, match="others lost"):
            await services.accounts.check_password(LOST, "ann@acme.test")
        await services.accounts.check_password(f"{LOST} slowly", "ann@acme.test")
    path.unlink()
    with pytest.raises(StartRefused, match="breached_passwords"):
        async with open_services(config, tmp_path / "data"):
            pass
