import base64
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from failgate.config.errors import ConfigRefused
from failgate.config.load import load_config, parse_config
from failgate.config.model import SECTIONS, Config
from failgate.config.units import Duration, Size

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"


def mistakes(toml: str) -> list[str]:
    with pytest.raises(ConfigRefused) as caught:
        parse_config(toml)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_without_a_file_the_standard_plugins_work() -> None:
    config = load_config(None, {})
    assert config.server.listen == "127.0.0.1:8440"
    assert config.gate.default_ttl == Duration("60s")
    assert config.limits.argv == Size("64KiB")
    assert [(each.name, each.use) for each in config.instances] == [
        (name, name) for name in ("filesystem", "allowlist", "quorum", "capture", "webhook")
    ]


def test_every_mistake_of_the_file_is_listed_at_once_with_its_line() -> None:
    """Issue 2, bad input: a misspelt config key."""
    listed = mistakes(
        '[server]\nlistne = "x"\nlog_format = "jsn"\n[gaet]\n[gate]\ndefault_ttl = 60\npolicies = ["quorum", "quorum"]\n'
        '[plugins.Siem]\n[plugins.ok]\nuse = "not a name"\n[plugins]\nflat = 3\n'
    )
    assert [line.splitlines()[0] for line in listed] == [
        "failgate.toml:2: server.listne: no such setting",
        'failgate.toml:3: server.log_format: takes "json" or "console"',
        "failgate.toml:4: gaet: no such section",
        'failgate.toml:6: gate.default_ttl: a duration carries its unit: say "60s" for seconds or "60m" for minutes',
        'failgate.toml:7: gate.policies[1]: "quorum" is named twice',
        "failgate.toml:8: plugins.Siem: an instance is named by up to 64 lower-case letters, digits and hyphens, a letter first",
        "failgate.toml:10: plugins.ok.use: takes the name of a plugin: up to 64 lower-case letters, digits and hyphens, a letter first",
        "failgate.toml:12: plugins.flat: takes a table: say [plugins.flat] above its settings",
    ]


def test_a_misspelt_key_names_the_nearest_one_and_what_the_section_takes() -> None:
    assert mistakes('[server]\n\nlistne = "x"\n') == [
        (
            "failgate.toml:3: server.listne: no such setting\n"
            '    listne = "x"\n'
            "    ^^^^^^\n"
            '  did you mean "listen"? [server] takes: allow_loopback, allow_plain_http, artifact_url, header_timeout, listen, '
            "log_format, outbound_hosts, outbound_networks, public_url, tls, tokens_in_addresses, trusted_proxies"
        )
    ]


def test_a_misspelt_key_of_a_table_inside_names_that_table() -> None:
    [mistake] = mistakes('[sso.connections.okta]\ntitle = "Okta"\nprotocol = "oidc"\nisuer = "https://x"\n')
    assert 'did you mean "issuer"? [sso.connections.okta] takes: client_id, ' in mistake


def test_a_misspelt_section_names_the_nearest_one() -> None:
    [mistake] = mistakes('[plugin.siem]\nuse = "syslog"')
    assert mistake.startswith("failgate.toml:1: plugin: no such section\n    [plugin.siem]\n     ^^^^^^\n")
    assert 'did you mean "plugins"?' in mistake


def test_a_key_in_the_wrong_section_names_the_right_one() -> None:
    assert "default_ttl belongs in [gate]" in mistakes('[server]\ndefault_ttl = "5s"')[0]
    assert "listen belongs in [server]" in mistakes('listen = "127.0.0.1:1"')[0]


def test_a_section_that_is_no_table_is_refused() -> None:
    assert "server: takes a table, not a whole number" in mistakes("server = 3")[0]
    assert "plugins: takes one table for each instance" in mistakes("plugins = 3")[0]
    assert "server: takes a table, not a list" in mistakes("[[server]]")[0]


def test_a_slot_names_an_instance_with_settings_or_without() -> None:
    config = parse_config('[audit]\nexporters = ["siem", "jsonl"]\n[plugins.siem]\nuse = "syslog"\nhost = "h"\n')
    first = config.instances[0]
    assert (first.name, first.use, dict(first.settings), first.path) == (
        "siem",
        "syslog",
        {"host": "h"},
        ("plugins", "siem", "use"),
    )
    assert [each.name for each in config.instances] == [
        "siem",
        "filesystem",
        "allowlist",
        "quorum",
        "capture",
        "jsonl",
        "webhook",
    ]
    assert [(ref.instance, ref.slot) for ref in config.references] == [
        ("filesystem", "artifact_store"),
        ("allowlist", "approval_policy"),
        ("quorum", "approval_policy"),
        ("capture", "report_formats"),
        ("siem", "audit_exporter"),
        ("jsonl", "audit_exporter"),
        ("webhook", "notifier"),
    ]


def test_one_instance_may_fill_slots_of_two_kinds() -> None:
    config = parse_config(
        '[artifacts]\nstore = "both"\n[reports]\nformats = ["both"]\n[gate]\npolicies = []\n[notify]\nnotifiers = []\n'
    )
    assert [each.name for each in config.instances] == ["both"]


def test_instances_are_opened_in_the_order_of_the_file() -> None:
    config = parse_config("[plugins.quorum]\n[plugins.capture]\n[plugins.allowlist]\n")
    assert [each.name for each in config.instances] == ["quorum", "capture", "allowlist", "filesystem", "webhook"]


def test_the_reference_file_says_nothing_until_it_is_uncommented() -> None:
    config = load_config(CONFIG / "failgate.toml", {})
    assert [getattr(config, name) for name in SECTIONS] == [struct() for struct in SECTIONS.values()]


def test_the_reference_file_holds_every_key_with_its_default(tmp_path: Path) -> None:
    text = (CONFIG / "failgate.toml").read_text()
    head, _, _ = text.partition("# A plugin that a setting")
    inner = re.findall(r"^# \[[a-z_.]+\]\n(?:# .*\n)+", head, re.MULTILINE)  # sections in sections: examples as a whole
    for block in inner:
        head = head.replace(block, "")
    lines = [re.sub(r"^# ([a-z_]+ = )", r"\1", line) for line in head.splitlines()]
    examples = (
        "public_url =",
        "artifact_url =",
        "url =",
        "origin =",
        "witness_quorum =",
        "require_witness_within =",
        "keep_addresses =",
        "keep =",
        "keep_sessions =",
        "workspace_",
        "breached_passwords =",
        "password = {",
        "sealing =",
        "log =",
        "previous_sealing =",
        "previous_log =",
        "relay =",
    )  # no default value; an example stands there
    path = tmp_path / "failgate.toml"
    path.write_text("\n".join(line for line in lines if not line.startswith(examples)))
    config = load_config(path, {})
    for name, struct in SECTIONS.items():
        assert getattr(config, name) == struct()
        for key in struct.__struct_encode_fields__:
            if f"\n# [{name}.{key}]\n" in text:
                continue
            assert f"\n# {key} = " in text, f"{name}.{key}"
            is_example = (name, key) == ("database", "password") or any(f"{key} =".startswith(one) for one in examples)
            if not is_example:
                assert config.source.has((name, key)), f"{name}.{key} stands in another section of the reference"
    for name in ("artifacts.key", "artifacts-old.key"):
        (tmp_path / name).write_text(base64.b64encode(name.encode().ljust(32)).decode())
    inner = [block for block in inner if "audit.signer" not in block]  # not together with [keys] log, which is there
    whole = "\n".join([*lines, *(re.sub(r"^# ", "", block, flags=re.MULTILINE) for block in inner)])
    path.write_text(whole.replace("/etc/failgate/artifacts", f"{tmp_path}/artifacts"))
    known = {"FAILGATE_DATABASE_URL": "postgresql:///failgate", "FAILGATE_SMTP_PASSWORD": "x"}
    known["FAILGATE_DATABASE_PASSWORD"] = "y"
    keys = [f"FAILGATE_{name}_KEY{before}" for name in ("SEALING", "LOG") for before in ("", "_BEFORE")]
    known |= dict.fromkeys(keys, base64.b64encode(bytes(32)).decode())
    assert isinstance(load_config(path, known), Config)


def test_the_reference_file_shows_settings_that_are_taken(tmp_path: Path) -> None:
    _, _, tail = (CONFIG / "failgate.toml").read_text().partition("#\n")
    path = tmp_path / "failgate.toml"
    path.write_text("\n".join(line.removeprefix("#").strip() for line in tail.splitlines()))
    assert [each.name for each in load_config(path, {}).instances][:4] == [
        "quorum",
        "filesystem",
        "jsonl",
        "second-copy",
    ]


def test_the_config_for_development_is_good() -> None:
    assert load_config(CONFIG / "dev.toml", {}).server.allow_loopback


def test_the_environment_is_read_unless_another_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "failgate.toml"
    path.write_text('[database]\nurl = { env = "FG_TEST_URL" }')
    monkeypatch.setenv("FG_TEST_URL", "postgresql:///x")
    assert load_config(path).database.url_in(tmp_path) == "postgresql:///x"
    with pytest.raises(ConfigRefused, match="FG_TEST_URL is not set"):
        load_config(path, {})


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The script in a tree where setup is done and `failgate` tells what it was given."""
    place = tmp_path / "checkout"
    (place / "contrib" / "dev").mkdir(parents=True)
    shutil.copy(ROOT / "contrib" / "dev" / "serve", place / "contrib" / "dev" / "serve")
    for path, text in (("contrib/dev/setup", ":"), (".venv/bin/failgate", 'echo "${FAILGATE_CONFIG:-none} $*"')):
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(f"#!/bin/sh\n{text}\n")
        (place / path).chmod(0o755)
    return place


@pytest.mark.parametrize(
    ("words", "is_dev"),
    [
        ([], True),
        (["--demo"], True),
        (["--demo", "--data", "x"], True),
        (["--config", "my.toml"], False),
        (["--demo", "--config=my.toml"], False),
    ],
)
def test_a_checkout_serves_with_the_config_for_development_unless_another_is_named(
    checkout: Path, tmp_path: Path, words: list[str], is_dev: bool
) -> None:
    clean = {name: value for name, value in os.environ.items() if name != "FAILGATE_CONFIG"}

    def served(**more: str) -> str:
        command = [checkout / "contrib" / "dev" / "serve", *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=clean | more, capture_output=True, text=True, timeout=20, check=True
        )
        return done.stdout.strip()

    config = str(checkout / "config" / "dev.toml") if is_dev else "none"
    assert served() == " ".join([config, "serve", *words])
    assert served(FAILGATE_CONFIG="/mine.toml").startswith("/mine.toml ")
    (tmp_path / "failgate.toml").write_text("")
    assert served().startswith("none ")


SMTP = '[notify.smtp]\nhost = "smtp.acme.example"\nsender = "failgate@acme.example"\n'


def test_the_smtp_server_has_a_port_for_each_kind_of_tls() -> None:
    for tls, port in (("starttls", 587), ("implicit", 465)):
        smtp = parse_config(f'{SMTP}tls = "{tls}"').notify.smtp
        assert smtp is not None
        assert smtp.effective_port == port
    assert parse_config(SMTP + "port = 2525").notify.smtp.effective_port == 2525
    assert parse_config("").notify.smtp is None


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('tls = "none"', "letters hold links"),
        ('username = "u"', "set together"),
        ('password = "plain"', "a secret does not stand"),
        ("port = 0", "at least 1"),
        ('tls = "ssl"', 'takes "starttls" or'),
    ],
)
def test_a_setting_that_would_show_letters_on_the_way_is_refused(more: str, says: str) -> None:
    """E18."""
    with pytest.raises(ConfigRefused, match=says):
        parse_config(SMTP + more)
    with pytest.raises(ConfigRefused, match="takes an address"):
        parse_config(SMTP.replace("failgate@acme.example", "failgate"))
