"""A report is looked through before anything of it leaves: by keys, by options, or in the browser."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from failgate.cli.printing import print_json, root_option, say
from failgate.cli.report_sending import send

if TYPE_CHECKING:
    from failgate.client.report_folder import LocalReport
    from failgate.client.reviewing import Review


@click.command()
@root_option
@click.option("--full", is_flag=True, help="Show every line of each artifact.")
@click.option("--json", "is_json", is_flag=True, help="Print what the report holds; ask nothing.")
@click.option("--include", "includes", multiple=True, metavar="NAME", help="Take in these artifacts alone.")
@click.option("--exclude", "excludes", multiple=True, metavar="NAME", help="Leave this artifact out.")
@click.option("--redact", "words", multiple=True, metavar="WORDS", help="Replace WORDS in every artifact.")
@click.option("--redact-pattern", "patterns", multiple=True, metavar="RE2", help="Replace what RE2 matches in a line.")
@click.option("--yes", is_flag=True, help="Make the report anew so, without being asked.")
@click.option("--browser", "is_browser", is_flag=True, help="Look through it in a browser of this machine.")
@click.option("--no-open", is_flag=True, help="With --browser: print the link, open nothing.")
@click.argument("name", default="latest")
def review(
    root: Path,
    name: str,
    full: bool,
    is_json: bool,
    includes: tuple[str, ...],
    excludes: tuple[str, ...],
    words: tuple[str, ...],
    patterns: tuple[str, ...],
    yes: bool,
    is_browser: bool,
    no_open: bool,
) -> int:
    """Look through report NAME, leave artifacts out, replace words, then upload it or not.

    On a terminal it asks; elsewhere it shows the report, and with --yes does what the options say. With --browser a
    page asks, which this command answers itself. A report that is changed is made anew, with another id.
    """
    from failgate.client.report_folder import open_report
    from failgate.client.review import content, overview
    from failgate.client.review_keys import lead
    from failgate.client.reviewing import Review
    from failgate.client.settings import is_interactive

    going = Review(root, open_report(root, name))
    _apply(going, includes, excludes, words, patterns)
    if is_browser:
        if is_json or yes or full:
            raise click.UsageError("--browser asks in the browser: --json, --yes and --full say nothing there.")
        return _lead_in_browser(going, is_opening=not no_open)
    is_told = bool(includes or excludes or words or patterns)
    if is_told and not yes and not _is_agreed(going):
        return 1
    before = going.report.manifest.id
    if is_told or yes:
        going.finish()
        _say_renamed(before, going)
    elif not is_json and not full and is_interactive() and sys.stdout.isatty():
        done = lead(going)
        _say_renamed(before, going)
        if done.end == "upload":
            return send(done.report, None, is_json=False, is_asking=True)
    elif not is_json:
        click.echo("\n".join([*overview(going.report), *content(going.report, is_whole=full)]))
    if is_json:
        print_json(_described(going.report))
        return 0
    say(
        f"to share it: failgate report upload {going.report.manifest.id}",
        f"to drop it: failgate report delete {going.report.manifest.id}",
    )
    return 0


def _lead_in_browser(going: "Review", *, is_opening: bool) -> int:
    from failgate.web.loopback.serving import lead

    before = going.report.manifest.id
    sent = lead(going, os.environ, say, is_opening=is_opening)
    _say_renamed(before, going)
    if sent is None:
        say(f"not uploaded; to share it: failgate report upload {going.report.manifest.id}")
        return 0
    say(*sent.notice)
    click.echo(sent.page)
    return 1 if sent.notice else 0


def _say_renamed(before: str, going: "Review") -> None:
    """Say under which id a report lies that was made anew."""
    if (after := going.report.manifest.id) != before:
        say(f"report {before} is now {after}")


def _apply(
    going: "Review",
    includes: tuple[str, ...],
    excludes: tuple[str, ...],
    words: tuple[str, ...],
    patterns: tuple[str, ...],
) -> None:
    if includes:
        going.take_only(frozenset(includes))
    for one in excludes:
        going.leave_out(one)
    going.replace(words, patterns)


def _is_agreed(going: "Review") -> bool:
    from failgate.client.review import ask
    from failgate.client.settings import is_interactive

    if not is_interactive():
        raise click.UsageError("Nobody can be asked here. Give --yes.")
    click.echo("\n".join(going.lines()), err=True)
    return ask("make the report anew so?")


def _described(report: "LocalReport") -> dict[str, Any]:
    from failgate.client.report_folder import reviewed_in
    from failgate.client.review import findings_of

    reviewed = reviewed_in(report)
    return {
        "id": report.manifest.id,
        "manifest_sha256": report.manifest_sha256,
        "artifacts": [
            {
                "name": one.name,
                "kind": one.kind,
                "size_bytes": one.size_bytes,
                "sha256": one.sha256,
                "findings": findings_of(report, one.name),
                "is_reviewed": one.sha256 in reviewed,
            }
            for one in report.manifest.artifacts
        ],
        "findings": findings_of(report, "manifest"),
        "left_out": [one.path for one in report.manifest.noted_files],
    }
