from pathlib import Path

import pytest

from failgate.config.errors import ConfigRefused
from failgate.config.positions import Span
from failgate.config.source import MASK, dotted_path, parse_source, read_source, show


def refusal(text: str) -> ConfigRefused:
    with pytest.raises(ConfigRefused) as caught:
        parse_source(text, "failgate.toml", Path.cwd(), {})
    return caught.value


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("[server\n", "failgate.toml:1:", "not TOML: Expected ']'"),
        ("[server]\nx = = 3\n", "failgate.toml:2:", "not TOML: Invalid value\n    x = = 3\n        ^"),
        ("a = 1\na = 2\n", "failgate.toml:2:", "Cannot overwrite a value"),
        ("\n\nx = [1,", "failgate.toml:3:", "Invalid value"),
        ("x = [1, 2\n\n\n", "failgate.toml:1:", "Unclosed array"),
        ('x = "open\n', "failgate.toml:1:", "Illegal character"),
        ("x = '\x1b[2J'\n", "failgate.toml:1:", "Found invalid character '\\x1b'"),
        ("x = " + "[" * 50_000, "failgate.toml:", "nested too deeply"),
    ],
)
def test_what_is_not_toml_is_refused_with_its_place(text: str, where: str, says: str) -> None:
    assert str(refusal(text)).startswith(where)
    assert says in str(refusal(text))


def test_a_refusal_prints_no_control_character() -> None:
    assert str(refusal("x = '\x1b[2J\u202e\x7f'\n")).replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "line",
    [
        'token = "hunter2',
        "dsn = postgres://u:hunter2@h",
        'url = "postgres://u:hunter2@h" x',
        'api_key = = "hunter2"',
        'x = "a" = # key hunter2',
    ],
)
def test_a_syntax_mistake_beside_a_secret_does_not_show_the_line(line: str) -> None:
    assert "hunter2" not in str(refusal(line))


def test_a_file_that_cannot_be_read_is_refused_with_its_mend(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.toml", tmp_path):
        with pytest.raises(ConfigRefused, match="failgate init") as caught:
            read_source(path, {})
        assert str(path) in str(caught.value)


def test_bytes_that_are_not_utf8_are_refused_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "failgate.toml"
    path.write_bytes(b'[server]\nlisten = "\xff"\n')
    with pytest.raises(ConfigRefused, match=r"failgate\.toml:2: byte 0xff is not UTF-8"):
        read_source(path, {})


def test_line_ends_and_a_byte_order_mark_of_other_editors_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "failgate.toml"
    path.write_bytes(b"\xef\xbb\xbf[server]\r\nlisten = 3\r\n")
    tables, source = read_source(path, {})
    assert tables == {"server": {"listen": 3}}
    assert source.mistake(("server", "listen"), "no", at="value").line == 2
    assert source.folder == tmp_path


def test_without_a_path_there_are_no_tables() -> None:
    tables, source = read_source(None, {})
    assert tables == {}
    assert str(source.mistake(("gate", "policies"), "is wrong")) == "the built-in defaults: gate.policies: is wrong"


def test_a_mistake_in_something_absent_stands_at_its_table() -> None:
    _, source = parse_source("\n[plugins.siem]\nuse = 'x'\n", "f", Path.cwd(), {})
    mistake = source.mistake(("plugins", "siem", "host"), "is needed")
    assert (mistake.line, mistake.excerpt, mistake.column, mistake.width) == (2, "[plugins.siem]", 9, 4)


@pytest.mark.parametrize(
    "line",
    [
        'password = "hunter2"',
        "Client_Secret = 'hunter2'",
        'x = 1 # the token is "hunter2"',
        'databse_url = "postgresql://me:hunter2@host/db"',
        'x = { api-key = "hunter2" }',
        'auth_token = """hunter2',
    ],
)
def test_an_excerpt_does_not_show_a_secret(line: str) -> None:
    text = line + ('\n"""' if '"""' in line else "")
    _, source = parse_source(text, "f", Path.cwd(), {})
    for path in [*source.positions.keys, *source.positions.values]:
        for at in ("key", "value"):
            assert "hunter2" not in str(source.mistake(path, "no", at=at))


def test_the_caret_stands_under_the_masked_value() -> None:
    excerpt, column, width = show('  token = "abc" # note', Span(1, 10, 5), hides_value=True)
    assert excerpt == f'token = "{MASK}" # note'
    assert excerpt[column : column + width] == f'"{MASK}"'


def test_a_long_line_is_cut_around_the_mistake() -> None:
    line = "x = [" + "1, " * 500 + "oops" + ", 1" * 500 + "]"
    excerpt, column, width = show(line, Span(1, line.index("oops"), 4), hides_value=False)
    assert len(excerpt) < 200
    assert excerpt[column : column + width] == "oops"


def test_wide_characters_push_the_caret() -> None:
    _, column, width = show('漢 = "字"', Span(1, 4, 3), hides_value=False)
    assert (column, width) == (5, 4)


def test_a_path_is_written_like_a_toml_key() -> None:
    assert dotted_path(("plugins", "a b", "list", 2, "x")) == 'plugins."a b".list[2].x'
