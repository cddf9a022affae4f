"""Findings, tags, spellings of environment values, streams. F17 F18."""

import json
import random
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest

from failgate.redaction import (
    RedactingStream,
    Scanner,
    environment_secrets,
    is_sensitive_name,
    redact,
    redact_arguments,
    redact_bytes,
)

GITHUB = "ghp_" + "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfTa1b2"
SECRET = "Zx81-spectrum/48k+rubber=keys"


def test_offsets_are_characters_of_the_given_text() -> None:
    text = f"héllo wörld €uro {GITHUB} ünd"
    result = redact(text, Scanner())
    (found,) = result.findings
    assert text[found.start : found.end] == GITHUB
    assert result.text == text.replace(GITHUB, found.tag)
    assert found.tag.startswith("[redacted:github-token:")


def test_the_same_secret_has_the_same_tag_and_another_key_another_one() -> None:
    scanner = Scanner(key=b"k" * 32)
    first, second = redact(f"{GITHUB} and {GITHUB}", scanner).findings
    assert first.tag == second.tag
    assert redact(GITHUB, Scanner(key=b"l" * 32)).findings[0].tag != first.tag


def test_doing_it_twice_changes_nothing() -> None:
    scanner = Scanner()
    once = redact(f"token={GITHUB} password: hunter2! Authorization: Bearer abcdef0123456789abcdef0123456789", scanner)
    assert len(once.findings) == 3
    assert redact(once.text, Scanner()) == (once.text, [])


def test_a_false_tag_hides_nothing() -> None:
    text = f"[redacted:jwt:{GITHUB}]"
    assert GITHUB not in redact(text, Scanner()).text


def test_the_issuers_rule_goes_before_an_assignment() -> None:
    (found,) = redact(f"GITHUB_TOKEN={GITHUB}", Scanner()).findings
    assert found.rule == "github-token"


def test_what_reaches_beyond_an_earlier_finding_is_replaced_too() -> None:
    result = redact("password='" + GITHUB + " and more words'", Scanner())
    assert "more words" not in result.text


def test_a_colour_inside_a_token_does_not_hide_it_and_stays() -> None:
    text = f"{GITHUB[:10]}\x1b[1;31m{GITHUB[10:20]}\x1b]0;title\x07{GITHUB[20:]}!"
    result = redact(text, Scanner())
    assert result.text == f"{result.findings[0].tag}\x1b[1;31m!"  # a title may hold anything: it goes with the token
    assert (result.findings[0].start, result.findings[0].end) == (0, len(text) - 1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("\x1b]0;deploy --token=", "\x07"),
        ("\x1b]8;;https://files.example.org/?key=", "\x1b\\the file\x1b]8;;\x1b\\"),
        ("\x1bP1$r ", "\x1b\\"),
        ("\x1b_note ", "\x1b\\ and more"),
    ],
)
def test_the_text_of_an_escape_sequence_is_searched(before: str, after: str) -> None:
    result = redact(f"x{before}{GITHUB}{after}", Scanner())
    assert result.text == f"x{before}{result.findings[0].tag}{after}"
    assert [one.rule for one in result.findings] == ["github-token"]
    assert redact(result.text, Scanner()).text == result.text


@pytest.mark.parametrize("before", ["\x1b", "\x1b[", "\x1b[5;", "\x1b(", "\x1b#", "\x1b[31m\x1b"])
def test_a_letter_that_a_terminal_takes_for_the_end_of_an_escape_does_not_hide_a_secret(before: str) -> None:
    for secret, scanner in ((GITHUB, Scanner()), ("customer-4711", Scanner(values={"customer-4711": b"x"}))):
        result = redact(f"a {before}{secret} b", scanner)
        assert secret[1:] not in result.text
        assert result.text.startswith("a ")
        assert result.text.endswith(f"{result.findings[-1].tag} b")
        assert redact(result.text, scanner).text == result.text


SPELLINGS = {
    "as it is": SECRET,
    "base64": b64encode(SECRET.encode()).decode(),
    "base64 after one byte": b64encode(b"x" + SECRET.encode()).decode(),
    "base64 after user and colon": b64encode(b"me:" + SECRET.encode() + b"\n").decode(),
    "base64 for URLs after two bytes": urlsafe_b64encode(b"ab" + SECRET.encode() + b"tail").decode(),
    "hex": SECRET.encode().hex(),
    "upper hex": SECRET.encode().hex().upper(),
    "URL-encoded": quote(SECRET, safe=""),
    "JSON": json.dumps(SECRET),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_the_value_of_a_sensitive_variable_is_found_in_every_spelling_with_one_tag(spelling: str) -> None:
    scanner = Scanner(values=environment_secrets({"DEPLOY_PASSWORD": SECRET, "HOME": "/home/u"}))
    result = redact(f"<{spelling}>", scanner)
    assert [found.rule for found in result.findings] == ["environment"]
    assert result.findings[0].tag == redact(SECRET, scanner).findings[0].tag


def test_a_quoted_value_with_quotes_and_umlauts_is_found_as_json() -> None:
    secret = 'say "grüße" \\ now'
    scanner = Scanner(values=environment_secrets({"X_SECRET": secret}))
    for text in (json.dumps({"a": secret}), json.dumps({"a": secret}, ensure_ascii=False)):
        assert "now" not in redact(text, scanner).text


@pytest.mark.parametrize(
    "text",
    [
        "Zk4\\/wq<8&Tn+L'0x",
        "Zk4/wq\\u003c8\\u0026Tn+L'0x",
        "Zk4/wq\\u003C8\\u0026Tn\\u002BL\\u00270x",
    ],
    ids=["PHP", "Go", ".NET"],
)
def test_a_value_is_found_as_other_writers_of_json_escape_it(text: str) -> None:
    assert json.loads(f'"{text}"') == "Zk4/wq<8&Tn+L'0x"
    scanner = Scanner(values=environment_secrets({"X_SECRET": "Zk4/wq<8&Tn+L'0x"}))
    assert redact(f'{{"a":"{text}"}}', scanner).text == f'{{"a":"{scanner.tag("environment", text.encode())}"}}'


def test_a_value_is_found_as_repr_and_json_within_json_write_it() -> None:
    secret = "a\"b\\c'd8xQ9\té"
    scanner = Scanner(values=environment_secrets({"X_SECRET": secret}))
    for text in (repr(secret), repr({"a": secret}), json.dumps(json.dumps(secret))):
        assert "8xQ9" not in redact(text, scanner).text


@pytest.mark.parametrize("value", ["correct-horse-9\n", "correct-horse-9\r\n", "  correct-horse-9\t"])
def test_a_line_end_that_came_along_with_a_value_hides_nothing(value: str) -> None:
    scanner = Scanner(values=environment_secrets({"X_SECRET": value}))
    for text in ("it is correct-horse-9.", b64encode(b"me:correct-horse-9").decode()):
        assert [one.rule for one in redact(text, scanner).findings] == ["environment"]


@pytest.mark.parametrize(
    "name",
    [
        "API_TOKEN",
        "dbPassword",
        "AWS_SECRET_ACCESS_KEY",
        "GITHUB_PAT",
        "MY_CREDENTIALS",
        "DATABASE_DSN",
        "APIKEY",
        "npm_config_auth",
    ],
)
def test_names_that_say_secret(name: str) -> None:
    assert is_sensitive_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "PWD",
        "OLDPWD",
        "HOME",
        "PATH",
        "SSH_AUTH_SOCK",
        "KEYBOARD",
        "MONKEY",
        "TOKENIZERS_PARALLELISM",
        "KEY_FILE",
        "AUTHOR",
        "GIT_AUTHOR_NAME",
    ],
)
def test_names_that_do_not(name: str) -> None:
    assert not is_sensitive_name(name)


def test_short_values_and_paths_are_left_alone() -> None:
    assert not environment_secrets({"TOKEN": "short", "GOOGLE_APPLICATION_CREDENTIALS": "/home/u/key.json"})


def test_argument_vectors_hide_the_value_after_an_option() -> None:
    argv = [
        "deploy",
        "--password",
        "tr0ub4dor",
        "--region",
        "eu",
        "--api-key=abcdef0123456789",
        "-u",
        "me:hunter2!",
        "https://me:pass9word@h/x",
        "--password-stdin",
        "name",
    ]
    clean, findings = redact_arguments(argv, Scanner())
    text = " ".join(clean)
    for secret in ("tr0ub4dor", "abcdef0123456789", "hunter2!", "pass9word"):
        assert secret not in text
    assert clean[3:5] == ["--region", "eu"]
    assert clean[-1] == "name"
    assert len(findings) == 4
    assert not redact(text, Scanner()).findings


def _noise(seed: int) -> bytes:
    random_ = random.Random(seed)
    pieces = [
        b"plain line of output\n",
        b"\x1b[32mok\x1b[0m ",
        b"password=hunter2!\n",
        GITHUB.encode(),
        b"\xff\xfe\x80",
        b" token: abcdef0123456789abcdef ",
        b"-----BEGIN RSA PRIVATE KEY-----\n" + b"MIIEpAIBAAKCAQEA\n" * 40 + b"-----END RSA PRIVATE KEY-----\n",
        GITHUB[:12].encode() + b"\x1b[1m" + GITHUB[12:].encode(),
        b"x" * 3000,
        b"https://me:s3cr3tpw@example.org/ ",
        b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ ",
        b"\n",
    ]
    return b"".join(random_.choice(pieces) for _ in range(400))


@pytest.mark.parametrize("seed", range(6))
def test_a_stream_gives_the_same_as_the_whole_whatever_its_chunks(seed: int) -> None:
    content = _noise(seed)
    scanner = Scanner(key=b"k" * 32)
    whole, findings = redact_bytes(content, scanner)
    random_ = random.Random(seed + 100)
    stream = RedactingStream(scanner)
    pieces: list[bytes] = []
    at = 0
    while at < len(content):
        size = random_.choice([1, 7, 100, 5000, 60_000])
        pieces.append(stream.feed(content[at : at + size]))
        at += size
    pieces.append(stream.finish())
    assert b"".join(pieces) == whole
    assert stream.findings == findings
    assert len(findings) > 20


def test_a_secret_cut_at_every_place_is_found() -> None:
    scanner = Scanner(key=b"k" * 32)
    content = b"before " + GITHUB.encode() + b" after"
    for cut in range(len(content)):
        stream = RedactingStream(scanner)
        assert GITHUB.encode() not in stream.feed(content[:cut]) + stream.feed(content[cut:]) + stream.finish()


def test_bytes_that_are_no_text_pass_unchanged() -> None:
    content = bytes(range(256)) * 300
    assert redact_bytes(content, Scanner())[0] == content
    assert redact("lone \ud800 \udcff surrogate", Scanner()).text == "lone \ud800 \udcff surrogate"
