"""Secrets that their place gives away: files of credentials, signed addresses, options of commands."""

from failgate.redaction.judgement import is_assigned, is_given, is_literal, is_opaque
from failgate.redaction.rules import Rule

_A = "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfT"  # 32 letters and digits of no meaning
_H = "3f9a1c7e5b2d8046"  # 16 hex digits of no meaning
_SALTED = r"[A-Za-z0-9./]"
_KIND = r"(?i:kind:[ \t]{0,4}[\"']?secret)[\"']?[ \t]{0,4}"
_DATA_LINE = (
    r"[ \t]{1,24}[\w.\-]{1,80}:[ \t]{1,4}(?:[|>][+\-]?[ \t]{0,4}\r?\n[ \t]{1,24})?[\"']?[^\s\"'{}]{8,400}[\"']?"
)
_DATA = rf"[ \t]{{0,4}}(?:\r?\n)({_DATA_LINE}(?![^\s])(?:[ \t]{{0,4}}\r?\n{_DATA_LINE}(?![^\s])){{0,11}})"
_WORDS = r"(?:[ \t]{1,2}[^\s]{1,60}){0,8}[ \t]{1,2}"

PLACES: tuple[Rule, ...] = (
    Rule(
        "netrc",
        "Password in a .netrc file",
        ("machine",),
        r"machine[ \t]{1,8}[^\s]{1,253}[ \t\r\n]{1,8}login[ \t]{1,8}[^\s]{1,128}[ \t\r\n]{1,8}"
        r"password[ \t]{1,8}([^\s]{3,256})",
        matches=("machine api.example.org login ci password s3cr3t!x", "machine h\n  login me\n  password s3cr3t!x\n"),
        rejects=("machine h login me password <password>", "machine learning with a login and a password prompt"),
        group=1,
        judge=is_literal,
    ),
    Rule(
        "password-hash",
        "Hash of a password, which can be guessed offline",
        ("$1$", "$2a$", "$2b$", "$2x$", "$2y$", "$5$", "$6$", "$y$", "$apr1$", "$argon2", "pbkdf2_sha"),
        rf"(?:\$[56]\$(?:rounds=\d{{1,9}}\$)?{_SALTED}{{1,16}}\${_SALTED}{{43,86}}|\$2[abxy]\$\d\d\${_SALTED}{{53}}"
        rf"|\$(?:1|apr1)\${_SALTED}{{1,8}}\${_SALTED}{{22}}|\$y\${_SALTED}{{1,20}}\${_SALTED}{{8,86}}\${_SALTED}{{43}}"
        r"|\$argon2(?:id|i|d)\$v=\d{1,3}\$[mtp=,\d]{5,40}\$[A-Za-z0-9+/]{11,90}\$[A-Za-z0-9+/]{22,180}"
        r"|pbkdf2_sha(?:1|256|512)\$\d{1,8}\$[A-Za-z0-9]{1,64}\$[A-Za-z0-9+/]{27,90}={0,2})",
        matches=(
            "root:$6$" + _A[:16] + "$" + _A * 2 + _A[:22] + ":19000:0:99999:7:::",
            "$2b$12$" + _A + _A[:21],
            "$argon2id$v=19$m=65536,t=3,p=4$" + _A[:22] + "$" + _A + "abcdefghijk",
        ),
        rejects=("$6$salt$short", "costs $5$ or $6$", "$2b$12$" + "." * 53),
        is_bounded=False,
        entropy=3.0,
    ),
    Rule(
        "signed-url",
        "Signature in an address that opens what it names",
        ("x-amz-signature=", "x-amz-security-token=", "x-goog-signature=", "?sig=", "&sig=", ";sig=", "&signature="),
        r"(?:(?i:X-Amz-Signature|X-Amz-Security-Token|X-Goog-Signature)=|[?&;](?:sig|Signature)=)"
        r"([A-Za-z0-9%+/=_\-]{27,2000})",
        matches=(
            "https://b.s3.amazonaws.com/k?X-Amz-Expires=900&X-Amz-Signature=" + _H * 4,
            "https://x.blob.core.windows.net/c/f?sv=2022-11-02&sr=b&sig=" + _A + "%2BaB3dE%3D",
        ),
        rejects=("?sig=<signature>", "&sig=short", "X-Amz-Signature=$SIGNATURE"),
        group=1,
        is_bounded=False,
        entropy=3.0,
        judge=is_opaque,
    ),
    Rule(
        "query-secret",
        "Secret in the query of an address",
        ("?key=", "&key=", "?auth=", "&auth=", "?code=", "&code=", "&hmac=", "?pwd=", "&pwd=", "?pass=", "&pass="),
        r"[?&](?:key|auth|code|hmac|pwd|pass)=([A-Za-z0-9%+/=_.~\-]{16,512})",
        matches=("https://maps.example.org/js?key=" + _A, "https://f.azurewebsites.net/api/x?code=" + _A + "=="),
        rejects=("?key=the-name-of-a-thing", "&code=200", "?key=$KEY"),
        group=1,
        is_bounded=False,
        entropy=3.4,
        judge=is_assigned,
    ),
    Rule(
        "command-password",
        "Password as an option of a command that takes it there",
        ("sshpass", "redis-cli", "mysql", "mariadb", "mongo", "ldap", "smbclient", "7z", "zip", "unzip", "htpasswd"),
        rf"(?:sshpass[ \t]{{1,4}}-p[ \t]{{0,4}}|redis-cli{_WORDS}(?:-a|--pass)[ \t]{{1,4}}"
        rf"|(?:mysql|mariadb)(?:dump|admin|show|import)?{_WORDS}-p"
        rf"|mongo(?:sh|dump|restore|export|import)?{_WORDS}-p[ \t]{{1,4}}"
        rf"|ldap(?:search|modify|add|whoami|delete){_WORDS}-w[ \t]{{1,4}}"
        rf"|smbclient{_WORDS}-U[ \t]{{1,4}}[^\s%]{{1,64}}%|7z[ \t]{{1,4}}[aexl]{_WORDS}-p"
        rf"|(?:un)?zip{_WORDS}-P[ \t]{{1,4}}"
        rf"|htpasswd{_WORDS}-[a-zA-Z]{{0,4}}b[a-zA-Z]{{0,4}}[ \t]{{1,4}}"
        rf"[^\s]{{1,80}}[ \t]{{1,2}}[^\s]{{1,64}}[ \t]{{1,2}})"
        r"[\"']?([^\s\"'<>|;&\-][^\s\"'<>|;]{2,200})",
        matches=(
            "sshpass -p s3cr3t!x ssh deploy@host",
            "redis-cli -h cache -a s3cr3t!x ping",
            "mysqldump -u root -ps3cr3t!x shop",
            "ldapsearch -x -D cn=admin -w s3cr3t!x",
            "htpasswd -cb /etc/users me s3cr3t!x",
        ),
        rejects=(
            "mysql -u root -p shop",
            "mysqld --print-defaults",
            "sshpass -p $PASSWORD ssh h",
            "sshpass -p <password> ssh h",
            "zip -P",
        ),
        group=1,
        judge=is_given,
    ),
    Rule(
        "secret",
        "Value to the end of a line of an environment file",
        ("password=", "passwd=", "secret=", "token=", "_key=", "apikey="),
        r"(?:PASSWORD|PASSWD|SECRET|TOKEN|_KEY|APIKEY)=([^\s\"'`<>{}()$][^\s\"'`<>{}]{7,400})"
        r"(?=[ \t]{0,4}(?:[\r\n]|\Z))",
        matches=("DB_PASSWORD=aB3&d;f,g|h9", "SECRET_KEY=x9+;k" + _A),
        rejects=("PASSWORD=$PASSWORD", "TOKEN=changeme", "PRIMARY_KEY=identifier", "DB_PASSWORD=correct horse battery"),
        group=1,
        is_bounded=False,
        judge=is_assigned,
    ),
    Rule(
        "kubernetes-secret",
        "Data of a Secret of Kubernetes",
        ("kind:",),
        rf"{_KIND}\r?\n(?:[^\r\n]{{0,200}}\r?\n){{0,8}}(?:stringD|d)ata:{_DATA}",
        matches=(
            f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\ndata:\n  user: {_A}\n  id: {_A}",
            f"kind: 'Secret'\nstringData:\n  user.key: \"{_A}\"",
            f"kind: Secret\ndata:\n  .settings: |\n    {_A}\n",
        ),
        rejects=(
            "kind: Secret\ndata:\n  user: {{ .Values.user }}",
            "kind: SecretStore\ndata:\n  user: identifier",
            "kind: ConfigMap\ndata:\n  user: identifier",
        ),
        group=1,
    ),
    Rule(
        "kubernetes-secret",
        "Data of a Secret of Kubernetes that says its kind afterwards",
        ("data:", "stringdata:"),
        rf"(?:stringD|d)ata:{_DATA}(?=[ \t]{{0,4}}(?:\r?\n[^\r\n]{{0,200}}){{0,8}}\r?\n{_KIND}(?:[\r\n]|\Z))",
        matches=(f"apiVersion: v1\ndata:\n  user: {_A}\nkind: Secret\nmetadata:\n  name: a\n",),
        rejects=("data:\n  user: identifier\nkind: ConfigMap\n", "data:\n  user: identifier\n"),
        group=1,
    ),
    Rule(
        "keyed-data",
        "Key in base64 in a file of Kubernetes, WireGuard or Docker",
        ("client-key-data", "privatekey", "presharedkey", "tls.key", "identitytoken", "registrytoken", '"auth"'),
        r"(?:client-key-data|(?i:Private|Preshared)Key|tls\.key|(?:identity|registry)token|\"auth)"
        r"\\{0,2}[\"']?[ \t]{0,4}[:=][ \t]{0,4}\\{0,2}[\"']?"
        r"([A-Za-z0-9+/_\-]{16,12000}={0,2})",
        matches=(
            "    client-key-data: LS0tLS1CRUdJTi" + _A,
            "PrivateKey = " + _A + "aB3dE4fG5h=",
            '"auth": "dXNlcjpodW50ZXIy' + 'OTkx"',
        ),
        rejects=("PrivateKey = /etc/wireguard/private.key", "client-key-data: <base64>"),
        group=1,
        is_bounded=False,
        entropy=3.0,
        judge=is_opaque,
    ),
)
