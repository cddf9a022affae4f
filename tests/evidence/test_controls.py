"""The mapping to controls is about columns that there are, and says of each what it shows and what it does not. E7"""

import tomllib
from pathlib import Path

import pytest

from failgate.evidence.controls import controls, of_pack, text
from failgate.evidence.packs import PACKS

PAGE = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
PLACES = {
    (pack.id, section.id): {column.name for column in section.columns} for pack in PACKS for section in pack.sections
}
NEEDED = {
    "SOC 2": ("CC6.1", "CC6.2", "CC6.3", "CC6.6", "CC6.7", "CC6.8", "CC7.1", "CC7.2", "CC7.3", "CC7.4"),
    "ISO/IEC 27001:2022": tuple(f"A.8.{number}" for number in (2, 3, 4, 5, 9, 15, 16, 18, 32)),
}


def test_every_mapping_names_columns_that_there_are() -> None:
    for control in controls():
        assert control.evidence, control.id
        for shown in control.evidence:
            assert (shown.pack, shown.section) in PLACES, (control.id, shown)
            assert shown.columns, control.id
            assert set(shown.columns) <= PLACES[shown.pack, shown.section], (control.id, shown)
            for words in (control.title, shown.shows, shown.lacks):
                assert len(words) > 6, control.id


def test_every_control_that_was_asked_for_is_mapped() -> None:
    found = {(control.framework, control.id) for control in controls()}
    assert found == {(framework, one) for framework, ids in NEEDED.items() for one in ids}


def test_nothing_stands_twice_and_nothing_is_unknown() -> None:
    keys = [(control.framework, control.id) for control in controls()]
    assert len(set(keys)) == len(keys)
    read = tomllib.loads(text())
    assert set(read) == {"control"}
    for one in read["control"]:
        assert set(one) == {"framework", "id", "title", "evidence"}
        for each in one["evidence"]:
            assert set(each) == {"pack", "section", "columns", "shows", "lacks"}


@pytest.mark.parametrize("pack", [one.id for one in PACKS])
def test_every_pack_shows_something_of_both_frameworks(pack: str) -> None:
    assert {control.framework for control, _ in of_pack(pack)} == set(NEEDED)


@pytest.mark.parametrize("framework", NEEDED)
def test_every_control_stands_in_the_docs(framework: str) -> None:
    for control in controls():
        assert control.id in PAGE, control.id
