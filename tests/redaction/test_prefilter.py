"""The prefilter rules out only what the rules would not find. F17 F18."""

import random
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from failgate.redaction import (
    RULES,
    Rule,
    Scanner,
    environment_secrets,
    installed_engines,
    prefilter,
    redact,
    redact_bytes,
)
from failgate.redaction.automata import WINDOW_BYTES, Automata
from failgate.redaction.openings import opening_of
from failgate.redaction.unbroken import NEAR_BYTES

NAMES = [f"{number}-{rule.id}" for number, rule in enumerate(RULES)]
EXAMPLES = [text.encode() for rule in RULES for text in (*rule.matches, *rule.rejects)]
WORDS = [word.encode() for rule in RULES for word in rule.keywords]
FILLING = [b" ", b"\n", b"=", b": ", b'"', b"'", b"/", b"\\", b", ", b"\xff", b"\x1b[1m", b"{", b"//", b"@", b":", b"_"]


@pytest.fixture(params=["hyperscan", "re2"])
def quick(request: pytest.FixtureRequest) -> Scanner:
    scanner = Scanner()
    if scanner.prepare(request.param) != request.param:
        pytest.skip(f"{request.param} is not installed")
    return scanner


@pytest.fixture
def slow() -> Scanner:
    scanner = Scanner()
    assert scanner.prepare("re") == "re"
    return scanner


def some_text(seed: int, pieces: int) -> bytes:
    chosen = random.Random(seed)
    letters = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=-_."
    parts: list[bytes] = []
    for _ in range(pieces):
        kind = chosen.random()
        if kind < 0.2:
            parts.append(chosen.choice(EXAMPLES))
        elif kind < 0.4:
            word = chosen.choice(WORDS)
            parts.append(chosen.choice([word, word.upper(), word.title()]))
        elif kind < 0.7:
            parts.append(chosen.choice(FILLING))
        else:
            parts.append(bytes(chosen.choices(letters, k=chosen.choice([1, 4, 12, 36, 70, 300]))))
    return b"".join(parts)


@pytest.mark.parametrize("seed", range(8))
def test_every_engine_finds_the_same(quick: Scanner, slow: Scanner, seed: int) -> None:
    content = some_text(seed, 2000)
    assert quick.candidates(content) == slow.candidates(content)
    assert len(slow.candidates(content)) > 100


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize(("seed", "columns"), [(0, 80), (1, 57), (2, 120), (3, 100)])
def test_every_engine_finds_the_same_in_what_a_terminal_broke(
    quick: Scanner, slow: Scanner, seed: int, columns: int, end: bytes
) -> None:
    text = some_text(seed, 500)
    content = end.join(text[at : at + columns] for at in range(0, len(text), columns))
    assert quick.candidates(content) == slow.candidates(content)


def test_values_of_the_environment_are_found_across_a_line_end_by_every_engine(quick: Scanner) -> None:
    values = {f"VALUE_{number}_SECRET": f"correct-horse-{number}-battery" for number in range(4)}
    scanner = Scanner(values=environment_secrets(values))
    scanner.prepare(quick.prepare())
    value = values["VALUE_2_SECRET"]
    for text in (f"a {value} b", "# " * 33 + f" {value[:12]}\n{value[12:]} b"):
        (found,) = redact(text, scanner).findings
        assert found.rule == "environment"
    assert not redact("nothing of all that\n" * 9, scanner).findings


@pytest.mark.parametrize("seed", range(2))
def test_what_lies_across_two_windows_is_found(quick: Scanner, slow: Scanner, seed: int) -> None:
    chosen = random.Random(seed)
    content = bytearray(b"plain words of a log\n" * 60_000)
    for edge in range(WINDOW_BYTES, len(content) - WINDOW_BYTES, WINDOW_BYTES):
        text = b" " + chosen.choice(EXAMPLES) + b" "
        at = edge - chosen.randrange(len(text))
        content[at : at + len(text)] = text
    found = slow.candidates(bytes(content))
    assert quick.candidates(bytes(content)) == found
    assert len(found) > 10


def test_two_threads_may_ask_one_scanner(quick: Scanner) -> None:
    content = some_text(1, 400)
    expected = quick.candidates(content)
    with ThreadPoolExecutor(4) as pool:
        assert all(found == expected for found in pool.map(quick.candidates, [content] * 24))


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_an_opening_matches_wherever_its_rule_does(rule: Rule) -> None:
    opening = re.compile(opening_of(rule).pattern.encode())
    alone = Scanner(rules=(rule,), patience_bytes=1 << 60)
    for text in rule.matches:
        assert alone.candidates(text.encode())
        assert opening.search(text.encode()), text


def test_no_opening_is_longer_than_what_is_looked_at_around_a_line_end() -> None:
    assert max(opening_of(rule).reach for rule in RULES) < NEAR_BYTES


def test_an_opening_begins_with_the_character_that_its_rule_looks_back_at() -> None:
    assert opening_of(Rule("x", "x", ("key",), r"(?:(?<=[a-z])|(?<![0-9]))key=(?<=[=])1", ("akey=1",))).pattern == (
        "(?:(?:[a-z])|)key=1"
    )


def test_a_clean_text_is_left_to_no_rule() -> None:
    text = b"12:00:01 INFO build 4711 of 0f3a9c done in 12 ms\nPWD=/home/dev/project\n" * 1000
    assert Automata(RULES).possible(text) == []


@pytest.mark.parametrize("pattern", ["a*", "(a", "a(?P<n>b)", r"(a)\1", "a)", r"\bword"])
def test_a_pattern_with_an_unknown_construct_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"group|opening|unbalanced"):
        opening_of(Rule("x", "x", ("a",), pattern, ("a",)))


def test_without_re2_everything_works_and_a_small_text_never_loads_it() -> None:
    program = """if True:
        import sys
        from failgate.redaction import Scanner, redact
        text = "GITHUB_TOKEN=" + "ghp_" + "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfTa1b2"
        assert len(redact(text, Scanner()).findings) == 1
        assert "re2" not in sys.modules
        sys.modules["re2"] = None
        scanner = Scanner(patience_bytes=0)
        assert len(redact(text, scanner).findings) == 1
        assert scanner.prepare() == "re"
        assert scanner.prepare("hyperscan") in ("hyperscan", "re")
    """
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_after_its_patience_a_scanner_loads_re2() -> None:
    scanner = Scanner(patience_bytes=100)
    content = b"password=hunter2!\n" * 20
    first = redact_bytes(content, scanner)[1]
    assert [found.rule for found in first] == ["password"] * 20
    assert scanner.engine != "re"


@pytest.mark.parametrize("stays", [False, True], ids=["client", "server"])
def test_hyperscan_is_compiled_beside_the_work_once_there_is_enough_of_it(
    monkeypatch: pytest.MonkeyPatch, *, stays: bool
) -> None:
    if "hyperscan" not in installed_engines():
        pytest.skip("hyperscan is not installed")
    monkeypatch.setattr(prefilter, "STAYING_PATIENCE_BYTES" if stays else "FAST_PATIENCE_BYTES", 1000)
    scanner = Scanner(rules=RULES[:6] if stays else RULES[:5], patience_bytes=0)
    if stays:
        assert scanner.prepare() == "re2"
    assert not scanner.candidates(b"x" * 2000)
    assert scanner.prepare() in ("re2", "hyperscan")
    for thread in threading.enumerate():
        if thread.name == "redaction-engine":
            thread.join()
    assert scanner.prepare() == "hyperscan"
