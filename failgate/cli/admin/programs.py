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
    "Let a command pass at once, or never: failgate admin allow add --workspace W --exact -- CMD.",
    WORKSPACE,
    click.Option(["--exact", "kind"], flag_value="exact", help="The whole argv, word by word."),
    click.Option(["--prefix", "kind"], flag_value="prefix", help="How the argv begins; anything may follow."),
    click.Option(
        ["--argument", "kind"], flag_value="argument", help="How it begins, and what may follow: --arg, --rest."
    ),
    click.Option(["--re2", "kind"], flag_value="re2", help="CMD is one pattern over the words joined by spaces."),
    click.Option(
        ["--path", "kind"], flag_value="path", help="CMD is the path of a program, or of a folder with / behind."
    ),
    click.Option(["--deny", "is_denied"], is_flag=True, help="Refuse it instead."),
    click.Option(
        ["--arg", "arguments"], multiple=True, metavar="JSON", help='The next argument: {"one_of": […]}, {"re2": …}.'
    ),
    click.Option(["--rest"], metavar="JSON", help='Every argument behind those: {"one_of": […], "under": "."}.'),
    click.Option(["--executable"], metavar="PATH", help="The real path of the file that has to be attested."),
    click.Option(["--sha256"], help="The SHA-256 of that file, in hex."),
    click.Option(["--agent", "agents"], multiple=True, metavar="ID", help="For this agent alone."),
    click.Option(["--host", "hosts"], multiple=True, help="On this host alone."),
    click.Option(["--directory", "directories"], multiple=True, metavar="PATH", help="In this folder and below."),
    click.Option(["--env"], multiple=True, metavar="NAME", help="A variable that may be set."),
    click.Option(["--ttl", "ttl_seconds"], type=int, metavar="SECONDS", help="How long the rule holds."),
    click.Option(["--max-uses"], type=int, help="How many commands it lets pass."),
    click.Option(["--owner"], help="Who answers for the rule."),
    click.Option(["--review-by"], metavar="YYYY-MM-DD", help="The day on which somebody looks at it again."),
    click.Option(["--note"], help="Why this command is known to be good."),
    click.Argument(["argv"], nargs=-1, required=True, type=click.UNPROCESSED, metavar="CMD…"),
    context_settings={"ignore_unknown_options": True},
)
allow.add("list", "List the rules in effect: what each says, how often it was used.", WORKSPACE)
allow.add(
    "starter",
    "Take over the shipped rules for commands that only read, for calls from the folders that are named.",
    WORKSPACE,
    click.Option(
        ["--directory", "directories"], multiple=True, required=True, metavar="PATH", help="A folder of projects."
    ),
    click.Option(["--review-by"], metavar="YYYY-MM-DD", help="The day on which somebody looks at them again."),
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
