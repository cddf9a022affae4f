"""Cookies as browsers get them, and as attackers send them."""

import pytest

from failgate.web.cookies import (
    SESSION,
    cookie_name,
    ended_session_cookie,
    form_cookie,
    read_cookie,
    session_cookie,
)


@pytest.mark.parametrize("make", [session_cookie, form_cookie])
def test_under_https_a_cookie_is_bound_to_this_host(make):
    text = make("abc", is_https=True)
    name, *attributes = [part.strip() for part in text.split(";")]
    assert name.startswith("__Host-fg_")
    assert {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"} == set(attributes)


def test_without_tls_there_is_neither_prefix_nor_secure():
    text = session_cookie("abc", is_https=False)
    assert text.startswith("fg_session=abc;")
    assert "Secure" not in text
    assert "HttpOnly" in text


def test_an_ended_session_takes_its_cookie_away():
    assert "Max-Age=0" in ended_session_cookie(is_https=True)


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
