"""Bounded output: what is kept, what is counted, where it is cut, when it came."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from failgate.client import output as module
from failgate.client.output import STDERR, STDOUT, Gap, Output, Piece


def filled(content: bytes, head: int, tail: int, piece: int = 7) -> Output:
    output = Output(head, tail)
    for at in range(0, len(content), piece):
        output.write(content[at : at + piece], STDOUT, at)
    return output


def parts(output: Output) -> list[bytes]:
    found = [b""]
    for piece in output.pieces():
        if isinstance(piece, Gap):
            found.append(b"")
        else:
            found[-1] += piece.content
    return found


def test_what_fits_is_kept_whole() -> None:
    output = filled(b"abc\ndef\n", 4, 4)
    assert parts(output) == [b"abc\ndef\n"]
    assert output.dropped == 0


def test_every_byte_is_kept_or_counted_and_cuts_are_between_lines() -> None:
    content = b"".join(b"line %d\n" % number for number in range(1000))
    output = filled(content, 100, 200)
    head, tail = parts(output)
    assert content.startswith(head)
    assert content.endswith(tail)
    assert head.endswith(b"\n")
    assert tail.startswith(b"line ")
    assert len(head) + len(tail) + output.dropped == len(content)
    assert parts(output) == [head, tail], "asking twice gives the same"


def test_the_end_of_a_private_key_does_not_open_the_tail() -> None:
    key = b"-----BEGIN PRIVATE KEY-----\n" + b"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n" * 40 + b"-----END PRIVATE KEY-----\n"
    content = b"x\n" * 200 + key + b"the last line\n"
    _, tail = parts(filled(content, 50, 400))
    assert tail == b"the last line\n"


def test_a_line_without_end_is_cut_all_the_same() -> None:
    output = filled(b"x" * 100_000, 10_000, 20_000, 999)
    head, tail = parts(output)
    assert (len(head), len(tail)) == (10_000 - 4096, 20_000 - 4096)
    assert len(head) + len(tail) + output.dropped == 100_000


def test_each_piece_has_its_stream_and_its_time() -> None:
    output = Output(1000, 1000)
    output.write(b"one\n", STDOUT, 10)
    output.write(b"two\n", STDERR, 20)
    output.write(b"three\n", STDERR, 30)
    output.write(b"four\n", STDERR, 5000)
    assert list(output.pieces()) == [
        Piece(10, STDOUT, b"one\n"),
        Piece(20, STDERR, b"two\nthree\n"),
        Piece(5000, STDERR, b"four\n"),
    ], "what comes within a millisecond on one stream is one piece"


def test_a_piece_larger_than_the_end_that_is_kept_leaves_its_own_end() -> None:
    output = Output(1, 3)
    output.write(b"A", STDOUT, 0)
    output.write(b"B", STDOUT, 0)
    output.write(b"CDEF", STDOUT, 0)  # its end begins where nothing was kept yet
    assert b"".join(output._read(at, 1) for at in range(3, 6)) == b"DEF"
    assert output._read_up_to(3, 6) == b"DEF"


@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.sampled_from([STDOUT, STDERR])), max_size=60),
    st.integers(1, 300),
    st.integers(1, 300),
)
def test_whatever_comes_is_kept_in_order_with_its_stream(
    written: list[tuple[bytes, int]], head: int, tail: int
) -> None:
    output = Output(head, tail)
    for at, (content, stream) in enumerate(written):
        output.write(content, stream, at * 2000)
    everything = b"".join(content for content, _ in written)
    streams = [stream for content, stream in written for _ in content]
    times = [at * 2000 for at, (content, _) in enumerate(written) for _ in content]
    place = 0
    for piece in output.pieces():
        if isinstance(piece, Gap):
            place += piece.dropped
            continue
        assert piece.content == everything[place : place + len(piece.content)]
        for offset in range(len(piece.content)):
            assert streams[place + offset] == piece.stream
            assert times[place + offset] == piece.at_us
        place += len(piece.content)
    assert place == len(everything)


def test_a_program_that_writes_byte_by_byte_does_not_fill_the_memory_with_times() -> None:
    output = Output(100, 400_000)
    for at in range(300_000):
        output.write(b"x", STDOUT if at % 3 else STDERR, at * 2000)
    marks = output._tail_marks
    assert len(marks.offsets) <= 4 * module._MOST_MARKS + 1
    assert sum(len(piece.content) for piece in output.pieces() if isinstance(piece, Piece)) + output.dropped == 300_000


def test_more_than_the_memory_may_hold_lies_in_a_file_without_a_name(tmp_path: Path) -> None:
    output = Output(5 << 20, 6 << 20, str(tmp_path))
    assert list(tmp_path.iterdir()) == [], "nobody can open what has no name"
    descriptors = [str(Path(f"/proc/self/fd/{number}").readlink()) for number in range(256) if _is_open(number)]
    mine = [target for target in descriptors if target.startswith(str(tmp_path))]
    assert len(mine) == 2
    block = b"".join(b"%08d\n" % number for number in range(100_000))
    for _ in range(20):
        output.write(block)
    head, tail = parts(output)
    whole = block * 20
    assert whole.startswith(head)
    assert whole.endswith(tail)
    assert len(head) + len(tail) + output.dropped == len(whole)
    output.close()


def _is_open(number: int) -> bool:
    return Path(f"/proc/self/fd/{number}").is_symlink()


def test_a_disk_without_room_keeps_what_memory_may_hold(tmp_path: Path) -> None:
    output = Output(1 << 60, 1 << 60, str(tmp_path))
    output.write(b"all the same\n")
    assert parts(output) == [b"all the same\n"]
