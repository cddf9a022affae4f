"""Required exporters: one that is too far behind is named, and forgotten when it has caught up. B11"""

import asyncio

import pytest

from failgate.audit.follower import Lag
from failgate.audit.requiring import ExporterBehind, Required


class Lagging:
    """A follower as far as it is watched."""

    def __init__(self, name):
        self.name = name
        self.seconds = 0.0

    async def lag(self):
        return Lag(1 if self.seconds else 0, self.seconds)


async def test_the_first_that_is_too_far_behind_is_named_until_it_has_caught_up():
    one, other = Lagging("one"), Lagging("other")
    required = Required([one, other], 60.0)
    await required.look()
    required.must_keep_up()
    one.seconds = 60.0
    await required.look()
    required.must_keep_up()
    one.seconds, other.seconds = 61.0, 3600.0
    await required.look()
    with pytest.raises(ExporterBehind, match="does not reach one") as refused:
        required.must_keep_up()
    assert refused.value.facts == {"exporter": "one"}
    one.seconds = 0.0
    await required.look()
    assert required.behind == "other"
    other.seconds = 0.0
    await required.look()
    required.must_keep_up()


async def test_it_looks_by_itself():
    one = Lagging("one")
    required = Required([one], 0.02)
    await required.start()
    one.seconds = 1.0
    async with asyncio.timeout(5):
        while required.behind is None:
            await asyncio.sleep(0.005)
        one.seconds = 0.0
        while required.behind is not None:
            await asyncio.sleep(0.005)
    await required.close()


async def test_without_a_required_one_nothing_is_watched():
    required = Required((), 1.0)
    await required.start()
    required.must_keep_up()
    await required.close()
