"""What the client says when TLS fails, and that it sends nothing then (E9, E12)."""

import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_server, socket

import pytest
from cryptography.hazmat.primitives import serialization

from failgate.client.exits import NotConfigured, Unreachable
from failgate.client.http import Api
from failgate.client.settings import Settings, TlsFiles, load_settings
from tests.web.authority import AGENT, DAY, NOW, Authority, issue

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


class House:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root, self.clients = Authority("Server root"), Authority("Client root")
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(self.root.pair.pem)
        self.received: list[bytes] = []

    @contextmanager
    def serving(self, pair, *, asks: bool = False, speaks_tls: bool = True) -> Iterator[int]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair.write(self.folder, "server"))
        if asks:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.clients.pair.pem.decode())

        def work() -> None:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            with link:
                link.settimeout(5)
                try:
                    self._answer(context.wrap_socket(link, server_side=True) if speaks_tls else link)
                except OSError:
                    return

        with create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            yield listener.getsockname()[1]
        thread.join(5)

    def _answer(self, link: socket) -> None:
        with link:
            self.received.append(link.recv(4096))
            link.sendall(ANSWER)

    def ask(self, port: int, files: TlsFiles, *, host: str = "localhost", token: str | None = "fg_x") -> None:
        settings = Settings(f"https://{host}:{port}", "acme", token, "/nowhere", "never", (), False, files)
        with Api(settings) as api:
            assert api.call("GET", "/api/v1/whoami").status == 200

    def trusting(self, certificate: Path | None = None, key: Path | None = None) -> TlsFiles:
        return TlsFiles(str(self.ca), str(certificate) if certificate else None, str(key) if key else None)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_trusted_server_is_asked_by_name_and_by_address(house: House) -> None:
    for host in ("localhost", "127.0.0.1"):
        with house.serving(house.root.server()) as port:
            house.ask(port, house.trusting(), host=host)
    assert all(b"Authorization: Bearer fg_x" in received for received in house.received)


def test_the_servers_own_certificate_may_be_what_is_trusted(house: House) -> None:
    pair = house.root.server()
    house.ca.write_bytes(pair.pem)
    with house.serving(pair) as port:
        house.ask(port, house.trusting())


@pytest.mark.parametrize(
    ("what", "sentence", "hint"),
    [
        ("expired", "has expired", "renew"),
        ("early", "is not valid yet", "clock"),
        ("other name", "is for another name", "FAILGATE_URL"),
        ("stranger", "an authority that is not trusted here", "FAILGATE_CA"),
        ("self-signed", "is signed by itself", "FAILGATE_CA"),
    ],
)
def test_a_server_that_is_not_trusted_gets_nothing_and_the_message_says_why(house, what, sentence, hint) -> None:
    sans = house.root.server().certificate.extensions[1].value
    pair = {
        "expired": lambda: house.root.server(begins=NOW - 2 * DAY, ends=NOW - DAY),
        "early": lambda: house.root.server(begins=NOW + DAY),
        "other name": lambda: house.root.server("elsewhere.example"),
        "stranger": lambda: Authority("Server root").server(),
        "self-signed": lambda: issue("localhost", None, sans=sans),
    }[what]()
    with house.serving(pair) as port, pytest.raises(Unreachable) as refused:
        house.ask(port, house.trusting())
    assert refused.value.exit_code == 69
    assert sentence in refused.value.sentence
    assert f"https://localhost:{port}" in refused.value.sentence
    assert hint in str(refused.value.hint)
    assert house.received == []


def test_a_port_without_tls_is_named_as_that(house: House) -> None:
    with house.serving(house.root.server(), speaks_tls=False) as port, pytest.raises(Unreachable) as refused:
        house.ask(port, house.trusting())
    assert "does not speak TLS" in refused.value.sentence
    assert refused.value.exit_code == 69


def test_a_client_certificate_is_shown_and_needs_no_token(house: House) -> None:
    certificate, key = house.clients.client(AGENT).write(house.folder, "agent")
    with house.serving(house.root.server(), asks=True) as port:
        house.ask(port, house.trusting(certificate, key), token=None)
    assert b"Authorization" not in house.received[0]


def test_a_server_that_asks_for_a_certificate_says_so(house: House) -> None:
    with house.serving(house.root.server(), asks=True) as port, pytest.raises(Unreachable) as refused:
        house.ask(port, house.trusting())
    assert re.search("FAILGATE_CERTIFICATE|asks for one", refused.value.sentence)
    assert refused.value.exit_code == 69
    assert house.received == []


@pytest.mark.parametrize("spoiled", ["readable", "missing", "another", "encrypted", "ca"])
def test_files_that_cannot_be_used_are_named_before_anything_is_sent(house: House, spoiled: str) -> None:
    pair = house.clients.client(AGENT)
    certificate, key = pair.write(house.folder, "agent")
    if spoiled == "readable":
        key.chmod(0o644)
    elif spoiled == "missing":
        key.unlink()
    elif spoiled == "another":
        key.write_bytes(house.clients.client(AGENT).key_pem)
    elif spoiled == "encrypted":
        how = serialization.BestAvailableEncryption(b"x")
        pem = pair.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
        key.write_bytes(pem)
    else:
        house.ca.write_text("nonsense")
    with house.serving(house.root.server(), asks=True) as port, pytest.raises(NotConfigured) as refused:
        house.ask(port, house.trusting(certificate, key))
    assert refused.value.exit_code == 78
    assert str(house.ca if spoiled == "ca" else key) in refused.value.sentence
    assert house.received == []


def test_without_a_token_a_certificate_needs_https_and_a_workspace(house: House) -> None:
    files = TlsFiles(None, "c.pem", "k.pem")
    with pytest.raises(NotConfigured, match="plain HTTP"):
        Api(Settings("http://127.0.0.1:1", "acme", None, "/nowhere", "never", (), False, files))
    with pytest.raises(NotConfigured, match="names no workspace"):
        Api(Settings("https://127.0.0.1:1", None, None, "/nowhere", "never", (), False, files)).workspace()


def test_the_files_come_from_the_environment_then_from_the_clients_folder(tmp_path: Path) -> None:
    (tmp_path / "client.toml").write_text('ca_file = "ca.pem"\ncertificate = "/abs/c.pem"\n')
    found = load_settings({"FAILGATE_HOME": str(tmp_path), "FAILGATE_KEY": "k.pem"}).tls
    assert found == TlsFiles(f"{tmp_path}/ca.pem", "/abs/c.pem", "k.pem")
    other = load_settings({"FAILGATE_HOME": str(tmp_path), "FAILGATE_CA": "x.pem"}).tls
    assert other.ca == "x.pem"
