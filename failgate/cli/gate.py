"""Commands that speak with the gate: run a command once it is approved, ask what a policy would say."""

import os

import click

from failgate.cli.printing import print_json

_REST = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command(context_settings={**_REST, "help_option_names": []}, add_help_option=False)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def run(words: tuple[str, ...]) -> int:
    """Ask for a command, wait for the verdict, execute it once."""
    from failgate.client.run import main

    return main(words)


@click.group()
def policy() -> None:
    """Policies of the gate."""


@policy.command(context_settings=_REST)
@click.option("--json", "is_json", is_flag=True, help="Print {decision, findings}.")
@click.option("--env", "names", multiple=True, help="As in failgate run.")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED)
def explain(argv: tuple[str, ...], names: tuple[str, ...], is_json: bool) -> None:
    """Say which policy would decide what about ARGV and why; nothing is submitted."""
    from failgate.client.command import build_call, close_call
    from failgate.client.http import Api
    from failgate.client.messages import inert
    from failgate.client.settings import load_settings

    settings = load_settings(os.environ)
    call = build_call(argv, os.environ, (*settings.env, *names))
    close_call(call)
    with Api(settings) as api:
        answer = api.call("POST", f"{api.workspace()}/policy/explain", {"command": call.command}).content
    if is_json:
        print_json(answer)
        return
    click.echo(inert(str(answer.get("decision"))))
    for found in answer.get("findings", []):
        click.echo(
            f"  {inert(str(found.get('policy')))}: {inert(str(found.get('says')))}, {inert(str(found.get('reason')))}"
        )
