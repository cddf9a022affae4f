"""The token request and the userinfo request: how the client proves itself, and what is made of odd answers."""

import base64
from urllib.parse import parse_qs

import pytest

from failgate.base.outbound import Outbound
from failgate.sso.oidc.exchange import Tokens, fetch_claims, redeem_code
from failgate.sso.protocol import Refusal
from tests.sso.oidc.serving import Origin, origin, status

RIGHT = {"access_token": "at", "token_type": "Bearer", "id_token": "a.b.c"}
OUTBOUND = Outbound(allow_loopback=True)


async def redeem(idp: Origin, *ways: str, secret: str | None = "p:ß w") -> Tokens:
    return await redeem_code(
        OUTBOUND,
        f"{idp.url}/token",
        code="the-code",
        verifier="the-verifier",
        redirect_uri="https://failgate.example/cb",
        client_id="fail:gate",
        client_secret=secret,
        authentications=ways,
    )


def form(body: bytes) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(body.decode()).items()}


async def test_the_client_proves_itself_by_basic() -> None:
    async with origin() as idp:
        idp.answers["/token"] = RIGHT
        assert (await redeem(idp, "client_secret_basic")).access_token == "at"
        assert form(idp.bodies[0]) == {
            "grant_type": "authorization_code",
            "redirect_uri": "https://failgate.example/cb",
            "code": "the-code",
            "code_verifier": "the-verifier",
        }
        # RFC 6749 section 2.3.1: each is form-encoded before the colon goes between them.
        proof = base64.b64encode(b"fail%3Agate:p%3A%C3%9F+w")
        assert b"authorization: basic " + proof.lower() in idp.heads[0].lower()


async def test_the_client_proves_itself_in_the_form() -> None:
    async with origin() as idp:
        idp.answers["/token"] = RIGHT
        await redeem(idp, "client_secret_post")
        assert form(idp.bodies[0])["client_id"] == "fail:gate"
        assert form(idp.bodies[0])["client_secret"] == "p:ß w"
        assert b"authorization" not in idp.heads[0].lower()


async def test_a_public_client_names_itself() -> None:
    async with origin() as idp:
        idp.answers["/token"] = RIGHT
        await redeem(idp, "none", secret=None)
        assert form(idp.bodies[0])["client_id"] == "fail:gate"
        assert "client_secret" not in form(idp.bodies[0])


async def test_the_second_way_is_tried_when_the_first_is_not_taken() -> None:
    async with origin() as idp:
        idp.answers["/token"] = status(401, {"error": "invalid_client"})
        with pytest.raises(Refusal) as refused:
            await redeem(idp, "client_secret_basic", "client_secret_post")
        assert refused.value.reason == "client_refused"
        assert idp.asked["/token"] == 2


async def test_a_refused_code_is_not_tried_again() -> None:
    async with origin() as idp:
        idp.answers["/token"] = status(400, {"error": "invalid_grant"})
        with pytest.raises(Refusal) as refused:
            await redeem(idp, "client_secret_basic", "client_secret_post")
        assert refused.value.reason == "code_refused"
        assert idp.asked["/token"] == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ([], "token_response"),
        ({}, "token_response"),
        ({**RIGHT, "access_token": 5}, "token_response"),
        ({**RIGHT, "access_token": "a b"}, "token_response"),
        ({**RIGHT, "access_token": "a\r\nX: y"}, "token_response"),
        ({**RIGHT, "access_token": "x" * 20_000}, "token_response"),
        ({**RIGHT, "token_type": "mac"}, "token_response"),
        ({**RIGHT, "token_type": None}, "token_response"),
        ({**RIGHT, "id_token": 5}, "token_response"),
        ({"error": "bad_verification_code"}, "code_refused"),
        ({"error": ["x"]}, "provider_error"),
        (status(400, {"error": "invalid_request"}), "provider_error"),
        (status(400, {}), "provider_status"),
        (status(500, {"error": "invalid_grant"}), "provider_status"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "provider_not_json"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 70_000, "provider_too_large"),
    ],
)
async def test_an_odd_answer_is_refused(answer, reason: str) -> None:
    async with origin() as idp:
        idp.answers["/token"] = answer
        with pytest.raises(Refusal) as refused:
            await redeem(idp, "client_secret_basic")
        assert refused.value.reason == reason
        assert "p:ß w" not in refused.value.detail


async def test_claims_of_the_same_person_are_taken() -> None:
    async with origin() as idp:
        idp.answers["/me"] = {"sub": "alice", "email": "alice@example.org"}
        claims = await fetch_claims(OUTBOUND, f"{idp.url}/me", Tokens("at", None), "alice")
        assert claims["email"] == "alice@example.org"
        assert b"authorization: bearer at" in idp.heads[0].lower()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"sub": "bob"}, "userinfo_subject"),
        ({}, "userinfo_subject"),
        ({"sub": ["alice"]}, "userinfo_subject"),
        ([], "userinfo_malformed"),
        (status(401, {}), "provider_status"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/jwt\r\nContent-Length: 1\r\n\r\nx", "userinfo_malformed"),
    ],
)
async def test_claims_of_another_are_refused(answer, reason: str) -> None:
    async with origin() as idp:
        idp.answers["/me"] = answer
        with pytest.raises(Refusal) as refused:
            await fetch_claims(OUTBOUND, f"{idp.url}/me", Tokens("at", None), "alice")
        assert refused.value.reason == reason


def test_tokens_do_not_show_themselves() -> None:
    assert repr(Tokens("secret-at", "secret-id")) == "Tokens()"
