"""One uploader's files and bytes in a workspace. ASVS 5.0 5.2.4."""

import pytest

from failgate.base.errors import TooLarge
from failgate.reports.uploaders import COUNTED_SECONDS, UploaderLimits, Uploaders

from .conftest import Room, agent, entry, user


def limited(room: Room, **limits: int) -> None:
    room.reports._beginning._uploaders = Uploaders(room.reports._clock, UploaderLimits(**limits))


def texts(*sizes: int):
    return [entry(f"{number}".encode() * size, f"{number}.txt") for number, size in enumerate(sizes)]


async def test_the_files_of_one_uploader_are_bounded_and_others_go_on(room: Room) -> None:
    limited(room, files=5)
    by, other = user(), agent()
    await room.begin(by, *texts(1, 1, 1))
    with pytest.raises(TooLarge, match="uploader_files in this workspace is used up: 3 of 5, and 3 more") as refused:
        await room.begin(by, *texts(1, 1, 1))
    assert "Delete reports of yours" in str(refused.value)
    await room.begin(by, *texts(1, 1))
    with pytest.raises(TooLarge):
        await room.begin(by, *texts(1))
    await room.begin(by)  # one without files is no file
    await room.begin(other, *texts(1, 1, 1, 1, 1))


async def test_the_bytes_of_one_uploader_are_bounded_to_the_last_one(room: Room) -> None:
    limited(room, storage_bytes=1000)
    by = user()
    await room.begin(by, *texts(400, 500))
    with pytest.raises(TooLarge, match=r"uploader_storage_bytes .* 900 of 1000, and 101 more"):
        await room.begin(by, *texts(101))
    await room.begin(by, *texts(100))
    assert [act for act in await room.acts() if act == "report.begun"] == ["report.begun"] * 2


async def test_another_workspace_counts_by_itself(room: Room) -> None:
    limited(room, files=1)
    by = user()
    await room.begin(by, *texts(1))
    with pytest.raises(TooLarge):
        await room.begin(by, *texts(1))
    room.workspace_id = "0190a0a0-0000-7000-8000-0000000000aa"
    await room.begin(by, *texts(1))


async def test_what_is_deleted_is_given_back_at_once(room: Room) -> None:
    limited(room, files=2)
    by = user()
    report_id = await room.sealed(by, b"one", b"two")
    with pytest.raises(TooLarge):
        await room.begin(by, *texts(1))
    await room.reports.delete(by, room.workspace_id, report_id)
    await room.begin(by, *texts(1, 1))


async def test_a_lost_answer_that_is_asked_for_again_counts_once(room: Room) -> None:
    from .conftest import consented, manifest

    limited(room, files=3)
    by, request = user(), consented(manifest(*texts(1, 1)))
    for _ in range(5):
        await room.reports.begin(by, room.workspace_id, request)
    await room.begin(by, *texts(1))


async def test_far_below_the_limit_is_counted_once_a_minute(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many reports one has, one more costs no reading of all of them."""
    limited(room, files=10_000)
    by, asked = user(), []
    admit = Uploaders.admit

    class Watched:
        def __init__(self, tx) -> None:
            self._tx = tx

        async def fetch_one(self, query, *values):
            asked.append(query)
            return await self._tx.fetch_one(query, *values)

    monkeypatch.setattr(Uploaders, "admit", lambda self, tx, *rest: admit(self, Watched(tx), *rest))
    for _ in range(5):
        await room.begin(by, *texts(1))
    assert len(asked) == 1
    room.reports._clock.advance(COUNTED_SECONDS + 1)
    await room.begin(by, *texts(1))
    assert len(asked) == 2
