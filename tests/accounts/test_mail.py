"""Letters through a real SMTP server: STARTTLS, implicit TLS, and what goes wrong with it."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
from email import message_from_bytes, policy

import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from failgate.accounts import letters
from failgate.accounts import mail as mail_module
from failgate.accounts.mail import MAX_WAITING, Letter, Mail, Relay, message_of
from failgate.base.clock import FrozenClock
from failgate.base.secret import Secret

LETTER = Letter("ann@example.com", "Hello", "A line.\nAnother: ü\n", "test")


class Inbox:
    def __init__(self) -> None:
        self.letters = []
        self.refusing: list[str] = []

    async def handle_DATA(self, server, session, envelope):
        if self.refusing:
            return self.refusing.pop(0)
        is_tls = server.transport.get_extra_info("sslcontext") is not None
        self.letters.append((envelope, is_tls, session.authenticated))
        return "250 OK"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-made authority and server certificate for localhost: the path of the PEM, and a context that serves it."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return pem, context


@contextlib.asynccontextmanager
async def serving(inbox, *, over_tls=None, **how):
    """An SMTP server on a free port of the loopback address; it yields the port."""

    def fits(server, session, envelope, mechanism, data):
        is_right = (data.login, data.password) == (b"failgate", b"secret of smtp")
        return AuthResult(success=is_right, handled=is_right)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(inbox, hostname="localhost", authenticator=fits, loop=loop, **how), "127.0.0.1", 0, ssl=over_tls
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


@pytest.fixture(params=["starttls", "implicit"])
async def relay(request, certificate):
    pem, context = certificate
    inbox = Inbox()
    how = (
        {"over_tls": context, "auth_require_tls": False}
        if request.param == "implicit"
        else {"tls_context": context, "require_starttls": True, "auth_required": True}
    )
    async with serving(inbox, **how) as port:
        yield inbox, Relay(
            "127.0.0.1", port, "Failgate <failgate@acme.example>", request.param, "failgate",
            Secret("secret of smtp"), pem, 10.0,
        )  # fmt: skip


async def test_a_letter_arrives_over_tls_from_who_may_send(relay) -> None:
    inbox, where = relay
    mail = Mail(where, FrozenClock())
    assert mail.post(LETTER)
    await mail.close()
    [(envelope, is_tls, is_authenticated)] = inbox.letters
    assert is_tls
    assert is_authenticated
    assert envelope.rcpt_tos == ["ann@example.com"]
    got = message_from_bytes(envelope.content, policy=policy.default)
    assert (got["Subject"], got["Auto-Submitted"]) == ("Hello", "auto-generated")
    assert got.get_content().replace("\r\n", "\n") == LETTER.text
    assert (mail.standing.sent, mail.standing.failed, mail.standing.waiting) == (1, 0, 0)


async def test_putting_a_letter_in_the_line_waits_for_nothing(relay) -> None:
    inbox, where = relay
    mail = Mail(where, FrozenClock())
    began = asyncio.get_running_loop().time()
    for _ in range(5):
        mail.post(LETTER)
    assert asyncio.get_running_loop().time() - began < 0.05
    assert inbox.letters == []
    await mail.close()
    assert len(inbox.letters) == 5


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(relay, caplog) -> None:
    inbox, where = relay
    mail = Mail(Relay(where.host, where.port, where.sender, where.tls), FrozenClock(), retry_seconds=(0,))
    mail.post(LETTER)
    await mail.close()
    assert inbox.letters == []
    assert mail.standing.failed == 1
    assert "certificate" in mail.standing.failure
    assert "ann@" not in caplog.text


async def test_a_password_is_asked_for_at_each_letter_and_one_that_cannot_be_had_is_tried_again(relay) -> None:
    inbox, where = relay
    places = ["", "secret of smtp"]  # first its place is empty, then renewed

    def read() -> str:
        if not (text := places.pop(0)):
            raise ValueError("the secret file /run/smtp is empty")
        return text

    renewed = Relay(
        where.host, where.port, where.sender, where.tls, "failgate", Secret("of yesterday", read), where.ca_file
    )
    mail = Mail(renewed, FrozenClock(), retry_seconds=(0,))
    mail.post(LETTER)
    await mail.close()
    assert (len(inbox.letters), places, mail.standing.failed) == (1, [], 0)


async def test_a_wrong_password_is_seen_by_the_operator_and_in_no_log(relay, caplog) -> None:
    _, where = relay
    wrong = Relay(where.host, where.port, where.sender, where.tls, "failgate", Secret("wrong one"), where.ca_file)
    mail = Mail(wrong, FrozenClock(), retry_seconds=(0, 0))
    mail.post(LETTER)
    await mail.close()
    assert (mail.standing.failed, mail.standing.failed_us) == (1, FrozenClock().now_us())
    assert "535" in mail.standing.failure
    assert "wrong one" not in caplog.text


async def test_a_letter_that_is_refused_for_now_is_tried_again_and_one_refused_for_good_is_not(relay) -> None:
    inbox, where = relay
    mail = Mail(where, FrozenClock(), retry_seconds=(0, 0))
    inbox.refusing = ["451 later", "452 later"]
    mail.post(LETTER)
    await mail.settle()
    assert (len(inbox.letters), mail.standing.sent) == (1, 1)
    inbox.refusing = ["550 no such mailbox ann@example.com", "250 never asked"]
    mail.post(LETTER)
    await mail.settle()
    assert inbox.refusing == ["250 never asked"]
    assert "550" in mail.standing.failure
    assert "ann@" not in mail.standing.failure


async def test_a_server_that_does_not_offer_tls_gets_nothing() -> None:
    """RFC 3207 section 6: who strips the offer on the way must not get the letter in the clear."""
    inbox = Inbox()
    async with serving(inbox) as port:
        mail = Mail(Relay("127.0.0.1", port, "f@acme.example"), FrozenClock(), retry_seconds=())
        mail.post(LETTER)
        await mail.close()
    assert inbox.letters == []
    assert mail.standing.failed == 1


async def test_without_a_relay_and_with_a_full_line_nothing_is_taken() -> None:
    assert not Mail(None, FrozenClock()).post(LETTER)
    mail = Mail(Relay("localhost", 9, "f@acme.example", "none"), FrozenClock(), retry_seconds=(30,))
    assert all(mail.post(LETTER) for _ in range(MAX_WAITING))
    assert not mail.post(LETTER)
    mail._task.cancel()
    await mail.close()
    assert mail.standing.failed >= MAX_WAITING


def test_a_header_takes_no_second_line() -> None:
    for letter in (Letter("a@b.c\nBcc: all@b.c", "s", "t", "p"), Letter("a@b.c", "s\r\nBcc: x@y.z", "t", "p")):
        with pytest.raises(ValueError):
            message_of(letter, "f@acme.example", 0)


def test_links_begin_with_the_configured_address() -> None:
    base = "https://failgate.acme.example"
    assert f"\n{base}/link#T\n" in letters.password_reset(base, "a@b.c", "T", 15).text
    invited = letters.invitation(base, "a@b.c", "Acme", "admin", "T", 7)
    assert f"\n{base}/link#T\n" in invited.text
    assert "Acme" in invited.subject


async def test_what_a_stopping_server_did_not_send_is_recorded_and_the_one_on_its_way_too(room, monkeypatch) -> None:
    """E18: each by its purpose; no address, no link."""
    monkeypatch.setattr(mail_module, "CLOSING_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes a connection and says nothing
        port = silent.getsockname()[1]
        mail = Mail(Relay("127.0.0.1", port, "f@acme.example", "none"), room.clock, room.audit)
        for _ in range(3):
            assert mail.post(LETTER)
        await asyncio.sleep(0)
        assert mail.standing.waiting == 3
        await mail.close()
    assert (mail.standing.waiting, mail.standing.failed) == (0, 3)
    records = [one for one in await room.records() if one["act"] == "letter.failed"]
    assert [(one["data"]["purpose"], one["data"]["reason"]) for one in records] == [(LETTER.purpose, "stopped")] * 3
    assert LETTER.to not in str(records)


async def test_a_letter_that_is_given_up_is_recorded(room) -> None:
    mail = Mail(Relay("127.0.0.1", 9, "f@acme.example", "none"), room.clock, room.audit, retry_seconds=())
    assert mail.post(LETTER)
    await mail.settle()
    [record] = [one for one in await room.records() if one["act"] == "letter.failed"]
    assert (record["data"]["reason"], record["out"]) == ("not_delivered", "error")
