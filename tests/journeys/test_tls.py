"""TLS as an operator and an agent meet it: the server's own, a proxy's, and what `failgate check` says (E9, E11)."""

import json
import re
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from markdown_it import MarkdownIt
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.journeys import team
from tests.journeys.harness import NewDatabase, Server, clean_environment, failgate, free_port, on_postgres, on_sqlite
from tests.peers.starting import listens, wait_until_up
from tests.web.authority import AGENT, DAY, NOW, Authority

ROOT = Path(__file__).parents[2]
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin")


class House:
    """Files of a server that asks for client certificates, and the server."""

    def __init__(self, folder: Path, database_url: str | None = None) -> None:
        self.folder = folder
        self.root, self.clients = Authority("Server root"), Authority("Acme agents")
        self.root.server().write(folder, "server")
        (folder / "ca.pem").write_bytes(self.root.pair.pem)
        (folder / "clients.pem").write_bytes(self.clients.pair.pem)
        self.revoke()
        self.server = Server(folder / "data", database_url=database_url, config=self.config())

    def config(self, mode: str = "optional") -> str:
        files = 'certificate = "server.pem"\nkey = "server.key"\nclient_ca = "clients.pem"\ncrl = ["clients.crl"]'
        return f'[server.tls]\n{files}\nclient_certificates = "{mode}"\n'

    def revoke(self, *pairs) -> None:
        self.clients.revoked += [pair.certificate for pair in pairs]
        (self.folder / "clients.crl").write_bytes(self.clients.crl())

    def environment(self, stem: str | None, **more: str) -> dict[str, str]:
        shown = {"FAILGATE_CERTIFICATE": f"{self.folder}/{stem}.pem", "FAILGATE_KEY": f"{self.folder}/{stem}.key"}
        return {
            "FAILGATE_URL": self.server.url, "FAILGATE_WORKSPACE": "acme", "FAILGATE_CA": f"{self.folder}/ca.pem",
            "FAILGATE_HOME": f"{self.folder}/home", "FAILGATE_UPLOAD": "never", **(shown if stem else {}), **more,
        }  # fmt: skip

    def run(self, stem: str | None, **more: str) -> subprocess.CompletedProcess[str]:
        return failgate("run", "--", "/bin/echo", "ran", env=self.environment(stem, **more), cwd=self.folder)


@pytest.fixture
def house(new_database: NewDatabase, tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, new_database())
    made.server.start()
    try:
        yield made
        assert made.server.stop() == 0
        assert team.failures_in(made.server) == []
    finally:
        made.server.kill()


def test_an_agent_with_a_certificate_runs_what_is_allowed_until_it_is_revoked(house: House) -> None:
    right, stranger = house.clients.client(AGENT), Authority("Acme agents").client(AGENT)
    right.write(house.folder, "agent")
    stranger.write(house.folder, "stranger")
    assert house.server.url.startswith("https://")
    team.found_acme(house.server)
    team.admin(house.server, "agent.create", workspace="acme", name="builder")
    team.admin(house.server, "allow.add", workspace="acme", argv=["/bin/echo", "ran"])
    unknown = house.run("agent")
    assert unknown.returncode == 78, unknown.stderr
    assert unknown.stdout == ""
    documented(house)
    house.server.admin("agent", "certificate", "--workspace", "acme", "--name", "builder", "--san", AGENT)
    done = house.run("agent")
    assert (done.returncode, done.stdout) == (0, "ran\n"), done.stderr
    for code, result in (
        (69, house.run("stranger")),
        (69, house.run("agent", FAILGATE_CA=f"{house.folder}/clients.pem")),
        (78, house.run("agent", FAILGATE_URL=house.server.url.replace("https", "http"))),
        (78, house.run(None)),
    ):
        assert result.returncode == code, result.stderr
        assert result.stdout == ""
        assert result.stderr.startswith("failgate: ")
        assert "Traceback" not in result.stderr
    house.revoke(right)
    deadline = time.monotonic() + 60
    while (last := house.run("agent")).returncode == 0:
        assert time.monotonic() < deadline
    assert last.returncode == 69, last.stderr
    assert "client certificate" in last.stderr


def documented(house: House) -> None:
    """Run the block of docs/tls.md that needs a server."""
    found = [t for t in MarkdownIt().parse((ROOT / "docs" / "tls.md").read_text()) if t.info.strip() == "sh server"]
    [block] = found
    text = block.content.replace("--name builder\n", "--name documented\n").replace(
        "--name builder ", "--name documented "
    )
    text = re.sub(r"^failgate (.*)$", rf"{sys.executable} -m failgate \1 --data {house.server.data} --config "
                  rf"{house.server.config}", text, flags=re.MULTILINE)  # fmt: skip
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text], capture_output=True, text=True, env=clean_environment(), check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda house: house.root.server("localhost").write(house.folder, "other"), None),
        (lambda house: (house.folder / "server.key").chmod(0o644), ("server.tls.key", "chmod 600")),
        (lambda house: (house.folder / "server.pem").unlink(), ("server.tls.certificate", "cannot be read")),
        (
            lambda house: (house.folder / "server.key").write_bytes(house.root.server().key_pem),
            ("server.tls.key", "does not belong to"),
        ),
        (
            lambda house: house.root.server(begins=NOW - 2 * DAY, ends=NOW - DAY).write(house.folder, "server"),
            ("server.tls.certificate", "expired on"),
        ),
        (
            lambda house: (house.folder / "clients.pem").write_text("x"),
            ("server.tls.client_ca", "holds no certificate"),
        ),
        (
            lambda house: (house.folder / "clients.crl").write_bytes(Authority("Other").crl()),
            ("server.tls.crl", "no revocation list of CN=Acme agents"),
        ),
    ],
)
def test_check_shows_what_is_wrong_with_the_files_at_its_line(tmp_path: Path, spoil, words) -> None:
    house = House(tmp_path)
    spoil(house)
    done = failgate("check", "--config", str(house.server.config), "--data", str(house.server.data))
    if words is None:
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == 2, done.stdout + done.stderr
    assert re.search(r"data\.toml:\d+: ", done.stderr)
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    if "expired" not in words[1]:
        start = failgate(
            "serve", "--config", str(house.server.config), "--data", str(house.server.data), "--listen", "127.0.0.1:0"
        )
        assert start.returncode == 78, start.stderr
        assert words[1].split()[0] in start.stderr
        assert "listening" not in start.stdout


@on_sqlite
def test_sighup_renews_and_does_not_end_the_server(house: House) -> None:
    port = int(house.server.url.rsplit(":", 1)[1])

    def shown() -> str:
        return ssl.get_server_certificate(("127.0.0.1", port))

    fresh = house.root.server()
    fresh.write(house.folder, "server")
    assert house.server.process is not None
    house.server.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 60
    while shown().strip() != fresh.pem.decode().strip():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    house.server.logged("tls.reloaded")


@contextmanager
def behind_nginx(folder: Path, database_url: str | None) -> Iterator[tuple[Server, str, ssl.SSLContext]]:
    """The sample config of contrib/, with the ports and files of this test."""
    root, backend, front = Authority("Proxy root"), free_port(), free_port()
    certificate, key = root.server().write(folder, "proxy")
    url = f"https://localhost:{front}"
    text = (ROOT / "contrib" / "proxies" / "nginx.conf").read_text()
    for before, after in (
        ("listen 443 ssl", f"listen 127.0.0.1:{front} ssl"),
        ("server 127.0.0.1:8440", f"server 127.0.0.1:{backend}"),
        ("failgate.acme.example", "localhost"),
        ("/etc/ssl/failgate/fullchain.pem", str(certificate)),
        ("/etc/ssl/failgate/key.pem", str(key)),
    ):
        assert before in text
        text = text.replace(before, after)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;"
        f"events {{ }} http {{ access_log off; {temporary} {text} }}"
    )
    config = f'[server]\npublic_url = "{url}"\ntrusted_proxies = ["127.0.0.1"]\n'
    arguments = ("--listen", f"127.0.0.1:{backend}")
    server = Server(folder / "data", database_url=database_url, config=config, arguments=arguments).start()
    said = folder / "nginx.said"
    with said.open("wb") as heard:
        proxy = subprocess.Popen(
            [str(NGINX), "-p", str(folder), "-e", f"{folder}/error.log", "-c", str(folder / "nginx.conf")],
            stdout=heard, stderr=heard, start_new_session=True,
        )  # fmt: skip
    try:
        wait_until_up(proxy, said, lambda: listens(front))
        yield server, url, ssl.create_default_context(cadata=root.pair.pem.decode())
    finally:
        proxy.terminate()
        proxy.wait(60)
        server.kill()


@on_postgres
@pytest.mark.skipif(NGINX is None, reason="nginx is not installed: install the package `nginx-light`")
def test_the_sample_config_of_nginx_passes_what_is_needed_and_nothing_forged(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    with behind_nginx(tmp_path, new_database()) as (server, url, context):
        key = team.found_acme(server)["api_key"]
        token = team.admin(server, "agent.create", workspace="acme", name="ci")["token"]
        with httpx.Client(base_url=url, verify=context, trust_env=False, timeout=60) as client:
            answer = until_answered(client)
            assert answer.headers["strict-transport-security"]
            assert all(line.startswith("__Host-") for line in answer.headers.get_list("set-cookie"))
            forged = {
                "x-forwarded-for": "198.51.100.7", "x-forwarded-proto": "http", "x-forwarded-user": "owner",
                "x-ssl-client-verify": "SUCCESS",
            }  # fmt: skip
            assert client.get("/api/v1/whoami", headers=forged).status_code == 401
            assert client.get("/metrics").status_code == 401  # open to this machine alone, not to its proxy
            asked = client.get("/api/v1/whoami", headers={"authorization": f"Bearer {key}", **forged})
            assert asked.status_code == 200
            body = client.put(
                f"{team.WHERE}/reports/{'0' * 8}-0000-7000-8000-000000000000/artifacts/{'0' * 64}",
                headers={"authorization": f"Bearer {token}"}, content=b"x" * 3_000_000,
            )  # fmt: skip
            assert body.status_code == 404
        socket_url = url.replace("https", "wss") + "/api/v1/agent"
        with connect(
            socket_url, ssl=context, additional_headers={"authorization": f"Bearer {token}"}, proxy=None
        ) as link:
            link.send('{"type": "cancel", "id": "x", "ref": 1}')
            assert json.loads(link.recv(60))["ref"] == 1
        with pytest.raises(InvalidStatus):
            connect(socket_url, ssl=context, additional_headers={"authorization": "Bearer x"}, proxy=None)
        seen = {entry["ip"] for line in server.logs if (entry := json.loads(line)).get("event") == "request.answered"}
        assert seen == {"127.0.0.1"}


def until_answered(client: httpx.Client) -> httpx.Response:
    deadline = time.monotonic() + 60
    while True:
        try:
            answer = client.get("/signin")
            if answer.status_code == 200:
                return answer
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.05)
