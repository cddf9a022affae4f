"""docs/auditor.md, followed literally where there is no server: a venv with nothing but the verifier's wheel in it. B10"""

import json
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.handmade import (
    LOG,
    TABLE,
    Operator,
    bundle,
    canonical,
    leaf_hash,
    make_leaves,
    pack,
    pack_line,
    record,
    time_of,
    write_tar,
)

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "auditor.md"
STEP = re.compile(r"```sh auditor\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)
Files = dict[str, bytes]


def with_records(files: Files, leaves: list[bytes]) -> Files:
    others = {name: content for name, content in files.items() if not name.startswith("entries")}
    return others | {name: content for name, content in bundle(leaves).items() if name.startswith("entries")}


def rewritten(leaves: list[bytes], seq: int) -> list[bytes]:
    made = list(leaves[:seq])
    for number in range(seq, len(leaves)):
        members = {"act": "vote.cast", "out": "deny"} if number == seq else {}
        made.append(canonical(record(number, leaf_hash(made[-1]), **members)))
    return made


def proof_of(files: Files, leaves: list[bytes], seq: int) -> str:
    import base64

    hashes = [leaf_hash(leaf) for leaf in leaves]

    def path(nodes: list[bytes], place: int) -> list[bytes]:
        from tests.handmade import tree_root

        if len(nodes) == 1:
            return []
        middle = 1 << (len(nodes) - 1).bit_length() - 1
        if place < middle:
            return [*path(nodes[:middle], place), tree_root(nodes[middle:])]
        return [*path(nodes[middle:], place - middle), tree_root(nodes[:middle])]

    lines = "".join(f"{base64.b64encode(one).decode()}\n" for one in path(hashes, seq))
    extra = base64.b64encode(leaves[seq]).decode()
    return f"c2sp.org/tlog-proof@v1\nextra {extra}\nindex {seq}\n{lines}\n{files['checkpoint'].decode()}"


def lay_out(folder: Path) -> None:
    """What the page says that the folder holds."""
    leaves, operator = make_leaves(600), Operator()
    files = bundle(leaves)
    period = bundle(leaves, first=300, last=400, **{"from": time_of(300), "to": time_of(401)})
    forged = canonical(record(300, leaf_hash(leaves[299]), act="member.removed"))
    text, _, signature = files["checkpoint"].decode().rpartition("\n\n")
    origin, size, _ = text.split("\n")
    other_root = Operator().note(rewritten(leaves, 300)).split("\n")[2]
    bundles = {
        "acme": files,
        "november": {
            name: one for name, one in period.items() if not re.match("(entries|tile/0)/00[02]$|entries/002", name)
        },
        "edited": with_records(files, [*leaves[:300], leaves[300].replace(b'"ok"', b'"no"'), *leaves[301:]]),
        "removed": with_records(files, [*leaves[:300], *leaves[301:]]),
        "swapped": with_records(files, [*leaves[:300], leaves[301], leaves[300], *leaves[302:]]),
        "inserted": with_records(files, [*leaves[:300], forged, *leaves[300:]]),
        "cut": with_records(files, leaves[:500]),
        "manifest": files | {"manifest.json": bundle(leaves, last=499)["manifest.json"]},
        "other-log": files | {"checkpoint": Operator(1, "failgate-test/log/system").note(leaves).encode()},
        "forged": files | {"checkpoint": f"{origin}\n{size}\n{other_root}\n\n{signature}".encode()},
        "rewritten": bundle(rewritten(leaves, 300)),
    }
    lines = "".join(pack_line(leaves, seq) for seq in (300, 301, 350)) + pack_line(leaves, 5, log="system")
    bundles["acme-approvals"] = pack(leaves, TABLE + lines, inside=bundles["november"])
    other = pack_line(leaves, 300).split(",")[2]
    mixed_up = lines.replace(pack_line(leaves, 350).split(",")[2], other)
    bundles["mixed-up-approvals"] = pack(leaves, TABLE + mixed_up, inside=bundles["november"])
    for name, content in bundles.items():
        write_tar(folder / f"{name}.tar", content)
    (folder / "acme.vkey").write_text(operator.vkey)
    (folder / "kept.checkpoint").write_text(operator.note(leaves, 512))
    (folder / "shown-to-somebody-else.checkpoint").write_text(operator.note(rewritten(leaves, 300), 512))
    (folder / "record-300.tlog-proof").write_text(proof_of(files, leaves, 300))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A folder as the page has it, and the environment of a machine that has the verifier and no server."""
    root = tmp_path_factory.mktemp("auditor")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(root / "wheel")]
    made = subprocess.run(build, cwd=ROOT / "tools" / "failgate-verify", capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    wheel = next((root / "wheel").glob("failgate_verify-*-py3-none-any.whl"))
    venv.create(root / "venv", with_pip=False)
    place = next((root / "venv" / "lib").glob("python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:  # what `pip install` does with a wheel, without asking an index
        archive.extractall(place)
    metadata = next(place.glob("*.dist-info/METADATA")).read_text()
    assert "Requires-Dist" not in metadata
    program = root / "venv" / "bin" / "failgate-verify"
    program.write_text(
        f"#!{root}/venv/bin/python -I\nimport sys\nfrom failgate_verify.main import main\nsys.exit(main())\n"
    )
    program.chmod(0o755)
    (root / "work").mkdir()
    lay_out(root / "work")
    return {"PATH": f"{root}/venv/bin:/usr/bin:/bin", "HOME": str(root / "work"), "LC_ALL": "C.UTF-8"}


def test_there_is_no_server_on_that_machine(machine: dict[str, str]) -> None:
    code = "import importlib.util as u; print([u.find_spec(name) for name in ('failgate', 'cryptography', 'click', 'pytest')])"
    found = subprocess.run(["python", "-c", code], env=machine, capture_output=True, text=True, cwd=machine["HOME"])
    assert found.stdout == "[None, None, None, None]\n", found.stderr


STEPS = STEP.findall(PAGE.read_text())


def test_the_page_shows_the_eight_ways_to_tamper() -> None:
    assert sum("failgate-verify: tampered" in shown for _, shown in STEPS) >= 8
    assert len(STEPS) == PAGE.read_text().count("```sh auditor")


@pytest.mark.parametrize("step", STEPS, ids=[step[0].strip()[:60] for step in STEPS])
def test_what_the_page_shows_is_what_happens(machine: dict[str, str], step: tuple[str, str]) -> None:
    commands, shown = step
    found = subprocess.run(["bash", "-c", commands], env=machine, cwd=machine["HOME"], capture_output=True, text=True)
    assert found.stdout == shown
    assert found.stderr == ""
    states = {"intact": 0, "tampered": 1, "unusable": 2, "incomplete": 3}
    state = shown.splitlines()[-1].removeprefix("failgate-verify: ").split(",")[0]
    assert found.returncode == states[state]


def test_the_log_of_the_page_is_that_of_the_test() -> None:
    assert LOG in json.loads(make_leaves(1)[0])["ws"]
