import hashlib

import pytest

from failgate.access.permission import Permission
from failgate.access.principal import Principal
from failgate.access.role import Role
from failgate.accounts.token import Wish
from failgate.accounts.token_text import token_id_of, write_token
from failgate.accounts.tokens import Tokens
from failgate.audit.record import Actor
from failgate.base.errors import BadInput, NotFound
from failgate.base.ids import new_id
from failgate.base.log import get_logger

DAY_US = 86_400_000_000


async def workspace_of(room, account):
    return await room.workspaces.create("payments", "Payments", account.id, room.operator)


async def key(room, **more):
    account = await room.account()
    workspace = await workspace_of(room, account)
    text = await room.tokens.mint("usr", account.id, workspace.id, "laptop", actor=room.operator, **more)
    return account, workspace, text


async def agent_token(room):
    account = await room.account()
    workspace = await workspace_of(room, account)
    agent = await room.agents.create(workspace.id, "build-bot", account.id, room.operator)
    text = await room.tokens.mint("agt", agent.id, workspace.id, "build-bot", actor=room.operator)
    return account, workspace, agent, text


async def test_an_api_key_speaks_for_its_owner_in_one_workspace(room) -> None:
    # E19 E25
    account, workspace, text = await key(room)
    assert await room.tokens.resolve(text) == Principal(
        kind="api_key", account_id=account.id, workspace_id=workspace.id, auth=("key",), label="laptop"
    )
    assert (await room.acts(workspace.id))[-1] == "token.minted"


async def test_an_agent_token_names_the_agent_and_who_answers_for_it(room) -> None:
    account, workspace, agent, text = await agent_token(room)
    assert await room.tokens.resolve(text) == Principal(
        kind="agent",
        agent_id=agent.id,
        owner_account_id=account.id,
        workspace_id=workspace.id,
        auth=("token",),
        label="build-bot",
    )


async def test_a_token_names_the_account_that_made_it_and_none_when_no_person_did(room) -> None:
    """E5: who made it could speak by it, so the gate has to know them."""
    owner, admin = await room.account(), await room.account("admin@acme.example")
    workspace = await workspace_of(room, owner)
    agent = await room.agents.create(workspace.id, "build-bot", owner.id, room.operator)
    for actor, maker in (
        (Actor("user", admin.id), admin.id),
        (Actor("api_key", admin.id), admin.id),
        (room.operator, None),
    ):
        text = await room.tokens.rotate(agent.id, workspace.id, Wish("bot"), grace_seconds=0, actor=actor)
        fresh = Tokens(room.database, room.audit, room.clock)
        assert (await fresh.resolve(text)).maker_account_id == maker


async def test_scopes_come_back_as_they_were_given(room) -> None:
    _, _, text = await key(room, scopes=[Permission.WORKSPACE_COMMAND_READ])
    fresh = Tokens(room.database, room.audit, room.clock)
    assert (await fresh.resolve(text)).scopes == {"workspace:command:read"}


async def test_only_the_sha256_of_a_token_is_stored(room) -> None:
    # E18
    _, _, text = await key(room)
    stored = await room.everything()
    assert text not in stored
    assert text.split("_")[3] not in stored
    assert hashlib.sha256(text.encode()).hexdigest() in stored


async def test_a_token_in_memory_is_resolved_without_a_query(room, monkeypatch) -> None:
    _, _, text = await key(room)
    assert await room.tokens.resolve(text) is not None
    monkeypatch.setattr(room.database, "fetch_one", None)
    for _ in range(10):
        assert await room.tokens.resolve(text) is not None


async def test_a_wrong_checksum_is_refused_without_a_query(room, monkeypatch) -> None:
    _, _, text = await key(room)
    monkeypatch.setattr(room.database, "fetch_one", None)
    wrong = text[:-1] + ("A" if text[-1] != "A" else "B")
    for other in (wrong, text[:-1], "", "fg_usr_", "é" * 80, "\ud800" * 80, text.replace("usr", "agt")):
        assert await room.tokens.resolve(other) is None


async def test_a_right_id_with_another_secret_is_nobody(room) -> None:
    _, _, text = await key(room)
    token_id = token_id_of(text)
    assert token_id is not None
    assert await room.tokens.resolve(write_token("usr", token_id)) is None
    assert await room.tokens.resolve(write_token("usr", new_id())) is None


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_token_ends_at_the_very_moment_of_its_expiry(room, restarted: bool) -> None:
    _, _, text = await key(room, expires_us=room.clock.now_us() + DAY_US)
    tokens = Tokens(room.database, room.audit, room.clock) if restarted else room.tokens
    room.clock.advance(86_399.999999)
    assert await tokens.resolve(text) is not None
    room.clock.advance(0.000001)
    assert await tokens.resolve(text) is None


async def test_a_revoked_token_ends_at_once_and_tells(room) -> None:
    # B3
    account, workspace, text = await key(room)
    told: list[str] = []
    room.tokens.on_revoked(told.append)
    assert await room.tokens.resolve(text) is not None
    token_id = token_id_of(text)
    await room.tokens.revoke(token_id, room.operator, workspace_id=workspace.id, owner_id=account.id)
    assert await room.tokens.resolve(text) is None
    assert await Tokens(room.database, room.audit, room.clock).resolve(text) is None
    await room.tokens.revoke(token_id, room.operator)
    assert told == [token_id]
    assert (await room.acts(workspace.id)).count("token.revoked") == 1
    assert await room.tokens.list(account.id) == []


async def test_another_owners_token_answers_as_a_missing_one(room) -> None:
    _, _, text = await key(room)
    token_id = token_id_of(text)
    sentences = set()
    for wanted, kwargs in ((token_id, {"owner_id": "x"}), (token_id, {"workspace_id": "x"}), ("absent", {})):
        with pytest.raises(NotFound) as caught:
            await room.tokens.revoke(wanted, room.operator, **kwargs)
        sentences.add(str(caught.value))
    assert len(sentences) == 1
    assert await room.tokens.resolve(text) is not None


async def test_the_last_use_is_written_by_the_sweep(room) -> None:
    account, workspace, text = await key(room)
    await room.tokens.resolve(text)
    room.clock.advance(5)
    await room.tokens.resolve(text)
    fresh = Tokens(room.database, room.audit, room.clock)
    assert (await room.tokens.list(account.id))[0].last_used_us == room.clock.now_us()  # known before it is written
    assert (await fresh.list(account.id))[0].last_used_us is None
    await room.tokens.sweep()
    listed = await fresh.list_in(workspace.id)
    assert [token.last_used_us for token in listed] == [room.clock.now_us()]


async def test_a_label_must_be_readable(room) -> None:
    account = await room.account()
    for label in ("", "   ", "x" * 101, "two\nlines", "\x1b[31mred"):
        with pytest.raises(BadInput, match="label"):
            await room.tokens.mint("usr", account.id, "w", label, actor=room.operator)


async def test_a_token_for_nobody_or_for_the_past_is_refused(room) -> None:
    account, workspace, agent, _ = await agent_token(room)
    with pytest.raises(BadInput, match="future"):
        await room.tokens.mint("usr", account.id, workspace.id, "x", room.clock.now_us(), actor=room.operator)
    for kind, owner, place in (
        ("usr", "absent", workspace.id),
        ("agt", "absent", workspace.id),
        ("agt", agent.id, "other"),
        ("usr", agent.id, workspace.id),
    ):
        with pytest.raises(NotFound):
            await room.tokens.mint(kind, owner, place, "x", actor=room.operator)


async def test_disabling_an_agent_ends_its_tokens_and_mints_no_more(room) -> None:
    _, workspace, agent, text = await agent_token(room)
    assert await room.tokens.resolve(text) is not None
    await room.agents.disable(workspace.id, agent.id, room.operator)
    assert await room.tokens.resolve(text) is None
    with pytest.raises(NotFound):
        await room.tokens.mint("agt", agent.id, workspace.id, "x", actor=room.operator)


async def test_leaving_a_workspace_ends_the_tokens_there(room) -> None:
    # F4 F5
    account, workspace, _, of_agent = await agent_token(room)
    of_account = await room.tokens.mint("usr", account.id, workspace.id, "x", actor=room.operator)
    elsewhere = await room.workspaces.create("elsewhere", "Elsewhere", account.id, room.operator)
    kept = await room.tokens.mint("usr", account.id, elsewhere.id, "x", actor=room.operator)
    bob = await room.account("bob@example.com")
    await room.workspaces.add_member(workspace.id, bob.id, room.workspaces_owner, room.operator)
    await room.workspaces.remove_member(workspace.id, account.id, room.operator)
    assert await room.tokens.resolve(of_agent) is None
    assert await room.tokens.resolve(of_account) is None
    assert await room.tokens.resolve(kept) is not None


# Limits, rotation, owners


async def test_a_token_ends_in_the_moment_of_its_expiry(room) -> None:
    # E25
    _, _, text = await key(room, expires_us=room.clock.now_us() + 60_000_000)
    room.clock.advance(59.999999)
    assert await room.tokens.resolve(text) is not None
    room.clock.advance(0.000001)
    assert await room.tokens.resolve(text) is None
    assert await Tokens(room.database, room.audit, room.clock).resolve(text) is None


async def test_a_token_works_from_its_networks_alone(room) -> None:
    # E25
    _, _, text = await key(room, networks=["10.0.0.0/8"])
    for tokens in (room.tokens, Tokens(room.database, room.audit, room.clock)):
        assert await tokens.resolve(text, "10.1.2.3") is not None
        for elsewhere in ("11.0.0.1", None, "", "not an address"):
            assert await tokens.resolve(text, elsewhere) is None


async def test_the_last_use_names_the_address(room) -> None:
    account, _, text = await key(room)
    await room.tokens.resolve(text, "192.0.2.7")
    await room.tokens.sweep()
    [listed] = await Tokens(room.database, room.audit, room.clock).list(account.id)
    assert (listed.last_used_us, listed.last_used_address) == (room.clock.now_us(), "192.0.2.7")


async def test_a_key_for_who_is_no_member_is_refused(room) -> None:
    _, workspace, _ = await key(room)
    stranger = await room.account("bob@example.com")
    with pytest.raises(NotFound):
        await room.tokens.mint("usr", stranger.id, workspace.id, "x", actor=room.operator)


async def test_a_scope_that_the_role_does_not_give_is_refused(room) -> None:
    account, workspace, _ = await key(room)
    for scopes in ([], ["workspace:command:vote"], ["workspace:key:write"], ["platform:user:write"], ["*"]):
        with pytest.raises(BadInput):
            await room.tokens.mint("usr", account.id, workspace.id, "x", actor=room.operator, scopes=scopes)


@pytest.mark.parametrize("grace", [0, 3600])
async def test_rotation_ends_the_old_token_at_once_or_after_the_grace(room, grace: int) -> None:
    _, workspace, agent, old = await agent_token(room)
    other = await room.agents.create(workspace.id, "other", agent.owner_account_id, room.operator)
    kept = await room.tokens.mint("agt", other.id, workspace.id, "kept", actor=room.operator)
    assert await room.tokens.resolve(old) is not None
    new = await room.tokens.rotate(agent.id, workspace.id, Wish("again"), grace_seconds=grace, actor=room.operator)
    assert (await room.tokens.resolve(old) is not None) == bool(grace)
    if grace:
        room.clock.advance(grace - 1)
        assert await room.tokens.resolve(old) is not None
        ended = []
        room.tokens.on_revoked(ended.append)
        room.clock.advance(1)
        await room.tokens.sweep()
        assert ended == [token_id_of(old)]  # and what was opened with it
    assert await room.tokens.resolve(old) is None
    assert await room.tokens.resolve(new) is not None
    assert await room.tokens.resolve(kept) is not None
    for wrong in (-1, 8 * 86_400):
        with pytest.raises(BadInput):
            await room.tokens.rotate(agent.id, workspace.id, Wish("x"), grace_seconds=wrong, actor=room.operator)


async def test_another_owner_ends_the_tokens_of_an_agent(room) -> None:
    _, workspace, agent, text = await agent_token(room)
    bob = await room.account("bob@example.com")
    with pytest.raises(NotFound):
        await room.agents.change_owner(workspace.id, agent.id, bob.id, room.operator)
    await room.workspaces.add_member(workspace.id, bob.id, Role.DEVELOPER, room.operator)
    await room.agents.change_owner(workspace.id, agent.id, agent.owner_account_id, room.operator)
    assert await room.tokens.resolve(text) is not None
    await room.agents.change_owner(workspace.id, agent.id, bob.id, room.operator)
    assert await room.tokens.resolve(text) is None
    fresh = await room.tokens.mint("agt", agent.id, workspace.id, "x", actor=room.operator)
    assert (await room.tokens.resolve(fresh)).owner_account_id == bob.id


async def test_a_thousand_issued_secrets_are_in_no_table_and_no_log(room, caplog, capfd) -> None:
    """E18 E19: by the whole text, by the secret part, also when they are used, rotated, revoked."""
    account, workspace, agent, _ = await agent_token(room)
    texts = [
        await room.tokens.mint("usr", account.id, workspace.id, f"k{number}", actor=room.operator)
        for number in range(600)
    ]
    for _ in range(200):
        texts.append(await room.tokens.rotate(agent.id, workspace.id, Wish("r"), grace_seconds=0, actor=room.operator))
        texts.append((await room.invitations.create(workspace.id, Role.DEVELOPER, room.operator))[1])
        if len(await room.invitations.list(workspace.id)) > 150:
            for one in await room.invitations.list(workspace.id):
                await room.invitations.revoke(workspace.id, one.id, room.operator)
    for text in texts:
        await room.tokens.resolve(text, "192.0.2.1")
    await room.tokens.sweep()
    get_logger("tests").warning("said", to=texts[0][:8])  # where a log would be seen
    written = "".join(capfd.readouterr())
    assert texts[0][:8] in written
    kept = await room.everything() + caplog.text + written
    assert len(texts) == 1000
    assert [text for text in texts if text in kept or text.split("_")[3] in kept] == []
