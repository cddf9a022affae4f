"""A real clamd asked over its socket and its port; answers that say nothing clear are never "clean". ASVS 5.4.3"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from failgate.artifacts.clamd import Clamd, ScannerFailed
from tests.peers import clamav
from tests.peers.clamav import EICAR, STREAM_BYTES, WORD, Clamav


@pytest.fixture(scope="module")
def peer() -> Iterator[Clamav]:
    with clamav.running() as one:
        yield one


@pytest.fixture(params=["socket", "port"])
def clamd(request: pytest.FixtureRequest, peer: Clamav) -> Clamd:
    return Clamd(peer.socket if request.param == "socket" else f"127.0.0.1:{peer.port}", 10.0)


async def pieces(content: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.mark.parametrize(
    "content", [b"", b"1 failed\n", b"x" * STREAM_BYTES], ids=["empty", "text", "as long as may be"]
)
async def test_what_holds_nothing_is_clean(clamd: Clamd, content: bytes) -> None:
    assert await clamd.scan(pieces(content)) is None


@pytest.mark.parametrize("size", [1, 7, 65_536, 1 << 20])
async def test_what_a_signature_names_is_found_wherever_a_piece_ends(clamd: Clamd, size: int) -> None:
    content = EICAR if size == 1 else b"-" * 30_000 + WORD + b"-" * 30_000
    name = "Eicar-Test-Signature.UNOFFICIAL" if size == 1 else "Failgate.Test-1.UNOFFICIAL"
    assert await clamd.scan(pieces(content, size)) == name


async def test_more_than_it_takes_is_no_clean_answer_and_says_what_to_do(clamd: Clamd) -> None:
    with pytest.raises(ScannerFailed, match="StreamMaxLength") as failed:
        await clamd.scan(pieces(b"x" * (8 * STREAM_BYTES)))
    assert not failed.value.is_away


async def test_it_says_who_it_is(clamd: Clamd) -> None:
    assert (await clamd.version()).startswith("ClamAV 1.")


async def test_many_are_asked_at_once(clamd: Clamd) -> None:
    contents = [WORD if number % 2 else b"clean" for number in range(20)]
    found = await asyncio.gather(*(clamd.scan(pieces(content)) for content in contents))
    assert [one is not None for one in found] == [bool(number % 2) for number in range(20)]


async def test_bytes_that_break_off_are_no_clean_answer(clamd: Clamd) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"a beginning"
        raise LookupError("the store is gone")

    with pytest.raises(LookupError):
        await clamd.scan(broken())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"stream: OK",
        b"stream: OK FOUND?\0",
        b"OK\0",
        b"stream: OKAY\0",
        b"\xff\0",
        b"UNKNOWN COMMAND\0",
        b"x" * 9000,
    ],
)
async def test_an_answer_that_says_nothing_clear_is_a_failure(tmp_path: Path, answer: bytes) -> None:
    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(bytes(4))
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_unix_server(odd, tmp_path / "odd")
    async with server:
        with pytest.raises(ScannerFailed):
            await Clamd(str(tmp_path / "odd"), 5.0).scan(pieces(b"some bytes"))


async def test_one_that_is_away_or_silent_is_away(tmp_path: Path) -> None:
    with pytest.raises(ScannerFailed, match="cannot be asked") as away:
        await Clamd(str(tmp_path / "none"), 5.0).scan(pieces(b"some bytes"))
    assert away.value.is_away

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(silent, tmp_path / "silent")
    async with server:
        with pytest.raises(ScannerFailed, match="took too long") as away:
            await Clamd(str(tmp_path / "silent"), 0.2).scan(pieces(b"some bytes"))
    assert away.value.is_away
