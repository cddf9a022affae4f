"""Agents, their certificates, API keys, tokens, allowlist rules."""

import click

from failgate.cli.admin.command import EMAIL, TOKEN, WORKSPACE, Room

agent = Room("agent", "Agents.")
allow = Room("allow", "Allowlist rules.")
api_key = Room("api-key", "API keys.")
token = Room("token", "Any token: of a person, of an agent.")
ingest_key = Room("ingest-key", "Write-only keys of projects: what an SDK sends with.")
ROOMS = (agent, allow, api_key, token, ingest_key)

agent.add("list", "List the agents of a workspace.", WORKSPACE)
agent.add(
    "disable",
    "Disable an agent: its tokens end.",
    WORKSPACE,
    click.Option(["--name"], required=True, help="The agent's name or id."),
)
agent.add(
    "create",
    "Make an agent; print its token, once.",
    WORKSPACE,
    click.Option(["--name"], required=True),
    click.Option(["--owner"], help="E-mail of the account that answers for it; by default the workspace's owner."),
)
agent.add(
    "certificate",
    "Let client certificates with a subject alternative name be an agent.",
    WORKSPACE,
    click.Option(["--name"], required=True, help="The agent's name or id."),
    click.Option(["--san"], required=True, help="spiffe://…, a host's name, or email:…."),
    click.Option(["--revoke", "is_revoked"], is_flag=True, help="Let it stand for the agent no more."),
)

allow.add(
    "add",
    "Let one exact command pass at once: failgate admin allow add --workspace W --exact -- CMD.",
    WORKSPACE,
    click.Option(["--exact"], is_flag=True, required=True, expose_value=False, help="The whole argv, token by token."),
    click.Option(["--note"], help="Why this command is known to be good."),
    click.Argument(["argv"], nargs=-1, required=True, type=click.UNPROCESSED),
    context_settings={"ignore_unknown_options": True},
)
allow.add("remove", "End a rule by its id, also one that the allowlist's file has lost.", click.Argument(["rule"]))

api_key.add("list", "List the API keys of a workspace: whose, since when, last used.", WORKSPACE)
api_key.add("revoke", "End one API key at once, by its id; - reads the key from standard input.", TOKEN)
api_key.add(
    "create",
    "Make an API key; it is shown once.",
    EMAIL,
    WORKSPACE,
    click.Option(["--label"], default="command line", show_default=True),
)

token.add(
    "revoke",
    "End one token at once, an API key or an agent's, by its id; - reads the token itself from standard input.",
    TOKEN,
)

ingest_key.add("list", "List the ingest keys of a workspace.", WORKSPACE)
ingest_key.add("revoke", "End one ingest key at once, by its id.", WORKSPACE, click.Argument(["key"], metavar="ID"))
ingest_key.add(
    "create",
    "Make an ingest key; print the address (DSN) for an SDK, once.",
    WORKSPACE,
    click.Option(["--project"], required=True, help="The name under which its reports stand."),
    click.Option(["--owner"], help="E-mail of the account that answers for it; by default the workspace's owner."),
)
