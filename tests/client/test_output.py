"""Bounded output: what is kept, what is counted, where it is cut."""

from failgate.client.output import Output


def filled(content: bytes, head: int, tail: int, piece: int = 7) -> Output:
    output = Output(head, tail)
    for at in range(0, len(content), piece):
        output.write(content[at : at + piece])
    return output


def test_what_fits_is_kept_whole() -> None:
    output = filled(b"abc\ndef\n", 4, 4)
    assert output.parts() == [b"abc\ndef\n"]
    assert output.dropped == 0


def test_every_byte_is_kept_or_counted_and_cuts_are_between_lines() -> None:
    content = b"".join(b"line %d\n" % number for number in range(1000))
    output = filled(content, 100, 200)
    head, tail = output.parts()
    assert content.startswith(head)
    assert content.endswith(tail)
    assert head.endswith(b"\n")
    assert tail.startswith(b"line ")
    assert len(head) + len(tail) + output.dropped == len(content)
    assert output.parts() == [head, tail], "asking twice gives the same"
    assert len(head) + len(tail) + output.dropped == len(content)


def test_the_end_of_a_private_key_does_not_open_the_tail() -> None:
    key = b"-----BEGIN PRIVATE KEY-----\n" + b"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n" * 40 + b"-----END PRIVATE KEY-----\n"
    content = b"x\n" * 200 + key + b"the last line\n"
    _, tail = filled(content, 50, 400).parts()
    assert tail == b"the last line\n"


def test_a_line_without_end_is_cut_all_the_same() -> None:
    output = filled(b"x" * 100_000, 10_000, 20_000, 999)
    head, tail = output.parts()
    assert (len(head), len(tail)) == (10_000 - 4096, 20_000 - 4096)
    assert len(head) + len(tail) + output.dropped == 100_000
