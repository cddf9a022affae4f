"""Words of the context: which there are, and that each place where a password is chosen knows them. ASVS 6.2.11."""

import re

import pytest

from failgate.access.role import Role
from failgate.accounts.context_words import ContextWords, without, words_of, words_of_address
from failgate.base.errors import BadInput


def test_a_name_counts_whole_in_parts_and_run_together() -> None:
    assert words_of(["Acme Rockets", "eu"]) == {"acme rockets", "acmerockets", "acme", "rockets"}
    assert words_of_address("Ann.Miller@acme.example") >= {"ann", "miller", "annmiller", "acme", "acme.example"}


def test_what_is_left_is_letters_and_digits() -> None:
    assert without("acme: 7 words!", {"acme"}) == "7words"
    assert without("nothing of it", {"acme"}) is None
    assert without("acmerockets", {"acme", "acmerockets"}) == ""


async def test_the_words_are_those_of_server_operator_and_workspaces(room) -> None:
    words = ContextWords(room.database, "https://gate.acme.example:8440", ["Sky Lark"])
    assert await words.of() == {
        "failgate", "gate.acme.example", "gateacmeexample", "gate", "acme", "example", "sky lark", "skylark", "sky", "lark",
    }  # fmt: skip
    assert {"moon", "base", "moonbase"} <= await words.of(names=["Moon Base"])


async def test_no_place_where_a_password_is_chosen_takes_one_made_of_them(room, monkeypatch) -> None:
    """Setup, a new account, an invitation, a change, an operator's reset, a link for a new password."""
    letters = []
    monkeypatch.setattr(room.mail, "post", lambda letter: letters.append(letter) or True)
    refused = pytest.raises(BadInput, match="names that belong to this server")
    of_server, of_workspace = "failgate Failgate 123", "Moon Base moonbase 12"
    link = await room.setup_links.mint()
    with refused:
        await room.setup_links.complete(link, "ann@acme.test", of_workspace, "moon-base", "Moon Base")
    ann = await room.setup_links.complete(link, "ann@acme.test", room.password, "moon-base", "Moon Base")
    workspace = await room.workspaces.by_slug("moon-base")
    with refused:
        await room.accounts.create("bob@acme.test", of_server, room.operator)
    await room.accounts.create("bob@acme.test", of_workspace, room.operator)  # who is not in that workspace

    _, invitation = await room.invitations.create(workspace.id, Role.REVIEWER, room.operator)
    with refused:
        await room.invitations.accept_as_new(invitation, "cleo@acme.test", of_workspace, "192.0.2.1")

    token, session = await room.sessions.open(ann.id, "192.0.2.1", "browser", ("pwd",))
    with refused:
        await room.accounts.change_password(ann, room.password, of_workspace, session)
    with refused:
        await room.accounts.set_password(ann.id, of_workspace, room.operator)
    room.password_reset.ask(ann.email, "192.0.2.1")
    await room.password_reset.settle()
    found = re.search(r"fg_rst_\w+", letters[-1].text)
    assert found
    with refused:
        await room.password_reset.complete(found[0], of_workspace)
    assert await room.sessions.resolve(token) is not None, "a refused password ends nothing"
