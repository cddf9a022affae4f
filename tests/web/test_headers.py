"""Host names, origins and the headers of every answer."""

import os
import socket

import pytest

from failgate.base.errors import BadInput
from failgate.web.headers import allowed_hosts, check_host, host_name, new_nonce, own_origins, security_headers

NAMES = allowed_hosts("127.0.0.1", "https://failgate.example")


def scope(*hosts, server=("10.1.2.3", 8440), scheme="http"):
    return {
        "type": "http",
        "scheme": scheme,
        "server": server,
        "headers": [(b"host", host.encode("latin-1")) for host in hosts],
    }


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:8440", "[::1]:8440", "failgate.example", "FAILGATE.example:443", "10.1.2.3:8440"]
)
def test_our_own_names_are_answered(host):
    check_host(scope(host), NAMES)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "failgate.example.evil.example", "10.1.2.4", "", "localhost.evil.example", "localhost:x", "localhost:", "localhost:1:2",
        "[::1", "[::1]x", "::1", "localhost:-1", "localhost:123456", "localhost:99999", "localhost: 1", "a@localhost", "localhost/x", "localhost\\x",
        "localhost#x", "localhost?x", "localhost:\u00b2",
    ],
)  # fmt: skip
def test_a_foreign_or_malformed_name_is_refused(host):
    with pytest.raises(BadInput):
        check_host(scope(host), NAMES)


def test_no_host_and_two_hosts_are_refused():
    for hosts in ((), ("localhost", "localhost")):
        with pytest.raises(BadInput):
            check_host(scope(*hosts), NAMES)


def test_a_wildcard_address_is_no_name():
    assert "0.0.0.0" not in allowed_hosts("0.0.0.0", None)
    for wildcard in ("0.0.0.0", "::"):
        assert socket.gethostname().lower() in allowed_hosts(wildcard, None)
    assert socket.gethostname().lower() not in NAMES - {"localhost"}
    assert "[fd00::1]" in allowed_hosts("fd00::1", None)


def test_the_port_is_no_part_of_the_name():
    assert host_name("Example.COM:8440") == "example.com"
    assert host_name("[::1]:8440") == "[::1]"
    assert host_name("example.com.") == "example.com"


def test_our_origins_are_the_asked_host_and_the_public_url():
    assert own_origins(scope("127.0.0.1:8440"), "https://failgate.example") == {
        "http://127.0.0.1:8440",
        "https://failgate.example",
    }
    assert own_origins(scope("localhost:1", scheme="ws"), None) == {"http://localhost:1"}
    assert own_origins(scope("localhost:1", scheme="wss"), None) == {"https://localhost:1"}


def headers_of(**how):
    return {k.decode(): v.decode() for k, v in security_headers("NONCE", **how)}


def test_the_policy_allows_nothing_but_what_our_pages_need():
    policy = headers_of(is_https=False, is_trustworthy=True)["content-security-policy"]
    assert policy == (
        "default-src 'none'; script-src 'nonce-NONCE' 'strict-dynamic'; style-src 'nonce-NONCE'; img-src 'self' data:; "
        "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "object-src 'none'; require-trusted-types-for 'script'; trusted-types failgate; report-uri /csp-reports"
    )
    assert "unsafe" not in policy


def test_the_other_headers_are_there():
    plain, tls = headers_of(is_https=False, is_trustworthy=True), headers_of(is_https=True, is_trustworthy=True)
    assert plain["x-content-type-options"] == "nosniff"
    assert plain["referrer-policy"] == "no-referrer"
    assert plain["cross-origin-opener-policy"] == plain["cross-origin-resource-policy"] == "same-origin"
    assert plain["cache-control"] == "no-store"
    assert "strict-transport-security" not in plain
    assert tls["strict-transport-security"] == "max-age=31536000; includeSubDomains"


def test_where_a_browser_sends_no_fetch_metadata_a_form_may_name_its_origin():
    assert headers_of(is_https=False, is_trustworthy=False)["referrer-policy"] == "same-origin"


def test_nonces_are_long_and_never_the_same():
    nonces = {new_nonce() for _ in range(10_000)}
    assert len(nonces) == 10_000
    assert min(map(len, nonces)) >= 22  # 128 bits


def test_a_process_that_was_forked_draws_nonces_of_its_own():
    new_nonce()
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.write(write, new_nonce().encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(read, 64).decode()
    os.close(read)
    os.close(write)
    assert theirs not in {new_nonce() for _ in range(1000)}
