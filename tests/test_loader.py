"""The loader against real distributions: what is named is opened, what is not named is never imported."""

import asyncio
import importlib.abc
import os
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from failgate.base.errors import StartRefused
from failgate.config.errors import ConfigRefused
from failgate.config.load import load_config, parse_config
from failgate.config.model import Config
from failgate.loader import finding
from failgate.loader.finding import check_config, describe_plugins, find_plugins
from failgate.loader.opening import open_plugins
from failgate.plugin import Host
from failgate.testing import command, exported, host_at
from tests.third_party import Distribution, working

EXPORTER = """
class Exporter:
    def __init__(self, name):
        self.name = name
    async def deliver(self, batch):
        print("delivered", self.name, len(batch))

@asynccontextmanager
async def open_plugin(config, host):
    print("open", host.name)
    yield Provides(audit_exporter=Exporter(host.name))
    print("close", host.name)
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if name.startswith("acme_"):
            del sys.modules[name]


@pytest.fixture
def host_for(tmp_path: Path) -> Callable[[str], Host]:
    return lambda name: host_at(tmp_path / "data", name)


def written(tmp_path: Path, toml: str) -> Path:
    path = tmp_path / "failgate.toml"
    path.write_text(toml)
    return path


def refused(tmp_path: Path, toml: str) -> str:
    with pytest.raises(ConfigRefused) as caught:
        check_config(written(tmp_path, toml), {})
    return str(caught.value)


class Watch(importlib.abc.MetaPathFinder):
    """Sees every import and finds nothing."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def find_spec(self, fullname, path=None, target=None):
        self.seen.append(fullname)


async def test_what_is_installed_and_not_named_is_never_imported(
    site: Path, host_for: Callable[[str], Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SECURITY: unlisted distributions are never imported; an import hook proves it."""
    trap = f"import pathlib; pathlib.Path({str(site / 'imported')!r}).touch(); plugin = None\n"
    Distribution(site, "acme-trap", module=trap, plugin="trap").write()
    Distribution(site, "acme-old", module=trap, plugin="old", group="failgate.plugins.v0").write()
    working(site, "siem", EXPORTER)
    watch = Watch()
    monkeypatch.setattr(sys, "meta_path", [watch, *sys.meta_path])
    config = parse_config('[audit]\nexporters = ["siem"]')
    describe_plugins(config)
    async with open_plugins(config, host_for):
        pass
    assert "acme_siem" in watch.seen
    assert not {"acme_trap", "acme_old", "failgate_jsonl", "failgate_quiet_hours"} & set(watch.seen)
    assert not (site / "imported").exists()


async def test_the_standard_plugins_open_without_a_config_file(host_for: Callable[[str], Host]) -> None:
    async with open_plugins(load_config(None, {}), host_for) as opened:
        assert [each.identity.name for each in opened.plugins] == [
            "filesystem",
            "allowlist",
            "quorum",
            "capture",
            "webhook",
        ]
        assert list(opened.policies) == ["allowlist", "quorum"]
        assert opened.rulebook is opened.plugins[1].provides.rulebook
        assert list(opened.report_formats) == ["failgate"]
        assert opened.artifact_store is opened.plugins[0].provides.artifact_store
        assert opened.exporters == {}
        assert await opened.health["filesystem"]() is None
        assert all(each.identity.digest.startswith("sha256:") for each in opened.plugins)


async def test_the_example_of_a_third_party_judges_when_it_is_enabled(
    tmp_path: Path, host_for: Callable[[str], Host]
) -> None:
    """Issue 2, item 5: an example third-party plugin in contrib/ is installed and enabled by a test."""
    from failgate.plugin import CommandContext

    path = written(
        tmp_path,
        '[gate]\npolicies = ["quorum", "quiet-hours"]\n[plugins.quiet-hours]\nstart = "00:00"\nend = "23:59"\n',
    )
    async with open_plugins(check_config(path, {}), host_for) as opened:
        context = CommandContext("w", None, None, 1_700_000_000_000_000)
        finding = await opened.policies["quiet-hours"].judge(command(), context)
    assert finding.says == "deny"
    [described] = [each for each in describe_plugins(load_config(path, {})) if each["name"] == "quiet-hours"]
    assert (described["version"], described["distribution"], described["named_by"]) == (
        "1.2.0",
        "failgate-quiet-hours",
        ["[gate] policies"],
    )


async def test_one_plugin_works_twice_under_two_names(
    site: Path, host_for: Callable[[str], Host], capsys: pytest.CaptureFixture[str]
) -> None:
    working(site, "siem", EXPORTER)
    config = parse_config('[audit]\nexporters = ["b", "siem"]\n[plugins.b]\nuse = "siem"\n')
    async with open_plugins(config, host_for) as opened:
        assert list(opened.exporters) == ["b", "siem"]
        await opened.exporters["b"].deliver(exported(0, 2))
    assert "delivered b 2" in capsys.readouterr().out


async def test_plugins_open_in_the_order_of_the_config_and_close_in_reverse(
    site: Path, host_for: Callable[[str], Host], capsys: pytest.CaptureFixture[str]
) -> None:
    working(site, "siem", EXPORTER)
    toml = '[audit]\nexporters = ["a", "b", "c"]\n' + "".join(f'[plugins.{name}]\nuse = "siem"\n' for name in "cab")
    with pytest.raises(ZeroDivisionError):
        async with open_plugins(parse_config(toml), host_for):
            raise ZeroDivisionError
    assert capsys.readouterr().out.split() == [
        *("open", "c", "open", "a", "open", "b"),
        *("close", "b", "close", "a", "close", "c"),
    ]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('    raise OSError("no route to host")\n    yield', "does not open: OSError: no route to host"),
        (
            '    raise StartRefused("The folder is read-only.", hint="Mount it.")\n    yield',
            "The folder is read-only. Mount it.",
        ),
        ("    yield Provides(audit_exportr=1)", "audit_exportr"),
        ("    yield None", "it yields NoneType where Provides(...) is due"),
        ("    yield Provides(audit_exporter=object())", "object in the slot audit_exporter has no deliver"),
        ("    yield Provides(report_formats=[object()])", "object in the slot report_formats has no name, read, title"),
        ('    raise ValueError("postgresql://me:hunter2@host refused")\n    yield', "[redacted:url-credentials:"),
    ],
)
async def test_a_plugin_that_does_not_open_is_named_and_the_earlier_ones_are_closed(
    site: Path, host_for: Callable[[str], Host], capsys: pytest.CaptureFixture[str], body: str, says: str
) -> None:
    """A misspelt slot fails at start."""
    working(site, "siem", EXPORTER)
    working(site, "broken", f"@asynccontextmanager\nasync def open_plugin(config, host):\n{body}\n")
    config = parse_config('[audit]\nexporters = ["siem", "x"]\n[plugins.siem]\n[plugins.x]\nuse = "broken"\n')
    with pytest.raises(StartRefused) as caught:
        async with open_plugins(config, host_for):
            raise AssertionError("not reached")
    assert str(caught.value).startswith("plugins.x: broken 1.2.0 (acme-broken) does not open: ")
    assert says in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert capsys.readouterr().out.split() == ["open", "siem", "close", "siem"]


async def test_an_open_that_is_no_context_manager_is_named(site: Path, host_for: Callable[[str], Host]) -> None:
    working(site, "broken", "async def open_plugin(config, host):\n    return Provides()\n")
    config = parse_config('[audit]\nexporters = ["broken"]')
    with pytest.raises(StartRefused, match=r"plugins\.broken: broken 1\.2\.0 \(acme-broken\) does not open"):
        async with open_plugins(config, host_for):
            pass


async def test_a_plugin_that_fails_to_close_keeps_nobody_else_open(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    working(site, "siem", EXPORTER)
    working(
        site,
        "broken",
        "@asynccontextmanager\nasync def open_plugin(config, host):\n"
        '    try:\n        yield Provides(health=host.name.encode)\n    finally:\n        raise OSError("stuck")\n',
    )
    log = structlog.wrap_logger(structlog.PrintLogger(), processors=[structlog.processors.JSONRenderer()])
    config = parse_config('[audit]\nexporters = ["siem"]\n[plugins.siem]\n[plugins.broken]\n')
    async with open_plugins(config, lambda name: Host(name, tmp_path, host_at(tmp_path).clock, log)):
        pass
    text = capsys.readouterr().out
    assert "close siem" in text
    assert "plugin.close_failed" in text
    assert "OSError: stuck" in text


async def test_a_plugin_cannot_swallow_why_the_server_stops(site: Path, host_for: Callable[[str], Host]) -> None:
    working(
        site,
        "siem",
        EXPORTER.replace("    yield", "    try:\n        yield").replace(
            '    print("close"', '    except BaseException:\n        print("swallowed")\n    print("close"'
        ),
    )
    config = parse_config('[audit]\nexporters = ["siem"]')
    with pytest.raises(asyncio.CancelledError):
        async with open_plugins(config, host_for):
            raise asyncio.CancelledError


def test_an_unknown_plugin_names_the_installed_ones_and_the_nearest(tmp_path: Path) -> None:
    """Issue 2, bad input: an unknown plugin."""
    text = refused(tmp_path, '[gate]\npolicies = ["quorm"]\n')
    assert text.startswith(
        'failgate.toml:2: gate.policies[0]: no plugin "quorm" is installed\n'
        '    policies = ["quorm"]\n'
        "                ^^^^^^^\n"
        '  did you mean "quorum"? installed are: '
    )
    assert "allowlist" in text


def test_an_unknown_plugin_of_a_section_is_shown_where_it_is_chosen(tmp_path: Path) -> None:
    text = refused(tmp_path, '[audit]\nexporters = ["siem"]\n[plugins.siem]\nuse = "zzzzzz"\n')
    assert (
        'failgate.toml:4: plugins.siem.use: no plugin "zzzzzz" is installed\n    use = "zzzzzz"\n          ^^^^' in text
    )
    assert "pip install failgate-zzzzzz" not in text, "a misspelt name must not become a download"


def test_a_plugin_of_ours_that_is_not_installed_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "FIRST_PARTY", (*finding.FIRST_PARTY, "anchor"))
    assert "install it with `pip install failgate-anchor`" in refused(tmp_path, '[audit]\nexporters = ["anchor"]')


def test_every_plugin_of_ours_is_known_by_name() -> None:
    brought = [
        name
        for project in Path("plugins").glob("*/pyproject.toml")
        for name in tomllib.loads(project.read_text())["project"].get("entry-points", {}).get("failgate.plugins.v1", {})
    ]
    assert list(finding.FIRST_PARTY) == sorted(brought)


async def test_a_notifier_that_only_the_default_names_may_be_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host_for: Callable[[str], Host]
) -> None:
    """A server that was installed without it starts and says so; one whose file names it is refused."""
    installed = [each for each in finding.find_installed() if each.name != "webhook"]
    monkeypatch.setattr(finding, "find_installed", lambda: installed)
    with structlog.testing.capture_logs() as logs:
        async with open_plugins(load_config(None, {}), host_for) as opened:
            assert dict(opened.notifiers) == {}
    assert ("plugin.left_out", "webhook", "pip install failgate-webhook") in [
        (each["event"], each.get("plugin"), each.get("mend")) for each in logs
    ]
    assert "pip install failgate-webhook" in refused(tmp_path, '[notify]\nnotifiers = ["webhook"]\n')


def test_a_plugin_of_another_api_version_says_so(site: Path, tmp_path: Path) -> None:
    """Issue 2, bad input: a plugin of another API version."""
    Distribution(site, "acme-siem", "2.0", plugin="siem", group="failgate.plugins.v2").write()
    text = refused(tmp_path, '[audit]\nexporters = ["siem"]')
    assert 'the plugin "siem" (acme-siem 2.0) is written for plugin API v2; this Failgate speaks v1' in text
    assert "install a version of acme-siem that registers in failgate.plugins.v1" in text


def test_two_distributions_that_bring_one_plugin_are_refused(site: Path, tmp_path: Path) -> None:
    working(site, "siem", EXPORTER)
    working(site, "siem", EXPORTER, name="evil-siem")
    text = refused(tmp_path, '[audit]\nexporters = ["siem"]')
    assert "is brought by acme-siem and evil-siem" in text


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("import nothing_like_this\n", "cannot be imported: ModuleNotFoundError: No module named 'nothing_like_this'"),
        ("def (:\n", "cannot be imported: SyntaxError"),
        ("import sys; sys.exit(3)\n", "cannot be imported: SystemExit: 3"),
        ("x = 1\n", "cannot be imported: AttributeError"),
        ("plugin = {}\n", "acme_siem:plugin is dict, not failgate.plugin.Plugin"),
        (
            "import msgspec\nfrom failgate.plugin import *\nplugin = Plugin(name='other', config=NoSettings, open=print)\n",
            'calls itself "other"',
        ),
        (
            (
                "import msgspec\nfrom failgate.plugin import *\nclass S(msgspec.Struct): pass\n"
                "plugin = Plugin(name='siem', config=S, open=print)\n"
            ),
            "declare S with frozen=True and forbid_unknown_fields=True",
        ),
    ],
)
def test_a_plugin_that_cannot_be_used_is_named_with_its_distribution(
    site: Path, tmp_path: Path, module: str, says: str
) -> None:
    Distribution(site, "acme-siem", "3.1", module=module, plugin="siem").write()
    text = refused(tmp_path, '[audit]\nexporters = ["siem"]')
    assert text.startswith('failgate.toml:2: audit.exporters[0]: the plugin "siem" (acme-siem 3.1) ')
    assert says in text


def test_mistakes_of_core_and_plugins_are_listed_together(site: Path, tmp_path: Path) -> None:
    """Issue 2, bad input; the form of ARCHITECTURE.md, "Config mistakes"."""
    working(site, "siem", EXPORTER)
    text = refused(
        tmp_path,
        '[server]\nlistne = "x"\n[audit]\nexporters = ["siem", "absent"]\n[plugins.siem]\nrom = "1GiB"\nwait = 5\n'
        '[plugins.quiet-hours]\nreviwers = 3\nstart = "22:00"\nend = "06:00"\n',
    )
    assert [line for line in text.splitlines() if line.startswith("failgate.toml")] == [
        "failgate.toml:2: server.listne: no such setting",
        'failgate.toml:4: audit.exporters[1]: no plugin "absent" is installed',
        "failgate.toml:6: plugins.siem.rom: no such setting",
        'failgate.toml:7: plugins.siem.wait: a duration carries its unit: say "5s" for seconds or "5m" for minutes',
        "failgate.toml:9: plugins.quiet-hours.reviwers: no such setting",
    ]
    assert (
        "    reviwers = 3\n    ^^^^^^^^\n"
        '  did you mean "reviewers"? quiet-hours 1.2.0 takes: end, reviewers, start, timezone'
    ) in text


def test_a_setting_that_an_instance_without_a_section_needs_is_shown_at_its_name(tmp_path: Path) -> None:
    text = refused(tmp_path, '[gate]\npolicies = ["quiet-hours"]\n')
    assert "failgate.toml:2: plugins.quiet-hours.start: this setting is needed and has no default" in text
    assert '    policies = ["quiet-hours"]\n                ^^^^^^^^^^^^^' in text


async def test_a_slot_that_an_instance_does_not_fill_is_refused(host_for: Callable[[str], Host]) -> None:
    config = parse_config('[artifacts]\nstore = "quorum"\n[gate]\npolicies = ["quorum", "capture"]\n')
    with pytest.raises(ConfigRefused) as caught:
        async with open_plugins(config, host_for):
            pass
    text = str(caught.value)
    assert 'failgate.toml:2: artifacts.store: "quorum" (quorum 0.1.0) provides no artifact_store' in text
    assert "no enabled plugin provides it" in text
    assert 'failgate.toml:4: gate.policies[1]: "capture" (capture 0.1.0) provides no approval_policy' in text
    assert "[gate] policies takes: quorum" in text


async def test_a_section_that_no_setting_names_is_refused(tmp_path: Path, host_for: Callable[[str], Host]) -> None:
    """A spelling mistake is an error at start, never a silence."""
    config = load_config(written(tmp_path, "[plugins.jsonl]\n"), {})
    with pytest.raises(ConfigRefused, match="opened for nothing") as caught:
        async with open_plugins(config, host_for):
            pass
    assert 'add "jsonl" to [audit] exporters, or remove the section' in str(caught.value)


async def test_a_filter_for_an_act_that_no_record_has_is_refused(
    tmp_path: Path, host_for: Callable[[str], Host]
) -> None:
    toml = '[audit]\nexporters = ["jsonl"]\nfilters.jsonl = { acts = ["command.*"], without = ["sesion.opened"] }\n'
    with pytest.raises(ConfigRefused) as caught:
        async with open_plugins(load_config(written(tmp_path, toml), {}), host_for):
            pass
    assert 'no record has the act "sesion.opened"' in str(caught.value)
    assert 'did you mean "session.opened"?' in str(caught.value)


async def test_two_rulebooks_or_two_formats_of_one_name_are_refused(host_for: Callable[[str], Host]) -> None:
    config = parse_config(
        '[gate]\npolicies = ["allowlist", "second"]\n[reports]\nformats = ["capture", "again"]\n'
        '[plugins.allowlist]\n[plugins.second]\nuse = "allowlist"\n[plugins.again]\nuse = "capture"\n'
    )
    with pytest.raises(ConfigRefused) as caught:
        async with open_plugins(config, host_for):
            pass
    assert 'plugins.second: a second rulebook beside that of "allowlist"' in str(caught.value)
    assert 'brings the report format "failgate"' in str(caught.value)


def test_secrets_of_a_plugin_come_from_the_given_environment(site: Path, tmp_path: Path) -> None:
    working(site, "siem", EXPORTER)
    path = written(tmp_path, '[audit]\nexporters = ["siem"]\n[plugins.siem]\nkey = { env = "SIEM_KEY" }\n')
    config: Config = check_config(path, {"SIEM_KEY": "hunter2"})
    ready = find_plugins(config)
    assert ready[0].settings.key.reveal() == "hunter2"
    assert "hunter2" not in repr(ready)
    assert "SIEM_KEY" not in os.environ


def test_checking_opens_nothing(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    working(site, "siem", EXPORTER)
    check_config(written(tmp_path, '[audit]\nexporters = ["siem"]'), {})
    assert capsys.readouterr().out == ""
