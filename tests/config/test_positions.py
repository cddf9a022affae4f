"""The scanner against the standard library's reader: it finds every key and value, and what stands there is it."""

import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from failgate.config.positions import KeyPath, Positions, locate

SPACE = st.sampled_from(["", " ", "  ", "\t"])
GAP = st.sampled_from(["", " ", "\n", " # comment ] } = [x]\n", "\n\t"])
BARE = st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True)
INNER = st.text(st.sampled_from("ab\"'#=[]{}.,é漢 \\"), max_size=6)


def basic(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


KEY = st.one_of(BARE, INNER.map(basic), INNER.filter(lambda t: "'" not in t).map(lambda t: f"'{t}'"))
MULTI = INNER.map(lambda t: t.replace("\\", "").replace('"""', "").strip('"'))
SCALAR = st.one_of(
    st.integers(-9, 10**12).map(str),
    st.sampled_from(["true", "false", "1e5", "-inf", "0xDEAD", "1_000", "0.5"]),
    st.sampled_from(["1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "1979-05-27 07:32:00.5", "1979-05-27t07:32:00"]),
    INNER.map(basic),
    INNER.filter(lambda t: "'" not in t).map(lambda t: f"'{t}'"),
    MULTI.map(lambda t: f'"""{t}\n#no = "comment" \\\n {t}"""'),
    MULTI.map(lambda t: f'"""{t} ""quoted"""""'),
    MULTI.filter(lambda t: "'" not in t).map(lambda t: f"'''\n{t}\n[no.header]\n'''"),
    st.sampled_from(['""', "''", '""""""', "''''''", "'''a''''"]),
)


@st.composite
def arrays(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    items = draw(st.lists(inner, max_size=3))
    text = ",".join(draw(GAP) + item + draw(GAP) for item in items)
    return "[" + text + ("," if items and draw(st.booleans()) else "") + draw(GAP) + "]"


@st.composite
def inline_tables(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    pairs = draw(
        st.lists(st.tuples(KEY, inner), max_size=3, unique_by=lambda pair: tomllib.loads(f"{pair[0]}=1").popitem()[0])
    )
    return "{" + ", ".join(f"{draw(SPACE)}{key}{draw(SPACE)}={draw(SPACE)}{value}" for key, value in pairs) + " }"


VALUE = st.recursive(SCALAR, lambda inner: st.one_of(arrays(inner), inline_tables(inner)), max_leaves=6)


@st.composite
def documents(draw: st.DrawFn) -> str:
    lines = []
    for _ in range(draw(st.integers(1, 8))):
        dotted = (draw(SPACE) + "." + draw(SPACE)).join(draw(st.lists(KEY, min_size=1, max_size=3)))
        kind = draw(st.sampled_from(["pair", "pair", "pair", "header", "array", "comment"]))
        lead = draw(SPACE)
        tail = draw(st.sampled_from(["", " ", " # note = [1]"]))
        match kind:
            case "pair":
                lines.append(f"{lead}{dotted}{draw(SPACE)}={draw(SPACE)}{draw(VALUE)}{tail}")
            case "header":
                lines.append(f"{lead}[{draw(SPACE)}{dotted}{draw(SPACE)}]{tail}")
            case "array":
                lines += [f"{lead}[[{dotted}]]{tail}"] * draw(st.integers(1, 2))
            case _:
                lines.append(f"{lead}# [{dotted}] = ")
    return "\n".join(lines) + draw(st.sampled_from(["", "\n", "\n\n"]))


def reject_invalid(document: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(document)
    except tomllib.TOMLDecodeError:
        return None


def paths(value: Any, path: KeyPath = ()) -> list[tuple[KeyPath, Any]]:
    found: list[tuple[KeyPath, Any]] = [(path, value)] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    for key, inner in items:
        found += paths(inner, (*path, key))
    return found


def same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)  # NaN and signed zero too


def check(document: str, tree: dict[str, Any], positions: Positions) -> None:
    lines = document.split("\n")
    everything = paths(tree)
    known = {path for path, _ in everything}
    assert set(positions.keys) | set(positions.values) == known
    for path, value in everything:
        if isinstance(path[-1], str):
            span = positions.keys[path]
            text = lines[span.line - 1][span.column : span.column + span.width]
            assert list(tomllib.loads(f"{text} = 1")) == [path[-1]]
        if path in positions.values:
            span = positions.values[path]
            rest = "\n".join([lines[span.line - 1][span.column :], *lines[span.line :]])
            shown = lines[span.line - 1][span.column : span.column + span.width]
            parsed = reject_invalid(f"x = {shown}")
            if parsed is not None and span.column + span.width < len(lines[span.line - 1]):
                assert same(parsed["x"], value)
            assert rest.startswith(shown)


@settings(max_examples=150, deadline=None)
@given(documents())
def test_every_key_and_value_is_found_where_it_stands(document: str) -> None:
    tree = reject_invalid(document)
    if tree is not None:
        check(document, tree, locate(document))


def test_places_are_counted_from_line_one_and_column_zero() -> None:
    positions = locate('# head\n[server]\n  listen = "x"  # note\n[[a.b]]\n[[a.b]]\nc.d = [1, {e = 2}]\n')
    assert positions.keys["server",].line == 2
    assert positions.keys["server",].column == 1
    listen = positions.keys["server", "listen"]
    assert (listen.line, listen.column, listen.width) == (3, 2, 6)
    value = positions.values["server", "listen"]
    assert (value.line, value.column, value.width) == (3, 11, 3)
    assert positions.values["a", "b", 1, "c", "d", 1, "e"].line == 6
    assert positions.values["a", "b", 1, "c", "d", 0].column == 7


def test_a_value_of_many_lines_is_marked_on_its_first_line() -> None:
    span = locate('x = """one\ntwo"""\ny = 1').values["x",]
    assert (span.line, span.column, span.width) == (1, 4, 6)
