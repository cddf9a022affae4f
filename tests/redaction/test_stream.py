"""A stream gives what the whole gives, whatever its chunks; memory stays small. F17."""

import tracemalloc
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from failgate.redaction import ENGINES, CharacterOffsets, Finding, RedactingStream, Scanner, redact, redact_bytes
from failgate.redaction.scanner import HOLD_BYTES
from failgate.redaction.stream import CONTEXT_BYTES

GITHUB = b"ghp_" + b"q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfTa1b2"
KEY = b"-----BEGIN RSA PRIVATE KEY-----\n" + b"MIIEpAIBAAKCAQEA\n" * 60 + b"-----END RSA PRIVATE KEY-----\n"
WEB_TOKEN = b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
PIECES = [
    b"plain line of output\n",
    b"\x1b[32mok\x1b[0m ",
    b"password=hunter2!\n",
    b"-----BEGIN PRIVATE KEY-----\n",
    GITHUB,
    GITHUB[:12] + b"\x1b[1m" + GITHUB[12:],
    b"#" * 60 + b" " + GITHUB[:19] + b"\r\n" + GITHUB[19:],
    GITHUB[:19] + b"\n",
    GITHUB[19:],
    b"API_KEY='",
    b"token: abcdef0123456789abcdef ",
    KEY,
    b"\xff\xfe\x80",
    b"gr\xc3\xbc\xc3\x9fe ",
    b"\x1b]0;title\x07",
    b"\x1b]8;;https://x.example/" + GITHUB + b"\x1b\\",
    b"\x1b" + GITHUB,
    b"\x1b[",
    b"https://me:s3cr3tpw@example.org/ ",
    WEB_TOKEN,
    b"x" * 700,
    b"A" * 76 + b"\n",
    b"[redacted:jwt:00000000]",
    b" ",
    b"\n",
]
texts = st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join)
repeats = st.integers(min_value=1, max_value=12)
SCANNER = Scanner(key=b"k" * 32)
PREPARED = [Scanner(key=b"k" * 32) for _ in ENGINES]
for _scanner, _engine in zip(PREPARED, ENGINES, strict=True):
    _scanner.prepare(_engine)


def streamed(content: bytes, cuts: list[int], scanner: Scanner) -> tuple[bytes, list[Finding]]:
    stream = RedactingStream(scanner)
    places = [0, *sorted(cut % (len(content) + 1) for cut in cuts), len(content)]
    clean = b"".join(stream.feed(content[start:end]) for start, end in pairwise(places)) + stream.finish()
    return clean, stream.findings


@settings(max_examples=30, deadline=None)
@given(text=texts, repeat=repeats, cuts=st.lists(st.integers(min_value=0, max_value=1 << 24), max_size=12))
@example(text=GITHUB[:19] + b"\n" + b"x" * 700, repeat=12, cuts=[3, 4000, 60_000])
def test_any_chunks_give_what_the_whole_gives(text: bytes, repeat: int, cuts: list[int]) -> None:
    content = text * repeat
    plain = redact_bytes(content, SCANNER)
    for scanner in PREPARED:
        assert redact_bytes(content, scanner) == plain
        assert streamed(content, cuts, scanner) == plain


@settings(max_examples=40, deadline=None)
@given(text=texts, size=st.integers(min_value=1, max_value=97))
def test_small_pieces_give_what_the_whole_gives(text: bytes, size: int) -> None:
    assert streamed(text, list(range(0, len(text), size)), SCANNER) == redact_bytes(text, SCANNER)


@settings(max_examples=100, deadline=None)
@given(text=texts, size=st.integers(min_value=1, max_value=5000))
@example(text=b"\xff\xfe\x80" + WEB_TOKEN + b"\nplain line of output\n", size=1)
def test_offsets_are_counted_in_characters_while_a_text_streams(text: bytes, size: int) -> None:
    stream, offsets = RedactingStream(SCANNER), CharacterOffsets()
    found: list[Finding] = []
    for chunk in [*(text[at : at + size] for at in range(0, len(text), size)), b""]:
        _ = stream.feed(chunk) if chunk else stream.finish()
        offsets.feed(chunk)
        found += offsets.in_characters(stream.findings)
        stream.findings.clear()
        offsets.forget(stream.offset)
    expected = redact_bytes(text, SCANNER)[1]  # the width of a line is counted in bytes
    ends = [[len(text[:at].decode("utf-8", "surrogateescape")) for at in (one.start, one.end)] for one in expected]
    assert [[one.start, one.end] for one in found] == ends
    assert [one.rule for one in found] == [one.rule for one in expected]


def test_a_finding_ends_with_a_whole_character() -> None:
    for count in range(80, 96):  # the pattern's most bytes end inside one of these characters
        text = "password=" + "äöüé1" * count
        result = redact(text, SCANNER)
        assert result.text.startswith("password=[redacted:password:")


def test_memory_does_not_grow_with_the_text() -> None:
    stream = RedactingStream(PREPARED[0])
    line = b"plain line of output\n" * 500 + b"password=hunter2! and more of it\n"
    tracemalloc.start()
    for _ in range(200):
        stream.feed(line)
        stream.findings.clear()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * HOLD_BYTES
    assert CONTEXT_BYTES < HOLD_BYTES
