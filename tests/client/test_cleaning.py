"""Redacted output that still has its times: the same as without them, and no stream hides a secret of the other."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from failgate.client.cleaning import Clean, cleaned
from failgate.client.output import STDERR, STDOUT, Gap, Output, Piece
from failgate.redaction import Scanner, redact_bytes

TOKEN = "ghp_" + "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfTa1b2"
SCANNER = Scanner(key=b"k" * 32)
parts = st.sampled_from(
    [b"some words\n", TOKEN.encode() + b"\n", b"\x1b[1m" + TOKEN[:9].encode() + b"\x1b[0m" + TOKEN[9:].encode() + b"\n",
     b"x" * 5000 + b"\n", b"\xff\xfe\n", b"password=hunter2-hunter2\n"]
)  # fmt: skip


def content_of(pieces: list[Clean | Gap]) -> bytes:
    return b"".join(piece.content for piece in pieces if isinstance(piece, Clean))


@given(st.lists(parts, max_size=30), st.lists(st.integers(1, 9000), min_size=1, max_size=20))
def test_pieces_make_no_difference(contents: list[bytes], sizes: list[int]) -> None:
    whole = b"".join(contents)
    pieces, at, number = [], 0, 0
    while at < len(whole):
        size = sizes[number % len(sizes)]
        pieces.append(Piece(number * 2000, STDOUT, whole[at : at + size]))
        at, number = at + size, number + 1
    rules: Counter[str] = Counter()
    clean = list(cleaned(pieces, SCANNER, rules))
    expected, findings = redact_bytes(whole, SCANNER)
    assert content_of(clean) == expected
    assert sum(rules.values()) == len(findings)
    moments = [piece.at_us for piece in clean if isinstance(piece, Clean)]
    assert moments == sorted(moments)


def test_a_secret_in_two_halves_with_a_line_of_the_other_stream_between_is_found() -> None:
    pieces = [
        Piece(0, STDOUT, b"token: " + TOKEN[:20].encode()),
        Piece(10, STDERR, b"warning: slow\n"),
        Piece(20, STDOUT, TOKEN[20:].encode() + b"\n"),
    ]
    clean = content_of(list(cleaned(pieces, SCANNER, Counter())))
    assert TOKEN[20:].encode() not in clean
    assert TOKEN[:20].encode() not in clean
    assert clean.count(b"[redacted:github-token:") == 1
    assert clean.index(b"[redacted:") < clean.index(b"warning: slow\n")


def test_streams_stay_in_the_order_in_which_they_came() -> None:
    output = Output(10**6, 10**6)
    for number in range(2000):
        output.write(b"%d\n" % number, STDOUT if number % 3 else STDERR, number * 2000)
    clean = content_of(list(cleaned(output.pieces(), SCANNER, Counter())))
    assert clean.split() == [b"%d" % number for number in range(2000)]


def test_a_silent_stream_holds_nobody_up() -> None:
    waiting, most = 0, 0
    block = b"a line of words, again and again\n" * 1900

    def flood() -> "list[Piece]":
        return [Piece(0, STDERR, b"begun"), *(Piece(number, STDOUT, block) for number in range(1, 80))]

    def counted() -> "object":
        nonlocal waiting, most
        for piece in flood():
            waiting += len(piece.content)
            most = max(most, waiting)
            yield piece

    for piece in cleaned(counted(), SCANNER, Counter()):  # type: ignore[arg-type]  # a generator that counts
        assert isinstance(piece, Clean)
        waiting -= len(piece.content)
    assert waiting == 0
    assert most < 1 << 20
