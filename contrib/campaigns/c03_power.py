"""C3: power loss. What was not synced may be there, torn at sectors, or not; what was acknowledged has to be there.

The calls of a worker are read from `strace`; at many points states of the disk are built that a fall may leave: synced
bytes stay, others are dropped or torn at 512 bytes; names that were made, moved or removed since their folder was
synced are there or not. Each state is opened by the product. After ALICE (Pillai et al., OSDI 2014).
"""

import codecs
import hashlib
import random
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from campaign import Campaign, Seen
from ground import opened, verification

HERE = Path(__file__).parent
SECTOR = 512
CALLS = "openat,pwrite64,write,fsync,fdatasync,ftruncate,unlink,rename,mkdir,close,fcntl"


def unescaped(text: str) -> bytes:
    return codecs.escape_decode(text.encode())[0]


@dataclass
class File:
    """An inode: its synced bytes, and what was done to it since."""

    synced: bytearray = field(default_factory=bytearray)
    since: list[tuple[str, int, bytes]] = field(default_factory=list)

    def sync(self) -> None:
        for step in self.since:
            self.apply(self.synced, step)
        self.since = []

    @staticmethod
    def apply(content: bytearray, step: tuple[str, int, bytes]) -> None:
        kind, offset, octets = step
        if kind == "cut":
            del content[offset:]
            content.extend(b"\0" * (offset - len(content)))
            return
        content.extend(b"\0" * (offset - len(content)))
        content[offset : offset + len(octets)] = octets

    def after(self, how: str, chance: random.Random) -> bytearray:
        """Return the bytes after a fall: `dropped` what was not synced, `all` of it, or `torn`."""
        content = bytearray(self.synced)
        for step in self.since:
            kind, offset, octets = step
            if how == "all" or (how == "torn" and kind == "cut" and chance.random() < 0.5):
                self.apply(content, step)
            elif how == "torn" and kind == "write":
                for start in range(0, len(octets), SECTOR):
                    if chance.random() < 0.5:
                        self.apply(content, ("write", offset + start, octets[start : start + SECTOR]))
        return content


class Disk:
    """Files and names below one folder, as the calls leave them."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self.names: dict[str, File] = {}
        self.synced_names: dict[str, File] = {}
        self.changed: list[tuple[str, File | None]] = []  # names since their folder was synced, in order
        self._open: dict[int, tuple[str, File | None]] = {}
        self._offsets: dict[int, int] = {}
        for path in data.rglob("*"):
            if path.is_file() and not path.name.endswith("-shm"):
                self.names[str(path)] = File(bytearray(path.read_bytes()))
        self.synced_names = dict(self.names)
        self.told: list[str] = []

    def see(self, line: str) -> None:
        """Take one line of strace."""
        found = re.match(r"\d+\s+(\w+)\((.*)\)\s+= (-?\d+)", line)
        if found is None or int(found[3]) < 0:
            return
        call, arguments, result = found[1], found[2], int(found[3])
        texts = re.findall(r'"([^"]*)"', arguments)
        number = int(arguments.split(",")[0]) if re.match(r"\d+", arguments) else -1
        if call == "openat":
            path = unescaped(texts[0]).decode("utf-8", "replace")
            self._opened(path, arguments, result)
        elif call == "close":
            self._open.pop(number, None)
        elif call in {"write", "pwrite64"}:
            octets = unescaped(texts[0])[:result]
            if call == "write" and number == 1:
                self.told += octets.decode().splitlines()
            elif number in self._open and (file := self._open[number][1]) is not None:
                at = self._offsets[number] if call == "write" else int(arguments.rsplit(",", 1)[1])
                file.since.append(("write", at, octets))
                self._offsets[number] = at + len(octets)
        elif call == "ftruncate" and number in self._open:
            if (file := self._open[number][1]) is not None:
                file.since.append(("cut", int(arguments.split(",")[1]), b""))
        elif call in {"fsync", "fdatasync"} and number in self._open:
            self._sync(*self._open[number])
        elif call == "unlink":
            self._name(unescaped(texts[0]).decode(), None)
        elif call == "rename":
            old, new = (unescaped(text).decode() for text in texts[:2])
            if old in self.names:
                self._name(new, self.names[old])
                self._name(old, None)

    def _opened(self, path: str, arguments: str, number: int) -> None:
        self._open.pop(number, None)
        if not path.startswith(str(self._data)) or path.endswith("-shm"):
            return
        if Path(path).is_dir() and path not in self.names:
            self._open[number] = (path, None)
            return
        if path not in self.names:
            if "O_CREAT" not in arguments:
                self._open[number] = (path, None)  # a folder that is gone by now
                return
            self._name(path, File())
        file = self.names[path]
        if "O_TRUNC" in arguments:
            file.since.append(("cut", 0, b""))
        self._open[number], self._offsets[number] = (path, file), 0

    def _name(self, path: str, file: File | None) -> None:
        if not path.startswith(str(self._data)) or path.endswith("-shm"):
            return
        if file is None:
            self.names.pop(path, None)
        else:
            self.names[path] = file
        self.changed.append((path, file))

    def _sync(self, path: str, file: File | None) -> None:
        if file is not None:
            file.sync()
            return
        for name, meant in [one for one in self.changed if str(Path(one[0]).parent) == path]:
            self._settle(self.synced_names, name, meant)
            self.changed.remove((name, meant))

    @staticmethod
    def _settle(names: dict[str, File], name: str, meant: File | None) -> None:
        if meant is None:
            names.pop(name, None)
        else:
            names[name] = meant

    def fall(self, target: Path, how: str, chance: random.Random) -> None:
        """Write below `target` what a fall now leaves."""
        names = dict(self.synced_names)
        for name, meant in self.changed:
            if how == "all" or (how == "torn" and chance.random() < 0.5):
                self._settle(names, name, meant)
        for name, file in names.items():
            path = target / Path(name).relative_to(self._data)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.after(how, chance))
            path.chmod(0o600)


def traced(folder: Path, count: int, *fault: str) -> tuple[Path, list[str]]:
    """Return the data folder as it was before the worker, and the lines of its trace."""
    data, trace = folder / "data", folder / "trace"
    python = [sys.executable, str(HERE / "worker.py")]
    subprocess.run([*python, "prepare", str(data)], check=True, stdout=subprocess.DEVNULL)
    shutil.copytree(data, folder / "before")
    subprocess.run(
        ["strace", "-f", "-qq", "-xx", "-s", "100000", "-e", f"trace={CALLS}", "-o", str(trace),
         *python, "power", str(data), str(count), *fault],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return data, trace.read_text().splitlines()


def check(place: Path, told: list[str], seen: Seen, where: str) -> None:
    """Compare a state with what was acknowledged before it."""
    database, before = place / "failgate.sqlite", len(seen.broken)
    try:
        with opened(database) as connection:
            damage = connection.execute("PRAGMA integrity_check").fetchone()[0]
            sizes = dict(connection.execute("SELECT log, size FROM audit_head").fetchall())
    except Exception as error:
        seen.broken.append(f"{where}: the database does not open: {error}")
        return
    seen.expect(damage == "ok", f"{where}: {damage}")
    last = max([int(line.split()[1]) for line in told if line.startswith("RECORD")], default=-1)
    seen.expect(sizes.get("system", 0) > last, f"{where}: record {last} was acknowledged, there are {sizes}")
    for line in told:
        if line.startswith("OBJECT"):
            _, key, sha256 = line.split()
            path = place / "objects" / key[-4:-2] / key[-2:] / key
            is_whole = path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256
            seen.expect(is_whole, f"{where}: object {key} was acknowledged and is not whole")
    if len(seen.broken) == before:
        state, why = verification(database, place)  # with the sidecar: it is never ahead of the database
        seen.expect(state == "intact", f"{where}: {state}: {why}")


def states(folder: Path, count: int, chance: random.Random, *fault: str) -> Seen:
    seen = Seen()
    data, lines = traced(folder, max(40, min(count // 8, 400)), *fault)
    shutil.rmtree(data)
    (folder / "before").rename(data)
    disk = Disk(data)
    points = sorted(chance.choices(range(len(lines) // 10, len(lines)), k=count))
    at: dict[int, int] = {}
    for point in points:
        at[point] = at.get(point, 0) + 1
    for number, line in enumerate(lines):
        disk.see(line)
        for _ in range(at.get(number, 0)):
            place = folder / "state"
            how = ("dropped", "torn", "torn", "all")[seen.count % 4]
            disk.fall(place, how, chance)
            check(place, disk.told, seen, f"state {seen.count} ({how}, after call {number})")
            shutil.rmtree(place)
            seen.count += 1
    seen.expect(len(disk.told) > 20, "the worker acknowledged nothing")
    seen.figures = {"calls": len(lines), "acknowledged": len(disk.told)}
    return seen


def run(folder: Path, count: int, chance: random.Random) -> Seen:
    return states(folder, count, chance)


def control(folder: Path, chance: random.Random) -> Seen:
    return states(folder, 60, chance, "NORMAL")


CAMPAIGN = Campaign(
    "C3", "after a power loss everything acknowledged is there and proves itself", "states of the disk",
    "synchronous=NORMAL", {"ci": 400, "nightly": 50_000, "release": 500_000}, run, control,
)  # fmt: skip
