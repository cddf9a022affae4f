"""The auditor's page in a real browser: a second verifier, which says what the one in Python says. B10 P2"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.damages import BODIES, COUNT, DAMAGES, period, replace_records, rewrite
from tests.handmade import (
    LOG,
    Operator,
    b64url,
    bundle,
    committed,
    entries,
    leaf_hash,
    make_leaves,
    manifest,
    tree_root,
    verify,
    write_tar,
)  # fmt: skip
from tests.journeys.harness import Server, browser
from tests.journeys.pictures import picture
from tests.journeys.team import served

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "audit-vectors.json").read_text())
BODY_VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "body-vectors.json").read_text())
STATES = {0: "intact", 1: "tampered", 2: "unusable", 3: "incomplete"}


@pytest.fixture(scope="module")
def leaves() -> list[bytes]:
    return make_leaves(COUNT)


@pytest.fixture(scope="module")
def committed_leaves() -> list[bytes]:
    return make_leaves(COUNT, committed)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page, opened by nobody in particular; from then on there is no network."""
    with served(Server(tmp_path_factory.mktemp("verifier") / "data")) as server, browser() as chromium:
        with chromium.new_context(viewport={"width": 1280, "height": 900}) as context:
            page = context.new_page()
            said: list[str] = []
            page.on("console", lambda one: said.append(one.text))
            page.on("pageerror", lambda one: said.append(str(one)))
            page.goto(f"{server.url}/verify")
            expect(page.locator("[data-verifier]")).to_be_visible()
            context.set_offline(True)
            yield page
            assert said == []


def asked(
    page: Page, path: Path, kept: Path | None = None, vkey: str = "", others: Sequence[Path] = ()
) -> dict[str, Any]:
    """Give the page what an auditor has and return its verdict."""
    page.locator("#bundle").set_input_files(path)
    page.locator("#kept").set_input_files([kept] if kept else [])
    page.locator("#others").set_input_files(others)
    page.locator("#vkey").fill(vkey)
    page.evaluate("document.querySelector('[data-verdict]').removeAttribute('data-state')")
    page.get_by_role("button", name="Verify").click()
    page.locator("[data-verdict][data-state]").wait_for(timeout=60_000)
    shown: dict[str, Any] = page.locator("[data-verdict]").evaluate("one => ({...one.dataset})")
    shown["title"] = page.locator("[data-title]").text_content()
    shown["facts"] = page.locator("[data-facts]").text_content()
    return shown


def agree(page: Page, path: Path, kept: Path | None = None, vkey: str = "") -> str:
    """Return the state that both verifiers find; they name the same record."""
    options = [*(["--against", kept] if kept else []), *(["--vkey", vkey] if vkey else [])]
    return same(verify("full", path, *options), asked(page, path, kept, vkey))


def same(python: dict[str, Any], here: dict[str, Any]) -> str:
    first_bad = python.get("first_bad")
    assert (here["state"], here["firstBad"]) == (
        STATES[python["exit_code"]],
        "" if first_bad is None else str(first_bad),
    ), (python, here)
    return str(here["state"])


@pytest.mark.parametrize("count", [1, 2, 3, 255, 256, 257, 512, 600])
@pytest.mark.parametrize("with_hashes", [True, False])
def test_an_intact_bundle_is_proven_without_a_network(
    page: Page, tmp_path: Path, count: int, with_hashes: bool
) -> None:
    files = bundle(make_leaves(count), with_hashes=with_hashes)
    assert agree(page, write_tar(tmp_path / "bundle.tar", files)) == "intact"


@pytest.mark.parametrize("case", DAMAGES, ids=lambda case: case.name)
@pytest.mark.parametrize("with_hashes", [True, False])
def test_every_damage_is_found_at_the_same_record(page: Page, tmp_path: Path, leaves, case, with_hashes: bool) -> None:
    files = case.damage(leaves, bundle(leaves, with_hashes=with_hashes))
    assert agree(page, write_tar(tmp_path / "bundle.tar", files)) == "tampered"


def test_the_vectors_are_read_alike(page: Page, tmp_path: Path) -> None:
    leaves = [text.encode() for text in VECTORS["events_jcs"]]
    for count in range(1, 9):
        files = {
            "manifest.json": manifest(count, origin=VECTORS["origin"]),
            "vkey": VECTORS["vkey"].encode(),
            "checkpoint": VECTORS["checkpoints"][count].encode(),
            f"entries/000.p/{count}": entries(leaves[:count]),
        }
        path = write_tar(tmp_path / f"{count}.tar", files)
        assert agree(page, path, vkey=VECTORS["vkey"]) == "intact"
        assert VECTORS["roots_hex"][count] in asked(page, path)["facts"]


@pytest.mark.parametrize("case", BODIES, ids=lambda case: case[0])
def test_bodies_are_compared_as_the_other_verifier_does(page: Page, tmp_path: Path, committed_leaves, case) -> None:
    _, content, code, _ = case
    path = write_tar(tmp_path / "bundle.tar", bundle(committed_leaves) | {"bodies.jsonl": content})
    assert agree(page, path) == STATES[code]
    if code == 0:
        [said] = [line for line in verify("full", path)["lines"] if line.startswith("bodies")]
        assert said.removeprefix("bodies   ") in asked(page, path)["facts"]


def test_the_vectors_of_bodies_are_read_alike(page: Page, tmp_path: Path) -> None:
    leaves = [text.encode() for text in BODY_VECTORS["records_jcs"]]
    lines = "".join(f"{line}\n" for line in BODY_VECTORS["bodies_jsonl"]).encode()
    assert agree(page, write_tar(tmp_path / "bundle.tar", bundle(leaves) | {"bodies.jsonl": lines})) == "intact"
    spoiled = lines.replace(b"192.0.2.7", b"192.0.2.8")
    assert agree(page, write_tar(tmp_path / "bundle.tar", bundle(leaves) | {"bodies.jsonl": spoiled})) == "tampered"
    content = write_tar(tmp_path / "bundle.tar", bundle(leaves) | {"bodies.jsonl": lines}).read_bytes()
    (tmp_path / "cut.tar").write_bytes(content[: content.index(lines) + 100])
    assert agree(page, tmp_path / "cut.tar") == "incomplete"


SYSTEM = Operator(1, "failgate-test/log/system")
OURS = Operator(1, f"failgate-test/log/{LOG}")


def written(folder: Path, leaves: list[bytes], operator: Operator, **members: object) -> Path:
    return write_tar(folder, bundle(leaves, operator, origin=operator.origin, **members))


def test_the_log_of_logs_is_compared_as_the_other_verifier_does(page: Page, tmp_path: Path, leaves) -> None:
    def telling(*told, size=12):
        return log_of_logs(*((seq, act, count, tree_root([leaf_hash(one) for one in of[:count]])) for seq, act, count, of in told), size=size)  # fmt: skip

    heads = [(seq, "head.recorded", size, leaves) for seq, size in ((2, 1), (4, 256), (7, 300), (9, 600))]
    other = make_leaves(COUNT, lambda one: one | {"out": "deny"} if one["seq"] >= 280 else one)
    system = written(tmp_path / "system.tar", telling(*heads), SYSTEM)
    ours = written(tmp_path / "ours.tar", leaves, OURS)
    edited = written(tmp_path / "edited.tar", other, OURS)
    short = written(tmp_path / "short.tar", leaves[:500], OURS, made_at="2026-11-02T00:00:00.000000Z")
    older = written(tmp_path / "older.tar", leaves[:500], OURS, made_at="2026-11-01T00:00:05.000000Z")
    stranger = written(tmp_path / "stranger.tar", leaves, Operator(2, OURS.origin))
    elsewhere = written(tmp_path / "elsewhere.tar", leaves, Operator(1, f"other/log/{LOG}"))
    damaged = write_tar(tmp_path / "damaged.tar", DAMAGES[0].damage(leaves, bundle(leaves, OURS)))
    excuse = (8, "rollback.accepted", 0, other)
    excused = written(tmp_path / "excused.tar", telling(*heads[:3], excuse, (9, "head.recorded", 600, other)), SYSTEM)
    states = {
        (system, (ours,)): "intact", (system, (ours, ours)): "intact", (system, (edited,)): "tampered",
        (system, (ours, edited)): "tampered", (system, (short,)): "tampered", (system, (older,)): "incomplete",
        (system, (stranger,)): "unusable", (system, (elsewhere,)): "unusable", (system, (damaged,)): "tampered",
        (excused, (edited,)): "intact", (excused, (ours,)): "tampered", (ours, (ours,)): "unusable",
    }  # fmt: skip
    for (first, others), state in states.items():
        python = verify("heads", first, *others, "--vkey", (SYSTEM if first != ours else OURS).vkey)
        here = asked(page, first, vkey=(SYSTEM if first != ours else OURS).vkey, others=others)
        assert same(python, here) == state, (first.name, [one.name for one in others])
    found = asked(page, system, others=[ours])
    assert f"{OURS.origin}, 600 records: 4 recorded heads, each of them was one" in found["facts"]
    assert f"4 heads of the log {LOG}, the last of 600 records" in asked(page, system)["facts"]
    part = write_tar(tmp_path / "part.tar", period(log_of_logs(size=1000), 300, 400, 1, 2))
    assert asked(page, part)["state"] == "intact"


@pytest.mark.parametrize(
    "change",
    [
        {"obj": None}, {"obj": {"t": "log", "id": [1]}}, {"data": []}, {"data": {}}, {"data": {"size": -1, "root": "A" * 43}},
        {"data": {"size": True, "root": "A" * 43}}, {"data": {"size": 1, "root": ["A" * 43]}}, {"data": {"size": 1, "root": "A" * 44}},
        {"data": {"size": 1, "root": "A" * 42 + "+"}}, {"act": "rollback.accepted", "data": None},
    ],
)  # fmt: skip
def test_a_record_that_states_no_head_is_no_verdict_on_the_log_alone(
    page: Page, tmp_path: Path, leaves, change
) -> None:
    told = {"ws": "system", "act": "head.recorded", "obj": {"t": "log", "id": LOG}}
    system = written(tmp_path / "system.tar", make_leaves(3, lambda one: one | told | change), SYSTEM)
    ours = written(tmp_path / "ours.tar", leaves, OURS)
    assert same(verify("heads", system, ours), asked(page, system, others=[ours])) == "unusable"
    assert agree(page, system) == "intact"
    assert "states no head" in asked(page, system)["facts"]


def log_of_logs(*told: tuple[int, str, int, bytes], size: int = 12) -> list[bytes]:
    """The log `system`, of which some records tell of heads: (its number, act, size, root)."""
    by_seq = {seq: rest for seq, *rest in told}

    def change(record: dict[str, Any]) -> dict[str, Any]:
        record |= {"ws": "system"}
        if record["seq"] in by_seq:
            act, count, root = by_seq[record["seq"]]
            data = {"size": count, "root": b64url(root)} if act == "head.recorded" else {"reason": "x"}
            record |= {"act": act, "obj": {"t": "log", "id": LOG}, "data": data}
        return record

    return make_leaves(size, change)


def test_a_kept_checkpoint_and_a_told_key_count_here_too(page: Page, tmp_path: Path, leaves) -> None:
    operator, kept = Operator(), tmp_path / "kept"
    true = write_tar(tmp_path / "true.tar", bundle(leaves))
    false = write_tar(tmp_path / "false.tar", bundle(rewrite(leaves, 300)))
    short = write_tar(tmp_path / "short.tar", bundle(leaves[:400]))
    kept.write_text(operator.note(leaves, 512))
    assert agree(page, true, kept, operator.vkey) == "intact"
    assert agree(page, false) == "intact"
    assert agree(page, false, kept) == "tampered"
    assert agree(page, short, kept) == "tampered"
    assert agree(page, true, vkey=Operator(2).vkey) == "tampered"
    assert agree(page, true, vkey="nonsense") == "unusable"
    kept.write_text(Operator(2).note(leaves, 512))
    assert agree(page, true, kept) == "unusable"
    for text in ("", "\n", "a\n1\nb\n\n— x y\n", "\x00"):
        kept.write_text(text)
        assert agree(page, true, kept) == "unusable"


def test_a_period_and_what_is_missing_of_it(page: Page, tmp_path: Path) -> None:
    files = period(make_leaves(1000), 300, 400, 1, 2)
    assert agree(page, write_tar(tmp_path / "period.tar", files)) == "intact"
    for name in ("tile/1/000.p/3", "tile/0/003.p/232", "vkey", "checkpoint", "manifest.json"):
        some = {key: value for key, value in files.items() if key != name}
        assert agree(page, write_tar(tmp_path / "some.tar", some)) == "incomplete", name
    assert agree(page, write_tar(tmp_path / "none.tar", replace_records(files, []))) == "tampered"


def test_hostile_files_are_refused_and_shown_as_text(page: Page, tmp_path: Path, leaves) -> None:
    files = bundle(leaves)
    for name, content in {
        "../x": b"", "entries/000.p/256": b"", "<img src=x onerror=alert(1)>": b"", "readme": b"", "entries/000.p/999": b"",
    }.items():  # fmt: skip
        assert agree(page, write_tar(tmp_path / "bundle.tar", files | {name: content})) == "unusable"
    for name, content in {"empty": b"", "noise": bytes(range(256)) * 20}.items():
        (tmp_path / name).write_bytes(content)
        assert agree(page, tmp_path / name) == "unusable"
    for text in (b"", b"[]", b"[" * 60_000, b"9" * 60_000, b"NaN", b"\xff", b"{}", manifest(COUNT, v=2)):
        assert agree(page, write_tar(tmp_path / "bundle.tar", files | {"manifest.json": text})) == "unusable", text[:20]
    strange = Operator(1, "<b>\u202elog</b>")
    named = bundle(leaves, strange, origin=strange.origin)
    assert agree(page, write_tar(tmp_path / "bundle.tar", named)) == "intact"
    assert "<b>\\u{202e}log</b>" in asked(page, tmp_path / "bundle.tar")["facts"]
    content = write_tar(tmp_path / "bundle.tar", files).read_bytes()
    for cut in range(1, 20):
        (tmp_path / "cut.tar").write_bytes(content[: len(content) * cut // 20])
        agree(page, tmp_path / "cut.tar")


def test_only_canonical_records_are_records(page: Page, tmp_path: Path) -> None:
    """Signed as they stand, and still refused: two readers could read them differently."""
    for old, new in (
        (b'"out":"ok"', b'"out":"deny","out":"ok"'), (b'"seq":0', b'"seq":0.0'), (b'"v":1', b'"v":1.0'), (b'"v":1', b'"v":-0'),
        (b'"v":1', b'"v":9007199254740992'), (b'"v":1', b'"v":1e3'), (b'"out":"ok"', b'"out":"\\u006fk"'), (b'"out":"ok"', b'"out":"\\ud800"'),
        (b'"out":"ok"', b'"out":"\x7f"'), (b'"out":"ok"', b'"out":"\\u001f"'), (b'"out":"ok"', b'"out":"\\u001F"'), (b'"out":"ok"', b'"out":"\xff"'),
        (b'"out":"ok"', b'"out":"\xef\xbb\xbf"'), (b'{"act"', b'\xef\xbb\xbf{"act"'), (b'"out":"ok"', b'"out":"\xe2\x80\xa8"'),
        (b'"out":"ok"', b'"out":"\\/"'), (b'"req":null', b'"req":' + b"[" * 70 + b"]" * 70), (b'"req":null', b'"req":' + b"[" * 60 + b"]" * 60),
        (b'"req":null', b'"req":{"\xf0\x9f\x98\x80":1,"\xef\xbf\xbd":2}'), (b'"req":null', b'"req":{"\xef\xbf\xbd":2,"\xf0\x9f\x98\x80":1}'),
        (b'"req":null', b'"req":{"10":1,"9":2,"__proto__":3}'), (b'"ws":"', b'"ws":null,"x":"'), (b'"seq":0', b'"seq":"0"'),
    ):  # fmt: skip
        leaf = make_leaves(1)[0]
        assert old in leaf
        agree(page, write_tar(tmp_path / "bundle.tar", bundle([leaf.replace(old, new)], with_hashes=False)))


def test_the_page_fits_and_reads_well(page: Page, tmp_path: Path, leaves) -> None:
    good = write_tar(tmp_path / "acme-2026-11.tar", bundle(leaves))
    bad = write_tar(tmp_path / "edited.tar", DAMAGES[4].damage(leaves, bundle(leaves)))
    for name, path in (("verifier-intact", good), ("verifier-tampered", bad)):
        asked(page, path)
        for width in (320, 390, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
            if width > 320:
                picture(page, f"{name}-{width}")
