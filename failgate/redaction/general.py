"""Forms of secrets that name no issuer: keys, web tokens, credentials in addresses and headers, assignments."""

from failgate.redaction.judgement import (
    is_assigned,
    is_chosen,
    is_credential,
    is_given,
    is_in_address,
    is_key,
    is_key_text,
    is_opaque,
    is_password,
    is_random,
)
from failgate.redaction.rules import Rule

_A = "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfT"
_NAME = r"[\w.\-]{0,24}"
# After a name: a closing quote or bracket (perhaps escaped), a type as in `token: str =`, then the sign of assignment.
_GIVES = (
    r"(?:\\{0,2}[\"'`])?\]?[ \t]{0,8}(?::[ \t]{0,2}(?:str|string|String|bytes)[ \t]{0,2})?"
    r"(?::=|=>|<-|\|\||\?=|={1,3}|:{1,3}=|::[ \t]|:|>|(?<=\w)>\r?\n[ \t]{1,8}"
    r"|(?<=[\"'`]),(?=[ \t]{0,8}[ubrf@$]?\\{0,2}[\"'`]))[ \t]{0,8}"
)


def _assignment(quoted_least: int, bare_least: int, first: str = "") -> str:
    """Return the pattern of a value of at least so many characters: quoted is the first group, bare the second.

    A backslash belongs to a quoted value unless it stands before a quote, as in JSON within JSON. `first` are
    further characters that a bare value does not begin with; a colon, as in `module::name`, is one always.
    """
    quoted = rf"(?:[^\"'`\r\n\\]|\\{{1,2}}(?![\"'`\r\n\\])){{{quoted_least},400}}"
    bare = rf"[^\s\"'`,;&|<>{{}}\\:{first}][^\s\"'`,;&|<>{{}}\\]{{{bare_least - 1},400}}"
    return rf"(?:[ubrf@$]?\\{{0,2}}[\"'`]({quoted})\\{{0,2}}(?:[\"'`\r\n]|\Z)|({bare}))"


_ISSUERS = (
    "airtable",
    "algolia",
    "artifactory",
    "asana",
    "beamer",
    "bitbucket",
    "bittrex",
    "cloudflare",
    "codecov",
    "coinbase",
    "confluent",
    "contentful",
    "datadog",
    "discord",
    "droneci",
    "dropbox",
    "etsy",
    "facebook",
    "fastly",
    "finicity",
    "finnhub",
    "flickr",
    "freshbooks",
    "gitter",
    "heroku",
    "intercom",
    "jfrog",
    "kraken",
    "kucoin",
    "launchdarkly",
    "linkedin",
    "looker",
    "mailchimp",
    "mailgun",
    "mattermost",
    "meraki",
    "messagebird",
    "netlify",
    "nytimes",
    "okta",
    "rapidapi",
    "sendbird",
    "snyk",
    "sonar",
    "sourcegraph",
    "squarespace",
    "sumologic",
    "travis",
    "trello",
    "twilio",
    "twitch",
    "twitter",
    "zendesk",
)

_AT_ONCE = 8  # of more than some twenty alternatives Hyperscan does not see that each is a literal
_KEYED = rf"[A-Za-z_.\-]{{0,16}}{_GIVES}{_assignment(16, 16)}"


def _of_issuers(issuers: tuple[str, ...]) -> Rule:
    return Rule(
        "keyed",
        "Random value assigned to the name of an issuer: " + ", ".join(issuers),
        issuers,
        rf"(?:(?<![A-Za-z])|(?<=[a-z])(?=[A-Z]))(?i:{'|'.join(issuers)}){_KEYED}",
        matches=(f'{issuers[0]}: "{_A}"', f"my{issuers[-1].title()}App={_A}"),
        rejects=(f"{issuers[0]}: identifier-of-something", f"a{issuers[0]}: {_A}"),
        group=1,
        entropy=2.9,
        is_bounded=False,
        judge=is_random,
    )


GENERAL: tuple[Rule, ...] = (
    Rule(
        "private-key",
        "PEM, OpenSSH or PGP private key",
        ("-----begin ",),
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[^-]{1,12000}(?:-{1,4}[^-]{1,400}){0,3}(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?)?",
        matches=(
            "-----BEGIN RSA PRIVATE KEY-----\n" + _A + "\n" + _A + "\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\\n" + _A,
            "-----BEGIN OPENSSH PRIVATE KEY-----\n" + _A,
            "-----BEGIN RSA PRIVATE KEY-----\nthe key of a test of mine\n-----END RSA PRIVATE KEY-----",
        ),
        rejects=(
            "-----BEGIN CERTIFICATE-----\n" + _A,
            "-----BEGIN PUBLIC KEY-----\n" + _A,
            '"-----BEGIN PRIVATE KEY-----"',
            "-----BEGIN PRIVATE KEY-----\nanything\n-----END PRIVATE KEY-----",
        ),
        is_bounded=False,
        judge=is_key,
    ),
    Rule(
        "private-key",
        "Private key of PuTTY or of SSH Communications",
        ("private-lines:", "---- begin ssh2 "),
        r"(?:Private-Lines: \d{1,4}\r?\n|---- BEGIN SSH2 (?:ENCRYPTED )?PRIVATE KEY ----\r?\n)([^-]{40,12000})",
        matches=(
            "Private-Lines: 2\n" + _A + "\n" + _A + "\nPrivate-MAC: 3f9a",
            '---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: "x"\n' + _A + "\n" + _A + "\n---- END",
        ),
        rejects=("Private-Lines: 0\n", "---- BEGIN SSH2 PUBLIC KEY ----\n" + _A + _A),
        group=1,
        is_bounded=False,
        judge=is_key_text,
    ),
    Rule(
        "jwt",
        "JSON web token",
        ("eyj", "zxlk", "zxlm"),
        r"(?:eyJ[\w\-]{8,2000}\.(?:eyJ)?[\w\-]{8,4000}\.?[\w\-]{0,2000}={0,2}|ZXlK[A-Za-z0-9+/\-_]{60,4000}={0,2})",
        matches=("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0." + _A,),
        rejects=("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "heyJude.and.others"),
        entropy=3.0,
    ),
    Rule(
        "url-credentials",
        "Password in an address",
        ("://",),
        r"://(?:((?=[A-Za-z_.~%\-]{0,64}\d)[\w.~%\-]{8,128}:[^\s/?#@\"'`<>]{1,256})"
        r"|[^\s:/?#@\[\]\"'`<>]{0,128}:([^\s/?#@\"'`<>]{1,256}))@[A-Za-z0-9\[%_$]",
        matches=(
            "postgres://app:hunter2@db.internal/main",
            "https://:" + _A + "@example.org",
            "postgres://postgres:password@localhost/app",
        ),
        rejects=(
            "https://example.org:8443/@user",
            "https://user@example.org",
            "https://user:${PASSWORD}@h",
            "https://user:***@h",
            "https://user2345:$PASSWORD@h",
            "redis://user:pass@h",
            "redis://user:xxxx@h",
        ),
        group=1,
        is_bounded=False,
        judge=is_in_address,
    ),
    Rule(
        "authorization",
        "Credentials in an Authorization header",
        ("authorization", "x-api-key", "x-auth-token", "private-token", "x-vault-token", "cookie"),
        r"(?i:(?:proxy-)?authorization|x-api-key|x-auth-token|private-token|x-vault-token|(?:set-)?cookie)"
        r"\\{0,2}[\"'`]?\]?[ \t]{0,4}[:=][ \t]{0,4}\\{0,2}[\"'`]?"
        r"(?:[A-Za-z][A-Za-z0-9\-]{1,24}[ \t]{1,4})?([^\s\"'`<>{}\\][^\s\"'`<>{}\\]{5,4000})",
        matches=(
            "Authorization: Bearer " + _A,
            "authorization: Basic dXNlcjpodW50ZXIy",
            "X-Api-Key: " + _A,
            "Cookie: session=" + _A,
        ),
        rejects=(
            "Authorization: Bearer <token>",
            "Authorization: Bearer $TOKEN",
            "Authorization: Basic ...",
            "authorization: required",
        ),
        group=1,
        is_bounded=False,
        judge=is_opaque,
    ),
    Rule(
        "bearer",
        "Bearer token",
        ("bearer ",),
        r"(?i:bearer)[ \t]{1,4}([\w\-.~+/=]{16,4000})",
        matches=("sent bearer " + _A,),
        rejects=("bearer of bad news", "Bearer authentication-is-required"),
        group=1,
        entropy=3.2,
        judge=is_opaque,
    ),
    Rule(
        "basic-credentials",
        "User and password given to curl, wget or http",
        ("-u", "--user", "--proxy-user"),
        r"(?:-u|--(?:proxy-)?user)[ \t=]{0,3}[\"']?([^\s:\"'<$]{0,64}[\"']?:[\"']?[^\s\"'<$/:][^\s\"']{2,256}"
        r"|[^\s:\"'<$]{8,128}:(?=[\"'\s]))",
        matches=(
            "curl -u elastic:P@ssw0rd9 https://localhost:9200",
            "curl --user 'me:hunter2!' h",
            f'curl -u "{_A}:" h',
        ),
        rejects=(
            "docker run -u 1000:1000 image",
            'curl --user "$1:$2" h',
            "curl -u <user:password> h",
            "curl -u user:pass h",
            "curl -u somebody: h",
            "perldoc -u Some::Module",
        ),
        group=1,
        judge=is_credential,
    ),
    Rule(
        "npm-auth",
        "npm registry credentials",
        (":_auth", ":_password"),
        r":_(?:authToken|auth|password)[ \t]{0,2}=[ \t]{0,2}[\"']?([^\s\"']{6,400})",
        matches=("//npm.example.org/:_authToken=" + _A,),
        rejects=("//npm.example.org/:_authToken=${NPM_TOKEN}",),
        group=1,
        is_bounded=False,
        judge=is_given,
    ),
    Rule(
        "flag",
        "Secret given as an option of a command",
        (
            "--pass",
            "--token",
            "--secret",
            "--api-key",
            "--apikey",
            "--access-key",
            "--auth-token",
            "--client-secret",
            "--private-key",
        ),
        r"--(?i:pass(?:word|wd|phrase)?|token|secret|api-?key|access-key|auth-token|client-secret|private-key)"
        r"(?:-[a-z]{1,12})?[ =]{1,2}[\"']?([^\s\"'|&;<>]{6,400})",
        matches=("deploy --token " + _A, "mysql --password=hunter2!", "x --client-secret '" + _A + "'"),
        rejects=(
            "tool --password-stdin --other",
            "tool --token <token>",
            "tool --token $TOKEN",
            "the --token option",
            "--token --verbose",
        ),
        group=1,
        is_bounded=False,
        judge=is_chosen,
    ),
    Rule(
        "password",
        "Value assigned to a name that says password",
        ("passwd", "password", "passphrase", "passwort", "pwd", "_pass", "dbpass"),
        rf"(?i:passwd|password|passphrase|passwort|pwd|_pass(?![A-Za-z])|dbpass){_NAME}{_GIVES}"
        rf"{_assignment(4, 6, '/')}",
        matches=(
            'password = "correct horse"',
            "DB_PASSWORD=hunter2!",
            "password: s3cr3t!x",
            '"password": "hunter22"',
            "Pwd=Abc123def;",
        ),
        rejects=(
            "password: str",
            "password = getpass()",
            "PASSWORD=$PASSWORD",
            "password: required",
            "PWD=/home/u/project",
            "password=os.environ['P']",
            "['username', 'password', 'repository']",
            "'password', default=repository",
        ),
        group=1,
        is_bounded=False,
        judge=is_password,
    ),
    Rule(
        "secret",
        "Value assigned to a name that says secret, token, credential or API key",
        (
            "token",
            "secret",
            "apikey",
            "api_key",
            "api-key",
            "api key",
            "accesskey",
            "access_key",
            "access-key",
            "credential",
            "private_key",
            "privatekey",
            "private-key",
            "auth_key",
            "authkey",
            "account_key",
            "signing_key",
            "encryption_key",
            "master_key",
            "creds",
            'auth"',
            "_auth=",
            "license_key",
            "x-jfrog-art-api",
        ),
        rf"(?i:(?<!csrf[_\-])(?<!public)token|secret|api[_\- ]?key|access[_\-]?key|credential|private[_\-]?key"
        rf"|auth_?key|account_key|signing_key|encryption_key|master_key|creds|auth|license_key|x-jfrog-art-api)"
        rf"{_NAME}(?:[ \t]{{1,2}}{_NAME})?{_GIVES}{_assignment(8, 8)}",
        matches=(
            "API_TOKEN=" + _A,
            'clientSecret: "' + _A + '"',
            "api_key => '" + _A + "'",
            "export AWS_SECRET_ACCESS_KEY=" + _A,
            f"<apiToken>\n    {_A}\n</apiToken>",
            f'API_TOKEN :::= "{_A}"',
        ),
        rejects=(
            "token: string",
            "tests/token_stream.py::test_x1_of_y2z3",
            "secrets: inherit",
            "token = request.headers['x-token']",
            "TOKEN=${{ secrets.TOKEN }}",
            "tokenizer = AutoTokenizer",
            'publicToken = "' + _A + '"',
            "f\"token='{b64encode(self.token2)}'\"",
            'token_url = "https://example.org/oauth2"',
        ),
        group=1,
        entropy=2.9,
        is_bounded=False,
        judge=is_assigned,
    ),
    Rule(
        "secret",
        "Number assigned to a name that ends in token or secret",
        ("token", "secret"),
        rf"(?i:token|secret)(?:[ \t]{{1,2}}string)?{_GIVES}[\"'`]?(\d{{15,24}})(?![\w.])",
        matches=('serviceToken="0495660536630626"', 'var serviceToken string = "0495660536630626"'),
        rejects=("tokens: 123456789012345", "token=1234567890", "token_at=1712345678901234"),
        group=1,
        is_bounded=False,
    ),
    Rule(
        "keyed",
        "Random value assigned to a name that ends in key, auth or client",
        ("key", "auth", "client"),
        rf"(?:(?i:(?<=[a-z0-9_\-])(?<!public[_\-])(?<!public)key|auth)|(?<=[a-z])Client|(?<=_)CLIENT){_KEYED}",
        matches=('deployKey := "' + _A + '"', "SIGNING-KEY: " + _A),
        rejects=(
            "key: node-cache-Linux-" + "3f9a1c7e",
            "primary_key=user_identifier_column",
            'cacheKey = "linux-x64-node-modules"',
            "keyboard: us-international-layout",
            'public_key = "' + _A + '"',
        ),
        group=1,
        entropy=2.9,
        is_bounded=False,
        judge=is_random,
    ),
    *(_of_issuers(_ISSUERS[at : at + _AT_ONCE]) for at in range(0, len(_ISSUERS), _AT_ONCE)),
)
