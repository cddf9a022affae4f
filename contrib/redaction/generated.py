"""Secrets made up from the formats that their issuers document, placed into lines as logs and files have them.

Nothing here looks at the rules: the formats are those of the issuers' own pages, the contexts those of builds, shells,
config files and traces. One seed gives one set of texts. No value was ever valid.
"""

import base64
import hashlib
import json
import random
from collections.abc import Callable, Iterator
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits
from urllib.parse import quote

from measuring import Labelled

ALPHANUMERIC = ascii_letters + digits
HEX = "0123456789abcdef"
BASE64 = ALPHANUMERIC + "+/"
URL_SAFE = ALPHANUMERIC + "-_"
Maker = Callable[[random.Random], str]


def _some(letters: str, least: int, most: int | None = None) -> Maker:
    return lambda chosen: "".join(chosen.choices(letters, k=chosen.randint(least, most or least)))


def _form(form: str, **parts: Maker) -> Maker:
    return lambda chosen: form.format(**{name: make(chosen) for name, make in parts.items()})


def _base64_json(value: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=").decode()


def _uuid(chosen: random.Random) -> str:
    text = f"{chosen.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def _jwt(chosen: random.Random) -> str:
    head = _base64_json({"alg": chosen.choice(["HS256", "RS256", "ES256"]), "typ": "JWT"})
    body = _base64_json(
        {"sub": str(chosen.randrange(10**9)), "iat": 1700000000 + chosen.randrange(10**7), "aud": "api"}
    )
    return f"{head}.{body}.{_some(URL_SAFE, 43, 86)(chosen)}"


def _pem(kind: str) -> Maker:
    def make(chosen: random.Random) -> str:
        body = base64.b64encode(b"0\x82\x04\xa4\x02\x01\x00" + chosen.randbytes(300)).decode()
        lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
        return f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----"

    return make


def _password(chosen: random.Random) -> str:
    """Return what people and generators choose: 8 to 24 characters, at least one letter and one digit."""
    letters = chosen.choice([ALPHANUMERIC, ALPHANUMERIC + "!#%*-_+.", ascii_lowercase + digits])
    return chosen.choice(ascii_letters) + _some(letters, 6, 21)(chosen) + chosen.choice(digits)


def _words(chosen: random.Random) -> str:
    words = ["correct", "horse", "battery", "staple", "summer", "winter", "dragon", "welcome", "munich", "coffee"]
    return chosen.choice(["-", ".", ""]).join(word.title() for word in chosen.sample(words, 2)) + str(
        chosen.randrange(10, 2030)
    )


def _basic(chosen: random.Random) -> str:
    return base64.b64encode(f"{_some(ascii_lowercase, 4, 9)(chosen)}:{_password(chosen)}".encode()).decode()


TOKENS: dict[str, Maker] = {
    "aws access key id": _form(
        "{p}{b}", p=lambda c: c.choice(["AKIA", "ASIA"]), b=_some(ascii_uppercase + "234567", 16)
    ),
    "github token": _form(
        "{p}_{b}", p=lambda c: c.choice(["ghp", "gho", "ghu", "ghs", "ghr"]), b=_some(ALPHANUMERIC, 36)
    ),
    "github fine-grained token": _form("github_pat_{a}_{b}", a=_some(ALPHANUMERIC, 22), b=_some(ALPHANUMERIC, 59)),
    "gitlab token": _form("{p}-{b}", p=lambda c: c.choice(["glpat", "gldt", "glrt", "glcbt"]), b=_some(URL_SAFE, 20)),
    "slack token": _form(
        "{p}-{a}-{b}-{c}",
        p=lambda c: c.choice(["xoxb", "xoxp"]),
        a=_some(digits, 12),
        b=_some(digits, 13),
        c=_some(ALPHANUMERIC, 24),
    ),
    "slack webhook": _form(
        "https://hooks.slack.com/services/T{a}/B{b}/{c}",
        a=_some(ascii_uppercase + digits, 10),
        b=_some(ascii_uppercase + digits, 10),
        c=_some(ALPHANUMERIC, 24),
    ),
    "stripe key": _form(
        "{p}_{b}", p=lambda c: c.choice(["sk_live", "rk_live", "sk_test"]), b=_some(ALPHANUMERIC, 24, 99)
    ),
    "stripe webhook secret": _form("whsec_{b}", b=_some(ALPHANUMERIC, 32)),
    "openai key": _form("sk-proj-{a}T3BlbkFJ{b}", a=_some(URL_SAFE, 74), b=_some(URL_SAFE, 74)),
    "openai key, older": _form("sk-{a}T3BlbkFJ{b}", a=_some(ALPHANUMERIC, 20), b=_some(ALPHANUMERIC, 20)),
    "anthropic key": _form("sk-ant-api03-{b}AA", b=_some(URL_SAFE, 93)),
    "google api key": _form("AIzaSy{b}", b=_some(URL_SAFE, 33)),
    "google oauth secret": _form("GOCSPX-{b}", b=_some(URL_SAFE, 28)),
    "google access token": _form("ya29.a0{b}", b=_some(URL_SAFE, 150, 210)),
    "jwt": _jwt,
    "npm token": _form("npm_{b}", b=_some(ALPHANUMERIC, 36)),
    "pypi token": _form("pypi-AgEIcHlwaS5vcmc{b}", b=_some(URL_SAFE, 140, 180)),
    "docker token": _form("dckr_pat_{b}", b=_some(URL_SAFE, 27)),
    "digitalocean token": _form("dop_v1_{b}", b=_some(HEX, 64)),
    "sendgrid key": _form("SG.{a}.{b}", a=_some(URL_SAFE, 22), b=_some(URL_SAFE, 43)),
    "twilio api key": _form("SK{b}", b=_some(HEX, 32)),
    "mailgun key": _form("key-{b}", b=_some(HEX, 32)),
    "mailchimp key": _form("{b}-us{n}", b=_some(HEX, 32), n=lambda c: str(c.randint(1, 21))),
    "telegram bot token": _form("{a}:AA{b}", a=_some("123456789", 10), b=_some(URL_SAFE, 33)),
    "discord bot token": lambda c: (
        base64.b64encode(str(c.randrange(10**17, 10**18)).encode()).decode().rstrip("=")
        + f".{_some(URL_SAFE, 6)(c)}.{_some(URL_SAFE, 38)(c)}"
    ),
    "discord webhook": _form(
        "https://discord.com/api/webhooks/{a}/{b}", a=_some("123456789", 18), b=_some(URL_SAFE, 68)
    ),
    "shopify token": _form("shpat_{b}", b=_some(HEX, 32)),
    "square token": _form("EAAA{b}", b=_some(URL_SAFE, 60)),
    "hugging face token": _form("hf_{b}", b=_some(ascii_letters, 34)),
    "replicate token": _form("r8_{b}", b=_some(ALPHANUMERIC, 37)),
    "databricks token": _form("dapi{b}", b=_some(HEX, 32)),
    "vault token": _form("hvs.{b}", b=_some(URL_SAFE, 90, 100)),
    "terraform cloud token": _form("{a}.atlasv1.{b}", a=_some(ALPHANUMERIC, 14), b=_some(ALPHANUMERIC, 67)),
    "grafana service token": _form("glsa_{a}_{b}", a=_some(ALPHANUMERIC, 32), b=_some(HEX, 8)),
    "sentry user token": _form("sntryu_{b}", b=_some(HEX, 64)),
    "new relic key": _form("NRAK-{b}", b=_some(ascii_uppercase + digits, 27)),
    "linear key": _form("lin_api_{b}", b=_some(ALPHANUMERIC, 40)),
    "notion token": _form("ntn_{a}{b}", a=_some(digits, 11), b=_some(ALPHANUMERIC, 35)),
    "postman key": _form("PMAK-{a}-{b}", a=_some(HEX, 24), b=_some(HEX, 34)),
    "pulumi token": _form("pul-{b}", b=_some(HEX, 40)),
    "rubygems key": _form("rubygems_{b}", b=_some(HEX, 48)),
    "atlassian token": _form("ATATT3xFfGF0{b}={c}", b=_some(URL_SAFE, 170), c=_some(HEX.upper(), 8)),
    "airtable token": _form("pat{a}.{b}", a=_some(ALPHANUMERIC, 14), b=_some(HEX, 64)),
    "circleci token": _form("CCIPAT_{a}_{b}", a=_some(ALPHANUMERIC, 22), b=_some(HEX, 40)),
    "doppler token": _form("dp.pt.{b}", b=_some(ALPHANUMERIC, 43)),
    "netlify token": _form("nfp_{b}", b=_some(ALPHANUMERIC, 36)),
    "sonarqube token": _form("{p}_{b}", p=lambda c: c.choice(["sqp", "squ", "sqa"]), b=_some(HEX, 40)),
    "age key": _form("AGE-SECRET-KEY-1{b}", b=_some("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58)),
    "azure client secret": _form("{a}{n}Q~{b}", a=_some(ALPHANUMERIC, 3), n=_some(digits, 1), b=_some(URL_SAFE, 34)),
    "rsa private key": _pem("RSA PRIVATE KEY"),
    "pkcs8 private key": _pem("PRIVATE KEY"),
    "openssh private key": _pem("OPENSSH PRIVATE KEY"),
    "ec private key": _pem("EC PRIVATE KEY"),
}
"""Secrets that say what they are: they may stand anywhere."""

NAMED: dict[str, tuple[tuple[str, ...], Maker]] = {
    "aws secret access key": (("AWS_SECRET_ACCESS_KEY", "aws_secret_access_key", "secretAccessKey"), _some(BASE64, 40)),
    "aws session token": (
        ("AWS_SESSION_TOKEN", "aws_session_token"),
        _form("IQoJb3JpZ2luX2Vj{b}==", b=_some(BASE64, 300)),
    ),
    "heroku key": (("HEROKU_API_KEY", "heroku_api_key"), _uuid),
    "snyk token": (("SNYK_TOKEN", "snykToken"), _uuid),
    "codecov token": (("CODECOV_TOKEN",), _uuid),
    "datadog key": (("DD_API_KEY", "DATADOG_API_KEY", "datadog_app_key"), _some(HEX, 32)),
    "cloudflare token": (("CLOUDFLARE_API_TOKEN", "CF_API_TOKEN", "cloudflare_api_token"), _some(URL_SAFE, 40)),
    "vercel token": (("VERCEL_TOKEN", "vercelToken"), _some(ALPHANUMERIC, 24)),
    "twilio auth token": (("TWILIO_AUTH_TOKEN", "twilio_auth_token"), _some(HEX, 32)),
    "auth0 client secret": (("AUTH0_CLIENT_SECRET", "clientSecret", "client_secret"), _some(URL_SAFE, 64)),
    "django secret key": (("SECRET_KEY", "DJANGO_SECRET_KEY"), _some(ascii_lowercase + digits + "!@#%^*(-_=+)", 50)),
    "rails key base": (("SECRET_KEY_BASE", "secret_key_base"), _some(HEX, 128)),
    "jwt signing secret": (("JWT_SECRET", "jwtSecret", "JWT_SIGNING_KEY"), _some(ALPHANUMERIC, 32, 48)),
    "encryption key": (("ENCRYPTION_KEY", "APP_KEY", "encryptionKey"), _some(HEX, 64)),
    "api key": (("API_KEY", "apiKey", "x_api_key", "SERVICE_API_KEY", "api-key"), _some(ALPHANUMERIC, 24, 40)),
    "access token": (
        ("ACCESS_TOKEN", "accessToken", "access_token", "DEPLOY_TOKEN", "auth_token"),
        _some(URL_SAFE, 24, 64),
    ),
    "generated password": (
        ("DB_PASSWORD", "POSTGRES_PASSWORD", "password", "MYSQL_ROOT_PASSWORD", "passwd", "dbPassword"),
        _password,
    ),
    "chosen password": (("ADMIN_PASSWORD", "password", "SMTP_PASSWORD", "redis_password"), _words),
    "wireguard key": (("PrivateKey",), lambda c: base64.b64encode(c.randbytes(32)).decode()),
    "webhook secret": (("WEBHOOK_SECRET", "webhookSecret"), _some(HEX, 40)),
    "consul token": (("CONSUL_HTTP_TOKEN", "NOMAD_TOKEN"), _uuid),
}
"""Secrets that only a name beside them gives away."""

ASSIGNED = (
    "{n}={s}",
    "export {n}={s}",
    'export {n}="{s}"',
    "{n}: {s}",
    '{n}: "{s}"',
    "  {n}: '{s}'",
    '  "{n}": "{s}",',
    '{n} = "{s}"',
    "{n} = '{s}'",
    "ENV {n}={s}",
    "+{n}={s}",
    "-  {n}: {s}",
    "docker run -e {n}={s} image:latest",
    "2024-05-11T09:12:44.1234567Z   {n}: {s}",
    "\x1b[36;1mexport {n}={s}\x1b[0m",
    'env = {{"{n}": "{s}", "LANG": "C"}}',
    '{{\\"{n}\\": \\"{s}\\"}}',
    "<{n}>{s}</{n}>",
    "[INFO] loaded {n}={s} from the environment",
    "    os.environ['{n}'] = '{s}'",
    "set {n}={s}&& npm test",
    'const {n} = "{s}";',
    "Environment={n}={s}",
    "  - {n}={s}",
    "{n}={s}, retrying in 5 s",
)
ANYWHERE = (
    "{s}",
    "using {s} to sign in",
    "error: the token {s} was refused",
    "Authorization: Bearer {s}",
    "> authorization: token {s}",
    "curl -H 'X-Token: {s}' https://api.example.org/v1",
    "https://example.org/callback?value={s}&state=1",
    '{{"event":"login","with":"{s}"}}',
    "\x1b[31merror\x1b[0m: {s} has expired",
    "deploy --with {s} --region eu-central-1",
    "ValueError: invalid literal: '{s}'",
    "W1114 10:02:11.123456 1 auth.go:77] got {s}",
    "args=['push', '{s}'], returncode=128",
    "| {s} | active |",
    "`{s}`",
    "({s})",
)
FIXED: dict[str, tuple[tuple[str, ...], Maker]] = {
    "password in an address": (
        (
            "DATABASE_URL=postgres://app:{s}@db.internal:5432/main",
            "connecting to mysql://root:{s}@10.0.0.4/shop",
            "mongodb+srv://svc:{s}@cluster0.ab1cd.mongodb.net/?retryWrites=true",
            "redis://:{s}@cache:6379/0",
            "amqp://guest1:{s}@mq:5672/",
            "fatal: unable to access 'https://ci:{s}@git.example.org/app.git/': 403",
            "index-url = https://build:{s}@pypi.example.org/simple",
        ),
        _some(ALPHANUMERIC + "-_.!", 10, 24),
    ),
    "password in a connection string": (
        (
            "Server=tcp:db.example.org,1433;Database=shop;User ID=app;Password={s};Encrypt=True",
            "jdbc:postgresql://db/main?user=app&password={s}",
            "host=db user=app password={s} dbname=main",
        ),
        _password,
    ),
    "storage key in a connection string": (
        ("DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={s};EndpointSuffix=core.windows.net",),
        lambda c: base64.b64encode(c.randbytes(64)).decode(),
    ),
    "basic credentials": (
        ("Authorization: Basic {s}", "> authorization: basic {s}", '"Authorization": "Basic {s}"'),
        _basic,
    ),
    "docker config": (
        ('{{"auths":{{"registry.example.org":{{"auth":"{s}"}}}}}}', '      "auth": "{s}"'),
        _basic,
    ),
    "curl user": (
        ("curl -u deploy:{s} https://api.example.org", "curl --user 'deploy:{s}' -T x https://h/"),
        _password,
    ),
    "option": (
        (
            "mysql --user=app --password={s} shop",
            "helm upgrade app --set db.password={s}",
            "tool login --token {s}",
            "docker login -u ci --password {s} registry.example.org",
            "sshpass -p {s} ssh deploy@host",
            "redis-cli -h cache -a {s} ping",
            "PGPASSWORD={s} psql -h db",
            "vault login token={s}",
        ),
        _password,
    ),
    "netrc": (
        ("machine api.example.org login ci password {s}", "machine github.com\n  login me\n  password {s}\n"),
        _password,
    ),
    "npmrc": (
        ("//registry.example.org/:_authToken={s}", "//registry.example.org/:_password={s}", "_auth={s}"),
        _some(ALPHANUMERIC, 36),
    ),
    "pypirc": (("[pypi]\nusername = ci\npassword = {s}\n",), _password),
    "query": (
        (
            "GET /v1/items?access_token={s}&page=2 HTTP/1.1",
            "https://api.example.org/feed?api_key={s}",
            "https://shop.blob.core.windows.net/c/f?sv=2022-11-02&se=2025-01-01&sr=b&sp=r&sig={s}",
        ),
        lambda c: quote(base64.b64encode(c.randbytes(32)).decode(), safe=""),
    ),
    "signed address": (
        (
            "https://b.s3.amazonaws.com/k?X-Amz-Expires=900&X-Amz-Signature={s}",
            "GET https://storage.googleapis.com/b/o?X-Goog-Date=20240101T000000Z&X-Goog-Signature={s} 200",
        ),
        _some(HEX, 64),
    ),
    "line of an environment file": (
        ("DB_PASSWORD={s}\nDB_HOST=db\n", "LANG=C\nSMTP_PASSWORD={s}\n"),
        lambda c: "aB3" + _some(ALPHANUMERIC + "&;,|@^~?", 12, 20)(c) + "7z",
    ),
    "session cookie": (
        ("Cookie: sessionid={s}", "Set-Cookie: session={s}; Path=/; HttpOnly", "< set-cookie: connect.sid={s}; Path=/"),
        _some(ALPHANUMERIC, 32, 64),
    ),
    "kubernetes secret": (
        (
            "kind: Secret\napiVersion: v1\ndata:\n  password: {s}\n",
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  token: {s}\n",
        ),
        lambda c: base64.b64encode(_password(c).encode() + c.randbytes(3).hex().encode()).decode(),
    ),
    "kubeconfig": (
        ("    user:\n      token: {s}\n", "users:\n- name: a\n  user:\n    client-key-data: {s}\n"),
        _some(BASE64, 120, 200),
    ),
    "service account": (
        ('{{"type": "service_account", "private_key": "{s}", "client_email": "a@b.iam.gserviceaccount.com"}}',),
        lambda c: _pem("PRIVATE KEY")(c).replace("\n", "\\n"),
    ),
    "pgp private key": (
        ("{s}",),
        lambda c: (
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n"
            + _pem("X")(c).split("\n", 1)[1].rsplit("\n", 1)[0]
            + "\n-----END PGP PRIVATE KEY BLOCK-----"
        ),
    ),
    "hash of a password": (
        ("root:{s}:19000:0:99999:7:::", "admin:{s}"),
        lambda c: f"$6${_some(ALPHANUMERIC, 16)(c)}${_some(ALPHANUMERIC + './', 86)(c)}",
    ),
    "ethereum key": (
        ("PRIVATE_KEY=0x{s}", 'privateKey: "0x{s}"'),
        lambda c: hashlib.sha256(c.randbytes(8)).hexdigest(),
    ),
}
"""Secrets that one kind of line gives away."""


def generated(seed: int, of_each: int) -> Iterator[Labelled]:
    """Yield `of_each` texts of every kind, each with one secret."""
    chosen = random.Random(seed)
    for kind, make in TOKENS.items():
        for _ in range(of_each):
            secret = make(chosen)
            yield _placed(chosen.choice(ANYWHERE), "", secret, kind)
    for kind, (names, make) in NAMED.items():
        for _ in range(of_each):
            yield _placed(chosen.choice(ASSIGNED), chosen.choice(names), make(chosen), kind)
    for kind, (lines, make) in FIXED.items():
        for _ in range(of_each):
            yield _placed(chosen.choice(lines), "", make(chosen), kind)


def _placed(line: str, name: str, secret: str, kind: str) -> Labelled:
    before, _, after = line.partition("{s}")
    head = before.format(n=name)
    text = head + secret + after.format(n=name)
    return Labelled(text, kind, is_secret=True, start=len(head), end=len(head) + len(secret))
