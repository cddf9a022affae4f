"""Paths of tiles in the one form that C2SP tlog-tiles gives them. B10"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failgate.audit.tiles import TilePlace, index_path, tile_at, tile_path
from failgate.base.errors import NotFound


def test_the_paths_of_the_specification():
    assert index_path(1234067) == "x001/x234/067"
    assert tile_path(TilePlace(0, 1234067, 256)) == "0/x001/x234/067"
    assert tile_path(TilePlace(None, 273, 17)) == "entries/273.p/17"


@given(st.one_of(st.none(), st.integers(0, 5)), st.integers(0, 10**12 - 1), st.integers(1, 256))
def test_a_path_leads_back_to_its_tile(level, index, width):
    place = TilePlace(level, index, width)
    assert tile_at(tile_path(place)) == place


@pytest.mark.parametrize(
    "path", ["", "0", "0/1", "0/x000/001", "0/000.p/256", "0/000.p/0", "6/000", "entries/000.p/", "0/000\n"]
)
def test_any_other_form_is_no_tile(path):
    with pytest.raises(NotFound):
        tile_at(path)
