"""An evidence pack as a whole: proven by a program that knows nothing of the server, inert whatever names say. E7 B10"""

import io
import json
import re
import tarfile
import tracemalloc
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from failgate.audit.bundle import Period
from failgate.audit.record import Act, Actor
from failgate.base.errors import BadInput
from failgate.base.spreadsheet import seen
from failgate.cli.audit_evidence import PACKS as COMMANDS
from failgate.evidence import packs
from failgate.evidence.exports import Exports
from failgate.evidence.packs import PACKS, Place, pack_of
from failgate.evidence.printed import row_of
from failgate.evidence.sheets import Record, line
from tests.evidence.office import DIGEST, PLACE, WS, Office
from tests.handmade import verify

NAMES = (
    "=HYPERLINK(1)",
    "@SUM(A1)",
    "-1+1",
    "+1",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a\r\nb,c",
    "a\u202eb\u2066",
    "\t=1",
    "{{ 7*7 }}",
    "<b>x</b>",
    "名",
)


ALLOWED_TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "header", "section", "div", "h1", "h2", "p", "dl", "dt",
    "dd", "pre", "code", "br", "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
ALLOWED_ATTRIBUTES = {
    "lang", "charset", "http-equiv", "content", "name", "class", "id", "role", "tabindex", "aria-labelledby", "scope",
    "title",
}  # fmt: skip


class Tags(HTMLParser):
    """Every element and attribute of a page, as a browser reads it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.fixture
async def filled(office: Office) -> Office:
    """A log of more than one tile: two decisions, and much else before and behind them."""
    olga, rita = await office.person("olga@acme.example", "owner"), await office.person("rita@acme.example")
    bot = await office.agent("deploy-bot", olga)
    await office.sign_in(rita, "pwd", "otp")
    await office.ask("c0", bot, olga)
    for _ in range(270):
        await office.end(Act.COMMAND_CANCELLED, "c0", bot)
    for name in ("c1", "c2"):
        await office.ask(name, bot, olga)
        await office.vote(name, rita)
        await office.end(Act.COMMAND_APPROVED, name, rita.by("pwd", "otp"), digest=DIGEST, use_by_us=1)
    for _ in range(270):
        await office.end(Act.SHARING_STOPPED, "c0", rita.by("pwd"))
    return office


def test_the_command_offers_the_packs_that_there_are() -> None:
    assert tuple(one.id for one in PACKS) == COMMANDS
    for pack in PACKS:
        assert pack_of(pack.id) is pack
        ids = [one.id for one in pack.sections]
        assert len(set(ids)) == len(ids)
        for section in pack.sections:
            names = [one.name for one in section.columns]
            assert len(set(names)) == len(names)
            assert all(re.fullmatch("[a-z_]+", name) for name in (*names, section.id))
    with pytest.raises(BadInput, match="no evidence pack"):
        pack_of("everything")


@pytest.mark.parametrize("pack", [one.id for one in PACKS])
async def test_a_pack_is_proven_without_the_server(filled: Office, tmp_path: Path, pack: str) -> None:
    taken = await filled.pack(pack)
    path = taken.save(tmp_path / "pack.tar")
    vkey = await filled.audit.vkey(WS)
    answer = verify("evidence", path, "--vkey", vkey)
    assert answer["exit_code"] == 0, answer
    assert (answer["pack"], answer["count"]) == (pack, sum(taken.manifest["lines"].values()))
    assert answer["count"] > 0
    folder = tmp_path / "folder"
    with tarfile.open(path) as archive:
        archive.extractall(folder, filter="data")
    assert verify("evidence", folder, "--vkey", vkey) == answer
    assert verify("full", folder / "bundle", "--vkey", vkey)["exit_code"] == 0
    for name, stated in taken.manifest["files"].items():
        assert (sha256(taken.files[name]).hexdigest(), len(taken.files[name])) == (stated["sha256"], stated["bytes"])
    assert set(taken.manifest["files"]) == {
        name for name in taken.files if not name.startswith("bundle/") and name != "manifest.json"
    }


async def test_a_changed_pack_is_found(filled: Office, tmp_path: Path) -> None:
    taken = await filled.pack("approvals")
    vkey = await filled.audit.vkey(WS)

    def told(name: str, change, *, is_stated: bool = False) -> dict:
        files = dict(taken.files)
        if change is None:
            del files[name]
        else:
            files[name] = change(files[name])
        if is_stated:
            manifest = json.loads(files["manifest.json"])
            manifest["files"][name]["sha256"] = sha256(files[name]).hexdigest()
            files["manifest.json"] = json.dumps(manifest).encode()
        path = tmp_path / "changed.tar"
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
            for each, content in files.items():
                member = tarfile.TarInfo(each)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return verify("evidence", path, "--vkey", vkey)

    assert told("votes.csv", lambda one: one)["exit_code"] == 0
    assert told("votes.csv", lambda one: one.replace(b"approve", b"deny"))["exit_code"] == 1
    assert told("votes.csv", None)["exit_code"] == 1
    assert told("approvals.html", lambda one: one + b" ")["exit_code"] == 1
    [entries] = [name for name in taken.files if name.startswith("bundle/entries/001")]
    assert told(entries, lambda one: one.replace(b"approve", b"approvf"))["exit_code"] == 1
    vote = taken.lines("votes")[0]
    other = taken.lines("votes")[1]
    swapped = told(
        "votes.csv", lambda one: one.replace(vote["leaf_hash"].encode(), other["leaf_hash"].encode()), is_stated=True
    )
    assert (swapped["exit_code"], swapped["first_bad"]) == (1, int(vote["record"]))
    moved = told("votes.csv", lambda one: one.replace(b"," + vote["record"].encode(), b",9999999", 1), is_stated=True)
    assert moved["exit_code"] == 3


async def test_what_is_cited_from_before_the_period_comes_with_its_proof(filled: Office, tmp_path: Path) -> None:
    begin = filled.clock.now_us()
    await filled.end(Act.COMMAND_EXPIRED, "c1", reason="not used in time")
    taken = await filled.pack("approvals", Period(begin, None))
    [line_] = taken.lines("decisions")
    assert f"proofs/record-{line_['record']}.tlog-proof" in taken.files
    path, vkey = taken.save(tmp_path / "pack.tar"), await filled.audit.vkey(WS)
    assert verify("evidence", path, "--vkey", vkey)["exit_code"] == 0
    assert (taken.manifest["from"] is None, taken.manifest["to"]) == (False, None)


async def test_names_are_inert_in_every_field(office: Office, tmp_path: Path) -> None:
    olga = await office.person("olga@acme.example", "owner")
    for number, name in enumerate(NAMES):
        rita = await office.person(f"{name}", "reviewer")
        bot = await office.agent(f"{name} bot", olga)
        await office.ask(f"c{number}", bot, rita)
        await office.vote(f"c{number}", rita)
        data = {"use_by_us": 1, "digest": DIGEST}
        await office.end(Act.COMMAND_APPROVED, f"c{number}", rita.by("pwd", "otp"), **data)
    for pack in PACKS:
        taken = await office.pack(pack.id, place=Place("acme", "<b>A</b>\u202e\r\n=1"))
        assert verify("evidence", taken.save(tmp_path / f"{pack.id}.tar"))["exit_code"] == 0
        for section in pack.sections:
            for row in taken.lines(section.id):
                for cell in row.values():
                    assert not re.match(r"[=+\-@\t\r\n\0]", cell)
                    assert cell.isprintable()
        html = taken.html
        assert "<script" not in html
        assert "<img" not in html
        assert html.isprintable() or all(one.isprintable() or one == "\n" for one in html)
        tags = Tags(html)
        assert tags.names <= ALLOWED_TAGS
        assert tags.attributes <= ALLOWED_ATTRIBUTES
        assert not re.search(r"url\(|@import", html)
        assert "default-src &#x27;none&#x27;" in html
    names = {row["voter"] for row in (await office.pack("approvals")).lines("votes")}
    assert names == {("'" if seen(name)[0] in "=+-@" else "") + seen(name) for name in NAMES}


def test_every_column_takes_any_text() -> None:
    """Also those that hold ids now: whatever comes into a cell is one line of text."""
    said = {
        "ws": WS,
        "act": "vote.cast",
        "seq": 1,
        "ts": "x",
        "actor": {"t": "user", "id": "x"},
        "obj": {"t": "x", "id": "x"},
    }
    record = Record(WS, 1, bytes(32), said)
    for pack in PACKS:
        for section in pack.sections:
            for name in NAMES:
                made = line(section, record, (), **{column.name: name for column in section.columns})
                assert all(cell.isprintable() for cell in made.cells)
                row = row_of(made)
                assert "<script" not in row
                assert "<img" not in row


async def test_a_period_without_records_is_refused_and_one_without_decisions_is_an_empty_pack(office: Office) -> None:
    await office.person("olga@acme.example", "owner")
    with pytest.raises(BadInput, match="no record in this period"):
        await office.pack("approvals", Period(office.clock.now_us() + 10**9, None))
    taken = await office.pack("approvals")
    assert [taken.lines(one.id) for one in pack_of("approvals").sections] == [[], [], []]
    assert taken.html.count("No line in this period.") == 3


async def test_what_is_too_long_is_refused_and_a_long_table_is_cut_in_print_alone(
    filled: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "MOST_PRINTED", 1)
    taken = await filled.pack("approvals")
    assert len(taken.lines("votes")) == 2
    assert "The first 1 of 2 lines" in taken.html
    monkeypatch.setattr(packs, "MOST_LINES", 2)
    with pytest.raises(BadInput, match="more than 2 lines"):
        await filled.pack("approvals")
    assert list(filled.folder.iterdir()) == []


async def test_memory_does_not_grow_with_the_pack(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight times the lines take hardly more memory; what is made waits on the disk."""
    monkeypatch.setattr(packs, "_IN_MEMORY", 4096)
    olga = await office.person("olga@acme.example", "owner")
    bot = await office.agent("deploy-bot", olga)
    facts = {"digest": DIGEST, "policy": DIGEST, "use_by_us": 1}

    async def peak(until: int) -> int:
        from failgate.audit.record import Event

        start = await office.audit.size(WS)
        for first in range(start, until, 500):

            async def verb(tx, first=first):
                for number in range(first, min(first + 500, until)):
                    event = Event(Act.COMMAND_ALLOWED, WS, "command", f"c{number}", bot, facts)
                    await office.audit.append(tx, event)

            await office.database.write(verb)
        from failgate.evidence.packs import Making, make

        making = Making(office.database, office.audit, office.folder, "t")
        heads = await office.heads()
        tracemalloc.start()
        pieces = await make(making, pack_of("approvals"), PLACE, heads, Period(), 0)
        async for piece in pieces:
            if piece is None:
                break
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    await peak(700)  # what is loaded once
    small, large = await peak(1500), await peak(6000)
    assert large < small * 1.5, (small, large)


async def test_a_pack_is_on_record_before_it_is_read(filled: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    exports = Exports(filled.database, filled.audit, filled.clock, filled.folder)
    ann = Actor("user", "ann", ("pwd", "otp"))
    size = await filled.audit.size(WS)
    made = await exports.pack(ann, WS, PLACE, pack_of("approvals"), Period())
    await anext(made.pieces)
    record = (await filled.audit.record_at(WS, size)).record
    assert (record["act"], record["actor"]["id"]) == ("audit.exported", "ann")
    assert (record["data"]["kind"], record["data"]["size"]) == ("approvals", size)
    monkeypatch.setattr(packs, "MOST_LINES", 0)
    with pytest.raises(BadInput):
        await exports.pack(ann, WS, PLACE, pack_of("approvals"), Period())
    assert await filled.audit.size(WS) == size + 2  # what was read and not given is on record too
    with pytest.raises(BadInput):
        await exports.pack(ann, WS, PLACE, pack_of("approvals"), Period(1, 2))
    assert await filled.audit.size(WS) == size + 2
