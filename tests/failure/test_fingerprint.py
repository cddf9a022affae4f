"""Two runs of one failure have one fingerprint; two failures do not."""

import hashlib
import random
import re
import time
from collections.abc import Callable, Iterator

import pytest

from failgate.failure.decisive import decisive
from failgate.failure.fingerprint import command_of, fingerprint, normalized

PYTEST = """\
=========== FAILURES ===========
______ test_prices ______
    def test_prices():
>       assert total(3) == 4
E       assert 3 == 4
E        +  where 3 = total(3)

{folder}/tests/test_prices.py:{line}: AssertionError
FAILED {folder}/tests/test_prices.py::test_prices - assert 3 == 4
1 failed in {seconds}s
"""
TRACEBACK = """\
collecting 0x{address}
Traceback (most recent call last):
  File "{folder}/run.py", line 3, in <module>
    main()
  File "{folder}/shop/prices.py", line {line}, in total
    raise ValueError("no price for id {number}")
ValueError: no price for id {number}
"""


def of(text: str, argv: list[str] | None = None, code: int = 1) -> tuple[str, ...]:
    return fingerprint(argv or ["python3", "run.py"], code, None, text.split("\n"))


def test_another_folder_time_and_line_change_nothing() -> None:
    one = PYTEST.format(folder="/home/ada/shop", line=12, seconds="0.12")
    other = PYTEST.format(folder="/builds/77/shop", line=14, seconds="3.4")
    assert of(one) == of(other)
    one = TRACEBACK.format(folder="/home/ada", line=4, number=17, address="7f00aa")
    other = TRACEBACK.format(folder="/x", line=9, number=400, address="7f11bb")
    assert of(one) == of(other)
    assert of(one)[2:] == ("ValueError: no price for id <n>", "prices.py total")


def test_another_error_place_end_or_command_is_another_failure() -> None:
    base = TRACEBACK.format(folder="/a", line=4, number=17, address="1")
    others = {
        of(base),
        of(base.replace("ValueError", "KeyError")),
        of(base.replace("prices.py", "stock.py")),
        of(base, code=2),
        of(base, ["python3", "other.py"]),
    }
    assert len(others) == 5


@pytest.mark.parametrize(
    ("text", "error", "file"),
    [
        (PYTEST.format(folder="/a", line=3, seconds="1"), "assert 3 == 4", "/a/tests/test_prices.py"),
        ("cc -c a.c\nsrc/a.c:3:5: error: expected ';'\nmake: *** [all] Error 1", "expected ';'", "src/a.c"),
        ("error[E0308]: mismatched types\n  --> src/main.rs:3:5\n", "mismatched types", "src/main.rs"),
        ("TypeError: x is not a function\n    at total (/a/shop.js:3:9)\n", "x is not a function", "/a/shop.js"),
        ("bash: line 1: nosuch: command not found", "command not found", None),
        ("it went wrong\n\n", "it went wrong", None),
    ],
)
def test_the_last_error_is_found_with_its_place(text: str, error: str, file: str | None) -> None:
    found = decisive(text.split("\n"))
    assert found is not None
    assert error in found.text
    assert found.file == file


def test_silence_has_no_error() -> None:
    assert decisive(["", "  "]) is None
    assert of("")[2:] == ("", "")


def test_tags_of_two_machines_are_one() -> None:
    assert normalized("token [redacted:generic:0123abcd] x") == normalized("token [redacted:generic:ffff0000] x")


@pytest.mark.parametrize("piece", ["a", "/a", "a:", "0a", 'File "', "1.", " at ", "E ", "-", "\\", "'", "error"])
def test_a_hostile_output_takes_linear_time(piece: str) -> None:
    began = time.process_time()
    of("\n".join([piece * 20_000] * 200))
    assert time.process_time() - began < 2.0


def _pieces() -> Iterator[list[str]]:
    """Yield words of commands: identifiers, hashes, numbers, names of temporary files and paths, and what is like one."""
    dice = random.Random(20261123)
    hexes = "0123456789abcdef"

    def digits(length: int, of: str = hexes) -> str:
        return "".join(dice.choice(of) for _ in range(length))

    def identifier(of: str) -> str:
        return "-".join(digits(length, of) for length in (8, 4, 4, 4, 12))

    makers: list[Callable[[], str]] = [
        lambda: identifier(hexes), lambda: identifier(hexes.upper()), lambda: identifier("0123456789"),
        lambda: identifier("abcdef"), lambda: identifier(hexes)[: dice.randrange(36)],
        lambda: digits(dice.randrange(1, 70)), lambda: digits(dice.randrange(1, 70), "0123456789"),
        lambda: digits(dice.randrange(1, 70), "abcdef"), lambda: "0x" + digits(dice.randrange(9)),
        lambda: f"tmp{dice.choice('._-ab')}{digits(dice.randrange(12), 'abcXYZ_019')}",
        lambda: "/".join(digits(dice.randrange(6), "ab.~@-+1") for _ in range(dice.randrange(1, 6))),
        lambda: "C:\\" + "\\".join(digits(3, "abx") for _ in range(3)), lambda: f"[redacted:token:{digits(8)}]",
        lambda: f"v{dice.randrange(9)}.{dice.randrange(99)}.{dice.randrange(9)}", lambda: digits(9, "äß☃ \t\x1b[0m7"),
        lambda: "--only=case_" + digits(6, "0123456789"), lambda: digits(dice.randrange(390, 1700), "abc/ 1"), lambda: "",
    ]  # fmt: skip
    for _ in range(1000):
        yield ["".join(dice.choice(makers)() for _ in range(dice.randrange(1, 3))) for _ in range(dice.randrange(1, 9))]


def test_no_fingerprint_that_was_given_changes() -> None:
    """Groups are never regrouped: another digest here is another version of the rules, `fp2:`."""
    commands = [command_of([words[0], *words]) for words in _pieces()]
    kept = hashlib.sha256("\n".join(commands).encode("utf-8", "surrogatepass")).hexdigest()
    assert kept == "8d64063167737c3e0f2dc5bcb226b2ac8040cbeee135e5fae30996bccf59bdd2"


def test_words_of_a_command_are_normalised_as_each_alone() -> None:
    for words in _pieces():
        alone = [normalized(word) for word in words]
        assert command_of(["make", *words]) == " ".join(["make", *alone])[:4000]


def test_of_a_long_command_the_first_200_words_and_4000_characters_count() -> None:
    dice = random.Random(11)
    pieces = [word for words in _pieces() for word in words]
    for most in (2, 4, 40):
        for number in (150, 199, 200, 260):
            words = ["".join(dice.choices(pieces, k=dice.randrange(most))) for _ in range(number)]
            alone = [normalized(word) for word in words[:199]]
            assert command_of(["make", *words]) == " ".join(["make", *alone])[:4000]


def test_a_long_word_is_cut() -> None:
    assert command_of(["make", "x" * 500, "y"]) == f"make {'x' * 400} y"


_PATH = re.compile(r"(?<![\w.~@+/\\-])(?:[A-Za-z]:)?[\w.~@+-]*(?:[/\\]+[\w.~@+-]+)+")


def test_of_each_path_the_base_name_is_left() -> None:
    """The folders are cut off at once; here each path is found first, and its name behind the last separator kept."""
    dice = random.Random(7)
    for _ in range(5000):
        text = "".join(dice.choice("/\\//ab:C.~@+-_=é'(,☃") for _ in range(dice.randrange(1, 24)))
        named = _PATH.sub(lambda found: found[0].replace("\\", "/").rpartition("/")[2], text)
        assert normalized(text) == named.rstrip(), text
