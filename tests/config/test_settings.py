from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest

from failgate.base.secret import Secret
from failgate.config.bounds import Between, Fits
from failgate.config.errors import SettingRefused
from failgate.config.settings import Reader, nearest
from failgate.config.source import parse_source
from failgate.config.units import Duration, Size


def no_spaces(text: str) -> None:
    if " " in text:
        raise ValueError("takes no spaces")


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    host: str
    port: Annotated[int, Between(1, 65535)] = 514


class Everything(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    text: Annotated[str, Fits(no_spaces)] = "x"
    short: Annotated[str, msgspec.Meta(max_length=3)] = "x"
    number: int = 1
    ratio: float = 0.5
    flag: bool = False
    mode: Literal["fast", "slow"] = "fast"
    level: Literal[1, 2] = 1
    wait: Annotated[Duration, Between("1s", "1h")] = Duration("5s")
    room: Size | None = None
    key: Secret | None = None
    path: Path | None = None
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    names: list[str] = []
    table: dict[str, Duration] = {}

    def __post_init__(self) -> None:
        if self.number == 13:
            raise SettingRefused("number", "is unlucky")
        if self.number == 14:
            raise ValueError("the whole section is unlucky")


def read(toml: str, env: dict[str, str] | None = None, folder: Path | None = None) -> tuple[Everything | None, str]:
    tables, source = parse_source(toml, "f.toml", folder or Path.cwd(), env or {})
    reader = Reader(source)
    found = reader.read(Everything, tables, (), "thing 1.0")
    return found, "\n".join(map(str, reader.mistakes))


def test_nothing_said_gives_the_defaults() -> None:
    assert read("") == (Everything(), "")


def test_every_kind_of_setting_is_read(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from a file\n")
    found, mistakes = read(
        'text = "a"\nnumber = 2\nratio = 3\nflag = true\nmode = "slow"\nlevel = 2\nwait = "1m"\nroom = "1MiB"\n'
        'key = { file = "key" }\npath = "sub/file"\nnames = ["a", "b"]\n'
        'inner = { host = "h" }\ntable = { a = "1s" }\n[[many]]\nhost = "one"\nport = 1\n[[many]]\nhost = "two"\n',
        folder=tmp_path,
    )
    assert mistakes == ""
    assert found == Everything(
        text="a",
        number=2,
        ratio=3.0,
        flag=True,
        mode="slow",
        level=2,
        wait=Duration("1m"),
        room=Size("1MiB"),
        key=Secret("from a file"),
        path=tmp_path / "sub/file",
        names=["a", "b"],
        inner=Inner("h"),
        table={"a": Duration("1s")},
        many=(Inner("one", 1), Inner("two")),
    )


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('text = "a b"', 'f.toml:1: text: takes no spaces\n    text = "a b"\n           ^^^^^'),
        ("text = 3", "text: takes a text in quotes, not a whole number"),
        ('short = "long"', "short: expected `str` of length <= 3"),
        ('number = "3"', "number: takes a whole number, not a text"),
        ("number = 3.5", "number: takes a whole number, not a number"),
        ("number = true", "number: takes a whole number, not a true or false"),
        ("ratio = false", "ratio: takes a number, not a true or false"),
        ("flag = 1", "flag: takes true or false, not a whole number"),
        ('flag = "yes"', "flag: takes true or false, not a text"),
        ('mode = "fsat"', 'mode: takes "fast" or "slow"\n    mode = "fsat"\n           ^^^^^^\n  did you mean "fast"?'),
        ("mode = [1]", 'mode: takes "fast" or "slow"'),
        ("mode = { a = 1 }", 'mode: takes "fast" or "slow"'),
        ("level = 3", 'level: takes "1" or "2"'),
        ("wait = 60", 'wait: a duration carries its unit: say "60s"'),
        ("wait = 6.5", 'wait: takes a duration like "15m", not a number'),
        ("wait = true", "wait: takes a duration"),
        ('wait = "0s"', "wait: must be at least 1s"),
        ('wait = "61m"', "wait: must be at most 1h"),
        ("room = 5", 'room: a size carries its unit: say "5KiB"'),
        ("room = 1979-05-27", "room: takes a size like"),
        ("path = 5", "path: takes a path, not a whole number"),
        ("names = 'a'", "names: takes a list, not a text: put it in brackets"),
        ("names = ['a', 1, 2]", "names[1]: takes a text in quotes"),
        ("names = ['a', 1, 2]", "names[2]: takes a text in quotes"),
        ("inner = 'a'", "inner: takes a table, not a text"),
        ("inner = { port = 1 }", "inner.host: this setting is needed and has no default"),
        ("inner = { host = 'a', prot = 1 }", "inner.prot: no such setting\n    inner = { host = 'a', prot = 1 }"),
        ("inner = { host = 'a', port = 0 }", "inner.port: must be at least 1"),
        ("many = [{ host = 'a' }, { host = 1 }]", "many[1].host: takes a text in quotes"),
        ("table = { a = '1s', b = 2 }", "table.b: a duration carries its unit"),
        ("table = 3", "table: takes a table, not a whole number"),
        ("number = 13", "number: is unlucky\n    number = 13\n             ^^"),
        ("number = 14", "the whole section is unlucky"),
        (
            "wiat = '5s'",
            "wiat: no such setting\n    wiat = '5s'\n    ^^^^\n  did you mean \"wait\"? thing 1.0 takes: flag, inner,",
        ),
        ("zzzzzz = 1", "zzzzzz: no such setting\n    zzzzzz = 1\n    ^^^^^^\n  thing 1.0 takes: flag"),
    ],
)
def test_a_mistake_says_where_it_is_and_what_is_accepted(line: str, says: str) -> None:
    found, mistakes = read(line)
    assert found is None
    assert says in mistakes
    assert "f.toml:1:" in mistakes or "unlucky" in mistakes


def test_all_mistakes_are_listed_at_once() -> None:
    found, mistakes = read("number = 'x'\nwiat = 1\nnames = [1]\n[inner]\nport = 'y'\n[nope]\n")
    assert found is None
    assert [line for line in mistakes.splitlines() if line.startswith("f.toml")] == [
        "f.toml:2: wiat: no such setting",
        "f.toml:6: nope: no such setting",
        "f.toml:1: number: takes a whole number, not a text",
        "f.toml:4: inner.host: this setting is needed and has no default",
        "f.toml:5: inner.port: takes a whole number, not a text",
        "f.toml:3: names[0]: takes a text in quotes, not a whole number",
    ]


def test_a_secret_comes_from_the_environment_and_does_not_print() -> None:
    found, _ = read('key = { env = "KEY" }', {"KEY": "hunter2"})
    assert found is not None
    assert found.key == Secret("hunter2")
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ('"hunter2"', 'a secret does not stand in this file: say { env = "NAME" }, { file = "/path" }, { cred'),
        ("12345", "a secret does not stand in this file"),
        ('{ env = "ABSENT" }', "the environment variable ABSENT is not set"),
        ('{ env = "EMPTY" }', "the environment variable EMPTY is not set, or empty"),
        ('{ env = "A", file = "B" }', "a secret comes from one place"),
        ("{}", "a secret comes from one place"),
        ('{ emv = "A" }', "a secret comes from one place"),
        ("{ env = 3 }", "a secret comes from one place"),
        ('{ file = "absent" }', "cannot be read: No such file"),
        ('{ file = "." }', "cannot be read: Is a directory"),
        ('{ file = "empty" }', "is empty"),
        ('{ file = "binary" }', "is not UTF-8 text"),
        ('{ file = "large" }', "larger than 64 KiB"),
        ('{ credential = "key" }', "there are no credentials: say LoadCredentialEncrypted=key:/path"),
        ('{ credential = "../key" }', "a credential's name has letters"),
        ("{ command = [] }", "a secret comes from one place"),
        ('{ command = "vault" }', "a secret comes from one place"),
        ('{ command = ["no-such-program-of-all"] }', "no-such-program-of-all is not there, or not in PATH"),
        ('{ command = ["sh", "-c", "echo hunter2; exit 3"] }', "the program sh ended with 3"),
        ('{ command = ["sh", "-c", "echo"] }', "what the program sh printed is empty"),
        ('{ command = ["head", "-c", "65537", "/dev/zero"] }', "larger than 64 KiB"),
    ],
)
def test_a_secret_that_cannot_be_had_is_a_mistake_that_does_not_show_it(tmp_path: Path, value: str, says: str) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_text("x" * 65_537)
    found, mistakes = read(f"key = {value}", {"EMPTY": ""}, tmp_path)
    assert found is None
    assert says in mistakes
    assert "hunter2" not in mistakes


@pytest.mark.parametrize(
    ("written", "known", "meant"),
    [
        ("reviwers", ["end", "reviewers", "start"], "reviewers"),
        ("public-url", ["public_url", "listen"], "public_url"),
        ("LISTEN", ["listen"], "listen"),
        ("zzz", ["listen"], None),
        ("x", [], None),
    ],
)
def test_the_nearest_name_is_the_one_that_was_meant(written: str, known: list[str], meant: str | None) -> None:
    assert nearest(written, known) == meant
