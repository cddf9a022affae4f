"""F2: who may use the review in the browser, and who may not."""

import pytest

from failgate.web.loopback.entry import COOKIE, Entry

PORT = 4242


def scope(path: str, method: str = "GET", **headers: str) -> dict[str, object]:
    given = {"host": f"127.0.0.1:{PORT}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in given.items() if value]
    return {"type": "http", "method": method, "path": path, "headers": pairs}


@pytest.fixture
def inside() -> tuple[Entry, str]:
    entry = Entry(PORT)
    cookie = entry.spend().partition(";")[0]
    return entry, cookie


def door_of(entry: Entry) -> str:
    return entry.link.removeprefix(entry.origin)


def test_the_link_opens_once() -> None:
    entry = Entry(PORT)
    assert entry.judge(scope(door_of(entry))) == "enter"
    cookie = entry.spend()
    assert entry.judge(scope(door_of(entry))) == "spent"
    assert cookie.endswith(f"; HttpOnly; SameSite=Strict; Path={entry.place}")
    assert len({entry.place, door_of(entry), entry.form_token, cookie.split(";")[0]}) == 4
    assert entry.judge(scope(f"{entry.place}/", cookie=cookie.partition(";")[0])) == "inside"


def test_what_fetches_ahead_uses_no_link_up() -> None:
    entry = Entry(PORT)
    assert entry.judge(scope(door_of(entry), sec_purpose="prefetch")) == "nothing"
    assert entry.judge(scope(door_of(entry), "HEAD")) == "nothing"
    assert entry.judge(scope(door_of(entry), "POST", origin=entry.origin)) == "nothing"
    assert not entry.is_spent


@pytest.mark.parametrize(
    "host",
    ["", "localhost:4242", "127.0.0.1", "127.0.0.1:4243", "evil.example:4242", "127.0.0.1:4242.", "127.1:4242", "[::1]:4242",
     "127.0.0.1:4242@evil.example", "2130706433:4242", "127.0.0.1:04242"],
)  # fmt: skip
def test_a_name_that_is_pointed_at_us_is_refused_everywhere(inside: tuple[Entry, str], host: str) -> None:
    entry, cookie = inside
    for path in (door_of(entry), f"{entry.place}/", "/static/failgate.css", "/"):
        assert entry.judge(scope(path, host=host, cookie=cookie)) == "wrong host", path


def test_a_header_that_stands_twice_is_no_header_of_a_browser(inside: tuple[Entry, str]) -> None:
    entry, cookie = inside
    for name, value in (("host", "evil.example"), ("cookie", cookie), ("origin", entry.origin)):
        asked = scope(f"{entry.place}/", cookie=cookie, origin=entry.origin)
        asked["headers"].append((name.encode(), value.encode()))  # type: ignore[attr-defined]  # a list, as ASGI has it
        assert entry.judge(asked) == "nothing"


def test_neither_the_place_nor_the_cookie_alone_opens_anything(inside: tuple[Entry, str]) -> None:
    entry, cookie = inside
    value = cookie.partition("=")[2]
    for wrong in (
        "",
        f"{COOKIE}=",
        f"{COOKIE}={value[:-1]}",
        f"x{cookie}",
        f"{cookie}; {cookie}",
        f"{COOKIE}={value}\xe9",
    ):
        assert entry.judge(scope(f"{entry.place}/", cookie=wrong)) == "nothing"
    for path in (
        "/",
        f"/{entry.place}/",
        f"{entry.place[:-1]}/",
        f"{entry.place.lower()}x/",
        entry.place,
        "/x/../" + entry.place,
        "//",
    ):
        assert entry.judge(scope(path, cookie=cookie)) == "nothing", path
    fresh = Entry(PORT)
    assert fresh.judge(scope(f"{fresh.place}/", cookie=cookie)) == "nothing"


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "http://127.0.0.1:4243"},
        {"origin": "null"},
    ],
    ids=str,
)
def test_another_page_of_the_browser_reads_nothing_even_with_its_cookie(
    inside: tuple[Entry, str], headers: dict[str, str]
) -> None:
    entry, cookie = inside
    assert entry.judge(scope(f"{entry.place}/", cookie=cookie, **headers)) == "foreign"


@pytest.mark.parametrize(
    ("origin", "site", "verdict"),
    [
        ("http://127.0.0.1:4242", "same-origin", "inside"),
        ("http://127.0.0.1:4242", "", "inside"),
        ("", "same-origin", "foreign"),
        ("", "", "foreign"),
        ("null", "same-origin", "foreign"),
        ("http://127.0.0.1:4242", "same-site", "foreign"),
        ("http://127.0.0.1:4242", "none", "foreign"),
        ("http://127.0.0.1:4242", "cross-site", "foreign"),
        ("http://127.0.0.1:4243", "same-origin", "foreign"),
        ("https://127.0.0.1:4242", "same-origin", "foreign"),
        ("http://localhost:4242", "same-origin", "foreign"),
    ],
)
def test_only_our_own_page_acts(inside: tuple[Entry, str], origin: str, site: str, verdict: str) -> None:
    entry, cookie = inside
    asked = scope(f"{entry.place}/act", "POST", cookie=cookie, origin=origin, sec_fetch_site=site)
    assert entry.judge(asked) == verdict


def test_other_methods_are_none_of_ours(inside: tuple[Entry, str]) -> None:
    entry, cookie = inside
    for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"):
        assert entry.judge(scope(f"{entry.place}/", method, cookie=cookie)) == "wrong method"
    assert entry.judge(scope("/static/failgate.css", "POST", origin=entry.origin)) == "wrong method"
