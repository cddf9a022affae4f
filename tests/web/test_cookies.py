"""Cookies as browsers get them, and as attackers send them."""

import re

import httpx
import pytest

from failgate.accounts.session import SessionToken
from failgate.base.ids import new_id
from failgate.roster import Services
from failgate.sso.connection import OidcSettings
from failgate.sso.draft import Draft
from failgate.web.cookies import (
    SESSION,
    cookie_name,
    ended_session_cookies,
    form_cookie,
    read_cookie,
    session_cookies,
    share_cookie,
)
from failgate.web.csrf import form_token
from failgate.web.routes import DOORS
from tests.journeys.team import CLICKED
from tests.web.conftest import OPERATOR, PASSWORD, People, cookies_of, kept, running, session_of, with_server

GITHUB = OidcSettings(
    preset="github", issuer="https://github.com", client_id="failgate"
)  # asks nobody before it leaves
BOTH = ["__Host-fg_session", "__Host-fg_fresh"]


TOKEN = SessionToken.mint()


def test_under_https_a_cookie_is_bound_to_this_host() -> None:
    bound = {"Path=/", "HttpOnly", "Secure"}
    for text, name, more in (
        (form_cookie("abc", is_https=True), "__Host-fg_form=abc", {"SameSite=Lax"}),
        (session_cookies(TOKEN, is_https=True)[0], f"__Host-fg_session={TOKEN}", {"SameSite=Lax"}),
        (
            session_cookies(TOKEN, is_https=True)[1],
            f"__Host-fg_fresh={TOKEN.fresh}",
            {"SameSite=Strict", "Max-Age=300"},
        ),
    ):
        first, *attributes = [part.strip() for part in text.split(";")]
        assert first == name
        assert set(attributes) == bound | more


def test_what_goes_out_with_a_session_is_two_times_256_bits() -> None:
    assert len(TOKEN) == len(TOKEN.fresh) == 43
    assert len({TOKEN, TOKEN.fresh, *(text for one in range(9) for text in _of(SessionToken.mint()))}) == 20


def _of(token: SessionToken) -> tuple[str, str]:
    return token, token.fresh


def test_under_https_the_cookie_of_a_share_link_stays_below_its_link():
    """`__Host-` asks for the path `/`: docs/decisions/0031-share-links.md."""
    name, *attributes = share_cookie("abc", "0198f0c2", 60, is_https=True).split("; ")
    assert name == "__Secure-fg_share=abc"
    assert set(attributes) == {"Path=/s/0198f0c2", "HttpOnly", "SameSite=Lax", "Secure", "Max-Age=60"}


def test_without_tls_there_is_neither_prefix_nor_secure():
    session, fresh = session_cookies(TOKEN, is_https=False)
    assert session.startswith(f"fg_session={TOKEN};")
    assert fresh.startswith(f"fg_fresh={TOKEN.fresh};")
    for text in (session, fresh):
        assert "Secure" not in text
        assert "HttpOnly" in text
    assert "SameSite=Strict" in fresh


def test_an_ended_session_takes_its_cookies_away() -> None:
    names = [text.partition("=")[0] for text in ended_session_cookies(is_https=True) if "Max-Age=0" in text]
    assert names == ["__Host-fg_session", "__Host-fg_fresh"]


def test_a_cookie_is_read_back():
    assert read_cookie("a=b; fg_session=tok_en-1", SESSION, is_https=False) == "tok_en-1"
    assert read_cookie("__Host-fg_session=x; fg_session=y", SESSION, is_https=True) == "x"
    assert cookie_name(SESSION, is_https=True) == "__Host-fg_session"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "other=1",
        "fg_session=",
        "fg_session=planted; fg_session=own",  # one of the two was set by a sibling
        "fg_session=" + "a" * 4097,
        "a=b; " * 5000 + "fg_session=x",
        "xfg_session=x",
    ],
)
def test_an_ambiguous_or_absent_cookie_is_none(header):
    assert read_cookie(header, SESSION, is_https=False) is None


def test_under_https_a_cookie_without_the_prefix_does_not_count():
    assert read_cookie("fg_session=planted", SESSION, is_https=True) is None


async def test_every_cookie_of_every_door_is_bound_to_this_host_under_https(services: Services, people: People) -> None:
    """Behind a proxy that speaks https: signed out, signed in, and on the way through the forms."""
    token = await session_of(services, people.accounts["owner"], is_proven=True)
    await services.sso.connections.create(people.acme, "github", Draft("GitHub", GITHUB), OPERATOR)
    seen: dict[str, set[str]] = {}
    async with running(with_server(services, public_url="https://failgate.example")) as one:
        headers = {"host": "failgate.example", "origin": "https://failgate.example"}
        async with one.client(headers=headers) as client:
            for cookie in ("", cookies_of(token, is_https=True)):
                for door in (door for door in DOORS if door.method == "GET"):
                    path = door.path.replace("{workspace}", "acme").replace("{connection}", "github")
                    path = re.sub(r"\{(?:id|token|trial|link|delivery)\}", new_id(), path)
                    clicked = {"cookie": cookie} | CLICKED  # as a browser says after a click on a page of ours
                    answer = await client.get(re.sub(r"\{[^}]+\}", "x", path), headers=clicked)
                    _note(answer, seen)
            shown = await client.get("/signin")
            key = shown.headers["set-cookie"].partition(";")[0]
            csrf = re.search(r'name="csrf_token" value="([^"]+)"', shown.text)
            assert csrf is not None
            fields = {"email": "nobody@example.org", "password": PASSWORD, "csrf_token": csrf[1]}
            _note(await client.post("/signin", data=fields, headers={"cookie": key}), seen)
            mine = form_token(token)
            held = {"cookie": cookies_of(token, is_https=True)}
            _note(await client.post("/account/devices/revoke", data={"csrf_token": mine}, headers=held), seen)
            await services.second_factors.issue(people.accounts["owner"], OPERATOR)
            code = await services.second_factors.current_code(people.accounts["owner"])
            proven = await client.post("/account/step-up", data={"csrf_token": mine, "code": code}, headers=held)
            assert [text.partition("=")[0] for text in proven.headers.get_list("set-cookie")] == BOTH
            _note(proven, seen)
            token = kept(proven, is_https=True)
            held = {"cookie": cookies_of(token, is_https=True)}
            ended = await client.post("/signout", data={"csrf_token": form_token(token)}, headers=held)
            assert [text.partition(";")[0] for text in ended.headers.get_list("set-cookie")] == [
                f'{name}=""' for name in BOTH
            ]
            _note(ended, seen)
    assert set(seen) == {*BOTH, "__Host-fg_form", "__Host-fg_device", "__Host-fg_sso"}
    for name, attributes in seen.items():
        # A SAML answer is posted by another site; the cookie that meets it names a request and nobody.
        site = {"__Host-fg_sso": "SameSite=None", "__Host-fg_fresh": "SameSite=Strict"}.get(name, "SameSite=Lax")
        assert attributes - {"Max-Age"} == {"HttpOnly", "Path=/", site, "Secure"}, name


def _note(answer: httpx.Response, seen: dict[str, set[str]]) -> None:
    for text in answer.headers.get_list("set-cookie"):
        assert len(text) <= 4096
        first, *rest = [part.strip() for part in text.split(";")]
        known = seen.setdefault(first.partition("=")[0], set())
        known |= {"Max-Age" if part.startswith("Max-Age=") else part for part in rest}
