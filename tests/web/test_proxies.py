"""Whom a header is believed (E11)."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failgate.web.proxies import MOST_HOPS, TrustedProxies, is_https_said, read_address

OURS = TrustedProxies(["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"])


def sent(*values: str) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"x"), *((b"x-forwarded-for", value.encode("latin-1")) for value in values)]


@pytest.mark.parametrize(
    ("peer", "values", "seen"),
    [
        ("203.0.113.9", ["198.51.100.7"], "203.0.113.9"),  # a stranger says nothing
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("::ffff:10.0.0.1", ["198.51.100.7"], "198.51.100.7"),  # a socket for both families
        ("10.0.0.1", ["1.1.1.1, 198.51.100.7"], "198.51.100.7"),  # the left part is the visitor's own
        ("10.0.0.1", ["1.1.1.1", "198.51.100.7"], "198.51.100.7"),  # in several headers
        ("10.0.0.1", ["198.51.100.7", "10.0.0.2,192.0.2.7"], "198.51.100.7"),
        ("10.0.0.1", ["10.9.9.9, 10.8.8.8"], "10.9.9.9"),  # nobody but us
        ("10.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("10.0.0.1", ["[2001:4860::1]:443"], "2001:4860::1"),
        ("10.0.0.1", ["2001:4860::1"], "2001:4860::1"),
        ("10.0.0.1", ["2001:0DB8::0001", "198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["::ffff:198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7, "], "10.0.0.1"),
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, nonsense, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["_hidden"], "10.0.0.1"),
        ("10.0.0.1", ["fe80::1%<b>"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7:x"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7\x0b"], "10.0.0.1"),
        ("10.0.0.1", ["0x0a000001"], "10.0.0.1"),
        ("10.0.0.1", ["3325256711"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7" + ",10.0.0.2" * MOST_HOPS], "10.0.0.2"),
        (None, ["198.51.100.7"], None),
        ("", ["198.51.100.7"], ""),  # a Unix socket has no address
    ],
)
def test_the_last_address_that_is_not_a_proxys_counts(peer, values, seen):
    assert OURS.address_of(peer, sent(*values))[0] == seen


@given(left=st.lists(st.ip_addresses().map(str), max_size=8), seen=st.ip_addresses(v=4, network="198.51.100.0/24"))
def test_whatever_a_visitor_writes_the_proxys_own_word_counts(left, seen):
    assert OURS.address_of("10.0.0.1", sent(", ".join([*left, str(seen)]))) == (str(seen), True)


@given(st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace").decode("latin-1")))
def test_no_header_is_too_strange(text):
    found, _ = OURS.address_of("10.0.0.1", sent(text))
    assert found is not None
    ipaddress.ip_address(found)


@pytest.mark.parametrize(
    ("values", "is_said"),
    [
        ([b"https"], True),
        ([b"HTTPS"], True),
        ([b"http"], False),
        ([b"https", b"https"], False),
        ([b"https,http"], False),
    ],
)
def test_https_is_said_once_and_plainly(values, is_said):
    assert is_https_said([(b"x-forwarded-proto", value) for value in values]) is is_said


def test_nobody_is_trusted_unless_named():
    assert TrustedProxies().address_of("127.0.0.1", sent("198.51.100.7")) == ("127.0.0.1", False)
    assert read_address("10.0.0.1") == ipaddress.ip_address("10.0.0.1")
