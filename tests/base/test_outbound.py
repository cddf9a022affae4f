"""SECURITY.md section 2, the row on server-side request forgery: spellings, addresses, rebinding, sizes, TLS."""

import asyncio
import contextlib
import datetime as dt
import gc
import gzip
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from failgate.base.destination import OutboundRefused, is_public, parse_destination
from failgate.base.outbound import Outbound
from tests.peers import rebinding

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Listener:
    """A server that counts its connections and answers each with the same bytes."""

    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)


@contextlib.asynccontextmanager
async def listening(
    answer: bytes = PLAIN,
    *,
    host: str = "127.0.0.1",
    context: ssl.SSLContext | None = None,
    drip: bool = False,
) -> AsyncIterator[Listener]:
    listener = Listener()
    if context is not None:
        context.sni_callback = lambda _socket, name, _context: listener.names.append(name)

    serving: set[asyncio.Task] = set()
    is_over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        listener.connections += 1
        try:
            listener.requests.append(await reader.readuntil(b"\r\n\r\n"))
            while drip and not is_over.is_set():
                writer.write(b"H")
                await writer.drain()
                await asyncio.sleep(0.05)
            writer.write(answer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, host, 0, ssl=context)
    listener.port = server.sockets[0].getsockname()[1]
    try:
        yield listener
    finally:
        server.close()
        is_over.set()
        await asyncio.gather(*serving)


def answering(*addresses: str) -> Callable:
    async def resolve(_host: str, _port: int) -> tuple[str, ...]:
        return addresses

    return resolve


# Every one names the loopback address, the metadata service or a private address, or is read apart by some parser.
SPELLINGS = [
    "http://127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/",
    "https://localhost:{port}/",
    "https://LOCALHOST:{port}/",
    "https://localhost.:{port}/",
    "https://127.0.0.1.:{port}/",
    "https://127.1:{port}/",
    "https://127.0.1:{port}/",
    "https://127.1.1.1:{port}/",
    "https://127.255.255.254:{port}/",
    "https://2130706433:{port}/",
    "https://0x7f000001:{port}/",
    "https://0x7f.0.0.1:{port}/",
    "https://0x7f.1:{port}/",
    "https://0177.0.0.1:{port}/",
    "https://017700000001:{port}/",
    "https://127.0.0.01:{port}/",
    "https://00000127.0.0.1:{port}/",
    "https://127.0.0.1%00:{port}/",
    "https://%31%32%37.0.0.1:{port}/",
    "https://0:{port}/",
    "https://0.0.0.0:{port}/",
    "https://[::]:{port}/",
    "https://[::1]:{port}/",
    "https://[0:0:0:0:0:0:0:1]:{port}/",
    "https://[::ffff:127.0.0.1]:{port}/",
    "https://[::ffff:7f00:1]:{port}/",
    "https://[::127.0.0.1]:{port}/",
    "https://[64:ff9b::127.0.0.1]:{port}/",
    "https://[64:ff9b:1::7f00:1]:{port}/",
    "https://[2002:7f00:1::]:{port}/",
    "https://[2001:0:7f00:1::1]:{port}/",
    "https://[fe80::1]:{port}/",
    "https://[fe80::1%25lo]:{port}/",
    "https://[::1%25lo]:{port}/",
    "https://[fc00::1]:{port}/",
    "https://[ff02::1]:{port}/",
    "https://[2001:db8::1]:{port}/",
    "https://169.254.169.254/latest/meta-data/",
    "https://[fd00:ec2::254]/latest/meta-data/",
    "https://[::ffff:169.254.169.254]/",
    "https://2852039166/",
    "https://0xa9fea9fe/",
    "https://10.0.0.1:{port}/",
    "https://172.16.0.1:{port}/",
    "https://192.168.0.1:{port}/",
    "https://100.64.0.1:{port}/",
    "https://198.18.0.1:{port}/",
    "https://224.0.0.1:{port}/",
    "https://255.255.255.255:{port}/",
    "https://example.org@127.0.0.1:{port}/",
    "https://example.org:443@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}\\@example.org/",
    "https://example.org\\@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}#@example.org/",
    "https:///127.0.0.1:{port}/",
    "https:127.0.0.1:{port}",
    "//127.0.0.1:{port}/",
    " https://127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/\r\nX: y",
    "https://127.0.0.1\t:{port}/",
    "https://①②⑦.⓪.⓪.①:{port}/",
    "https://127。0。0。1:{port}/",
    "https://ｌｏｃａｌｈｏｓｔ:{port}/",
    "https://127.0.0.1:0/",
    "https://127.0.0.1:99999/",
    "https://127.0.0.1:-1/",
    "https://[::1/",
    "https://[127.0.0.1]:{port}/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/",
    "HTTPS://127.0.0.1:{port}/",
    "jar:https://127.0.0.1:{port}/",
    "https://",
    "",
]


async def test_no_spelling_of_a_private_address_reaches_a_listener() -> None:
    assert len(SPELLINGS) >= 60
    async with listening() as four, listening(host="::1") as six:
        for spelling in SPELLINGS:
            for listener in (four, six):
                with pytest.raises(OutboundRefused) as refused:
                    await Outbound().get(spelling.format(port=listener.port))
                assert refused.value.reason in {"malformed", "not-public", "not-https", "unresolved"}, spelling
        assert (four.connections, six.connections) == (0, 0)


async def test_a_listener_on_loopback_is_reached_when_told() -> None:
    """The test above could not fail if its listeners were deaf."""
    async with listening() as listener:
        answer = await Outbound(allow_loopback=True).get(f"http://127.0.0.1:{listener.port}/a?b=c")
        assert (answer.status, answer.json()) == (200, {})
        assert listener.requests[0].startswith(b"GET /a?b=c HTTP/1.1\r\n")
        assert f"Host: 127.0.0.1:{listener.port}\r\n".encode().lower() in listener.requests[0].lower()


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",),
        ("93.184.215.14", "127.0.0.1"),
        ("127.0.0.1", "93.184.215.14"),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:127.0.0.1"),
        ("93.184.215.14", "169.254.169.254"),
        ("fe80::1%eth0",),
        ("64:ff9b::5db8:d70e",),
        ("not an address",),
        (),
    ],
)
async def test_a_name_with_one_bad_address_is_refused(addresses: tuple[str, ...]) -> None:
    async with listening() as listener:
        with pytest.raises(OutboundRefused):
            await Outbound(resolve=answering(*addresses)).get(f"https://idp.example:{listener.port}/")
        assert listener.connections == 0


async def test_a_name_that_rebinds_is_resolved_once_and_the_judged_address_is_dialled(monkeypatch) -> None:
    """The system's resolver answers with a public address first and with loopback ever after."""
    asked, dialled = [], []
    honest = socket.getaddrinfo

    def rebinding(host, port, *rest, **options):
        if host != "rebind.example":
            return honest(host, port, *rest, **options)
        asked.append(host)
        return honest("198.41.0.4" if len(asked) == 1 else "127.0.0.1", port, *rest, **options)

    loop = asyncio.get_running_loop()

    async def dial(_self, protocol, host=None, port=None, **options):
        dialled.append(host)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(type(loop), "create_connection", dial)
    async with listening() as listener:
        with pytest.raises(OutboundRefused) as refused:
            await Outbound().get(f"https://rebind.example:{listener.port}/")
        assert refused.value.reason == "unreachable"
        assert listener.connections == 0
    assert asked == ["rebind.example"]
    assert dialled == ["198.41.0.4"]


def test_a_name_server_that_changes_its_mind_leads_nobody_inside(tmp_path: Path) -> None:
    """The system's resolver asks a real name server; listeners on a public address, on loopback, on a cloud's metadata.

    What judges the name and then connects by it is led inside, there: the server's own way out is not.
    """
    program = Path(rebinding.__file__)
    folders = {"PYTHONPATH": str(program.parents[2]), "TMPDIR": str(tmp_path), "PATH": os.environ["PATH"]}
    apart = ["unshare", "--user", "--map-root-user", "--mount", "--net"]
    try:
        able = subprocess.run([*apart, "true"], capture_output=True, text=True, timeout=20)
    except OSError as error:
        pytest.skip(f"unshare is missing ({error}): install the package `util-linux`")
    if able.returncode:
        pytest.skip(f"this machine makes no namespaces for a network of its own: {able.stderr.strip()}")
    done = subprocess.run(
        [*apart, sys.executable, str(program)], env=folders, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["naive"] == f"{rebinding.PUBLIC} {rebinding.INSIDE}"
    refused = ["not-public", "not-public"]
    assert found["told"] == {
        "public.example": ["unreachable", "unreachable"],  # its listener closes
        "rebind.example": ["unreachable", "not-public"],
        "cloud.example": ["unreachable", "not-public"],
        "both.example": refused,
        "alias.example": refused,
        "mapped.example": refused,
    }
    assert set(found["asked"].values()) == {2}  # once for each fetch
    assert found["connections"] == {rebinding.PUBLIC: 4, rebinding.INSIDE: 0, rebinding.METADATA: 0}


async def test_an_unresolvable_name_fails_closed() -> None:
    async def resolve(_host: str, _port: int) -> tuple[str, ...]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    with pytest.raises(OutboundRefused) as refused:
        await Outbound(resolve=resolve).get("https://nowhere.example/")
    assert refused.value.reason == "unresolved"


async def test_plain_http_goes_to_loopback_alone() -> None:
    outbound = Outbound(allow_loopback=True, resolve=answering("93.184.215.14"))
    with pytest.raises(OutboundRefused) as refused:
        await outbound.get("http://idp.example/")
    assert refused.value.reason == "not-https"


async def test_loopback_is_not_mixed_with_public_addresses() -> None:
    async with listening() as listener:
        outbound = Outbound(allow_loopback=True, resolve=answering("127.0.0.1", "93.184.215.14"))
        with pytest.raises(OutboundRefused):
            await outbound.get(f"https://idp.example:{listener.port}/")
        assert listener.connections == 0


@pytest.mark.parametrize(
    ("hosts", "url", "may"),
    [
        (["*"], "https://anything.example/", True),
        (["idp.example"], "https://IDP.example/", True),
        (["*.acme.example"], "https://a.b.acme.example/", True),
        (["93.184.215.14"], "https://93.184.215.14/", True),
        ([], "https://idp.example/", False),
        (["idp.example"], "https://idp.example.evil.example/", False),
        (["idp.example"], "https://sub.idp.example/", False),
        (["*.acme.example"], "https://acme.example/", False),
        (["*.acme.example"], "https://evilacme.example/", False),
        (["*.215.14"], "https://93.184.215.14/", False),
        (["idp.example"], "https://93.184.215.14/", False),
    ],
)
async def test_a_host_that_is_not_listed_is_not_even_looked_up(hosts: list[str], url: str, *, may: bool) -> None:
    """ASVS 13.2.4."""
    asked: list[str] = []

    async def resolve(host: str, _port: int) -> tuple[str, ...]:
        asked.append(host)
        return ("93.184.215.14",)

    outbound = Outbound(hosts=hosts, resolve=resolve)
    if may:
        await outbound.check(url)
        return
    for call in (outbound.check(url), outbound.get(url), outbound.post(url, b""), outbound.delete(url)):
        with pytest.raises(OutboundRefused) as refused:
            await call
        assert refused.value.reason == "not-listed"
    assert asked == []


async def test_a_listed_host_is_judged_by_its_addresses_all_the_same() -> None:
    with pytest.raises(OutboundRefused) as refused:
        await Outbound(hosts=["idp.example"], resolve=answering("10.0.0.5")).check("https://idp.example/")
    assert refused.value.reason == "not-public"


async def test_an_opened_network_is_reached_over_https_and_nothing_beside_it() -> None:
    async def check(address: str, *networks: str, scheme: str = "https") -> None:
        await Outbound(networks=networks, resolve=answering(address)).check(f"{scheme}://idp.example/")

    await check("10.20.0.5", "10.20.0.0/16")
    await check("fd12::5", "fd12::/16")
    for address, network in [
        ("10.21.0.5", "10.20.0.0/16"),
        ("127.0.0.1", "0.0.0.0/0"),
        ("169.254.169.254", "0.0.0.0/0"),
        ("::ffff:10.20.0.5", "::/0"),
        ("fe80::1", "::/0"),
    ]:
        with pytest.raises(OutboundRefused):
            await check(address, network)
    with pytest.raises(OutboundRefused):
        await check("10.20.0.5", "10.20.0.0/16", scheme="http")


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    async with listening() as hidden:
        moved = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{hidden.port}/\r\nContent-Length: 0\r\n\r\n"
        async with listening(moved.encode()) as listener:
            answer = await Outbound(allow_loopback=True).get(f"http://127.0.0.1:{listener.port}/")
        assert answer.status == 302
        assert hidden.connections == 0


async def test_the_environment_names_no_proxy(monkeypatch) -> None:
    async with listening() as proxy, listening() as listener:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        await Outbound(allow_loopback=True).get(f"http://127.0.0.1:{listener.port}/")
        assert (proxy.connections, listener.connections) == (0, 1)


def with_body(body: bytes, *headers: str) -> bytes:
    head = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


BOMB = gzip.compress(bytes(32 * 1024 * 1024))
BROTLI = brotli.compress(b"{}")
TWICE = gzip.compress(gzip.compress(bytes(8 * 1024 * 1024)))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (with_body(b"x" * (1024 * 1024 + 1)), "too-large"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n", "too-large"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (1024 * 1024 + 1), "too-large"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n" + b"x" * 0x200000, "too-large"),
        (with_body(BOMB, "Content-Encoding: gzip"), "too-large"),
        (with_body(TWICE, "Content-Encoding: gzip, gzip"), "malformed-answer"),
        (with_body(BROTLI, "Content-Encoding: br"), "malformed-answer"),  # httpx2 would unpack it
        (with_body(BROTLI, "Content-Encoding: gzip", "Content-Encoding: BR"), "malformed-answer"),
        (with_body(b"not gzip", "Content-Encoding: gzip"), "malformed-answer"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000, "unreachable"),
        (b"\x16\x03\x01 this is no HTTP\r\n\r\n", "unreachable"),
        (b"", "unreachable"),
    ],
)
async def test_a_hostile_answer_is_refused(answer: bytes, reason: str | None) -> None:
    async with listening(answer) as listener:
        with pytest.raises(OutboundRefused) as refused:
            await Outbound(allow_loopback=True).get(f"http://127.0.0.1:{listener.port}/")
        assert reason in {None, refused.value.reason}
        assert refused.value.status == 422


async def test_a_small_compressed_answer_is_read() -> None:
    async with listening(with_body(gzip.compress(b'{"a": 1}'), "Content-Encoding: gzip")) as listener:
        answer = await Outbound(allow_loopback=True).get(
            f"http://127.0.0.1:{listener.port}/", headers={"Accept-Encoding": "br"}
        )
    assert answer.json() == {"a": 1}
    # Also where Brotli, whose pieces httpx2 does not bound, can be imported, and whatever a caller says.
    asked = [line for line in listener.requests[0].splitlines() if line.lower().startswith(b"accept-encoding:")]
    assert asked == [b"Accept-Encoding: identity"]


@pytest.mark.parametrize("body", [b"<html>", b"", b'{"a":', b"\xff\xfe", b"[" * 100_000])
async def test_an_answer_that_is_no_json_is_refused(body: bytes) -> None:
    async with listening(with_body(body)) as listener:
        answer = await Outbound(allow_loopback=True).get(f"http://127.0.0.1:{listener.port}/")
    with pytest.raises(OutboundRefused) as refused:
        answer.json()
    assert refused.value.reason == "not-json"


async def test_a_dripping_answer_ends_with_the_time_allowed() -> None:
    async with listening(drip=True) as listener:
        began = asyncio.get_running_loop().time()
        with pytest.raises(OutboundRefused) as refused:
            await Outbound(allow_loopback=True).get(f"http://127.0.0.1:{listener.port}/", seconds=0.3)
        assert asyncio.get_running_loop().time() - began < 2
    assert refused.value.reason == "timed-out"


async def test_a_name_that_never_resolves_ends_with_the_time_allowed() -> None:
    async def resolve(_host: str, _port: int) -> tuple[str, ...]:
        await asyncio.sleep(60)
        return ()

    with pytest.raises(OutboundRefused) as refused:
        await Outbound(resolve=resolve).get("https://idp.example/", seconds=0.1)
    assert refused.value.reason == "timed-out"


async def test_one_silent_host_does_not_take_the_others_turn() -> None:
    async with listening(drip=True) as silent, listening() as honest:
        outbound = Outbound(allow_loopback=True, resolve=answering("127.0.0.1"))
        slow = [
            asyncio.create_task(outbound.get(f"http://silent.example:{silent.port}/", seconds=3)) for _ in range(100)
        ]
        while silent.connections < 16:
            await asyncio.sleep(0.01)
        assert (await outbound.get(f"http://honest.example:{honest.port}/", seconds=3)).status == 200
        assert silent.connections == 16
        found = await asyncio.gather(*slow, return_exceptions=True)
        assert {error.reason for error in found} == {"timed-out"}
    slow.clear()
    found.clear()  # their tracebacks hold what was waited for
    gc.collect()
    assert len(outbound._hosts) == 0


def certificate(folder: Path, *names: str) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{names[0]}.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


async def test_the_certificate_is_checked_for_the_name_while_the_address_is_pinned(tmp_path: Path) -> None:
    path = certificate(tmp_path, "idp.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    async with listening(context=context) as listener:
        outbound = Outbound(
            allow_loopback=True, resolve=answering("127.0.0.1"), trust=ssl.create_default_context(cafile=str(path))
        )
        assert (await outbound.get(f"https://idp.example:{listener.port}/keys")).status == 200
        assert listener.names == ["idp.example"]
        assert f"host: idp.example:{listener.port}\r\n".encode() in listener.requests[0].lower()
        with pytest.raises(OutboundRefused) as refused:
            await outbound.get(f"https://other.example:{listener.port}/keys")
        assert refused.value.reason == "unreachable"
        assert len(listener.requests) == 1


async def test_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path, "idp.example"))
    async with listening(context=context) as listener:
        with pytest.raises(OutboundRefused):
            await Outbound(allow_loopback=True, resolve=answering("127.0.0.1")).get(
                f"https://idp.example:{listener.port}/"
            )
        assert listener.requests == []


async def test_tls_before_1_2_is_refused(tmp_path: Path) -> None:
    context = Outbound(allow_loopback=True)
    assert (await context._context()).minimum_version >= ssl.TLSVersion.TLSv1_2


async def test_the_next_address_is_tried_when_one_does_not_listen() -> None:
    async with listening() as listener:
        outbound = Outbound(allow_loopback=True, resolve=answering("::1", "127.0.0.1"))
        answer = await outbound.post(
            f"http://idp.example:{listener.port}/token", b"a=b", headers={"Content-Type": "text/plain"}
        )
    assert answer.status == 200
    assert listener.requests[0].startswith(b"POST /token")


@given(st.ip_addresses())
def test_no_address_that_wraps_or_stays_inside_is_public(address) -> None:
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast
        assert not address.is_private
        if isinstance(address, ipaddress.IPv6Address):
            assert address.ipv4_mapped is None
            assert address.sixtofour is None
            assert address.teredo is None


@given(st.text(max_size=80))
def test_no_text_breaks_the_reader(text: str) -> None:
    for url in (text, f"https://{text}", f"https://idp.example/{text}"):
        try:
            destination = parse_destination(url)
        except OutboundRefused:
            continue
        assert destination.scheme in {"http", "https"}
        assert not set(destination.host) & set("@/\\%#? ")


@pytest.mark.parametrize(
    ("url", "authority", "target"),
    [
        ("https://Login.Example.com", "login.example.com", "/"),
        ("https://login.example.com:8443/a/b?c=d", "login.example.com:8443", "/a/b?c=d"),
        ("https://login.example.com?c=d", "login.example.com", "?c=d"),
        ("https://xn--mller-kva.example/", "xn--mller-kva.example", "/"),
        ("https://[2606:4700::1111]:444/", "[2606:4700::1111]:444", "/"),
    ],
)
def test_a_plain_address_is_taken_apart(url: str, authority: str, target: str) -> None:
    destination = parse_destination(url)
    assert (destination.authority, destination.target) == (authority, target)
