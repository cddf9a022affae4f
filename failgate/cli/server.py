"""The operator's commands: serve, check, migrate, plugins."""

import asyncio
import contextlib
import gc
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from failgate.base.errors import Conflict
from failgate.cli.commands import GC_THRESHOLD
from failgate.cli.links import openable_host
from failgate.config.addresses import is_wildcard
from failgate.config.errors import ConfigRefused

if TYPE_CHECKING:
    from failgate.administration.administration import Administration
    from failgate.config.model import Config
    from failgate.loader.slots import OpenedPlugins
    from failgate.roster import Services

DEFAULT_DATA = Path("failgate-data")
DEFAULT_CONFIG = Path("failgate.toml")

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_DATA,
    show_default=True,
    help="Folder of everything that the server keeps.",
)
config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="FAILGATE_CONFIG",
    help="Config file; without one, ./failgate.toml if it is there, else the defaults.",
)


def read_config(path: Path | None, listen: str | None = None, *, with_plugins: bool = False) -> "Config":
    """Return the config of `path`, of ./failgate.toml, or the defaults; `with_plugins` checks their sections too.

    Raises: ConfigRefused with every mistake; StartRefused for a file that cannot be read.
    """
    if path is None and DEFAULT_CONFIG.exists():
        path = DEFAULT_CONFIG
    if with_plugins:
        from failgate.loader.finding import check_config

        config = check_config(path)
    else:
        from failgate.config.load import load_config

        config = load_config(path)
    return config.with_listen(listen) if listen else config


@click.command()
@config_option
@data_option
@click.option("--listen", help="HOST:PORT instead of the config's [server] listen.")
@click.option("--demo", is_flag=True, help="Throw-away data, a seeded workspace, an agent at work.")
@click.option("--accept-rollback", is_flag=True, help="Start although the audit log is behind its last checkpoint.")
def serve(config_path: Path | None, data: Path, listen: str | None, demo: bool, accept_rollback: bool) -> None:
    """Run the server until SIGTERM or Ctrl-C."""
    from failgate.base.log import log_crashes, start_logging

    config = read_config(config_path, listen, with_plugins=True)
    start_logging(config.server.log_format)
    log_crashes()
    folder = Path(tempfile.mkdtemp(prefix="failgate-demo-")) if demo else data
    gc.disable()  # until it listens: what is made by then stays
    try:
        run_loop(_serve(config, folder, is_demo=demo, accept_rollback=accept_rollback))
    finally:
        gc.enable()
        if demo:
            shutil.rmtree(folder, ignore_errors=True)


def run_loop(main: Any) -> Any:
    """Run a coroutine on uvloop where it exists."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


async def _serve(config: "Config", data: Path, *, is_demo: bool, accept_rollback: bool) -> None:
    from failgate.administration.administration import Administration
    from failgate.assembly import open_services
    from failgate.web.bundle import record_bundle
    from failgate.web.control import open_control
    from failgate.web.listening import listen
    from failgate.web.serve import serve as serve_web

    async with contextlib.AsyncExitStack() as stack:
        listener = stack.enter_context(listen(config.server.host, config.server.port))
        config = config.with_port(listener.getsockname()[1])
        services = await stack.enter_async_context(
            open_services(config, data, is_demo=is_demo, accept_rollback=accept_rollback)
        )
        administration = Administration(services)
        await stack.enter_async_context(open_control(administration, data))
        announcing: list[asyncio.Task[None]] = []

        def announce(host: str, port: int) -> None:
            task = asyncio.create_task(_announce(services, administration, config, host, port), name="announce")
            announcing.append(task)
            _settle_memory()

        if services.relay_room.relay is not None:
            await record_bundle(services.audit)
        try:
            await serve_web(services, listener, on_listening=announce)
        finally:
            for task in announcing:
                task.cancel()
            for outcome in await asyncio.gather(*announcing, return_exceptions=True):
                if isinstance(outcome, Exception):
                    raise outcome


def _settle_memory() -> None:
    """Look through what stands after the start never again, and through what comes less often.

    Measured: looking for circles took a seventh of the time of a decision, and there is next to none to find.
    """
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, *gc.get_threshold()[1:])
    gc.enable()


async def _announce(
    services: "Services", administration: "Administration", config: "Config", host: str, port: int
) -> None:
    """Say where the server listens, and what a person can do first."""
    url = config.server.public_url or f"{config.server.scheme}://{await openable_host(host)}:{port}"
    print(f"failgate: listening on {url}", flush=True)
    if is_wildcard(host) and config.server.public_url is None:
        print(
            f"failgate: that is port {port} of every address of this machine; set [server] public_url to the name that "
            "people use",
            flush=True,
        )
    if services.is_demo:
        await _run_demo(services, administration, url)
    elif not await services.accounts.exist():
        with contextlib.suppress(Conflict):  # whoever bootstraps meanwhile was faster
            token = await services.setup_links.mint()
            print(f"failgate: first start: open {url}/link#setup.{token} within 30 minutes", flush=True)


async def _run_demo(services: "Services", administration: "Administration", url: str) -> None:
    from failgate.cli.demo import DemoAgent, seed_demo

    team = await seed_demo(services, administration, url)
    print("failgate: demo: throw-away data, gone when the server stops", flush=True)
    for email, link in team.links.items():
        print(f"failgate: demo: sign in as {email}: {link}", flush=True)
    await DemoAgent(services.data_dir / "agent", url, team.token).run()


@click.command()
@config_option
@data_option
def check(config_path: Path | None, data: Path) -> None:
    """Validate the config as `serve` would, up to opened plugins; exit code 2 when there is a mistake."""
    from failgate.assembly import open_plugins_only

    config = read_config(config_path, with_plugins=True)
    _check_certificates(config)

    async def walk() -> list[str]:
        with tempfile.TemporaryDirectory(prefix="failgate-check-") as folder:
            async with open_plugins_only(config, Path(folder)) as plugins:
                _check_pages(plugins)
                for name, sentence in plugins.advice:
                    print(f"failgate: warning: plugins.{name}: {sentence}", file=sys.stderr)
                return [str(opened.identity) for opened in plugins.plugins]

    names = run_loop(walk())
    print(f"failgate: the configuration is good; plugins: {', '.join(names)}; data folder: {data}")


def _check_pages(plugins: "OpenedPlugins") -> None:
    """Check that the doors of plugins stand where no others do. Raises: StartRefused."""
    if any(opened.provides.pages is not None for opened in plugins.plugins):
        from failgate.web.pages.brought import doors_of
        from failgate.web.routes import DOORS

        doors_of(plugins, DOORS)


def _check_certificates(config: "Config") -> None:
    """Check the files of `[server.tls]`.

    Raises: ConfigRefused with everything that is wrong with them, also what the server would start with.
    """
    tls = config.server.tls
    if tls is None:
        return
    from failgate.base.clock import SystemClock
    from failgate.web.tls import read

    _, faults = read(tls, config.server.public_host, SystemClock().now_us(), config.server.artifact_host)
    if faults:
        raise ConfigRefused(
            [
                config.source.mistake(("server", "tls", each.key), each.sentence, at="value", hint=each.hint)
                for each in faults
            ]
        )


@click.command(name="migrate")
@config_option
@data_option
@click.option("--check", "only_check", is_flag=True, help="Say what would run; exit code 1 when something would.")
def migrate_command(config_path: Path | None, data: Path, only_check: bool) -> None:
    """Bring the database up to date."""
    from failgate.base.clock import SystemClock
    from failgate.base.data_folder import hold_data_folder
    from failgate.base.migrate import core_migrations, pending_migrations
    from failgate.base.open_database import open_database
    from failgate.core_database import migrate_core

    config = read_config(config_path)
    url = config.database.url_in(data)

    async def run() -> list[str]:
        with hold_data_folder(data):
            database = await open_database(url, password=config.database.password)
            try:
                if only_check:
                    return [step.name for step in await pending_migrations(database, core_migrations())]
                return await migrate_core(database, config, data, SystemClock())
            finally:
                await database.close()

    names = run_loop(run())
    if only_check:
        print(f"failgate: {len(names)} migrations would run: {', '.join(names) or 'none'}")
        sys.exit(1 if names else 0)
    print(f"failgate: applied {', '.join(names) or 'nothing: the database is up to date'}")


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects.")
@click.option("--pins", "as_pins", is_flag=True, help="Print the [pins] of what is installed now; imports nothing.")
def plugins(config_path: Path | None, as_json: bool, as_pins: bool) -> None:
    """Show the plugins: which are enabled, from where, which version and hash."""
    from failgate.loader.finding import describe_plugins

    config = read_config(config_path)
    if as_pins:
        sys.exit(_print_pins(config))
    described = describe_plugins(config)
    if as_json:
        print(json.dumps(described, indent=2))
        return
    for plugin in described:
        named_by = ", ".join(plugin["named_by"]) or "its own section"
        print(f"{plugin['name']}: {plugin['plugin']} {plugin['version']}, enabled by {named_by}")
        is_pinned = ", as pinned" if plugin["pinned"] else ""
        print(f"  from {plugin['distribution']} at {plugin['location']}\n  {plugin['hash']}{is_pinned}")


def _print_pins(config: "Config") -> int:
    """Print the section as it can be copied; return 1 when something cannot be pinned, which stderr says."""
    from failgate.config.source import dotted_path
    from failgate.loader.finding import describe_pins

    pins = describe_pins(config)
    print("[pins.distributions]")
    for pin in pins:
        if not pin.obstacle:
            print(f'{dotted_path((pin.distribution,))} = "{pin.digest}"  # {pin.version}: {", ".join(pin.plugins)}')
    for pin in pins:
        if pin.obstacle:
            print(f"failgate: {pin.distribution} {pin.version} cannot be pinned: {pin.obstacle}", file=sys.stderr)
    return int(any(pin.obstacle for pin in pins))
