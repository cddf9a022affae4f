"""Who sees what of a report."""

import pytest

from failgate.reports.views import is_open, is_visible

from .conftest import agent, user


def row(uploader, state: str) -> dict:
    return {"uploader_id": uploader.id, "uploader_owner_id": uploader.owner_account_id, "state": state}


@pytest.mark.parametrize(
    ("state", "others_see_it", "others_open_it"),
    [("begun", False, False), ("sealed", True, True), ("quarantined", True, False)],
)
def test_what_others_see_depends_on_the_state(state, others_see_it, others_open_it):
    assert is_visible(user(), row(user(), state)) is others_see_it
    assert is_open(user(), row(user(), state)) is others_open_it


@pytest.mark.parametrize("state", ["begun", "sealed", "quarantined"])
def test_the_uploader_and_the_account_behind_an_agent_see_everything(state):
    by, bot = user(), agent()
    assert is_open(by, row(by, state))
    assert is_open(user(bot.owner_account_id), row(bot, state))
    assert not is_open(user(), row(bot, "begun"))


def test_an_agent_does_not_see_what_its_owner_or_a_sister_uploaded():
    bot, sister = agent(), agent()
    assert not is_open(bot, row(user(bot.owner_account_id), "quarantined"))
    assert not is_open(sister, row(bot, "quarantined"))
