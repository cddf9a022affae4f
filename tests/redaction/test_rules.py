"""Each rule against its own examples, and the bounds that keep all of them linear. F17 F18."""

import re
import time
from re import _parser  # type: ignore[attr-defined]  # measures patterns, only here

import pytest

from failgate.redaction import ENGINES, RULES, RULES_VERSION, Rule, Scanner, redact
from failgate.redaction.scanner import HOLD_BYTES

NAMES = [f"{number}-{rule.id}" for number, rule in enumerate(RULES)]


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_rule_finds_its_examples_and_nothing_in_its_counterexamples(rule: Rule) -> None:
    alone = Scanner(rules=(rule,))
    assert rule.matches
    assert rule.rejects
    for text in rule.matches:
        assert redact(text, alone).findings, text
    for text in rule.rejects:
        assert not redact(text, alone).findings, text


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_rule_is_described_and_its_keywords_are_lower_case(rule: Rule) -> None:
    assert re.fullmatch(r"[a-z0-9-]{1,40}", rule.id)
    assert rule.description
    assert all(word == word.lower() and word.isascii() and len(word) <= 32 for word in rule.keywords)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_no_pattern_is_unbounded_or_longer_than_what_a_stream_holds_back(rule: Rule) -> None:
    _, widest = _parser.parse(rule.pattern).getwidth()
    assert widest + rule.leading[1] < HOLD_BYTES
    assert not re.search(r"(?<!\\)[*+](?![^\[]*\])", re.sub(r"\\.|\[[^\]]*\]", "", rule.pattern)), (
        "an unbounded repetition"
    )


def test_the_version_names_the_rules() -> None:
    assert re.fullmatch(r"failgate-5-[0-9a-f]{12}", RULES_VERSION)


ADVERSARIAL = {
    "one letter": "a" * 1_000_000,
    "keywords alone": "password=" * 111_111,
    "token keywords": "token_secret_api_key" * 50_000,
    "assignments without end": "secret='" + "x1" * 500_000,
    "open urls": "://a:" * 200_000,
    "at signs": "://" + "a:" * 500_000,
    "key headers": "-----BEGIN PRIVATE KEY-----" * 37_000,
    "key without end": "-----BEGIN PRIVATE KEY-----\n" + "A-" * 500_000,
    "web tokens": "eyJ" * 333_000,
    "web token dots": "eyJaaaaaaaa." * 83_000,
    "github": "ghp_" * 250_000,
    "slack": "xoxb-" * 200_000,
    "digits": "sk-" + "1" * 1_000_000,
    "openai": "sk-" * 333_000,
    "escapes": "\x1b[" * 500_000,
    "escape strings": "\x1b]" * 500_000,
    "numbers and escapes": "\x1b[31m" * 200_000,
    "bearer": "bearer " * 140_000,
    "headers": "Authorization: " * 66_000,
    "options": "--token " * 125_000,
    "users": "-u a:" * 200_000,
    "spaces": "password" + " " * 999_000,
    "quotes": "token\"'" * 140_000,
    "netrc": "machine a login b " * 55_000,
    "commands": "mysql -u a -h b " * 62_000,
    "words": "redis-cli " * 100_000,
    "hashes": "$6$a$" * 200_000,
    "signatures": "&sig=" * 200_000,
    "broken lines": ("a1" * 40 + "\n") * 12_000,
    "broken lines of two lengths": ("a1" * 40 + "\n" + "b2" * 39 + "\n") * 6_000,
    "broken keywords": "ghp_" + ("password=token=" * 5 + "a1234\n") * 12_000,
    "tags": "[redacted:jwt:00000000]" * 43_000,
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("text", ADVERSARIAL.values(), ids=ADVERSARIAL.keys())
def test_a_hostile_text_takes_time_in_proportion(text: str, engine: str) -> None:
    scanner = Scanner()
    if scanner.prepare(engine) != engine:
        pytest.skip(f"{engine} is not installed")

    def cost(part: str) -> float:
        began = time.thread_time()
        redact(part, scanner)
        return time.thread_time() - began

    text = text[:240_000]
    cost(text[:1000])
    eighth, whole = cost(text[: len(text) // 8]), cost(text)
    assert whole < 24 * eighth + 0.5, "eight times the text may not take much more than eight times the time"
