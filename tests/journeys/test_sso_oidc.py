"""Signing in through OpenID providers of their own processes, at a real server. E23 B4"""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from tests.journeys import team
from tests.journeys.harness import NewDatabase, Server, at_port
from tests.journeys.sso import MockProvider, NameServer, callback_of, connection, mock_provider, start, travel, way_back
from tests.journeys.team import Visitor, form, person, sign_in, stranger

SIGN_IN = "/w/acme/settings/sign-in"
REFUSED = "The sign-in did not work"


@pytest.fixture(scope="module")
def provider() -> Iterator[MockProvider]:
    with mock_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def server(
    new_database: NewDatabase,
    provider: MockProvider,
    second: MockProvider,
    names: NameServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("sso")
    (folder / "secret").write_text("not-so-secret\n")
    config = f'[sso]\nresolvers = ["127.0.0.1:{names.port}"]\nrsa_bits = 2048\n' + "".join(
        connection(
            slug, ("reviewers", "reviewer"), ("admins", "admin"), protocol="oidc", title=slug.capitalize(), issuer=issuer,
            client_id="failgate", client_secret=folder / "secret", domains=["corp.example"], **more,
        )
        for slug, issuer, more in (
            ("corp", provider.url, {"trusted_methods": ["mfa"]}),
            ("rival", second.url, {"listed": False}),
        )
    )  # fmt: skip
    with team.served(at_port(Server(folder / "data", database_url=new_database(), config=config))) as server:
        team.found_acme(server)
        yield server


@pytest.fixture(scope="module")
def owner(server: Server) -> Iterator[Visitor]:
    with sign_in(server, person(server, "olga", "owner")) as client:
        yield client


def role_of(client: Visitor) -> str | None:
    found = client.get("/api/v1/whoami").json()["workspaces"]
    return next((one["role"] for one in found if one["workspace"] == "acme"), None)


def is_signed_in(client: Visitor) -> bool:
    return client.get("/api/v1/whoami").status_code == 200


def reasons(owner: Visitor) -> list[str]:
    """The reasons that stand in the log of the workspace, newest first."""
    return re.findall(r"sso\.refused</span></td><td class=\"wrap\">(\w+)", owner.get(SIGN_IN).text)


def claims(name: str, *groups: str, **more: object) -> dict[str, object]:
    return {"email": f"{name}@corp.example", "email_verified": True, "groups": list(groups), **more}


def test_a_person_of_the_domain_gets_an_account_and_the_role_of_their_group(
    server: Server, provider: MockProvider
) -> None:
    provider.person("ann", **claims("Ann", "reviewers", "others"))
    with stranger(server) as client:
        shown = client.get("/signin").text
        assert "Continue with Corp" in shown
        assert "Continue with Rival" not in shown
        page = start(client, "corp", "/w/acme/queue", subject="ann")
        assert (page.status_code, page.url.path) == (200, "/w/acme/queue"), page.text
        assert role_of(client) == "reviewer"
        assert 'data-account-email="ann@corp.example"' in client.get("/account").text


def test_roles_follow_the_groups_at_each_sign_in(server: Server, provider: MockProvider) -> None:
    held = []
    for groups in (("reviewers",), ("admins", "reviewers"), ("strangers",), ("reviewers",)):
        provider.person("ben", **claims("ben", *groups))
        with stranger(server) as client:
            page = start(client, "corp", "/", subject="ben")
            held.append(role_of(client))
            assert ("gives a role in a workspace here" in page.text) == (held[-1] is None)
    assert held == ["reviewer", "admin", None, "reviewer"]


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ({"email": None}, "did not say which e-mail address"),
        ({"email_verified": False}, "does not vouch"),
        ({"email": "eve@elsewhere.example"}, "no account of this server belongs to you"),
        ({"email": "eve@sub.corp.example"}, "no account of this server belongs to you"),
        ({"email": "eve@corp.example@evil.example"}, "."),
        ({"email": "owner@corp.example\u200b"}, "."),
    ],
)
def test_who_cannot_have_an_account_reads_what_to_do(
    server: Server, provider: MockProvider, said: dict[str, object], what: str
) -> None:
    given = {name: value for name, value in (claims("eve", "admins") | said).items() if value is not None}
    provider.person("eve", **given)
    with stranger(server) as client:
        page = start(client, "corp", subject="eve")
        assert page.status_code == 403
        assert what in page.text
        assert not is_signed_in(client)


def test_a_provider_does_not_take_over_an_account_by_its_address(server: Server, provider: MockProvider) -> None:
    """A second provider, or the first, that asserts the address of an account signs nobody in."""
    team.admin(server, "user.create", email="fay@corp.example", password=team.PASSWORD)
    provider.person("not-fay", **claims("fay", "admins"))
    with stranger(server) as client:
        page = start(client, "corp", subject="not-fay")
        assert page.status_code == 403
        assert "link this sign-in on your account page" in page.text
        assert not is_signed_in(client)


def test_a_second_provider_with_the_first_ones_subject_and_address_does_not_get_in(
    server: Server, provider: MockProvider, second: MockProvider
) -> None:
    provider.person("gus", **claims("gus", "reviewers"))
    second.person("gus", **claims("gus", "admins"))
    with stranger(server) as client, stranger(server) as rival:
        assert start(client, "corp", subject="gus").status_code == 200
        assert start(rival, "rival", subject="gus").status_code == 403
        assert not is_signed_in(rival)
        assert role_of(client) == "reviewer"


def test_an_account_links_a_sign_in_and_unlinks_it(server: Server, provider: MockProvider) -> None:
    who = person(server, "hal", "developer")
    provider.person("hal-there", **claims("hal"))
    with sign_in(server, who) as client:
        left = form(client, "/account/sign-ins", connection="corp")
        assert left.status_code == 200, left.text
        page = travel(client, left, "hal-there")
        assert (page.status_code, page.url.path) == (200, "/account/sign-ins"), page.text
        assert "as hal@corp.example" in page.text
        with stranger(server) as other:
            start(other, "corp", subject="hal-there")
            assert 'data-account-email="hal@acme.example"' not in other.get("/account").text  # its code is due
            assert other.get("/account").url.path == "/account"
        unlink = re.search(r'action="(/account/sign-ins/[^"]+/unlink)"', page.text)
        assert unlink is not None
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert token is not None
        assert client.post(unlink[1], data={"csrf_token": token[1]}).status_code == 303
        assert "as hal@corp.example" not in client.get("/account/sign-ins").text
    with stranger(server) as other:
        assert start(other, "corp", subject="hal-there").status_code in {200, 403}


def test_nobody_is_linked_who_was_linked_before(server: Server, provider: MockProvider) -> None:
    provider.person("ida", **claims("ida"))
    with stranger(server) as client:
        start(client, "corp", subject="ida")
    with sign_in(server, person(server, "jon", "developer")) as client:
        page = travel(client, form(client, "/account/sign-ins", connection="corp"), "ida")
        assert page.status_code == 403
        assert "belongs to another account" in page.text


def test_two_tabs_are_two_sign_ins_and_the_back_button_is_told_what_to_do(
    server: Server, provider: MockProvider
) -> None:
    provider.person("kim", **claims("kim", "reviewers"))
    with stranger(server) as client:
        first, later = (
            client.get("/sso/corp/start", params={"next": f"/w/acme/{room}"}) for room in ("queue", "commands")
        )
        assert travel(client, later, "kim").url.path == "/w/acme/commands"
        callback = callback_of(client, first, "kim")
        assert travel(client, client.get(callback), "kim").url.path == "/w/acme/queue"
        again = client.get(callback)
        assert again.status_code == 403
        assert REFUSED in again.text
        assert "second tab or the back button" in again.text
        assert "data-reference" in again.text


def test_an_answer_of_another_browser_signs_nobody_in(server: Server, provider: MockProvider) -> None:
    """Login CSRF: the attacker's own answer, brought to the victim's browser."""
    provider.person("mal", **claims("mal"))
    with stranger(server) as attacker, stranger(server) as victim:
        callback = callback_of(attacker, attacker.get("/sso/corp/start"), "mal")
        victim.get("/sso/corp/start")
        answer = victim.get(callback)
        assert answer.status_code == 403
        assert REFUSED in answer.text
        assert not is_signed_in(victim)
        assert start(attacker, "corp", subject="mal").status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?state=x",
        "?state=x&code=y",
        "?error=access_denied&state=x",
        "?state=%00",
        "?a=1&a=2",
        "?state=" + "x" * 9000,
    ],
)
def test_an_answer_to_nothing_gets_the_one_page(server: Server, query: str) -> None:
    with stranger(server) as client:
        answers = [client.get(f"/sso/corp/callback{query}"), client.get("/sso/corp/callback?state=other&code=z")]
        bodies = [
            re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|nonce=\"[^\"]+\"|content=\"[^\"]{20,}\"", "", one.text)
            for one in answers
        ]
        assert [one.status_code for one in answers] == [403, 403]
        assert bodies[0] == bodies[1]


def test_a_cancelled_consent_is_told_what_to_do(server: Server) -> None:
    with stranger(server) as client:
        left = client.get("/sso/corp/start")
        state = re.search(r"state=([^&]+)", left.headers["location"])
        assert state is not None
        answer = client.get("/sso/corp/callback", params={"error": "access_denied", "state": state[1]})
        assert answer.status_code == 403
        assert "Try again" in answer.text


FOREIGN = [
    "https://evil.example/", "//evil.example/", "/\\evil.example", "\\\\evil.example", "/%2fevil.example", "/%5cevil.example",
    "/..//evil.example", "/.//evil.example", "javascript:alert(1)", "data:text/html,x", " //evil.example", "\t//evil.example",
    "/\t/evil.example", "/\n/evil.example", "http:evil.example", "///evil.example", "////evil.example", "https:///evil.example",
    "/@evil.example:\\", "%2f%2fevil.example", "/%0d%0aLocation:%20https://evil.example", "", "evil.example", "?next=//evil.example",
    "/\x00/evil.example", "/\u2028/evil.example", "//evil.example%2f..", "/\\/evil.example", "\\/evil.example", "/%2F%2Fevil.example",
]  # fmt: skip


def test_nobody_is_sent_to_another_site_afterwards(server: Server, provider: MockProvider) -> None:
    provider.person("lea", **claims("lea", "reviewers"))
    with stranger(server) as client:
        start(client, "corp", subject="lea")
        for text in FOREIGN:
            callback = callback_of(client, client.get("/sso/corp/start", params={"next": text}), "lea")
            place = way_back(client.get(callback))
            assert place.startswith("/"), text
            assert not place.startswith(("//", "/\\", "/%2f", "/%5c")), text
            assert "evil" not in place or place.startswith("/@") or "?" in place or "%0d" in place, (text, place)


def test_a_trusted_method_is_a_second_factor(server: Server, provider: MockProvider, owner: Visitor) -> None:
    """A vote needs a second factor: the provider's counts where the connection trusts it, and only then."""
    agent = team.admin(server, "agent.create", workspace="acme", name="asks", owner="olga@acme.example")
    voted = []
    for subject, methods in (("oto", ["pwd"]), ("nat", ["pwd", "mfa"])):
        provider.person(subject, **claims(subject, "reviewers", amr=methods))
        with stranger(server, origin=server.url) as client, team.program(server, agent["token"]) as asking:
            start(client, "corp", subject=subject)
            voted.append(team.vote(client, team.ask(asking)).status_code)
    assert voted == [403, 200]


def test_a_disabled_account_is_not_signed_in(server: Server, provider: MockProvider) -> None:
    provider.person("pia", **claims("pia", "reviewers"))
    with stranger(server) as client:
        start(client, "corp", subject="pia")
        assert is_signed_in(client)
        team.admin(server, "user.disable", email="pia@corp.example")
        assert not is_signed_in(client)
        assert start(client, "corp", subject="pia").status_code == 403
        assert not is_signed_in(client)


def test_an_owner_connects_tests_and_demands_single_sign_on(
    server: Server, provider: MockProvider, names: NameServer, owner: Visitor
) -> None:
    """E24: the pages of the owner, from nothing to a workspace that is entered through its provider alone."""
    provider.person("quinn", email="quinn@team.example", email_verified=True, groups=["dev", "night"])
    made = form(
        owner, f"{SIGN_IN}/new?kind=oidc", to=SIGN_IN, kind="oidc", title="Team ID", slug="team-id",
        issuer=provider.url, client_id="failgate", client_secret="s",
    )  # fmt: skip
    assert made.status_code == 303, made.text
    here = made.headers["location"]
    page = owner.get(here).text
    assert "/sso/team-id/callback" in page
    with stranger(server) as client:
        assert "no account of this server" in start(client, "team-id", subject="quinn").text
    trial = travel(owner, owner.get(f"{here}/test"), "quinn")
    assert trial.status_code == 200, trial.text
    assert "no verified domain" in trial.text
    assert "quinn@team.example" in trial.text
    form(owner, here, to=f"{here}/mapping", group_0="dev", role_0="developer", group_1="night", role_1="reviewer",
         default_role="", trusted_methods="")  # fmt: skip
    claimed = form(owner, here, to=f"{here}/domains", action="claim", domain="Team.Example")
    record = re.search(r"failgate-domain=[\w-]+", claimed.text)
    domain_id = re.search(r'name="domain_id" value="([^"]+)"', claimed.text)
    assert record is not None
    assert domain_id is not None
    early = form(owner, here, to=f"{here}/domains", action="verify", domain_id=domain_id[1])
    assert early.status_code == 409
    names.texts["_failgate.team.example."] = [record[0]]
    verified = form(owner, here, to=f"{here}/domains", action="verify", domain_id=domain_id[1])
    assert "team.example is verified" in verified.text
    again = travel(owner, owner.get(f"{here}/test"), "quinn")
    assert "an account would be made" in again.text
    assert "reviewer" in again.text
    with stranger(server) as client:
        assert 'data-connection="team-id"' in form(client, "/signin/sso", email="anybody@team.example").text
        assert start(client, "team-id", "/w/acme/queue", subject="quinn").url.path == "/w/acme/queue"
        assert role_of(client) == "reviewer"
        team.admin(server, "workspace.create", workspace="other", owner="olga@acme.example")
        team.admin(server, "workspace.add_member", workspace="other", email="quinn@team.example", role="owner")
        assert client.get("/w/other/queue").status_code == 404  # confined to the workspace whose provider it is
        unlinked = form(client, "/account/sign-ins", connection="corp")
        assert unlinked.status_code == 403, "a confined session changes no account that reaches further"
        history = owner.get(here).text.partition('id="history"')[2]
        for act in ("sso.refused", "domain_not_covered", "sso_connection.created", "olga@acme.example"):
            assert act in history, act
        _enforced(server, owner, client)


def test_an_owner_reads_what_the_operator_has_to_set(
    new_database: NewDatabase, second: MockProvider, tmp_path: Path
) -> None:
    second.person("quinn", email="quinn@team.example", email_verified=True)
    closed = Server(tmp_path / "data", database_url=new_database())
    with team.served(at_port(closed, 'outbound_hosts = ["elsewhere.example"]')) as server:
        team.found_acme(server)
        with sign_in(server, person(server, "olga", "owner")) as owner:

            def tested(slug: str, issuer: str) -> str:
                made = form(
                    owner, f"{SIGN_IN}/new?kind=oidc", to=SIGN_IN, kind="oidc", title="Team ID", slug=slug,
                    issuer=issuer, client_id="failgate", client_secret="not-so-secret",
                )  # fmt: skip
                assert made.status_code == 303, made.text
                found = travel(owner, owner.get(f"{made.headers['location']}/test"), "quinn")
                assert "not-so-secret" not in found.text
                return unescape(found.text)

            page = tested("far", "https://id.acme.example")
            assert "The test could not begin" in page
            assert 'adds "id.acme.example" to outbound_hosts in [server]' in page
            assert "sets rsa_bits = 2048 in [sso]" in tested("short", second.url)
            with stranger(server) as client:
                said = start(client, "far", subject="quinn")
                assert (said.status_code, "reference" in said.text) == (403, True)
                assert "outbound_hosts" not in said.text
                assert "id.acme.example" not in said.text


def _enforced(server: Server, owner: Visitor, through_provider: Visitor) -> None:
    plain = person(server, "rita", "developer", with_totp=False)
    page = owner.get(SIGN_IN).text
    options = dict(re.findall(r'<option value="([^"]+)"[^>]*>([^<]+)</option>', page))
    ids = {email: account for account, email in options.items()}
    refused = form(owner, SIGN_IN, to=f"{SIGN_IN}/enforce", owner=ids["owner@acme.example"])
    assert refused.status_code == 400  # no second factor there
    with sign_in(server, plain) as client:
        assert client.get("/w/acme/queue").status_code == 200
        done = form(owner, SIGN_IN, to=f"{SIGN_IN}/enforce", owner=ids["olga@acme.example"])
        assert done.status_code == 200, done.text
        sent = client.get("/w/acme/queue")
        assert sent.headers["location"] == "/signin/sso?next=/w/acme/queue"
        assert 'data-connection="team-id"' in client.get(sent.headers["location"]).text
        answer = client.get(f"{team.WHERE}/commands", headers={"accept": "application/json"})
        assert (answer.status_code, team.slug(answer)) == (403, "sso-required")
    assert through_provider.get("/w/acme/queue").status_code == 200
    assert owner.get("/w/acme/queue").status_code == 200
    assert "break_glass.used" in owner.get("/w/acme/audit").text
    form(owner, SIGN_IN, to=f"{SIGN_IN}/release")
    with sign_in(server, plain) as client:
        assert client.get("/w/acme/queue").status_code == 200


def test_switching_a_connection_off_ends_its_sessions(server: Server, provider: MockProvider, owner: Visitor) -> None:
    provider.person("sam", email="sam@night.example", email_verified=True, groups=[])
    made = form(
        owner, f"{SIGN_IN}/new?kind=oidc", to=SIGN_IN, kind="oidc", title="Night", slug="night", issuer=provider.url,
        client_id="failgate", client_secret="s",
    )  # fmt: skip
    here = made.headers["location"]
    with sign_in(server, person(server, "tom", "developer")) as client:
        travel(client, form(client, "/account/sign-ins", connection="night"), "sam")
    with stranger(server) as client:
        page = start(client, "night", subject="sam")
        assert page.url.path == "/signin/code"  # tom has a second factor here
        session = client.cookies["fg_session"]
        form(owner, here, to=f"{here}/switch", action="disable")
        assert client.get("/signin/code").headers["location"].startswith("/signin")
        assert client.get("/sso/night/start").status_code == 404
        assert session
        form(owner, here, to=f"{here}/switch", action="enable")
        removed = form(owner, here, to=f"{here}/remove", slug="night")
        assert "Night is removed" in removed.text
        assert owner.get(here).status_code == 404
        assert client.get("/sso/night/start").status_code == 404
