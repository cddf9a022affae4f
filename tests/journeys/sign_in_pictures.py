"""Every way of signing in, walked in Chromium with real peers and recorded: `contrib/dev/screenshots sign-in`.

The server answers to a name that no machine has; the browser, the command line and this process are told where it is.
"""

import base64
import contextlib
import hashlib
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pyotp
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, BrowserContext, Page

from failgate.base.canonical import digest_of
from tests.journeys import team
from tests.journeys.camera import DESKTOP, HIGHEST, Camera
from tests.journeys.harness import Server, browser, clean_environment, free_port
from tests.journeys.sso import NameServer, connection, name_server
from tests.journeys.team import PASSWORD, Person, person
from tests.journeys.test_second_factors import add_authenticator
from tests.peers import github as peer_github
from tests.peers.github import GitHub, github_stand_in
from tests.peers.oidc_provider.peer import CLIENT_ID, CLIENT_SECRET, OidcProvider, provider
from tests.peers.simplesaml import SimpleSamlPhp, entry_in
from tests.sso.saml.provider import key_pair
from tests.web.authority import Authority

HOST = "failgate.acme.example"
URL = f"https://{HOST}"
SETTINGS = f"{URL}/w/acme/settings/sign-in"
DIRECTORY = ("mara", "correct horse battery")  # at SimpleSAMLphp
CODE = re.compile(r"open (\S+) in a browser and type this code: ([A-Z]{4}-[A-Z]{4})")
# For this process and for `failgate login`: the name leads to a port of the loopback address.
NAMES = """
import _socket, socket
_known = _socket.getaddrinfo
def getaddrinfo(host, port, *more, **how):
    if host in ("{host}", b"{host}"):
        host, port = "127.0.0.1", {port}
    return _known(host, port, *more, **how)
_socket.getaddrinfo = getaddrinfo  # the client asks it by itself; `socket` goes through it
socket.gethostname = lambda: "laptop"
"""
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class Studio:
    """The server, its peers, a browser, and who walks."""

    def __init__(
        self, server: Server, folder: Path, chromium: Browser, camera: Camera, names: NameServer, trust: ssl.SSLContext
    ) -> None:
        self.server, self.folder, self.chromium, self.camera, self.names = server, folder, chromium, camera, names
        self.trust = trust
        self.used_codes: set[str] = set()
        self.texts: dict[str, str] = {}

    def context(self) -> BrowserContext:
        """Open a browser that nobody has signed in with."""
        return self.chromium.new_context(viewport={"width": DESKTOP, "height": HIGHEST})

    def code(self, who: Person) -> str:
        """Return a code of `who` that was not used yet."""
        assert who.totp is not None
        while True:
            code = pyotp.TOTP(who.totp).now()
            if code not in self.used_codes:
                self.used_codes.add(code)
                return code
            time.sleep(0.5)

    def sign_in(self, page: Page, who: Person) -> None:
        """Sign in by password and code."""
        page.goto(f"{URL}/signin")
        page.fill("[name=email]", who.email)
        page.fill("[name=password]", PASSWORD)
        page.click("main form[action='/signin'] button")
        if who.totp is not None:
            page.wait_for_selector("#code")
            page.fill("#code", self.code(who))
            page.click("main form[action='/signin/code'] button")
        page.wait_for_url(f"{URL}/")

    def open(self, page: Page, path: str, who: Person) -> None:
        """Go to a page; show the second factor where that is asked for."""
        page.goto(path if path.startswith("http") else f"{URL}{path}")
        if "/account/step-up" in page.url:
            page.fill("#code", self.code(who))
            page.click("main form[action='/account/step-up'] button")
            page.wait_for_load_state()

    def client(self, **headers: str) -> httpx.Client:
        """Return a program that speaks with the server."""
        return httpx.Client(base_url=URL, headers=headers, verify=self.trust, trust_env=False, timeout=30)


def record(out: Path, folder: Path) -> dict[str, str]:
    """Walk every journey; write its pictures to `out`; return what terminals and programs said, by name."""
    with contextlib.ExitStack() as stack:
        github = stack.enter_context(github_stand_in())
        github.add("theo", 41, [{"email": "theo@opensource.example", "primary": True, "verified": True}])
        globex = stack.enter_context(provider())
        directory = SimpleSamlPhp(folder / "directory", key_pair("idp"), people={
            DIRECTORY: {"email": "mara@acme.example", "displayName": "Mara Lind", "groups": ["staff", "reviewers"]},
        }).start()  # fmt: skip
        stack.callback(directory.stop)
        studio = stack.enter_context(opened(folder, Camera(out), globex, github))
        olga = person(studio.server, "olga", "owner")
        agent = team.admin(studio.server, "agent.create", workspace="acme", name="deploy-bot", owner=olga.email)
        asking = stack.enter_context(studio.client(authorization=f"Bearer {agent['token']}"))
        for argv in (("git", "push", "origin", "release/1.4"), ("make", "deploy", "ENV=staging")):
            body = team.command(*argv, cwd="/srv/shop", host="build-7")
            asked = {"command": body, "digest": digest_of(body), "ttl_seconds": 3600, "reason": "release 1.4"}
            assert asking.post(f"{team.WHERE}/commands", json=asked).status_code == 201
        owner_connects(studio, olga, directory)
        by_saml(studio)
        by_oidc(studio, globex)
        by_github(studio)
        by_passkey(studio)
        by_device_flow(studio)
        deprovisioned(studio, olga)
        demanded(studio, olga)
        in_trouble(studio, globex)
        agents(studio, olga, agent["agent"])
        studio.server.stop()
        assert team.failures_in(studio.server) == [], team.failures_in(studio.server)
        return studio.texts


@contextlib.contextmanager
def opened(folder: Path, camera: Camera, globex: OidcProvider, github: GitHub) -> Iterator[Studio]:
    """Serve at a name of our own over TLS, with a provider for contractors and GitHub in the config."""
    root, port = Authority(), free_port()
    pair = root.server(HOST)
    certificate, key = pair.write(folder, "server")
    (folder / "ca.pem").write_bytes(root.pair.pem)
    (folder / "globex").write_text(CLIENT_SECRET)
    (folder / "github").write_text(peer_github.CLIENT_SECRET)
    (folder / "sitecustomize.py").write_text(NAMES.format(host=HOST, port=port))
    globex.serve(URL, "globex")
    globex.say("ines", name="Ines Soto", email="ines@globex.example", email_verified=True, groups=["contractors"])
    globex.say("nobody", name="No Body", groups=["contractors"])
    with contextlib.ExitStack() as stack:
        names = stack.enter_context(name_server())
        config = f"""
[server]
public_url = "{URL}"
allow_loopback = true
[server.tls]
certificate = "{certificate}"
key = "{key}"
client_certificates = "optional"
client_ca = "{folder / "ca.pem"}"
[sso]
resolvers = ["127.0.0.1:{names.port}"]
"""
        config += connection(
            "globex", ("contractors", "developer"), protocol="oidc", title="Globex ID", issuer=globex.issuer,
            client_id=CLIENT_ID, client_secret=folder / "globex", domains=["globex.example"],
            scopes=["openid", "email", "profile", "groups"],
        ) + connection(
            "github", ("*", "developer"), protocol="github", title="GitHub", issuer=github.url,
            client_id=peer_github.CLIENT_ID, client_secret=folder / "github", domains=["opensource.example"],
        )  # fmt: skip
        server = Server(folder / "data", config=config, arguments=("--listen", f"127.0.0.1:{port}"))
        server.start(timeout=60)
        stack.callback(server.kill)
        stack.enter_context(named(port))
        spki = pair.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        chromium = stack.enter_context(
            browser(
                f"--host-resolver-rules=MAP {HOST} 127.0.0.1:{port}",
                f"--ignore-certificate-errors-spki-list={base64.b64encode(hashlib.sha256(spki).digest()).decode()}",
            )
        )
        team.found_acme(server)
        trust = ssl.create_default_context(cadata=root.pair.pem.decode())
        yield Studio(server, folder, chromium, camera, names, trust)


@contextlib.contextmanager
def named(port: int) -> Iterator[None]:
    """Let this process find the server under its name."""
    known = socket.getaddrinfo, socket.gethostname
    exec(NAMES.format(host=HOST, port=port), {})
    try:
        yield
    finally:
        socket.getaddrinfo, socket.gethostname = known


def at_the_directory(page: Page) -> None:
    page.wait_for_selector("#username")
    page.fill("#username", DIRECTORY[0])
    page.fill("#password", DIRECTORY[1])
    page.press("#password", "Enter")


def at_globex(page: Page, login: str) -> None:
    page.wait_for_selector("[name=login]")
    page.fill("[name=login]", login)
    page.fill("[name=password]", "any")
    page.press("[name=password]", "Enter")
    page.wait_for_selector("text=Authorize")


def owner_connects(studio: Studio, olga: Person, directory: SimpleSamlPhp) -> None:
    with studio.context() as context:
        page = context.new_page()
        studio.sign_in(page, olga)
        studio.open(page, SETTINGS, olga)
        studio.camera.take(page, "owner-1-sign-in")
        page.goto(f"{SETTINGS}/new?kind=saml")
        page.fill("[name=title]", "Acme directory")
        page.fill("[name=slug]", "acme-directory")
        page.set_input_files("[data-metadata-file]", files=[
            {"name": "idp.xml", "mimeType": "text/xml", "buffer": directory.metadata()}])  # fmt: skip
        page.wait_for_timeout(300)
        studio.camera.take(page, "owner-2-connect")
        page.click("text=Connect >> nth=-1")
        page.wait_for_selector("#addresses")
        here = page.url
        tell(studio, directory)
        studio.camera.take(page, "owner-3-addresses")
        for number, (group, role) in enumerate((("reviewers", "reviewer"), ("staff", "developer"))):
            page.fill(f"[name=group_{number}]", group)
            page.select_option(f"[name=role_{number}]", role)
        page.click("form[action$='/mapping'] button")
        page.wait_for_load_state()
        page.fill("#domain", "acme.example")
        page.click("button[value=claim]")
        page.wait_for_selector(".domain")
        studio.camera.take(page, "owner-4-groups", at="[aria-labelledby=mapping]", height=620)
        studio.camera.take(page, "owner-5-domain", at="[aria-labelledby=domains]", height=480)
        found = re.search(r"failgate-domain=[\w-]+", page.inner_text("main"))
        assert found is not None
        studio.names.texts["_failgate.acme.example."] = [found[0]]
        page.click("button[value=verify]")
        page.wait_for_selector("text=is verified")
        page.goto(f"{here}/test")
        at_the_directory(page)
        page.wait_for_selector("[data-verdict]")
        studio.camera.take(page, "owner-6-test")
        studio.texts["connection"] = here


def tell(studio: Studio, directory: SimpleSamlPhp) -> None:
    """Tell the directory of us, as an administrator enters the addresses there."""
    with studio.client() as client:
        directory.serve([entry_in(client.get("/sso/acme-directory/metadata").content)])


def by_saml(studio: Studio) -> None:
    with studio.context() as context:
        page = context.new_page()
        page.goto(f"{URL}/signin?next=/w/acme/queue")
        studio.camera.take(page, "saml-1-sign-in")
        page.click("[data-connection=acme-directory]")
        page.wait_for_selector("#username")
        studio.camera.take(page, "saml-2-provider", height=520)
        at_the_directory(page)
        page.wait_for_url(f"{URL}/w/acme/queue**")
        page.wait_for_selector("[data-detail] [data-argv]")
        studio.camera.take(page, "saml-3-queue")
        page.goto(f"{URL}/account")
        studio.camera.take(page, "saml-4-account")
        page.click("nav form[action='/signout'] button")
        page.wait_for_selector("text=You are signed out")
        studio.camera.take(page, "saml-5-signed-out", scheme="dark")


def by_oidc(studio: Studio, globex: OidcProvider) -> None:
    with studio.context() as context:
        page = context.new_page()
        page.goto(f"{URL}/signin?next=/w/acme/queue")
        page.click("text=Find the identity provider")
        page.fill("[name=email]", "ines@globex.example")
        page.click("text=Find my identity provider")
        page.wait_for_selector("[data-connection=globex]")
        studio.camera.take(page, "oidc-1-found")
        page.click("[data-connection=globex]")
        at_globex(page, "ines")
        studio.camera.take(page, "oidc-2-consent", height=290)
        page.click("[type=submit]")
        page.wait_for_url(f"{URL}/w/acme/**")
        page.wait_for_selector("[data-list]")
        studio.camera.take(page, "oidc-3-queue")
        page.goto(f"{URL}/account/sign-ins")
        studio.camera.take(page, "oidc-4-sign-ins")
        page.click("nav form[action='/signout'] button")
        page.wait_for_url(f"{globex.issuer}/**")
        page.click("[name=logout]")
        page.wait_for_selector("text=You are signed out")
        studio.camera.take(page, "oidc-5-signed-out")


def by_github(studio: Studio) -> None:
    paul = person(studio.server, "paul", "reviewer")
    with studio.context() as context:
        page = context.new_page()
        studio.sign_in(page, paul)
        page.goto(f"{URL}/account/sign-ins")
        studio.camera.take(page, "github-1-link")
        page.click("button[value=github]")
        page.wait_for_selector("[name=login]")
        page.fill("[name=login]", "theo")
        page.press("[name=login]", "Enter")
        page.wait_for_url(f"{URL}/account/sign-ins")
        studio.camera.take(page, "github-2-linked", scheme="dark")
    with studio.context() as context:
        page = context.new_page()
        page.goto(f"{URL}/signin?next=/w/acme/queue")
        page.click("[data-connection=github]")
        page.wait_for_selector("[name=login]")
        page.fill("[name=login]", "theo")
        page.press("[name=login]", "Enter")
        page.wait_for_selector("#code")
        studio.camera.take(page, "github-3-code")
        page.fill("#code", studio.code(paul))
        page.click("main form[action='/signin/code'] button")
        page.wait_for_selector("[data-detail] [data-argv]")
        studio.camera.take(page, "github-4-queue")


def by_passkey(studio: Studio) -> None:
    rene = person(studio.server, "rene", "reviewer", with_totp=False)
    with studio.context() as context:
        page = context.new_page()
        add_authenticator(page)
        studio.sign_in(page, rene)
        page.goto(f"{URL}/account/second-factor")
        studio.camera.take(page, "passkey-1-none")
        page.goto(f"{URL}/account/passkeys")
        page.fill("[name=name]", "Laptop")
        studio.camera.take(page, "passkey-2-add")
        page.click("main form[action='/account/passkeys'] button[type=submit]")
        page.wait_for_selector("[data-backup-codes]")
        studio.camera.take(page, "passkey-3-codes")
        page.click("text=I have kept them")
        page.goto(f"{URL}/account/second-factor")
        studio.camera.take(page, "passkey-4-account")
        page.click("nav form[action='/signout'] button")
        page.goto(f"{URL}/signin?next=/w/acme/queue")
        page.click("form[action='/signin/passkey'] button")
        page.wait_for_url(f"{URL}/w/acme/queue**")
        page.wait_for_selector("[data-detail] [data-approve]")
        studio.camera.take(page, "passkey-5-queue", scheme="dark")
        us = int((time.time() - 301) * 1e6)
        team.sql(studio.server, "UPDATE session SET second_factor_us = $1 WHERE account_id = $2", us, rene.id)
        restart(studio)
        page.goto(f"{URL}/account/password")
        page.wait_for_url(f"{URL}/account/step-up**")
        studio.camera.take(page, "passkey-6-step-up")
        page.click("form[action='/account/step-up/passkey'] button")
        page.wait_for_url(f"{URL}/account/password")


def restart(studio: Studio) -> None:
    """Start the server anew at its port; it reads its sessions again."""
    studio.server.stop()
    studio.server.start(timeout=60)


def by_device_flow(studio: Studio) -> None:
    dana = person(studio.server, "dana", "developer")
    login = subprocess.Popen(
        [sys.executable, "-m", "failgate", "login", URL],
        env=clean_environment(
            FAILGATE_HOME=str(studio.folder / "home"), FAILGATE_CA=str(studio.folder / "ca.pem"),
            PYTHONPATH=f"{studio.folder}:{clean_environment().get('PYTHONPATH', '')}",
        ),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert login.stdout is not None
        said, code = "", None
        while code is None:
            line = login.stdout.readline()
            assert line, said
            said += line
            code = CODE.search(line)
        with studio.context() as context:
            page = context.new_page()
            studio.sign_in(page, dana)
            studio.open(page, "/device", dana)
            page.fill("[name=user_code]", code[2])
            studio.camera.take(page, "device-1-code")
            page.click("main button[type=submit]")
            page.wait_for_selector("[data-user-code]")
            studio.camera.take(page, "device-2-confirm")
            page.check("[name=mine]")
            page.click("[data-approve-login]")
            page.wait_for_selector("text=The command line is signed in")
            studio.camera.take(page, "device-3-approved")
            studio.texts["login"] = said + login.communicate(timeout=40)[0]
            page.goto(f"{URL}/account/logins")
            page.wait_for_selector("[data-login]")
            studio.camera.take(page, "device-4-logins", scheme="dark")
    finally:
        login.kill()
        login.wait(10)


def deprovisioned(studio: Studio, olga: Person) -> None:
    here = studio.texts.pop("connection")
    with studio.context() as owners, studio.context() as theirs:
        page, mara = owners.new_page(), theirs.new_page()
        studio.sign_in(page, olga)
        studio.open(page, f"{here}/provisioning", olga)
        page.click("button[value=mint]")
        token = page.inner_text("[data-token]")
        page.goto(f"{here}/provisioning")
        page.fill("#email", "mara@acme.example")
        page.click("button[value=allow]")
        page.wait_for_load_state()
        with studio.client(authorization=f"Bearer {token}") as scim:
            user = provision(scim, "mara@acme.example", "Mara Lind")
            mara.goto(f"{URL}/sso/acme-directory/start?next=/w/acme/queue")
            mara.click("[data-ask]")
            at_the_directory(mara)
            mara.wait_for_selector("[data-detail] [data-argv]")
            mara.wait_for_selector("[data-state=live]")
            page.goto(f"{here}/provisioning")
            studio.camera.take(page, "scim-1-provisioning")
            page.goto(f"{URL}/w/acme/members")
            studio.camera.take(page, "scim-2-before")
            body = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": False}]}
            answer = scim.patch(f"/scim/v2/Users/{user}", json=body)
            assert answer.status_code == 200, answer.text
        mara.wait_for_timeout(1500)
        studio.camera.take(mara, "scim-3-their-page")
        page.goto(f"{URL}/w/acme/members")
        studio.camera.take(page, "scim-4-after")
        mara.goto(f"{URL}/sso/acme-directory/start?next=/w/acme/queue")
        mara.click("[data-ask]")
        mara.wait_for_selector("[data-reference]")
        studio.camera.take(mara, "scim-5-refused", scheme="dark")


def provision(scim: httpx.Client, email: str, name: str) -> str:
    """Make a person and put them into the group of reviewers; return the id."""
    made = scim.post("/scim/v2/Users", json={
        "schemas": [USER], "userName": email, "displayName": name, "active": True,
        "emails": [{"value": email, "type": "work", "primary": True}],
    })  # fmt: skip
    assert made.status_code == 201, made.text
    user = made.json()["id"]
    body = {"schemas": [GROUP], "displayName": "reviewers", "members": [{"value": user}]}
    assert scim.post("/scim/v2/Groups", json=body).status_code == 201
    return user


def demanded(studio: Studio, olga: Person) -> None:
    pia = person(studio.server, "pia", "developer", with_totp=False)
    with studio.context() as owners, studio.context() as theirs:
        page, other = owners.new_page(), theirs.new_page()
        studio.sign_in(other, pia)
        studio.sign_in(page, olga)
        studio.open(page, SETTINGS, olga)
        studio.camera.take(page, "enforce-1-off", at="[aria-labelledby=demand]", height=480)
        page.get_by_role("button", name="Require single sign-on").click()
        page.wait_for_selector("text=Stop requiring it")
        studio.camera.take(page, "enforce-2-on", at="[aria-labelledby=demand]", height=480)
        other.goto(f"{URL}/w/acme/queue")
        studio.camera.take(other, "enforce-3-their-page")
        page.get_by_role("button", name="Stop requiring it").click()
        page.wait_for_selector("text=Require single sign-on")


def in_trouble(studio: Studio, globex: OidcProvider) -> None:
    team.admin(studio.server, "user.create", email="omar@globex.example", password=PASSWORD)
    team.admin(studio.server, "user.disable", email="ines@globex.example")
    globex.say("omar", email="omar@globex.example", email_verified=True)
    with studio.context() as context:
        page = context.new_page()
        page.goto(f"{URL}/sso/globex/start")
        page.click("[data-ask]")
        page.click("text=[ Cancel ]")
        page.wait_for_selector("[data-reference]")
        studio.camera.take(page, "trouble-1-refused")
        page.goto(f"{URL}/link#fg_inv_nothing_nothing")
        studio.camera.take(page, "trouble-5-invitation")
        page.goto(f"{URL}/link#fg_rst_nothing_nothing")
        studio.camera.take(page, "trouble-6-reset")
    for login, name in (("omar", "2-account-exists"), ("ines", "3-switched-off"), ("nobody", "4-no-address")):
        with studio.context() as context:
            page = context.new_page()
            page.goto(f"{URL}/sso/globex/start")
            page.click("[data-ask]")
            at_globex(page, login)
            page.click("[type=submit]")
            page.wait_for_selector("[data-reference]")
            studio.camera.take(page, f"trouble-{name}", scheme="dark" if login == "ines" else "light")


def agents(studio: Studio, olga: Person, agent: str) -> None:
    with studio.context() as context:
        page = context.new_page()
        studio.sign_in(page, olga)
        here = f"{URL}/w/acme/agents/{agent}"
        page.goto(here)
        page.fill("#san", "spiffe://acme.example/deploy-bot")
        page.get_by_role("button", name="Add the name").click()
        page.wait_for_selector("[aria-label^='Revoke spiffe']")
        studio.camera.take(page, "agent-certificate")
