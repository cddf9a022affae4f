"""Commands that speak with the gate: run a command once it is approved, ask what a policy would say."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import click

from failgate.cli.printing import print_json

_REST = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command(context_settings={**_REST, "help_option_names": []}, add_help_option=False)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def run(words: tuple[str, ...]) -> int:
    """Ask for a command, wait for the verdict, execute it once."""
    from failgate.client.run import main

    return main(words)


@click.command(context_settings={**_REST, "help_option_names": []}, add_help_option=False)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def hook(words: tuple[str, ...]) -> int:
    """Answer one hook event of an agent program; every failure blocks."""
    from failgate.client.hooks.hook import main

    return main(words)


@click.command()
@click.option("--title", help="What the session is for; it stands in the list.")
def shell(title: str | None) -> int:
    """A recorded shell in which each command is asked for."""
    from failgate.client.shell import run_shell

    return run_shell(title)


@click.group()
def policy() -> None:
    """Policies of the gate."""


@policy.command(context_settings=_REST)
@click.option("--json", "is_json", is_flag=True, help="Print {decision, findings}.")
@click.option("--env", "names", multiple=True, help="As in failgate run.")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED)
def explain(argv: tuple[str, ...], names: tuple[str, ...], is_json: bool) -> None:
    """Say which policy would decide what about ARGV and why; nothing is submitted."""
    from failgate.client.asking import must_be_clear
    from failgate.client.command import build_call, close_call
    from failgate.client.http import Api
    from failgate.client.messages import inert
    from failgate.client.settings import load_settings

    settings = load_settings(os.environ)
    must_be_clear(settings.folder)
    call = build_call(argv, os.environ, (*settings.env, *names))
    close_call(call)
    with Api(settings) as api:
        answer = api.call("POST", f"{api.workspace()}/policy/explain", {"command": call.command}).content
    if is_json:
        print_json(answer)
        return
    for line in _said(answer):
        click.echo(inert(line))
    for found in answer.get("findings", []):
        click.echo(
            f"  {inert(str(found.get('policy')))}: {inert(str(found.get('says')))}, {inert(str(found.get('reason')))}"
        )


def _said(answer: Mapping[str, Any]) -> Iterator[str]:
    """Give what the law makes of the findings: the decision and why, the risk, what an approval takes."""
    yield f"{answer.get('decision')}: {answer.get('reason')}" if answer.get("reason") else str(answer.get("decision"))
    risk: Mapping[str, Any] = answer.get("risk") or {}
    if risk.get("score") is not None:
        reasons = ", ".join(str(reason) for reason in risk.get("reasons", []))
        yield f"  risk {risk['score']}" + (f": {reasons}" if reasons else "")
    if answer.get("decision") != "ask":
        return
    groups = "".join(f", {group}" for group in answer.get("groups", []))
    yield f"  approvals: {answer.get('need')}{groups}; challenge: {answer.get('challenge')}"
    for name, word in (("decide_within_seconds", "decide"), ("use_within_seconds", "use")):
        if answer.get(name) is not None:
            yield f"  time to {word}: {answer[name]} s at most"
    if answer.get("escalations"):
        yield f"  while nobody decides: {', '.join(map(str, answer['escalations']))}"
