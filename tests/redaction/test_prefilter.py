"""The prefilter rules out only what the rules would not find. F17 F18."""

import random
import re
import subprocess
import sys

import pytest

from failgate.redaction import RULES, Rule, Scanner, redact_bytes
from failgate.redaction.prefilter import WINDOW_BYTES, Prefilter, opening_of
from failgate.redaction.scanner import Candidate

NAMES = [f"{number}-{rule.id}" for number, rule in enumerate(RULES)]
EXAMPLES = [text.encode() for rule in RULES for text in (*rule.matches, *rule.rejects)]
WORDS = [word.encode() for rule in RULES for word in rule.keywords]
FILLING = [b" ", b"\n", b"=", b": ", b'"', b"'", b"/", b"\\", b", ", b"\xff", b"\x1b[1m", b"{", b"//", b"@", b":", b"_"]


def both(content: bytes) -> tuple[list[Candidate], list[Candidate]]:
    """Return what is found with RE2 and without it."""
    quick = Scanner()
    assert quick.prepare()
    return quick.candidates(content), Scanner(patience_bytes=1 << 60).candidates(content)


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


@pytest.mark.parametrize("seed", range(12))
def test_with_and_without_it_the_same_is_found(seed: int) -> None:
    quick, slow = both(some_text(seed, 3000))
    assert quick == slow
    assert len(slow) > 100


@pytest.mark.parametrize("seed", range(3))
def test_what_lies_across_two_windows_is_found(seed: int) -> None:
    chosen = random.Random(seed)
    content = bytearray(b"plain words of a log\n" * 60_000)
    for edge in range(WINDOW_BYTES, len(content) - WINDOW_BYTES, WINDOW_BYTES):
        text = b" " + chosen.choice(EXAMPLES) + b" "
        at = edge - chosen.randrange(len(text))
        content[at : at + len(text)] = text
    quick, slow = both(bytes(content))
    assert quick == slow
    assert len(slow) > 10


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_an_opening_matches_wherever_its_rule_does(rule: Rule) -> None:
    opening = re.compile(opening_of(rule).pattern.encode())
    alone = Scanner(rules=(rule,), patience_bytes=1 << 60)
    for text in rule.matches:
        assert alone.candidates(text.encode())
        assert opening.search(text.encode()), text


def test_no_opening_reaches_far_beyond_a_window() -> None:
    assert max(opening_of(rule).reach for rule in RULES) < 1024


def test_a_clean_text_is_left_to_no_rule() -> None:
    text = b"12:00:01 INFO build 4711 of 0f3a9c done in 12 ms\nPWD=/home/dev/project\n" * 1000
    assert list(Prefilter(RULES).possible(text)) == []


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
        assert not scanner.prepare()
    """
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_after_its_patience_a_scanner_loads_re2() -> None:
    scanner = Scanner(patience_bytes=100)
    content = b"password=hunter2!\n" * 20
    first = redact_bytes(content, scanner)[1]
    assert [found.rule for found in first] == ["password"] * 20
    assert scanner._prefilter is not None
