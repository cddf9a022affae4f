"""Rules of a workspace: RE2 alone, within a line, linear. F17."""

import pytest

from failgate.redaction import RULES_VERSION, Pattern, PatternMatcher, Scanner, UnusablePattern, check_pattern, redact


def scanner_of(*texts: str) -> Scanner:
    patterns = [Pattern(f"x-{number}", text) for number, text in enumerate(texts)]
    return Scanner(key=b"k" * 32, patterns=PatternMatcher(patterns))


def test_a_pattern_is_replaced_with_its_own_tag_and_a_group_alone_where_it_has_one() -> None:
    result = redact("größe ACME-4711 and seat=hunter2 end", scanner_of(r"ACME-[0-9]+", r"seat=(\w+)"))
    assert [one.rule for one in result.findings] == ["x-0", "x-1"]
    assert result.text.startswith("größe [redacted:x-0:")
    assert " and seat=[redacted:x-1:" in result.text


def test_a_built_in_rule_goes_first_and_colours_do_not_hide_a_match() -> None:
    token = "ghp_" + "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfTa1b2"
    assert [one.rule for one in redact(token, scanner_of("ghp_.*")).findings] == ["github-token"]
    assert "4711" not in redact("AC\x1b[1mME-4711", scanner_of("ACME-[0-9]+")).text


def test_the_name_of_the_rules_says_that_there_are_more() -> None:
    assert Scanner().version == RULES_VERSION
    first, second = scanner_of("a1").version, scanner_of("a2").version
    assert first.startswith(f"{RULES_VERSION}+")
    assert first != second


@pytest.mark.parametrize("text", ["", "a*", "(a", r"(a)\1", "(?=a)", "(?:x{1000}){1000}", "a" * 501])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(UnusablePattern):
        check_pattern(text)


@pytest.mark.parametrize("text", ["(a+)+$", "x[^y]*y|x", "(.*)*b"])
def test_a_hostile_pattern_costs_in_proportion(text: str) -> None:
    import time

    def cost(size: int) -> float:
        scanner = scanner_of(text)
        began = time.thread_time()
        scanner.candidates(b"xa" * (size // 2))
        return time.thread_time() - began

    assert cost(1 << 19) < 24 * cost(1 << 16) + 0.5
