"""A connection is recognised by the record that was newest when it asked, whatever is kept while it asks."""

import pytest

from failgate.audit.last_kept import LastKept
from failgate.base.errors import StorageUnavailable


async def test_a_record_kept_while_a_connection_asks_changes_nothing():
    known = LastKept()
    kept = {}

    def keep(size):
        leaf_hash = bytes([size]) * 32
        kept[size] = leaf_hash
        known.note(1, size, leaf_hash)

    async def fetch(_sql, _position):
        size = max(kept)
        keep(size + 1)  # another is committed before the answer is there
        return [{"leaf_hash": kept[size]}]

    keep(1)
    await known.recognise(fetch)


@pytest.mark.parametrize("rows", [[], [{"leaf_hash": b"x" * 32}]], ids=["gone", "another"])
async def test_a_database_that_lacks_the_record_is_refused(rows):
    known = LastKept()
    known.note(1, 1, b"y" * 32)

    async def fetch(_sql, _position):
        return rows

    with pytest.raises(StorageUnavailable, match="copy from before"):
        await known.recognise(fetch)
