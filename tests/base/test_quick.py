"""Stand-ins say what the library says. E12."""

import hashlib
import json
import subprocess
import sys
import typing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failgate.base import quick

ROOT = Path(__file__).parents[2]


class Quick(quick.NamedTuple):
    x: int
    y: str = "d"

    @property
    def doubled(self) -> int:
        return 2 * self.x


class Slow(typing.NamedTuple):
    x: int
    y: str = "d"

    @property
    def doubled(self) -> int:
        return 2 * self.x


@pytest.mark.parametrize("kind", [Quick, Slow])
def test_a_tuple_with_names_is_one(kind: type[Slow]) -> None:
    made = kind(1)
    assert made == (1, "d") == kind(y="d", x=1)
    assert (made.x, made.y, made.doubled) == (1, "d", 2)
    assert made._replace(y="q") == (1, "q")
    assert made._asdict() == {"x": 1, "y": "d"}
    assert repr(made) == f"{kind.__name__}(x=1, y='d')"
    assert kind._fields == ("x", "y")
    x, y = made
    assert (x, y) == (1, "d")


@pytest.mark.parametrize("kind", [Quick, Slow])
@pytest.mark.parametrize("given_members", [{}, {"x": 1, "z": 2}, {"x": 1, "y": "a", "z": 2}])
def test_a_member_that_lacks_or_is_unknown_is_refused(kind: type[Slow], given_members: dict[str, int]) -> None:
    with pytest.raises(TypeError):
        kind(**given_members)
    with pytest.raises(AttributeError):
        kind(1).x = 2


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.sampled_from(["", " ", "\n\t"]), st.booleans())
def test_json_is_read_as_the_library_reads_it(value: object, space: str, is_ascii: bool) -> None:
    text = space + json.dumps(value, ensure_ascii=is_ascii) + space
    assert quick.loads(text) == json.loads(text) == value


@given(st.text(alphabet='{}[]",:0123456789.eE+-truefalsn \\u\n', max_size=12))
def test_what_the_library_refuses_is_refused(text: str) -> None:
    try:
        wanted = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):
            quick.loads(text)
    else:
        assert repr(quick.loads(text)) == repr(wanted)


def test_a_hook_loads_nothing_that_is_slow() -> None:
    """BENCH row 9: what a hook imports before it has asked."""
    code = "import sys; sys.path.append('.'); import failgate.client.hooks.hook; print(' '.join(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    slow = {
        "typing",
        "re",
        "enum",
        "json",
        "collections",
        "functools",
        "socket",
        "signal",
        "hashlib",
        "ssl",
        "msgspec",
        "datetime",
    }
    assert not slow & set(loaded)


@pytest.mark.parametrize("first", ["", "import hashlib"], ids=["bare", "openssl"])
def test_a_digest_is_the_librarys(first: str) -> None:
    code = (
        f"{first}\nimport sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from failgate.base.quick import sha256, sha256_of_much\n"
        "much = b''.join(bytes([n % 251]) * 97 for n in range(999))\n"
        "print(sha256(much).hexdigest())\n"
        "for size in (len(much), 1 << 20):\n"
        "    digest = sha256_of_much(size); digest.update(much); print(digest.hexdigest())\n"
        "print(sha256().hexdigest())\n"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    much = b"".join(bytes([n % 251]) * 97 for n in range(999))
    right = hashlib.sha256(much).hexdigest()
    assert done.stdout.split() == [right, right, right, hashlib.sha256().hexdigest()]
