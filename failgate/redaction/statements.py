"""Secrets in statements: calls, pairs of name and value, SQL, directives of files, sentences, and encoded tokens."""

from failgate.redaction.judgement import is_assigned, is_encoded, is_literal, is_opaque, is_random
from failgate.redaction.rules import Rule

_A = "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfT"  # 32 letters and digits of no meaning
_NAMES = ("password", "passwd", "passphrase", "secret", "token", "apikey", "api_key", "api-key", "access_key")
_NAMED = r"(?i:password|passwd|passphrase|secret|token|api[_\-]?key|access_key)"
_QUOTE = r"\\{0,2}[\"'`]"
_VALUE = r"[^\s\"'`<>{}\\,;()]"

STATEMENTS: tuple[Rule, ...] = (
    Rule(
        "argument",
        "Secret given to a call whose name says so",
        (*_NAMES, "securestring"),
        rf"{_NAMED[:-1]}|securestring)[A-Za-z]{{0,12}}\([ \t]{{0,4}}(?:[A-Za-z_]{{1,16}},[ \t]{{0,4}})?{_QUOTE}"
        rf"([^\"'`\r\n\\]{{8,400}}){_QUOTE}",
        matches=(f'setPassword("{_A}")', f".withToken('{_A}')", f'new SecretString("{_A}")'),
        rejects=('getToken("access-token-name")', 'setPassword("********")', 'password("Enter the password: ")'),
        group=1,
        is_bounded=False,
        entropy=2.9,
        judge=is_random,
    ),
    Rule(
        "pair",
        "Value beside a name that says secret",
        (*_NAMES, "_key", "credential", "_pass"),
        rf"(?i:password|passwd|passphrase|secret|token|api[_\-]?key|_key|credential|_pass)[\w.\-]{{0,24}}{_QUOTE[:-1]}`]?"
        # between them: white space and commas, also as an error quotes a line end
        rf"[\s,\\nrt]{{1,40}}(?:{_QUOTE})?(?i:value)"
        rf"(?:{_QUOTE})?[ \t]{{0,4}}[:=][ \t]{{0,4}}(?:{_QUOTE})?({_VALUE}{{6,400}})",
        matches=(
            f"- name: DB_PASSWORD\n  value: {_A[:12]}",
            rf"- name: DB_PASSWORD\n  value: {_A[:12]}",  # as an error quotes it
            f'{{"name": "API_TOKEN", "value": "{_A}"}}',
            f'<add key="ApiKey" value="{_A}" />',
        ),
        rejects=("name: TOKEN\n  valueFrom: secretKeyRef", 'name="password" value="true-or-false"'),
        group=1,
        is_bounded=False,
        judge=is_opaque,
    ),
    Rule(
        "pair",
        "Password in a setting of a file of .NET",
        ("<add ",),
        r"<add[ \t]{1,4}key=\"[\w.:\-]{0,40}(?i:password|passwd|pwd)\"[ \t]{1,4}value=\"([^\"<>%\r\n]{4,400})\"",
        matches=('<add key="ClearTextPassword" value="correct horse" />',),
        rejects=('<add key="Password" value="%PASSWORD%" />', '<add key="PasswordFormat" value="Hashed" />'),
        group=1,
        is_bounded=False,
        judge=is_literal,
    ),
    Rule(
        "block",
        "Value in a block of YAML under a name that says secret",
        (*_NAMES, "_key", "credential"),
        rf"{_NAMED[:-1]}|_key|credential)[\w.\-]{{0,24}}[\"']?:[ \t]{{1,4}}[|>][+\-]?[ \t]{{0,4}}\r?\n[ \t]{{1,40}}"
        rf"({_VALUE}{{8,400}})",
        matches=(f"password: |\n  {_A[:12]}\n", f"api_token: >-\n    {_A}"),
        rejects=("secret: |\n  a text of words", "token: |\n"),
        group=1,
        is_bounded=False,
        judge=is_assigned,
    ),
    Rule(
        "sql-password",
        "Password in a statement of SQL",
        ("identified by", "password '", 'password "', "identified with"),
        r"(?i:identified (?:with [\w\"'`]{1,40} )?by|password)[ \t]{1,4}(?:PASSWORD[ \t]{1,4})?[\"']"
        r"([^\"'\r\n]{4,200})[\"']",
        matches=("CREATE USER x IDENTIFIED BY 's3cr3t!x'", "ALTER ROLE x PASSWORD 's3cr3t!x'"),
        rejects=("IDENTIFIED BY '<password>'", "the password 'and more'"),
        group=1,
        is_bounded=False,
        entropy=2.0,
        judge=is_opaque,
    ),
    Rule(
        "directive",
        "Secret in a line of a configuration file",
        ("requirepass", "masterauth", "auth_pass", "bindpw", "rootpw", "secret_access_key", "setx "),
        r"(?i:requirepass|masterauth|auth_pass|bindpw|rootpw|secret_access_key"
        r"|setx[ \t]{1,4}\w{0,40}(?:token|secret|key|password))"
        rf"[ \t]{{1,8}}[\"']?({_VALUE}{{6,400}})",
        matches=("requirepass s3cr3t!x", "aws configure set aws_secret_access_key " + _A, "setx API_TOKEN " + _A),
        rejects=("requirepass foobared", "bindpw <password>"),
        group=1,
        is_bounded=False,
        judge=is_opaque,
    ),
    Rule(
        "told",
        "Random word after the word password, token or secret",
        _NAMES,
        rf"{_NAMED}s?(?:[ \t](?:is|was|for)(?:[ \t][\w@.]{{1,24}}){{0,3}})?:?[ \t]{{1,4}}(?:{_QUOTE})?"
        r"([A-Za-z0-9_\-+/!#$%&*=.~^]{12,400})",
        matches=("the password is " + _A[:16], f"token {_A} expired", f'(setq token "{_A}")'),
        rejects=(
            "password authentication-failed-1",
            "token sha256-of-the-file",
            "password hash: none",
        ),
        group=1,
        is_bounded=False,
        entropy=3.3,
        judge=is_random,
    ),
    Rule(
        "session-cookie",
        "Session in a cookie",
        ("sessid=", "sessionid=", "session_id=", "connect.sid=", "_session="),
        r"(?i:(?:php|j)?sess(?:ion)?_?id|connect\.sid|_session)=([A-Za-z0-9%._\-+/]{16,512})",
        matches=("PHPSESSID=" + _A, "a;JSESSIONID=" + _A, "connect.sid=s%3A" + _A),
        rejects=("sessionid=<id>", "session_id=the-name-of-a-session"),
        group=1,
        is_bounded=False,
        entropy=3.0,
        judge=is_opaque,
    ),
    Rule(
        "url-token",
        "Token in the place of the user of an address",
        ("://",),
        r"://([A-Za-z0-9_\-]{18,128})@[A-Za-z0-9\[]",
        matches=(f"https://{_A}@git.example.org/a.git",),
        rejects=("https://user@example.org", "ssh://a-long-name-of-a-person@h"),
        group=1,
        is_bounded=False,
        entropy=3.0,
        judge=is_random,
    ),
    Rule(
        "name-pass",
        "Value assigned to a name that ends in pass, pw or psk",
        ("pass", "pw", "psk", "passcode"),
        r"(?:(?<![A-Za-z0-9])(?i:pass|pw|psk)|(?<=[a-z])Pass|(?<=pg)pass|(?i:passcode)|(?i:(?<=[_\-.])(?:pw|psk))|(?<=root)pw)(?![A-Za-z0-9])"
        r"\\{0,2}[\"'`]?[ \t]{0,4}(?::=|=>|={1,2}|:|>)[ \t]{0,4}\\{0,2}[\"'`]?"
        rf"({_VALUE}{{8,200}})",
        matches=(f"pass: {_A[:12]}", f"adminPass = '{_A}'", f"LDAP_PW={_A[:12]}", f'"wifi_psk": "{_A}"'),
        rejects=("pass: required", "bypass=1234567890a", "first pass: 20240511-091244", "pass => function"),
        group=1,
        is_bounded=False,
        entropy=2.9,
        judge=is_random,
    ),
    Rule(
        "encoded",
        "Token, key or address with a password in base64",
        (
            "ls0tls1crudjt",
            "z2hwx",
            "z2hvx",
            "z2hzx",
            "z2l0ahvix3bhdf",
            "z2xwyxqt",
            "qutjq",
            "qvnjq",
            "c2styw50l",
            "c2tfbgl2zv",
            "eg94y",
            "bnbtx",
            "cg9zdgdyzx",
            "bxlzcww6ly",
            "bw9uz29ky",
            "cmvkaxm6ly",
            "cgfzc3dvcmq9",
        ),
        r"(?:LS0tLS1CRUdJT|Z2h[wvz]X|Z2l0aHViX3BhdF|Z2xwYXQt|Q[UV][tN]JQ|c2stYW50L|c2tfbGl2ZV|eG94Y|bnBtX|cG9zdGdyZX"
        r"|bXlzcWw6Ly|bW9uZ29kY|cmVkaXM6Ly|cGFzc3dvcmQ9)[A-Za-z0-9+/_\-]{12,12000}={0,2}",
        matches=("Z2hwX3E3WGsyTG05WnQ0VmI4Um4zV2M2SHkx" + "UGQ1R3MwSmZUYTFiMg==",),
        rejects=("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUI=", "eG94YmFubmVycw==", "cGFzc3dvcmQ9"),
        judge=is_encoded,
    ),
)
"""They come after the rules that know more."""
