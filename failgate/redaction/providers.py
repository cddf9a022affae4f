"""Tokens that say by their own form who issued them. Examples are put together so that no file holds a token."""

from failgate.redaction.judgement import has_random_part, is_opaque, not_counted, not_worded
from failgate.redaction.rules import Rule

_A = "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfT"  # 32 letters and digits of no meaning
_H = "3f9a1c7e5b2d8046"  # 16 hex digits of no meaning
_HOST = "htps:/.-abcdefgijklmnoqruvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"  # and what stands before a host
_END = r"(?![A-Za-z0-9])"
_END_DASH = r"(?![A-Za-z0-9_-])"


def token(
    name: str,
    owner: str,
    prefix: str,
    body: str,
    example: str,
    *,
    keywords: tuple[str, ...] = (),
    reject: str = "",
    entropy: float = 2.5,
) -> Rule:
    """Return the rule for a token that is `prefix` (a literal) and `body` (a pattern)."""
    literal = prefix.replace(".", r"\.").replace("-", r"\-")
    rejects = (reject,) if reject else (prefix + "x" * 24,)
    return Rule(
        name,
        owner,
        keywords or (prefix.lower(),),
        literal + body,
        matches=(prefix + example,),
        rejects=rejects,
        entropy=entropy,
    )


PROVIDERS: tuple[Rule, ...] = (
    Rule(
        "aws-access-key-id",
        "AWS access key id",
        ("akia", "asia", "abia", "acca", "a3t"),
        rf"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)(?![A-Z0-9]{{9}}EXAMPLE)[A-Z0-9]{{16}}{_END}",
        matches=("id AKIA" + "2Q7XKLM9ZT4VB8RN",),
        rejects=("AKIA" + "X" * 16, "AKIAIOSFODNN7" + "EXAMPLE", "xAKIA" + "2Q7XKLM9ZT4VB8RN", "akia2q7xklm9zt4vb8rn"),
    ),
    Rule(
        "aws-bedrock-key",
        "Amazon Bedrock API key",
        ("absk", "bedrock-api-key-"),
        # the short one is base64 of an address that begins with bedrock.amazonaws.com
        rf"(?:ABSK[A-Za-z0-9+/]{{109,269}}={{0,2}}"
        rf"|bedrock-api-key-(?:YmVkcm9jay5hbWF6b25hd3MuY29t[A-Za-z0-9+/]{{0,2048}}|[A-Za-z0-9+/]{{32,2048}})={{0,2}}){_END}",
        matches=("bedrock-api-key-" + _A, "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t" + _A[:8]),
        rejects=("bedrock-api-key-", "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29x"),
    ),
    Rule(
        "github-token",
        "GitHub personal, OAuth, app or refresh token",
        ("gh",),
        rf"gh[opusr]_[A-Za-z0-9]{{36,255}}{_END}",
        matches=("ghp_" + _A + "a1b2", "ghs_" + _A + "a1b2"),
        rejects=("ghp_" + "x" * 36, "ghx_" + _A + "a1b2", "ghp_short"),
        entropy=2.5,
    ),
    token("github-token", "GitHub fine-grained token", "github_pat_", r"\w{36,255}", _A + "_" + _A, entropy=3.0),
    Rule(
        "gitlab-token",
        "GitLab token of the length that GitLab gives it",
        ("gl",),
        r"gl(?:(?:pat|dt|rt|cbt|ft|soat|ffct|rtr)-[\w\-]{20,50}|imt-[\w\-]{25}|ptt-[\w\-]{40}|oas-[\w\-]{64}"
        rf"|agent-[\w\-]{{50,300}}){_END_DASH}",
        matches=("glpat-" + _A[:20], "glpat-hello_World380-tests", "glimt-" + _A[:25]),
        rejects=("glpat-" + "X" * 20, "glpat_" + _A[:20], "glpat-short", "glpat-" + _A * 2),
        entropy=3.0,
    ),
    Rule(
        "gitlab-token",
        "GitLab token, longer: routable, or of a later version",
        ("gl",),
        r"gl(?:(?:pat|dt|rt|cbt|ft|soat|ffct|rtr)-[\w.\-]{20,300}|imt-[\w\-]{25,300}|ptt-[\w\-]{40,300}"
        r"|oas-[\w\-]{64,300})",
        matches=("gldt-" + _A[:20], "glrt-t1_" + _A),
        rejects=("glpat-" + "X" * 20, "glimt-the_longer-text_of_a-name-for_a-machine380", "glimt-short"),
        entropy=3.0,
        judge=not_worded,
    ),
    token("gitlab-token", "GitLab runner registration token", "GR1348941", rf"[\w\-]{{20,50}}{_END_DASH}", _A[:20]),
    Rule(
        "slack-token",
        "Slack token",
        ("xox", "xapp-"),
        r"(?:xapp-\d-|xoxe\.xox[bp]-\d-|xox[a-eoprs]-)(?=[A-Za-z%/+\-]{0,24}\d)[A-Za-z0-9%/+\-]{10,400}",
        matches=("xoxb-" + "781236542736-2364535789652-" + _A[:24], "xapp-1-A052FGTS2DL-5171572773297-" + _H),
        rejects=(
            "xoxb-my-bot-token",
            "xoxb-xxxxxxxxx-xxxxxxxxxx-xxxxxxxxxxxx",
            "https://example.org/xoxo-indieweb-1.jpg",
            "xoxp-781236542736-2364535789652-########",
        ),
        judge=has_random_part,
    ),
    Rule(
        "slack-webhook",
        "Slack webhook address",
        ("hooks.slack.com/",),
        r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{40,80}",
        matches=("https://hooks.slack.com/services/T0" + _A[:8] + "/B0" + _A[:8] + "/" + _A[:24],),
        rejects=("https://hooks.slack.com/services/",),
        is_bounded=False,
        leading=("htps:/", 8),
    ),
    Rule(
        "teams-webhook",
        "Microsoft Teams webhook address",
        (".webhook.office.com/", "outlook.office.com/webhook"),
        r"(?:\.webhook\.office\.com/webhookb2|outlook\.office\.com/webhook)/[A-Za-z0-9@\-]{30,90}/IncomingWebhook/[A-Za-z0-9]{20,40}/[A-Za-z0-9\-]{20,60}",
        matches=("https://x.webhook.office.com/webhookb2/" + _A + "@" + _A + "/IncomingWebhook/" + _A + "/" + _A,),
        rejects=("https://x.webhook.office.com/webhookb2/",),
        is_bounded=False,
        leading=(_HOST, 60),
    ),
    Rule(
        "discord-token",
        "Discord bot token or webhook",
        ("discord.com/api/webhooks/", "discordapp.com/api/webhooks/"),
        r"discord(?:app)?\.com/api/webhooks/\d{15,21}/[\w\-]{50,90}",
        matches=("https://discord.com/api/webhooks/123456789012345678/" + _A + _A,),
        rejects=("https://discord.com/api/webhooks/1/x",),
        is_bounded=False,
        leading=("htps:/", 8),
    ),
    Rule(
        "discord-token",
        "Discord bot token: an id in base64, a time, a signature",
        ("md", "mj", "mt", "mz", "nd", "nj", "nt", "nz", "od", "ot"),
        rf"(?:[MN][DTjz]|O[DT])[\w\-]{{21,24}}\.[\w\-]{{6}}\.[\w\-]{{27,40}}{_END_DASH}",
        matches=("MTk4NjIyNDgzNDcxOTI1MjQ4" + ".Cl2FMQ." + _A[:27],),
        rejects=("MTk4NjIyNDgzNDcxOTI1MjQ4.html", "NTarget.System.Text"),
        entropy=3.5,
    ),
    token("google-api-key", "Google API key", "AIza", rf"[\w\-]{{35}}{_END_DASH}", _A + "Q_9", entropy=3.0),
    token("google-oauth-secret", "Google OAuth client secret", "GOCSPX-", rf"[\w\-]{{28}}{_END_DASH}", _A[:28]),
    token("google-oauth-token", "Google OAuth access token", "ya29.", r"[\w\-]{20,1024}", _A),
    Rule(
        "stripe-key",
        "Stripe key",
        ("sk_", "rk_", "whsec_"),
        rf"(?:[sr]k_(?:live|test|prod)_[A-Za-z0-9]{{10,247}}|whsec_[A-Za-z0-9+/]{{24,64}}={{0,2}}){_END}",
        matches=("sk_live_" + _A[:24], "rk_test_" + _A[:24]),
        rejects=("task_test_" + _A[:24], "pk_live_" + _A[:24], "sk_live_"),
    ),
    Rule(
        "anthropic-key",
        "Anthropic API key of the whole form",
        ("sk-ant-",),
        rf"sk\-ant\-[a-z]{{2,12}}\d{{2}}-[\w\-]{{93}}AA{_END_DASH}",
        matches=("sk-ant-api03-" + _A * 2 + _A[:29] + "AA",),
        rejects=("sk-ant-api03-" + "x" * 93 + "AA", "sk-ant-api03-" + _A * 2 + _A[:29] + "BB"),
        entropy=3.0,
    ),
    Rule(
        "anthropic-key",
        "Anthropic API key of another length",
        ("sk-ant-",),
        r"sk-ant-(?:[a-z]{2,12}\d{2}-)?[\w\-]{60,200}",
        matches=("sk-ant-api03-" + _A + _A + "-" + _A,),
        rejects=("sk-ant-" + "x" * 80, "sk-ant-api03-abcdefghijklmnopqrstuvwxyz-0123456789-abcdefghijklmnopqrstuvwxyz"),
        entropy=3.0,
        judge=not_counted,
    ),
    Rule(
        "openai-key",
        "API key of the sk- form (OpenAI and those like it)",
        ("sk-",),
        r"sk-(?!ant-)(?:proj-|svcacct-|admin-|or-v1-|lf-)?(?=[A-Za-z_\-]{0,40}\d)[\w\-]{32,200}",
        matches=("sk-" + _A + _A[:16], "sk-proj-" + _A + "_" + _A),
        rejects=("task-force-members-of-the-great-council-2024", "sk-" + "x" * 40, "sk-learn"),
        entropy=3.8,
    ),
    token("npm-token", "npm access token", "npm_", rf"[A-Za-z0-9]{{36}}{_END}", _A + "a1b2"),
    token("pypi-token", "PyPI upload token", "pypi-AgE", r"[\w\-]{50,1000}", _A + _A, keywords=("pypi-age",)),
    token(
        "sendgrid-key",
        "SendGrid API key",
        "SG.",
        rf"(?:[\w\-=]{{20,24}}\.[\w\-=]{{20,50}}|[\w\-=]{{30,66}}(?:\.[\w\-=]{{0,50}})?){_END_DASH}",
        _A[:22] + "." + _A + _A[:11],
    ),
    Rule(
        "twilio-key",
        "Twilio account SID or API key",
        ("sk", "ac"),
        rf"(?:SK|AC)(?=[0-9a-f]{{0,30}}\d)[0-9a-f]{{32}}{_END}",
        matches=("SK" + _H + _H,),
        rejects=("SK" + "x" * 32, "task" + _H + _H),
        entropy=2.5,
    ),
    Rule(
        "azure-storage-key",
        "Azure storage or service key",
        ("accountkey=", "sharedaccesskey="),
        r"(?i:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{40,120}={0,2})",
        matches=("AccountName=x;AccountKey=" + _A + _A + _A[:22] + "==",),
        rejects=("AccountKey=",),
        group=1,
        is_bounded=False,
    ),
    Rule(
        "azure-client-secret",
        "Azure AD client secret",
        ("q~",),
        r"(?:(?<=[^\w~.\-][\w~.]{3}\d)|(?<=\A[\w~.]{3}\d))Q~[A-Za-z0-9_~.\-]{31,34}(?![\w~.\-])",
        matches=('secret="aB3' + "8Q~" + _A + 'aB"',),
        rejects=("~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~", "faq~1"),
        is_bounded=False,
        entropy=3.0,
        judge=is_opaque,
        leading=("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_~.-", 4),
    ),
)
