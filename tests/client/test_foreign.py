"""The memory of a task that waits in a call: whatever its addresses say, what is read is whole, bounded, or refused.

ASVS 1.4.1. The memory that is read here is that of this process: pages with borders that nothing may cross.
"""

import contextlib
import ctypes
import mmap
import os
import random
import socket
import struct
from collections.abc import Iterator

import pytest

from failgate.client.exits import NotExecutable
from failgate.client.foreign import Wish, is_local, path_of, wish_of
from failgate.client.trapping import _TABLES, Trapped, _Program, _Step, _steps

PAGE = mmap.PAGESIZE
NOWHERE = r"Input/output error|Bad address"


LIBRARY = ctypes.CDLL(None, use_errno=True)
LIBRARY.mmap.restype = ctypes.c_void_p
LIBRARY.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
LIBRARY.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


class Pages:
    """Some pages of this process, behind the last of which nothing lies."""

    def __init__(self, number: int) -> None:
        self.size = number * PAGE
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self.start = LIBRARY.mmap(None, self.size + PAGE, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
        assert self.start % PAGE == 0
        self.end = self.start + self.size
        assert LIBRARY.munmap(self.end, PAGE) == 0

    def close(self) -> None:
        assert LIBRARY.munmap(self.start, self.size) == 0

    def put(self, place: int, octets: bytes) -> int:
        assert self.start <= place <= place + len(octets) <= self.end
        ctypes.memmove(place, octets, len(octets))
        return place

    def last(self, octets: bytes) -> int:
        """Put them so that they end where the readable memory does."""
        return self.put(self.end - len(octets), octets)


@pytest.fixture
def pages() -> Iterator[Pages]:
    if not os.access("/proc/self/mem", os.R_OK):
        pytest.skip("needs /proc")
    found = Pages(3)
    yield found
    found.close()


def execve(*arguments: int) -> Trapped:
    return Trapped(1, os.getpid(), "execve", (*arguments, 0, 0, 0))


def opening(place: int) -> Trapped:
    return Trapped(1, os.getpid(), "creat", (place, 0, 0, 0, 0, 0))


def table(*places: int) -> bytes:
    return struct.pack(f"<{len(places)}Q", *places)


def test_a_text_is_read_to_its_end_over_every_border(pages: Pages) -> None:
    for length in (0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 3 * PAGE - 1):
        text = b"x" * length + b"\0"
        assert path_of(opening(pages.last(text))) == "x" * length


def test_a_text_that_runs_out_of_its_memory_is_refused_and_not_cut_off(pages: Pages) -> None:
    for length in (1, 100, PAGE, PAGE + 1):
        with pytest.raises(OSError, match=NOWHERE):
            path_of(opening(pages.last(b"x" * length)))


@pytest.mark.parametrize("place", [1, 8, PAGE, 2**47, 2**48 + 1, 2**63 - 1, 2**63, 2**64 - PAGE, 2**64 - 1])
def test_an_address_that_points_nowhere_is_an_error_of_the_call_wherever_it_stands(pages: Pages, place: int) -> None:
    name = pages.put(pages.start, b"/bin/true\0")
    wild = pages.put(pages.start + 64, table(place, 0))
    calls = [
        execve(place, 0, 0),
        execve(name, place, 0),
        execve(name, 0, place),
        execve(name, wild, 0),
        execve(name, 0, wild),
    ]
    for call in calls:
        with pytest.raises(OSError, match=NOWHERE):
            wish_of(call)
    with pytest.raises(OSError, match=NOWHERE):
        is_local(Trapped(1, os.getpid(), "connect", (3, place, 16, 0, 0, 0)))


def test_a_list_without_an_end_is_bounded_by_number_and_by_bytes(pages: Pages) -> None:
    name = pages.put(pages.start, b"/bin/true\0")
    with pytest.raises(OSError, match=NOWHERE):  # the list itself runs out, in the middle of an address too
        wish_of(execve(name, pages.last(table(name, name)), 0))
    with pytest.raises(OSError, match=NOWHERE):
        wish_of(execve(name, pages.last(table(name)) + 3, 0))
    many = Pages(130)
    with pytest.raises(NotExecutable, match="too many"):
        wish_of(execve(name, many.put(many.start, table(name) * (129 * PAGE // 8)), 0))
    long = many.last(b"x" * (64 * PAGE) + b"\0")
    places = many.put(many.start, table(*[long] * 20, 0))
    with pytest.raises(NotExecutable, match="too long"):
        wish_of(execve(name, places, 0))
    with pytest.raises(NotExecutable, match="too long"):  # arguments and variables share one bound
        wish_of(execve(name, many.put(many.start, table(*[long] * 5, 0)), places))
    many.close()


def test_what_is_read_is_what_lies_there(pages: Pages) -> None:
    words = [b"make", "größe=漢字".encode(), b"", b"a b\n"]
    places = []
    at = pages.start + PAGE - 9  # over a border
    for word in words:
        places.append(pages.put(at, word + b"\0"))
        at += len(word) + 1
    argv = pages.last(table(*places, 0))
    variables = pages.put(pages.start, table(places[1], 0))
    found = wish_of(execve(places[0], argv, variables))
    assert found == Wish(os.getpid(), "make", ["make", "größe=漢字", "", "a b\n"], {"größe": "漢字"})
    with pytest.raises(NotExecutable, match="not UTF-8"):
        path_of(opening(pages.last(b"\xff\xfe\0")))
    assert is_local(Trapped(1, os.getpid(), "connect", (3, pages.last(struct.pack("=H", socket.AF_UNIX)), 2, 0, 0, 0)))


def test_ten_thousand_random_calls_end_in_a_wish_or_a_refusal(pages: Pages) -> None:
    chance = random.Random(14)
    pages.put(pages.start, chance.randbytes(3 * PAGE))
    near = [pages.start, pages.end - 8, pages.end - 1, pages.end, 0, 1, 2**63 - 8, 2**64 - 8]
    for _ in range(10_000):
        where = [(chance.choice(near) + chance.randrange(-16, 16)) % 2**64 for _ in range(3)]
        if chance.random() < 0.3:
            pages.put(pages.start + 8 * chance.randrange(64), table(chance.choice(near)))
        with contextlib.suppress(OSError, NotExecutable):
            assert isinstance(wish_of(execve(*where)), Wish)


@pytest.mark.parametrize("machine", _TABLES)
def test_the_filter_is_as_long_as_it_says_and_no_jump_leaves_it(machine: str) -> None:
    """What the kernel is handed: eight bytes a step, every jump within, a return at the end of each way."""
    assert ctypes.sizeof(_Step) == 8
    steps = _steps(_TABLES[machine])
    array = (_Step * len(steps))(*(_Step(*step) for step in steps))
    program = _Program(len(steps), array)
    assert (program.size, ctypes.sizeof(array)) == (len(steps), 8 * len(steps))
    assert len(steps) <= 4096
    assert [(one.code, one.yes, one.no, one.value) for one in array] == steps  # nothing was cut to fit its field
    for number, (code, yes, no, _value) in enumerate(steps):
        if code & 7 == 5:
            assert max(yes, no) + number + 1 < len(steps)
    assert steps[-1][0] & 7 == 6
