from pathlib import Path

import pytest

from failgate.base.errors import StartRefused
from failgate.base.secret import SecretUnavailable
from failgate.config.addresses import is_loopback_host, is_wildcard, machine_name
from failgate.config.errors import ConfigRefused
from failgate.config.load import parse_config


def mistakes(toml: str, env: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigRefused) as caught:
        parse_config(toml, env)
    return str(caught.value)


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [("127.0.0.1:0", "127.0.0.1", 0), ("[::1]:8440", "::1", 8440), ("localhost:65535", "localhost", 65535)],
)
def test_an_address_to_listen_at_is_host_and_port(listen: str, host: str, port: int) -> None:
    server = parse_config(f'[server]\nlisten = "{listen}"').server
    assert (server.host, server.port, server.is_loopback) == (host, port, True)


@pytest.mark.parametrize(
    "listen", ["8440", "127.0.0.1", ":8440", "127.0.0.1:65536", "::1:8440", "a b:1", "127.0.0.1:8440\\n"]
)
def test_what_is_no_address_is_refused(listen: str) -> None:
    assert 'server.listen: takes HOST:PORT with a port up to 65535: say "127.0.0.1:8440"' in mistakes(
        f'[server]\nlisten = "{listen}"'
    )


@pytest.mark.parametrize("listen", ["0.0.0.0:8440", "[::]:8440", "192.168.1.7:8440", "failgate.internal:8440"])
def test_plain_http_where_others_can_listen_is_refused_unless_told_so(listen: str) -> None:
    """E11."""
    assert "would speak plain HTTP" in mistakes(f'[server]\nlisten = "{listen}"')
    assert parse_config(f'[server]\nlisten = "{listen}"\nallow_plain_http = true').server.listen == listen
    tls = '[server.tls]\ncertificate = "c.pem"\nkey = "k.pem"'
    secure = parse_config(f'[server]\nlisten = "{listen}"\n{tls}').server
    assert secure.base_url.startswith("https://")
    assert "speaks TLS" in mistakes(f'[server]\nlisten = "{listen}"\npublic_url = "http://127.0.0.1:1"\n{tls}')
    behind = 'public_url = "https://fg.example"\ntrusted_proxies = ["10.0.0.0/8"]'
    # A proxy that ends TLS on another machine does not make the stretch from there a secret one. ASVS 12.3.3
    assert "also for a proxy on another one" in mistakes(f'[server]\nlisten = "{listen}"\n{behind}')
    assert parse_config(f'[server]\nlisten = "{listen}"\n{behind}\n{tls}').server.listen == listen
    assert parse_config(f'[server]\nlisten = "{listen}"\nallow_plain_http = true\n{behind}').server.listen == listen
    assert parse_config(f'[server]\nlisten = "127.0.0.1:1"\n{behind}').server.is_loopback
    assert "would speak plain HTTP" in mistakes(f'[server]\nlisten = "{listen}"\npublic_url = "https://fg.example"')


@pytest.mark.parametrize(
    "url",
    [
        "failgate.example",
        "ftp://failgate.example",
        "https://",
        "https://failgate.example/",
        "https://failgate.example/path",
        "https://failgate.example?x",
        "https://failgate.example?",
        "https://failgate.example#",
        "https://me@failgate.example",
        "https://failgate.example:99999",
        "https://fail gate.example",
        "https:\\\\\\\\failgate.example",
        "https://[::1",
    ],
)
def test_a_public_url_is_scheme_host_and_port_alone(url: str) -> None:
    assert "server.public_url: takes scheme, host and port alone" in mistakes(f'[server]\npublic_url = "{url}"')


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        (
            'public_url = "https://a.example"\nartifact_url = "https://a.example:8443"',
            "another host name than a.example",
        ),
        ('public_url = "https://a.example"\nartifact_url = "https://A.example"', "another host name than a.example"),
        ('artifact_url = "http://127.0.0.1:9"', "another host name than 127.0.0.1"),
        (
            'public_url = "https://a.example"\nartifact_url = "http://b.example"',
            "plain http would show what is downloaded",
        ),
        ('artifact_url = "https://b.example"', "takes http, as the app's own address http://127.0.0.1:8440 has it"),
        ('artifact_url = "https://b.example/files"', "takes scheme, host and port alone"),
    ],
)
def test_files_are_downloaded_from_another_host_by_the_same_scheme(toml: str, says: str) -> None:
    assert says in mistakes(f"[server]\n{toml}")
    parse_config('[server]\npublic_url = "https://a.example"\nartifact_url = "https://b.example"')


def test_a_plain_public_url_is_for_this_machine_only() -> None:
    assert "server.public_url: plain http" in mistakes('[server]\npublic_url = "http://failgate.example"')
    assert parse_config('[server]\npublic_url = "http://localhost:9"').server.base_url == "http://localhost:9"


def test_links_are_built_from_the_address_when_there_is_no_public_url() -> None:
    assert parse_config("").server.base_url == "http://127.0.0.1:8440"
    everywhere = parse_config('[server]\nlisten = "0.0.0.0:9"\nallow_plain_http = true')
    assert everywhere.server.base_url == f"http://{machine_name()}:9"


def test_a_wildcard_is_every_address_and_no_name() -> None:
    assert [is_wildcard(host) for host in ("0.0.0.0", "::", "127.0.0.1", "::1", "localhost")] == [
        True, True, False, False, False,
    ]  # fmt: skip


def test_standing_consent_is_no_setting_of_the_server() -> None:
    """Consent is the client's: `client.toml` or FAILGATE_UPLOAD."""
    assert "reports.standing_consent: no such setting" in mistakes("[reports]\nstanding_consent = true")


def test_a_proxy_is_an_address_or_a_network() -> None:
    text = mistakes('[server]\ntrusted_proxies = ["10.0.0.1", "10.0.0.1/8", "proxy"]')
    assert "server.trusted_proxies[1]: neither an address nor a network" in text
    assert "server.trusted_proxies[2]: neither an address nor a network" in text
    assert "trusted_proxies[0]" not in text


def test_listening_elsewhere_by_option_takes_the_same_rules() -> None:
    config = parse_config("")
    assert config.with_listen("127.0.0.1:1").server.port == 1
    for listen, says in (("0.0.0.0:1", "plain HTTP"), ("nowhere", "HOST:PORT")):
        with pytest.raises(StartRefused, match=says):
            config.with_listen(listen)


def test_without_a_url_the_database_is_a_file_in_the_data_folder() -> None:
    assert (
        parse_config("").database.url_in(Path("/var/lib/fail gate")) == "sqlite:///var/lib/fail%20gate/failgate.sqlite"
    )


def test_a_database_url_may_come_from_the_environment() -> None:
    config = parse_config('[database]\nurl = { env = "DB" }', {"DB": "postgresql://me:hunter2@localhost/db"})
    assert config.database.url_in(Path("/x")) == "postgresql://me:hunter2@localhost/db"
    assert "hunter2" not in repr(config)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('url = "postgresql://me:hunter2@host/db"', "a password does not stand in this file"),
        ('url = "postgresql://me@host/db?sslmode=require&password=hunter2"', "a password does not stand in this file"),
        ('url = "postgresql://me@host/db?sslmode=require&sslpassword=hunter2"', "a password does not stand in this"),
        ('url = "mysql://host/db"', 'say "sqlite:'),
        ('url = "sqlite://"', 'say "sqlite:'),
        ('url = { env = "BAD" }', 'say "sqlite:'),
    ],
)
def test_another_database_or_a_password_in_the_file_is_refused(line: str, says: str) -> None:
    text = mistakes(f"[database]\n{line}", {"BAD": "mysql://me:hunter2@host"})
    assert f"database.url: {says}" in text or says in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('password = { env = "PW" }', "is for PostgreSQL"),
        ('url = "sqlite:////srv/f.sqlite"\npassword = { env = "PW" }', "is for PostgreSQL"),
        ('url = { env = "DB" }\npassword = { env = "PW" }', "the url has a password too"),
        ('url = "postgresql:///db"\npassword = "hunter2"', "a secret does not stand in this file"),
        ('url = "postgresql:///db"\npassword = { file = "missing" }', "cannot be read"),
    ],
)
def test_a_password_of_the_database_stands_in_one_place_and_not_in_this_file(lines: str, says: str) -> None:
    text = mistakes(f"[database]\n{lines}", {"DB": "postgresql://me:hunter2@localhost/db", "PW": "hunter2"})
    assert "database.password" in text
    assert says in text
    assert "hunter2" not in text


async def test_a_password_is_read_again_in_its_place(tmp_path: Path) -> None:
    kept = tmp_path / "password"
    kept.write_text("first\n")
    password = parse_config(f'[database]\nurl = "postgresql:///db"\npassword = {{ file = "{kept}" }}').database.password
    assert password is not None
    kept.write_text("second\n")
    assert (password.reveal(), await password.ask()) == ("first", "second")
    kept.unlink()
    with pytest.raises(SecretUnavailable, match="cannot be read"):
        await password.ask()


@pytest.mark.parametrize(
    "host", ["", "*.", "*.*", "Idp.example", "https://idp.example", "idp.example:443", "*.10.0.0.1", "a b"]
)
def test_a_host_that_nothing_could_be_compared_with_is_refused(host: str) -> None:
    assert "takes a host in lower case" in mistakes(f'[server]\noutbound_hosts = ["{host}"]')
    parse_config('[server]\noutbound_hosts = ["idp.example", "*.acme.example", "10.0.0.1", "*"]')


OPEN_WAYS = [
    "postgresql://me@db.acme.example/db",
    "postgres://me@10.0.0.5:5432/db?sslmode=prefer",
    "postgresql://me@127.0.0.1,10.0.0.5/db",
    "postgresql://me@[2001:db8::5]:5432/db?sslmode=disable",
    "postgresql:///db?host=db.acme.example",
    "postgresql:///db?service=elsewhere",
    "postgresql://me@db.acme.example/db?sslmode=require&sslmode=allow",
]
CLOSED_WAYS = [
    "sqlite:////srv/failgate.sqlite",
    "postgresql:///db",
    "postgresql://me@localhost/db",
    "postgresql://me@127.0.0.1:5432,[::1]:5433/db",
    "postgresql://me@/db?host=/run/postgresql",
    "postgresql://me@%2Frun%2Fpostgresql/db",
    *(f"postgresql://me@db.acme.example/db?sslmode={mode}" for mode in ("require", "verify-ca", "verify-full")),
]


@pytest.mark.parametrize("url", OPEN_WAYS)
def test_a_database_on_another_machine_is_reached_by_tls_or_not_at_all(url: str) -> None:
    says = "append ?sslmode=verify-full"
    assert says in mistakes(f'[database]\nurl = "{url}"')
    secret = mistakes('[database]\nurl = { env = "DB" }', {"DB": url.replace("//me@", "//me:hunter2@")})
    assert says in secret
    assert "hunter2" not in secret
    parse_config(f'[database]\nurl = "{url}"\nallow_unencrypted = true')


@pytest.mark.parametrize("url", CLOSED_WAYS)
def test_a_database_of_this_machine_or_by_tls_is_taken(url: str) -> None:
    parse_config(f'[database]\nurl = "{url}"')


def test_a_host_that_the_environment_names_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.acme.example")
    assert "append ?sslmode=verify-full" in mistakes('[database]\nurl = "postgresql:///db"')
    parse_config('[database]\nurl = "postgresql://localhost/db"')


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ('[accounts]\nsession_idle = "13h"', "accounts.session_idle: must not exceed session_lifetime, which is 12h"),
        ('[gate]\nmax_ttl = "30s"', "gate.default_ttl: must not exceed max_ttl, which is 30s"),
        ('[gate]\nmax_ttl = "25h"', "gate.max_ttl: must be at most 24h"),
        ('[gate]\ndefault_ttl = "0s"', "gate.default_ttl: must be at least 1s"),
        ('[audit]\norigin = "a b"', "audit.origin: takes 1 to 200 characters without space or plus"),
        ('[audit]\norigin = "a+b"', "audit.origin: takes"),
        ('[limits]\njson_body = "1B"', "limits.json_body: must be at least 1KiB"),
        ('[artifacts]\nstore = "File System"', "artifacts.store: expected `str` matching regex"),
    ],
)
def test_settings_that_cannot_be_together_are_refused(toml: str, says: str) -> None:
    assert says in mistakes(toml)


@pytest.mark.parametrize(
    ("host", "is_it"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_only_this_machine_reaches_a_loopback_address(host: str, is_it: bool) -> None:
    assert is_loopback_host(host) is is_it
    assert not is_loopback_host("127.0.0.1.evil.example")


@pytest.mark.parametrize(
    ("clamd", "says"),
    [
        ("clamd.ctl", "takes the path of clamd's socket or its port here"),
        ("127.0.0.1", "takes the path"),
        ("127.0.0.1:0", "takes the path"),
        ("scanner.acme.example:3310", "clamd has neither TLS nor a password"),
        ("10.0.0.9:3310", "lead a tunnel to a loopback address"),
        ("/" + "x" * 100, "at most 100 bytes"),
    ],
)
def test_a_virus_scanner_is_one_of_this_machine(clamd: str, says: str) -> None:
    text = mistakes(f'[artifacts.scan]\nclamd = "{clamd}"')
    assert "artifacts.scan.clamd" in text
    assert says in text
    for good in ("/run/clamav/clamd.ctl", "127.0.0.1:3310", "localhost:3310", "[::1]:3310"):
        section = parse_config(f'[artifacts.scan]\nclamd = "{good}"').artifacts.scan
        assert section is not None
        assert (section.clamd, section.larger, section.limit.bytes) == (good, "withhold", 25 << 20)
