"""Requests that another site makes a browser send."""

import pytest

from failgate.base.errors import CrossSite
from failgate.web.csrf import check_form_token, check_origin, check_socket_origin, form_token, new_form_key

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
