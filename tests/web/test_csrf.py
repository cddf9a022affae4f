"""Requests that another site makes a browser send."""

import re

import pytest

from failgate.accounts import totp
from failgate.base.errors import CrossSite
from failgate.roster import Services
from failgate.web.csrf import check_form_token, check_origin, check_socket_origin, form_token, new_form_key
from failgate.web.routes import DOORS
from tests.web.conftest import OPERATOR, People, Running, cookies_of, jar_of, kept, running, session_of, with_server

OURS = frozenset({"https://failgate.example", "http://127.0.0.1:8440"})


@pytest.mark.parametrize(
    ("fetch_site", "origin"),
    [
        ("same-origin", None),
        ("same-origin", "https://failgate.example"),
        ("same-origin", "null"),  # a form of ours under no-referrer
        (None, "https://failgate.example"),
        (None, "http://127.0.0.1:8440"),
    ],
)
def test_our_own_pages_are_let_in(fetch_site, origin):
    check_origin(fetch_site, origin, OURS)


@pytest.mark.parametrize(
    ("fetch_site", "origin"),
    [
        ("cross-site", "https://evil.example"),
        ("cross-site", "https://failgate.example"),
        ("cross-site", "null"),
        ("same-site", "https://sub.failgate.example"),
        ("none", None),
        ("Same-Origin", None),
        ("same-origin, cross-site", None),
        ("", "https://failgate.example"),
        ("same-origin", "https://evil.example"),
        (None, None),
        (None, "null"),
        (None, "https://evil.example"),
        (None, "http://failgate.example"),
        (None, "https://failgate.example:444"),
        (None, "https://failgate.example.evil.example"),
        (None, ""),
    ],
)
def test_every_other_origin_is_refused(fetch_site, origin):
    with pytest.raises(CrossSite):
        check_origin(fetch_site, origin, OURS)


@pytest.mark.parametrize("origin", [None, "null", "https://evil.example", "http://failgate.example", ""])
def test_a_socket_from_elsewhere_is_refused(origin):
    with pytest.raises(CrossSite):
        check_socket_origin(origin, OURS)
    check_socket_origin("https://failgate.example", OURS)


def test_a_form_token_belongs_to_one_key():
    one, other = new_form_key(), new_form_key()
    check_form_token(form_token(one), one)
    for token, key in ((form_token(one), other), ("", one), (None, one), (form_token(one), None), ("é\ud800", one)):
        with pytest.raises(CrossSite):
            check_form_token(token, key)


def test_the_token_does_not_show_the_key():
    key = new_form_key()
    assert key not in form_token(key)
    assert len(key) >= 22  # 128 bits


# What the server does by itself meanwhile: sign heads of the log, read behind it, tell what was done before.
BY_ITSELF = {
    "audit_block",
    "audit_cursor",
    "audit_exporter",
    "audit_head",
    "audit_node",
    "notification",
    "notify_cursor",
}
FORGED: dict[str, dict[str, str]] = {
    "a form of another site": {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
    "a form of a sibling": {"sec-fetch-site": "same-site", "origin": "http://evil.127.0.0.1"},
    "without an origin": {},
    "of a sandbox": {"origin": "null"},
    "typed by hand": {"sec-fetch-site": "none"},
    "as plain text": {"content-type": "text/plain", "sec-fetch-site": "cross-site"},
    "as a file": {"content-type": "multipart/form-data; boundary=x", "sec-fetch-site": "cross-site", "origin": "null"},
    "as a file, without a word of the site": {"content-type": "multipart/form-data; boundary=x"},
    "of a sibling by name": {"origin": "http://evil.localhost"},
    "another method": {"x-http-method-override": "GET", "origin": "https://evil.example"},
}


async def test_no_page_of_another_site_changes_anything(server: Running, people: People) -> None:
    """Every unsafe door that a cookie opens, in the name of an owner who is a platform administrator too.

    Every table is as it was, the log of what was done included.
    """
    services, owner = server.services, people.accounts["owner"]
    await services.accounts.grant_platform_role(owner, OPERATOR)
    await services.second_factors.issue(owner, OPERATOR)
    token = await session_of(services, owner, is_proven=True)
    doors = [door for door in DOORS if not door.is_safe and door.method != "WS" and "cookie" in door.accepted]
    assert len(doors) >= 80
    before = await _state(services)
    fields = {"confirm": "yes", "role": "grant", "email": "x@example.org", "password": "a long and plain passphrase"}
    async with server.client(cookies=jar_of(token)) as client:
        for door in doors:
            path = re.sub(r"\{workspace\}", "acme", door.path).replace("{connection}", "corp")
            path = re.sub(
                r"\{(?:id|token|trial|link|delivery|certificate)\}", people.accounts["developer"], path
            ).replace("{sha256}", "a" * 64)
            for how, headers in FORGED.items():
                answer = await client.request(door.method, path, data=fields, headers=headers)
                assert answer.status_code in {403, 415}, f"{door.name}: {how}: {answer.status_code}"
            if door.kind == "page":  # from a page of ours, but a form that is of nobody's visit
                stray = {**fields, "csrf_token": form_token(new_form_key())}
                for sent in (fields, stray):
                    answer = await client.request(door.method, path, data=sent, headers={"origin": server.origin})
                    assert answer.status_code == 403, f"{door.name}: {answer.status_code}"
    assert await _state(services) == before


# SameSite=Strict would keep the first of these away from a fresh factor, and send the cookie with the second.
ELSEWHERE = {
    "a page of another site": {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
    "a page of a sibling": {"sec-fetch-site": "same-site", "origin": "https://evil.failgate.example"},
    "a page that hides its origin": {"sec-fetch-site": "cross-site", "origin": "null"},
    "an old browser": {"origin": "https://evil.failgate.example"},
}
NAVIGATION = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


async def test_a_fresh_factor_serves_pages_of_ours_alone(services: Services, people: People) -> None:
    """SECURITY 2, "Strict for step-up": even from a browser that would send the `Strict` cookie along.

    What it comes with, and that no door takes the session alone: docs/decisions/0068-a-cookie-of-its-own.md.
    """
    owner = people.accounts["owner"]
    await services.accounts.grant_platform_role(owner, OPERATOR)
    secret = await services.second_factors.issue(owner, OPERATOR)
    stale, _ = await services.sessions.open(owner, "127.0.0.1", "tests", ("pwd",), awaits_second_factor=False)
    doors = [door for door in DOORS if (door.is_sensitive or door.asks_anew) and "cookie" in door.accepted]
    assert len([door for door in doors if not door.is_safe]) > 90
    host = {"host": "failgate.example"}
    own = {"sec-fetch-site": "same-origin", "origin": "https://failgate.example"}
    async with (
        running(with_server(services, public_url="https://failgate.example")) as server,
        server.client(headers=host) as client,
    ):
        fields = {
            "code": totp.code_at(secret, totp.step_at(services.clock.now_us())),
            "csrf_token": form_token(stale),
            "next": "/account",
        }
        held = {"cookie": cookies_of(stale, is_https=True)}
        proven = await client.post("/account/step-up", data=fields, headers=held | own)
        assert (proven.status_code, proven.headers["location"]) == (303, "/account")
        bound = {"HttpOnly", "Path=/", "Secure"}
        given = [line.split("; ") for line in proven.headers.get_list("set-cookie")]
        assert [set(attributes) for _, *attributes in given] == [
            {*bound, "SameSite=Lax"}, {*bound, "SameSite=Strict", "Max-Age=300"},
        ]  # fmt: skip
        token = kept(proven, is_https=True)
        assert [name for name, *_ in given] == cookies_of(token, is_https=True).split("; ")
        assert not {token, token.fresh} & {stale, stale.fresh}
        held = {"cookie": cookies_of(token, is_https=True)}
        before = await _state(services)
        for door in doors:
            path = re.sub(r"\{workspace\}", "acme", door.path)
            path = re.sub(r"\{\w+\}", people.accounts["developer"], path.replace("{sha256}", "a" * 64))
            if door.is_safe:
                shown = await client.get(path, headers=held | NAVIGATION)
                assert "access-control-allow-origin" not in shown.headers, door.name
                assert "frame-ancestors 'none'" in shown.headers["content-security-policy"], door.name
                assert shown.headers["cross-origin-resource-policy"] == "same-origin", door.name
                continue
            for how, headers in ELSEWHERE.items():
                data = {"csrf_token": form_token(token)}  # though nobody elsewhere knows it
                answer = await client.request(door.method, path, data=data, headers=held | headers)
                assert answer.status_code == 403, f"{door.name}: {how}: {answer.status_code}"
        assert await _state(services) == before  # no page that a link leads to has done anything either
        made = {"csrf_token": form_token(token), "label": "mine", "workspace": "acme", "days": "30"}
        done = await client.post("/account/api-keys", data=made, headers=held | own)
        assert done.status_code == 200, done.text[:500]
        assert await _state(services) != before


async def _state(services: Services) -> dict[str, list[str]]:
    names = await services.db.fetch(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'report_text%'"
    )
    tables = {str(row["name"]) for row in names} - BY_ITSELF
    assert len(tables) > 60
    found = {table: await services.db.fetch(f"SELECT * FROM {table}") for table in tables}
    return {table: sorted(repr({**row, "seen_us": 0}) for row in rows) for table, rows in found.items()}
