"""The table of commands and how one is found: nothing of a command is imported before it is called.

A line of help stands here, so that `failgate --help` loads no room of the product.
"""

import gc
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from failgate import __version__
from failgate.base.errors import BadInput, FailgateError, StartRefused

GC_THRESHOLD = 20_000  # objects made and not gone, before the youngest are looked through
TABLE: dict[str, tuple[str, str]] = {
    "run": ("failgate.cli.gate:run", "Ask for a command, wait for the verdict, execute it once."),
    "shell": ("failgate.cli.gate:shell", "A recorded shell in which each command is asked for."),
    "capture": ("failgate.cli.capture:capture", "Run a command; when it fails, keep a redacted report here."),
    "report": ("failgate.cli.reports:report", "Reports: list, show, review, upload, replay, delete."),
    "redact": ("failgate.cli.redaction:redact", "Print text with its secrets replaced."),
    "agent": ("failgate.cli.agents:agent", "End to end: this machine's key, its pin, what it believes."),
    "review": ("failgate.cli.review:review", "Decide on sealed commands with keys held on this machine."),
    "hook": ("failgate.cli.gate:hook", "Answer one hook event of claude-code or codex."),
    "mcp": ("failgate.cli.mcp:mcp", "Serve the gate's tools to a program that speaks MCP."),
    "sealed": ("failgate.cli.sealed:sealed", "Verdicts on test vectors of sealed commands and signed decisions."),
    "web-manifest": (
        "failgate.cli.web_manifest:web_manifest",
        "The files of the page of sealed commands by their digests, and whether a server gives these.",
    ),
    "policy": ("failgate.cli.gate:policy", "Ask which policy would say what, submitting nothing."),
    "login": ("failgate.cli.identity:login", "Sign this machine in: a person approves it in a browser."),
    "logout": ("failgate.cli.identity:logout", "Sign this machine out."),
    "whoami": ("failgate.cli.identity:whoami", "Name who this machine speaks for."),
    "serve": ("failgate.cli.server:serve", "Run the server."),
    "init": ("failgate.cli.init:init", "Write a commented config file, or the hooks of an agent program."),
    "check": ("failgate.cli.server:check", "Validate the whole config, up to opened plugins."),
    "doctor": ("failgate.cli.doctor:doctor", "Prove that this installation works; each trouble with its mend."),
    "migrate": ("failgate.cli.server:migrate_command", "Bring the database to this version."),
    "backup": (
        "failgate.cli.backup:backup",
        "Write everything of one moment into one file, also while the server runs.",
    ),
    "restore": ("failgate.cli.backup:restore", "Put a backup into a data folder, once it has proven itself."),
    "plugins": ("failgate.cli.server:plugins", "List what is enabled, from where, which version and hash."),
    "admin": ("failgate.cli.admin.admin:admin", "People, workspaces, agents, allowlist, keys."),
    "audit": ("failgate.cli.audit:audit", "Verify, export, prove the audit log, have it witnessed."),
    "version": ("failgate.cli.commands:version", "Print the version."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        del ctx
        return list(TABLE)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, imported now; None when there is no such name."""
        del ctx
        if cmd_name not in TABLE:
            return None
        module, _, name = TABLE[cmd_name][0].partition(":")
        gc.disable()  # while modules are loaded nothing can be let go: looking for it is a tenth of a start
        try:
            found = getattr(import_module(module), name)
        finally:
            gc.enable()
            gc.set_threshold(GC_THRESHOLD, *gc.get_threshold()[1:])  # for what the command loads itself
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which name is near."""
        if args and args[0] not in TABLE and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], TABLE, n=1)
            hint = f"Did you mean {near[0]}?" if near else "See: failgate --help"
            raise click.UsageError(f"There is no command {args[0]!a}. {hint}", ctx=None)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in TABLE.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="failgate")
def failgate() -> None:
    """Gate what agents run. Keep what fails. Prove what happened."""


@click.command()
def version() -> None:
    """Print the version."""
    click.echo(__version__)


def carry_out(words: Sequence[str]) -> int:
    """Carry out the command line `words`; print a mistake as `failgate: sentence hint`; return the exit code."""
    try:
        result = failgate.main(args=list(words), prog_name="failgate", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as shown:
        click.echo(shown.format_message(), err=True)
        return 2
    except click.ClickException as mistake:
        context = getattr(mistake, "ctx", None)
        see = f" See: {context.command_path} --help" if context is not None else ""
        _say(f"{mistake.format_message()}{see}")
        return mistake.exit_code
    except click.Abort:
        click.echo("failgate: stopped", err=True)
        return 130
    except FailgateError as error:
        _say(str(error))
        return exit_code_of(error)
    return result if isinstance(result, int) else 0


def _say(sentence: str) -> None:
    """Print `sentence` to stderr; what it repeats of an argument or of an answer may hold a secret."""
    from failgate.redaction import without_secrets

    click.echo(f"failgate: {without_secrets(sentence)}", err=True)


def exit_code_of(error: FailgateError) -> int:
    """Return what the process ends with: the error's own code, 2 for bad input, 78 for a refused start, else 1."""
    own = getattr(error, "exit_code", None)
    if isinstance(own, int):
        return own
    if isinstance(error, BadInput):
        return 2
    return 78 if isinstance(error, StartRefused) else 1
