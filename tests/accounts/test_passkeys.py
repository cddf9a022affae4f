"""Passkeys against an authenticator in software: what is right gets in, and each way of being wrong has its name."""

import asyncio
import json
from dataclasses import replace

import pytest

from failgate.accounts.challenges import ChallengeGone
from failgate.accounts.passkeys import MOST_PASSKEYS, Passkeys
from failgate.accounts.relying_party import PasskeyRefused
from failgate.base.errors import BadInput, Conflict, NotFound, NotSignedIn
from tests.accounts.authenticator import PRESENT, Authenticator, b64
from tests.accounts.conftest import BASE_URL
from tests.accounts.test_second_factors import code_now, enrolled

BROWSER, OTHER_BROWSER, ADDRESS = "cookie of one browser", "cookie of another", "192.0.2.1"


async def registered(room, email: str = "ann@example.com", **how) -> tuple[str, Authenticator, tuple[str, ...]]:
    """Make an account whose only factor is a passkey; return its id, the authenticator, the backup codes."""
    account = await room.account(email)
    device = Authenticator(BASE_URL, **how)
    _, session = await room.sessions.open(account.id, ADDRESS, "", ("pwd",))
    made = await add(room, session, device)
    return account.id, device, made.backup_codes


async def add(room, session, device: Authenticator, name: str = "Key"):
    return await room.passkeys.register(session, device.make(await room.passkeys.registration_options(session)), name)


async def reasons(room) -> list[str]:
    return [record["data"]["reason"] for record in await room.records() if record["act"] == "factor.refused"]


async def refused(room, reason: str, coroutine, error=PasskeyRefused) -> None:
    before = len(await reasons(room))
    with pytest.raises(error):
        await coroutine
    assert (await reasons(room))[before:] == [f"passkey_{reason}"]


async def test_a_passkey_signs_in_alone_with_both_factors_proven(room) -> None:
    # B2
    account_id, device, codes = await registered(room)
    assert len(set(codes)) == 10
    assert await room.second_factors.has(account_id)
    room.clock.advance(60)
    options = await room.passkeys.sign_in_options(BROWSER)
    assert json.loads(options)["userVerification"] == "required"
    assert json.loads(options).get("allowCredentials", []) == []
    token, session = await room.passkeys.sign_in(BROWSER, device.show(options), ADDRESS, "Firefox")
    assert (session.account_id, session.auth, session.awaits_second_factor) == (account_id, ("passkey",), False)
    assert session.second_factor_us == room.clock.now_us()
    assert (await room.sessions.resolve(token)).principal.account_id == account_id
    (row,) = await room.passkeys.list(account_id)
    assert (row.name, row.transports, row.last_used_us) == ("Key", ("internal", "hybrid"), room.clock.now_us())
    assert row.aaguid == "00112233-4455-6677-8899-aabbccddeeff"


async def test_a_passkey_is_made_of_a_curve_and_never_of_rsa(room) -> None:
    # ASVS 5.0 11.2.3: authenticators make RSA keys of 2048 bits, which is 112 bits of security
    account = await room.account("rsa@example.com")
    _, session = await room.sessions.open(account.id, ADDRESS, "", ("pwd",))
    options = await room.passkeys.registration_options(session)
    assert [one["alg"] for one in json.loads(options)["pubKeyCredParams"]] == [-7, -8, -36]
    device = Authenticator(BASE_URL, is_rsa=True)
    await refused(room, "not_verified", room.passkeys.register(session, device.make(options), "Key"))


async def test_a_passkey_is_the_second_factor_after_a_password_and_steps_up(room) -> None:
    account_id, device, _ = await registered(room)
    token, session = await room.sessions.open(account_id, ADDRESS, "", ("pwd",))
    assert session.awaits_second_factor
    options = await room.passkeys.proof_options(session)
    assert [one["id"] for one in json.loads(options)["allowCredentials"]] == [b64(device.credential_id)]
    fresh = await room.passkeys.prove_in_session(session, device.show(options))
    assert await room.sessions.resolve(token) is None
    signed_in = await room.sessions.resolve(fresh)
    assert (signed_in.auth, signed_in.awaits_second_factor) == (("pwd", "passkey"), False)
    room.clock.advance(400)
    again = await room.passkeys.prove_in_session(signed_in, device.show(await room.passkeys.proof_options(signed_in)))
    assert (await room.sessions.resolve(again)).second_factor_us == room.clock.now_us()


async def test_registration_asks_for_a_discoverable_key_with_user_verification(room) -> None:
    account_id, device, _ = await registered(room)
    _, session = await room.sessions.open(account_id, ADDRESS, "", ("pwd",))
    asked = json.loads(await room.passkeys.registration_options(session))
    wanted = asked["authenticatorSelection"]
    assert (wanted["residentKey"], wanted["userVerification"]) == ("required", "required")
    assert asked["rp"]["id"] == "failgate.example"
    assert [one["id"] for one in asked["excludeCredentials"]] == [b64(device.credential_id)]
    assert "ann" not in asked["user"]["id"]


@pytest.mark.parametrize(
    ("crooked", "reason"),
    [
        ({"origin": "https://failgate.example.evil.example"}, "wrong_origin"),
        ({"origin": "http://failgate.example"}, "wrong_origin"),
        ({"origin": "https://failgate.example:8443"}, "wrong_origin"),
        ({"rp_id": "evil.example"}, "wrong_relying_party"),
        ({"flags": PRESENT}, "user_not_verified"),
        ({"cross_origin": True}, "cross_origin"),
        ({"kind": "webauthn.create"}, "wrong_ceremony"),
        ({"credential_id": b"another credential"}, "unknown_credential"),
        ({"user_handle": b"somebody else"}, "wrong_account"),
    ],
)
async def test_a_crooked_proof_signs_nobody_in(room, crooked: dict, reason: str) -> None:
    _, device, _ = await registered(room)
    sessions = await room.database.fetch("SELECT id FROM session")
    answer = replace(device, **crooked).show(await room.passkeys.sign_in_options(BROWSER))
    await refused(room, reason, room.passkeys.sign_in(BROWSER, answer, ADDRESS, ""))
    assert await room.database.fetch("SELECT id FROM session") == sessions


async def test_another_key_for_a_known_credential_signs_nobody_in(room) -> None:
    _, device, _ = await registered(room)
    forger = Authenticator(BASE_URL, credential_id=device.credential_id, user_handle=device.user_handle)
    answer = forger.show(await room.passkeys.sign_in_options(BROWSER))
    await refused(room, "wrong_signature", room.passkeys.sign_in(BROWSER, answer, ADDRESS, ""))


@pytest.mark.parametrize(
    "crooked",
    [
        {"origin": "https://evil.example"},
        {"rp_id": "evil.example"},
        {"flags": PRESENT},
        {"kind": "webauthn.get"},
        {"cross_origin": True},
    ],
)
async def test_a_crooked_registration_keeps_nothing(room, crooked: dict) -> None:
    account = await room.account()
    _, session = await room.sessions.open(account.id, ADDRESS, "", ("pwd",))
    options = await room.passkeys.registration_options(session)
    device = replace(Authenticator(BASE_URL), **crooked)
    with pytest.raises(PasskeyRefused):
        await room.passkeys.register(session, device.make(options), "Key")
    assert await room.passkeys.list(account.id) == []
    assert not await room.second_factors.has(account.id)


async def test_a_challenge_is_answered_once(room) -> None:
    _, device, _ = await registered(room)
    answer = device.show(await room.passkeys.sign_in_options(BROWSER))
    await room.passkeys.sign_in(BROWSER, answer, ADDRESS, "")
    await refused(room, "used_challenge", room.passkeys.sign_in(BROWSER, answer, ADDRESS, ""), ChallengeGone)


async def test_twenty_parallel_answers_to_one_challenge_are_one_session(room) -> None:
    _, device, _ = await registered(room)
    answer = device.show(await room.passkeys.sign_in_options(BROWSER))
    results = await asyncio.gather(
        *(room.passkeys.sign_in(BROWSER, answer, ADDRESS, "") for _ in range(20)), return_exceptions=True
    )
    assert sum(isinstance(result, tuple) for result in results) == 1
    assert sum(isinstance(result, ChallengeGone) for result in results) == 19


async def test_a_challenge_is_of_one_browser_one_purpose_and_five_minutes(room) -> None:
    account_id, device, _ = await registered(room)
    _, session = await room.sessions.open(account_id, ADDRESS, "", ("pwd",))
    elsewhere = device.show(await room.passkeys.sign_in_options(OTHER_BROWSER))
    await refused(room, "wrong_challenge", room.passkeys.sign_in(BROWSER, elsewhere, ADDRESS, ""), ChallengeGone)
    stepping_up = device.show(await room.passkeys.proof_options(session))
    await refused(room, "wrong_challenge", room.passkeys.sign_in(session.id, stepping_up, ADDRESS, ""), ChallengeGone)
    made_up = device.show(json.dumps({"challenge": b64(b"x" * 53), "rpId": "failgate.example"}))
    await refused(room, "wrong_challenge", room.passkeys.sign_in(BROWSER, made_up, ADDRESS, ""), ChallengeGone)
    late = device.show(await room.passkeys.sign_in_options(BROWSER))
    room.clock.advance(300)
    await refused(room, "wrong_challenge", room.passkeys.sign_in(BROWSER, late, ADDRESS, ""), ChallengeGone)


async def test_a_counter_that_goes_back_is_a_copy_and_is_refused(room) -> None:
    _, device, _ = await registered(room, counter=5)
    await room.passkeys.sign_in(BROWSER, device.show(await room.passkeys.sign_in_options(BROWSER)), ADDRESS, "")
    copy = replace(device, counter=4)
    answer = copy.show(await room.passkeys.sign_in_options(BROWSER))
    await refused(room, "counter_regressed", room.passkeys.sign_in(BROWSER, answer, ADDRESS, ""))
    honest = device.show(await room.passkeys.sign_in_options(BROWSER))
    await room.passkeys.sign_in(BROWSER, honest, ADDRESS, "")


async def test_two_answers_with_one_counter_are_one_success(room) -> None:
    _, device, _ = await registered(room, counter=5)
    twin = replace(device)
    answers = [one.show(await room.passkeys.sign_in_options(BROWSER)) for one in (device, twin)]
    results = await asyncio.gather(
        *(room.passkeys.sign_in(BROWSER, answer, ADDRESS, "") for answer in answers), return_exceptions=True
    )
    assert sum(isinstance(result, tuple) for result in results) == 1


async def test_a_passkey_of_another_account_proves_nothing_here(room) -> None:
    _, bobs, _ = await registered(room, "bob@example.com")
    anns_id, _, _ = await registered(room)
    _, session = await room.sessions.open(anns_id, ADDRESS, "", ("pwd",))
    answer = bobs.show(await room.passkeys.proof_options(session))
    await refused(room, "wrong_account", room.passkeys.prove_in_session(session, answer))
    assert (await room.sessions.list(anns_id))[0].awaits_second_factor


async def test_a_disabled_account_is_refused_like_a_wrong_passkey(room) -> None:
    account_id, device, _ = await registered(room)
    await room.accounts.disable(account_id, room.operator)
    answer = device.show(await room.passkeys.sign_in_options(BROWSER))
    await refused(room, "session_or_account_ended", room.passkeys.sign_in(BROWSER, answer, ADDRESS, ""))


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "{", '{"id": 1}', "[" * 5000, "x" * 20_000, "\x00", "\ud800",
        '{"id":"a","rawId":"a","type":"public-key","response":{"clientDataJSON":"!"}}',
        '{"id":"a","rawId":"a","type":"public-key","response":{"clientDataJSON":"bnVsbA"}}',
        '{"id":"a","rawId":"a","type":"public-key","response":{"clientDataJSON":"eyJ0eXBlIjoieCIsImNoYWxsZW5nZSI6IiIsIm9yaWdpbiI6IiJ9"}}',
    ],
)  # fmt: skip
async def test_what_is_no_credential_is_refused_and_not_a_failure(room, text: str) -> None:
    with pytest.raises(NotSignedIn):
        await room.passkeys.sign_in(BROWSER, text, ADDRESS, "")


async def test_broken_authenticator_data_is_refused(room) -> None:
    _, device, _ = await registered(room)
    for member, value in (("authenticatorData", "AA"), ("signature", ""), ("authenticatorData", None)):
        answer = json.loads(device.show(await room.passkeys.sign_in_options(BROWSER)))
        answer["response"][member] = value
        with pytest.raises(PasskeyRefused):
            await room.passkeys.sign_in(BROWSER, json.dumps(answer), ADDRESS, "")


async def test_ten_passkeys_and_no_more_and_none_twice(room) -> None:
    account_id, device, _ = await registered(room)
    token, session = await room.sessions.open(account_id, ADDRESS, "", ("pwd",), awaits_second_factor=False)
    with pytest.raises(Conflict, match="registered already"):
        await add(room, session, device)
    for _ in range(MOST_PASSKEYS - 1):
        session = await room.sessions.resolve((await add(room, session, Authenticator(BASE_URL))).token)
    assert len(await room.passkeys.list(account_id)) == MOST_PASSKEYS
    with pytest.raises(Conflict, match="10 passkeys at most"):
        await room.passkeys.registration_options(session)
    assert await room.sessions.resolve(token) is None


async def test_passkeys_are_named_and_renamed_by_their_owner_alone(room) -> None:
    account_id, _, _ = await registered(room)
    bob = await room.account("bob@example.com")
    (row,) = await room.passkeys.list(account_id)
    await room.passkeys.rename(account_id, row.id, "  Blue key  ", room.operator)
    assert (await room.passkeys.list(account_id))[0].name == "Blue key"
    with pytest.raises(NotFound):
        await room.passkeys.rename(bob.id, row.id, "Mine", room.operator)
    with pytest.raises(NotFound):
        await room.passkeys.remove(bob.id, row.id, room.operator)
    for name in ("", " ", "x" * 65, "a\nb", "a\u202eb"):
        with pytest.raises(BadInput):
            await room.passkeys.rename(account_id, row.id, name, room.operator)
    assert (await room.acts())[-1] == "factor.renamed"
    assert "Blue key" not in str(await room.records())


async def test_removing_the_last_factor_ends_sessions_and_backup_codes(room) -> None:
    account_id, device, codes = await registered(room)
    token, _ = await room.sessions.open(account_id, ADDRESS, "", ("pwd",))
    (row,) = await room.passkeys.list(account_id)
    await room.passkeys.remove(account_id, row.id, room.operator)
    assert await room.sessions.resolve(token) is None
    assert not await room.second_factors.has(account_id)
    with pytest.raises(NotSignedIn):
        await room.second_factors.prove(account_id, codes[0])
    answer = device.show(await room.passkeys.sign_in_options(BROWSER))
    await refused(room, "unknown_credential", room.passkeys.sign_in(BROWSER, answer, ADDRESS, ""))


async def test_beside_an_authenticator_neither_removal_ends_sessions(room) -> None:
    account_id, secret, codes = await enrolled(room)
    _, session = await room.sessions.open(account_id, ADDRESS, "", ("pwd",), awaits_second_factor=False)
    made = await add(room, session, Authenticator(BASE_URL))
    assert made.backup_codes == (), "there are some already"
    (row,) = await room.passkeys.list(account_id)
    await room.passkeys.remove(account_id, row.id, room.operator)
    assert await room.sessions.resolve(made.token) is not None
    assert await room.second_factors.prove(account_id, code_now(room, secret)) == "otp"
    session = await room.sessions.resolve(made.token)
    again = await add(room, session, Authenticator(BASE_URL))
    await room.second_factors.remove(account_id, room.operator)
    assert await room.sessions.resolve(again.token) is not None
    assert await room.second_factors.has(account_id)
    assert await room.second_factors.prove(account_id, codes[0]) == "recovery"


async def test_a_reset_takes_every_factor_and_every_session(room) -> None:
    account_id, _, _ = await enrolled(room)
    token, session = await room.sessions.open(account_id, ADDRESS, "", ("pwd",), awaits_second_factor=False)
    token = (await add(room, session, Authenticator(BASE_URL))).token
    await room.second_factors.reset(account_id, room.operator, "met")
    assert not await room.second_factors.has(account_id)
    assert await room.passkeys.list(account_id) == []
    assert await room.sessions.resolve(token) is None
    last = [record for record in await room.records() if record["act"] == "factor.removed"][-1]
    assert (last["data"], last["actor"]["t"]) == ({"method": "all", "evidence": "met"}, "operator")
    with pytest.raises(Conflict):
        await room.second_factors.reset(account_id, room.operator, "met")


async def test_where_browsers_have_none_nothing_is_asked(room) -> None:
    account_id, _, _ = await registered(room)
    _, session = await room.sessions.open(account_id, ADDRESS, "", ("pwd",))
    without = Passkeys(
        room.database, room.audit, room.clock, challenges=room.passkeys._challenges, relying_party=None,
        sessions=room.sessions, second_factors=room.second_factors,
    )  # fmt: skip
    assert not without.are_possible
    for asking in (
        without.sign_in_options(BROWSER), without.registration_options(session), without.proof_options(session),
        without.sign_in(BROWSER, "{}", ADDRESS, ""), without.prove_in_session(session, "{}"),
        without.register(session, "{}", "x"),
    ):  # fmt: skip
        with pytest.raises(Conflict):
            await asking


async def test_answered_challenges_are_forgotten_when_they_are_too_old(room) -> None:
    _, device, _ = await registered(room)
    answer = device.show(await room.passkeys.sign_in_options(BROWSER))
    await room.passkeys.sign_in(BROWSER, answer, ADDRESS, "")
    room.clock.advance(299)
    await room.passkeys.sweep()
    assert len(await room.database.fetch("SELECT id FROM answered_challenge")) == 2
    room.clock.advance(302)
    await room.passkeys.sweep()
    assert await room.database.fetch("SELECT id FROM answered_challenge") == []
    with pytest.raises(ChallengeGone):
        await room.passkeys.sign_in(BROWSER, answer, ADDRESS, "")
