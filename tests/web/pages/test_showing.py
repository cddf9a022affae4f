"""Every template with hostile values: it compiles, escapes, and holds nothing that the content security policy refuses."""

import re
from collections.abc import Callable
from dataclasses import asdict, replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from failgate.web.pages import account_view as account
from failgate.web.pages import exporters_view as exporters
from failgate.web.pages import factor_view as factors
from failgate.web.pages import members_view as members
from failgate.web.pages import people_view as people
from failgate.web.pages import platform_view as platform
from failgate.web.pages.audit_filter import AuditFilter
from failgate.web.pages.audit_view import SavedLine, Shown, audit_view
from failgate.web.pages.device_view import CodeView, LoginLine, LoginsView
from failgate.web.pages.frame import Frame
from failgate.web.pages.queue_view import command_page_view, commands_view, queue_view
from failgate.web.pages.report_view import ReportsView
from failgate.web.pages.sso_view import RefusedView
from failgate.web.pages.text import moment
from failgate.web.pages.why_view import FIELDS, AgentChoice, WhyView, answer_view
from failgate.web.render import render, templates
from failgate.wire.gate import Explanation, Finding, Risk

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
NAMES = sorted(name for name in templates().list_templates() if name.endswith(".html"))
VOID = {"meta", "link", "input", "br", "hr", "img"}


class Reader(HTMLParser):
    """Reads a page as a browser would: its elements, their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def find(self, name: str) -> list[dict[str, str]]:
        return [attributes for _, attributes in self.elements if name in attributes]


Pages = dict[str, str]


@pytest.fixture
def pages(make_command: Any, make_frame: Callable[..., Frame], now_us: int) -> Pages:
    """Every page, made of values that a hostile agent and a hostile colleague chose."""
    evil = make_command(
        [EVIL, EVIL * 40, "\u202e", *["x"] * 120],
        reason=EVIL,
        agent=EVIL,
        why=EVIL,
        env={"A": EVIL},
        votes=[(EVIL, "approve")],
        need=2,
    )
    ended = make_command([EVIL], state="executed", verdict="approve", by=[EVIL], outcome=1, votes=[(EVIL, "approve")])
    frame, at = make_frame(email=EVIL, is_demo=True), moment(now_us, now_us)

    def queue(selected: Any, standing: Any, waiting: list[Any]) -> Any:
        return queue_view(
            waiting, [ended], selected,
            now_us=now_us, standing=standing, viewer="me", is_chosen=True, is_full=False, report_id=EVIL,
            server_url="http://127.0.0.1:1",
        )  # fmt: skip

    story = command_page_view(
        ended, now_us=now_us, standing="role", viewer=EVIL, is_full=False, report_id=EVIL, may_read_audit=True
    )
    rec = {
        "seq": 1,
        "act": EVIL,
        "actor": {"t": EVIL, "id": EVIL},
        "obj": {"t": EVIL, "id": EVIL},
        "data": {EVIL: EVIL},
        "ts": "2026-01-01T00:00:00Z",
    }
    log = audit_view(
        [Shown(rec, EVIL, EVIL, {"ip": EVIL, EVIL: EVIL})],
        slug="acme",
        size=1,
        checkpoint=f"{EVIL}\n1\n{EVIL}\n",
        names={},
        asked=AuditFilter(EVIL, EVIL, EVIL, EVIL, EVIL),
        older=1,
        problem=EVIL,
        saved=(SavedLine(EVIL, EVIL, EVIL, True, False, True),),
        is_first=False,
        now_us=now_us,
    )
    agent = people.AgentLine("a", EVIL, EVIL, EVIL, at, False, at)
    token = people.TokenLine("t", EVIL, EVIL, at, at, True, at, EVIL, (EVIL, EVIL))
    options = (people.Choice(EVIL, EVIL, EVIL, True), people.Choice(EVIL, EVIL))
    member = people.MemberLine("m", EVIL, "owner", EVIL, False, True, True, at)
    fact = platform.Fact(EVIL, EVIL, EVIL)
    user = platform.UserLine("u", EVIL, at, at, 2, True, True, True, False, False)
    exporter = exporters.ExporterCard(
        EVIL,
        True,
        EVIL,
        1,
        (exporters.PositionLine(EVIL, 1, 2),),
        1,
        EVIL,
        at,
        2,
        (exporters.RefusedLine(EVIL, 1, EVIL, 3, at, True), exporters.RefusedLine(EVIL, 1, EVIL, 3, at, False)),
        1,
    )
    witness = exporters.WitnessCard(EVIL, EVIL, EVIL, 1, (exporters.PositionLine(EVIL, 1, 2),), 1, EVIL, EVIL, at, at)
    said = Explanation("ask", [Finding(EVIL, "ask", EVIL, 1, 80, [EVIL])], EVIL, 1, Risk(80, [EVIL]), "two", [EVIL])
    explained = answer_view({"argv": [EVIL, "\u202e"], "cwd": EVIL, "host": EVIL}, said, EVIL, is_line=True)
    given: dict[str, tuple[str, Any]] = {
        "queue": ("queue.html", queue(evil, "vote", [evil])),
        "queue enrol": ("queue.html", queue(evil, "enrol", [evil])),
        "queue prove": ("queue.html", queue(evil, "prove", [evil])),
        "queue role": ("queue.html", queue(evil, "role", [evil])),
        "queue voted": ("queue.html", queue(evil, "voted", [evil])),
        "queue own": ("queue.html", queue(evil, "own", [evil])),
        "queue ended": ("queue.html", queue(ended, "vote", [])),
        "queue empty": ("queue.html", queue(None, "vote", [])),
        "queue panes": ("queue/panes.html", queue(evil, "vote", [evil])),
        "command": ("command.html", story),
        "commands": ("commands.html", commands_view([evil, ended], "n", slug="acme", state=None, now_us=now_us, viewer=EVIL)),
        "commands none": ("commands.html", commands_view([], None, slug="acme", state="denied", now_us=now_us, viewer=EVIL)),
        "why": ("why.html", WhyView("/w/acme/settings/rules", dict.fromkeys(FIELDS, EVIL), (AgentChoice(EVIL, EVIL),), EVIL, EVIL)),
        "why answered": ("why.html", WhyView("/w/acme/settings/rules", dict.fromkeys(FIELDS, EVIL), (), answer=explained)),
        "reports none": ("reports.html", ReportsView((), None, {"text": EVIL})),
        "audit": ("audit.html", log),
        "signin": ("signin.html", account.SignInView(EVIL, EVIL, EVIL, EVIL)),
        "code": ("signin_code.html", account.CodeView(EVIL, EVIL, "123456")),
        "link": ("signin_link.html", account.LinkView(EVIL, EVIL)),
        "open link": ("link.html", account.LinkPageView(EVIL)),
        "setup": ("setup.html", account.SetupView(EVIL, EVIL, EVIL, EVIL, EVIL)),
        "account": ("account.html", account.AccountView("a1", EVIL, False, 1)),
        "sessions": ("sessions.html", account.SessionsView((account.SessionLine("s", EVIL, EVIL, at, at, True, True),))),
        "sessions all": ("sessions.html", account.SessionsView((account.SessionLine("s", EVIL, EVIL, at, at, True, True),) * 2, (account.DeviceLine("d", EVIL, EVIL, at, at, at, True),) * 2, (LoginLine("l", EVIL, EVIL, EVIL, EVIL, at, at, at),), 30)),
        "logins": ("logins.html", LoginsView((LoginLine("l", EVIL, EVIL, EVIL, EVIL, at, at, at),))),
        "device": ("device.html", CodeView(EVIL, EVIL)),
        "device none": ("device.html", CodeView(has_factor=False, provider=EVIL)),
        "step up refused": ("sso_refused.html", RefusedView(EVIL, EVIL, EVIL, EVIL, "corp", "/account/step-up", "/device", True)),
        "factor none": ("second_factor.html", factors.SecondFactorView(next_path=EVIL)),
        "factor begun": ("second_factor.html", factors.SecondFactorView(secret_groups=("ABCD",), qr_uri="data:image/svg+xml,x", error=EVIL)),
        "factor again": ("second_factor.html", factors.SecondFactorView(is_confirming=True, error=EVIL)),
        "factor codes": ("second_factor.html", factors.SecondFactorView(backup_codes=("a-b", "c-d"), next_path=EVIL)),
        "factor set": ("second_factor.html", factors.SecondFactorView(authenticator=factors.AuthenticatorLine(at, at), passkeys=(factors.PasskeyLine("p", EVIL, "", at, None),), codes_left=3)),
        "passkeys": ("passkeys.html", factors.PasskeysView((factors.PasskeyLine("p", EVIL, EVIL, at, at),), suggested_name=EVIL, error=EVIL, next_path=EVIL)),
        "passkeys none": ("passkeys.html", factors.PasskeysView(why_no_passkeys=EVIL)),
        "passkeys codes": ("passkeys.html", factors.PasskeysView(backup_codes=("a-b", "c-d"))),
        "step up": ("step_up.html", account.StepUpView(EVIL, EVIL, "123456", takes_passkey=True, provider=EVIL)),
        "code passkey": ("signin_code.html", account.CodeView(EVIL, takes_passkey=True, trust_days=30)),
        "signin passkey": ("signin.html", account.SignInView(EVIL, takes_passkey=True)),
        "devices": ("devices.html", account.DevicesView((account.DeviceLine("d", EVIL, EVIL, at, at, at, True),) * 2, 30)),
        "devices none": ("devices.html", account.DevicesView((), 30)),
        "devices off": ("devices.html", account.DevicesView((), 0)),
        "password": ("password.html", account.PasswordView(error=EVIL)),
        "password changed": ("password.html", account.PasswordView(is_changed=True)),
        "news": ("account.html", account.AccountView("a1", EVIL, True, 2, True, 1, 1, news=(account.NewsLine("s", EVIL, EVIL, at),))),
        "overview": ("overview.html", account.OverviewView((account.WorkspaceTile("acme", EVIL, "owner", "queue", 2),), False)),
        "overview none": ("overview.html", account.OverviewView((), True)),
        "agents": ("agents.html", people.AgentsView((agent, replace(agent, model=None, used=None)), may_change=True)),
        "agents none": ("agents.html", people.AgentsView((), may_change=True)),
        "agents reader": ("agents.html", people.AgentsView(())),
        "agent": ("agent.html", people.AgentView(agent, (token,), (people.CertificateLine("c", "URI", EVIL, at),), True, options, options, options, True, EVIL, EVIL)),
        "agent reader": ("agent.html", people.AgentView(agent, (), (), False, (), (), (), False)),
        "agent new": ("agent_new.html", people.NewAgentView(options, EVIL, EVIL, EVIL)),
        "members": ("members.html", members.MembersView((member,), (members.InvitationLine("i", EVIL, "admin", at, at), members.InvitationLine("i", None, "admin", at, at)), True, (members.ReviewerLine(EVIL, 40, 40, 100, "1.0 s", is_stamp=True),))),
        "members reader": ("members.html", members.MembersView((member,))),
        "member": ("member.html", people.MemberView(member, options, (EVIL, EVIL), True, True, EVIL)),
        "member owner": ("member.html", people.MemberView(member, (), (), False, False)),
        "invite": ("invite.html", people.InviteView(options, True, False, EVIL, EVIL)),
        "accept": ("accept.html", people.AcceptView(EVIL, EVIL, "admin", EVIL, None, None, True, EVIL, EVIL)),
        "accept bound": ("accept.html", people.AcceptView(EVIL, EVIL, "admin", EVIL, EVIL, None, False)),
        "accept other": ("accept.html", people.AcceptView(EVIL, EVIL, "admin", EVIL, EVIL, "x" + EVIL, True)),
        "accept own": ("accept.html", people.AcceptView(EVIL, EVIL, "admin", EVIL, EVIL, EVIL, True)),
        "reset ask": ("reset.html", people.ResetView("ask", error=EVIL, email=EVIL)),
        "reset off": ("reset.html", people.ResetView("ask", is_by_mail=False)),
        "reset sent": ("reset.html", people.ResetView("sent", email=EVIL)),
        "reset choose": ("reset.html", people.ResetView("choose", token=EVIL, email=EVIL, error=EVIL)),
        "reset done": ("reset.html", people.ResetView("done")),
        "keys": ("keys.html", people.KeysView((token,), True)),
        "keys none": ("keys.html", people.KeysView((), True)),
        "keys nowhere": ("keys.html", people.KeysView((), False)),
        "key new": ("key_new.html", people.NewKeyView(options * 2, EVIL, "owner", options, options, EVIL, EVIL, True, EVIL)),
        "shown": ("shown.html", people.ShownView(EVIL, EVIL, EVIL, EVIL, "/", EVIL)),
        "settings": ("settings.html", people.SettingsView(EVIL, "acme", "w", at, (EVIL,), True, "/", EVIL, True)),
        "settings reader": ("settings.html", people.SettingsView(EVIL, "acme", "w", at, (EVIL, EVIL), False)),
        "platform": ("platform.html", platform.InstallationView("1", at, (fact,), (platform.CheckLine(EVIL, EVIL), platform.CheckLine(EVIL, None)), (fact,), platform.MailLine(True, EVIL, 1, 2, 3, EVIL, at), False, ("m",))),
        "platform well": ("platform.html", platform.InstallationView("1", at, (), (), (), platform.MailLine(False, "", 0, 0, 0, None, None), True, ("m",))),
        "platform plugins": ("platform_plugins.html", platform.PluginsView((platform.PluginLine(EVIL, EVIL, EVIL, EVIL, EVIL, EVIL), platform.PluginLine(EVIL, EVIL, EVIL, EVIL, EVIL)))),
        "platform exporters": ("platform_exporters.html", exporters.ExportersView((exporter, replace(exporter, failure=None, is_proven=False, refused=()), replace(exporter, failure=None, lag=None)), EVIL)),
        "platform witnesses": ("platform_exporters.html", exporters.ExportersView((), None, (witness, replace(witness, conflict=None), replace(witness, conflict=None, failure=None), replace(witness, conflict=None, failure=None, lag=None, behind=(), more=0, cosigned=None)), 2, EVIL, exporters.ReconciledCard(1, at, (EVIL,), 1), (exporters.TriedLine(EVIL, "cosigned", EVIL), exporters.TriedLine(EVIL, "failed", EVIL)))),
        "platform exporters none": ("platform_exporters.html", exporters.ExportersView(())),
        "platform connections": ("platform_connections.html", platform.ConnectionsView((platform.ConnectionLine(EVIL, EVIL, EVIL, EVIL),))),
        "platform connections none": ("platform_connections.html", platform.ConnectionsView(())),
        "platform users": ("platform_users.html", platform.UsersView((user, replace(user, seen=None, has_second_factor=False)), EVIL, 2, 1, "/")),
        "platform users none": ("platform_users.html", platform.UsersView((), EVIL, 2, 0, None)),
        "platform user": ("platform_user.html", platform.UserView(user, True, EVIL, EVIL)),
        "platform user self": ("platform_user.html", platform.UserView(replace(user, is_self=True), False)),
        "platform user disabled": ("platform_user.html", platform.UserView(replace(user, is_disabled=True, seen=None), False)),
        "error": ("error.html", {"title": EVIL, "status": 404, "sentence": EVIL, "hint": EVIL, "request_id": EVIL}),
    }  # fmt: skip
    return {name: render(template, frame=frame, view=view) for name, (template, view) in given.items()}


@pytest.mark.parametrize("name", NAMES)
def test_every_template_compiles_and_stays_short(name: str) -> None:
    templates().get_template(name)
    source = files("failgate.web").joinpath("templates", name).read_text()
    assert len(source.splitlines()) <= 150


@pytest.mark.parametrize("name", NAMES)
def test_no_template_switches_escaping_off(name: str) -> None:
    """Only our own drawings are inserted as they are."""
    source = files("failgate.web").joinpath("templates", name).read_text()
    assert "autoescape" not in source
    assert "Markup" not in source
    assert name == "parts/icons.html" or not re.search(r"\|\s*safe\b", source)


def test_hostile_text_stays_text_on_every_page(pages: Pages) -> None:
    """SECURITY section 4: HTML and fake page parts in what an agent sends."""
    for name, text in pages.items():
        assert "<script>alert" not in text, name
        assert "<img src=x" not in text, name
        for tag, attributes in Reader(text).elements:
            assert not [key for key in attributes if key.startswith("on")], f"{name}: {tag} {attributes}"


def test_no_page_holds_what_the_policy_refuses(pages: Pages) -> None:
    """No inline style, no inline handler, no script without the nonce, nothing from elsewhere."""
    for name, text in pages.items():
        for tag, attributes in Reader(text).elements:
            assert "style" not in attributes, f"{name}: {tag}"
            assert tag not in {"style", "iframe", "object", "embed", "base"}, f"{name}: {tag}"
            if tag == "script" or attributes.get("rel") == "stylesheet":
                assert attributes.get("nonce") == "NONCE", f"{name}: {tag}"
                assert (attributes.get("src") or attributes.get("href", "")).startswith("/static/"), f"{name}: {tag}"
            for key in ("src", "href", "action"):
                value = attributes.get(key, "/")
                assert value.startswith(("/", "#", "?", "data:image/svg+xml")) or value == EVIL, (
                    f"{name}: {tag} {key}={value}"
                )
                assert not value.startswith("//")


def test_every_element_is_closed_in_its_place(pages: Pages) -> None:
    for name, text in pages.items():
        assert Reader(text).open == [], name


def test_no_identifier_stands_twice_on_a_page(pages: Pages) -> None:
    for name, text in pages.items():
        found = [attributes["id"] for attributes in Reader(text).find("id")]
        assert len(found) == len(set(found)), name


def test_every_form_that_changes_something_carries_its_token(pages: Pages) -> None:
    for name, text in pages.items():
        for form in re.findall(r"<form[^>]*method=\"post\".*?</form>", text, re.DOTALL):
            assert 'name="csrf_token" value="CSRF"' in form, name


def test_every_field_has_a_label(pages: Pages) -> None:
    """WCAG 2.2, 1.3.1 and 4.1.2."""
    for name, text in pages.items():
        reader = Reader(text)
        labelled = {attributes.get("for") for tag, attributes in reader.elements if tag == "label"}
        for tag, attributes in reader.elements:
            if tag == "input" and attributes.get("type") != "hidden":
                assert attributes.get("id") in labelled, f"{name}: {attributes}"


def test_each_child_of_the_command_is_one_token(pages: Pages, make_command: Any) -> None:
    """CONTRACT, Pages: `data-argv`; the text of each child is the rendering, and nothing but it."""
    inside = pages["queue"].partition("data-argv")[2].partition('<div class="slate-foot')[0]
    tokens = re.findall(r'<span class="token[^>]*>(.*?)</span>\s*(?=<span class="token|</div>)', inside, re.DOTALL)
    shown = ["".join(Reader(f"<p>{token}</p>").text) for token in tokens]
    assert shown == make_command([EVIL, EVIL * 40, "\u202e", *["x"] * 120]).rendering


def test_collapsed_text_blocks_the_approval_until_it_is_shown(pages: Pages) -> None:
    reader = Reader(pages["queue"])
    assert reader.find("data-collapsed")
    assert "disabled" in reader.find("data-approve")[0]
    assert "disabled" not in reader.find("data-deny")[0]


@pytest.mark.parametrize(
    "name", ["queue enrol", "queue prove", "queue role", "queue own", "queue voted", "queue ended"]
)
def test_whoever_may_not_vote_now_gets_no_button(pages: Pages, name: str) -> None:
    assert not Reader(pages[name]).find("data-approve")


def test_the_pages_show_the_way_to_a_second_factor(pages: Pages) -> None:
    assert 'href="/account/second-factor?next=/w/acme/queue%3Fc%3D' in pages["queue enrol"]
    assert 'href="/account/step-up?next=/w/acme/queue%3Fc%3D' in pages["queue prove"]


def test_the_account_is_marked_for_programs(pages: Pages) -> None:
    found = Reader(pages["account"]).find("data-account-id")
    assert (found[0]["data-account-id"], found[0]["data-account-email"]) == ("a1", EVIL)


def test_the_demo_says_so_and_shows_its_code(pages: Pages) -> None:
    assert "throw-away data" in pages["signin"]
    assert "123456" in pages["code"]


def test_a_link_preview_does_not_use_the_link_up(pages: Pages) -> None:
    forms = [attributes for tag, attributes in Reader(pages["link"]).elements if tag == "form"]
    assert [(form["method"], form["action"]) for form in forms] == [("post", "/signin/link")]


def test_a_frame_keeps_its_values(make_frame: Callable[..., Frame]) -> None:
    assert asdict(make_frame())["csrf_token"] == "CSRF"


def test_a_password_is_masked_and_a_password_manager_may_fill_it_in() -> None:
    """ASVS 6.2.6, 6.2.7: every field for the password of an account; no script hears of a paste."""
    fields: list[str] = []
    for name in NAMES:
        source = files("failgate.web").joinpath("templates", name).read_text()
        fields += re.findall(r'<input[^>]*\bname="(?:password|current)"[^>]*>', source)
    assert len(fields) >= 6
    for field in fields:
        assert 'type="password"' in field, field
        assert re.search(r'autocomplete="(?:current|new)-password"', field), field
    for name, text in _scripts().items():
        assert not re.search(r"[\"']paste[\"']|onpaste", text), name


def test_scripts_keep_nothing_of_a_workspace_in_the_browser() -> None:
    """ASVS 14.3.3: the theme, and whether notifications are on; cookies are the server's."""
    kept = set()
    for name, text in _scripts().items():
        assert not re.search(r"sessionStorage|indexedDB|document\.cookie|\bcaches\.", text), name
        kept |= {(name, what) for what in re.findall(r"localStorage\.setItem\(([^)]*)\)", text)}
    assert kept == {("theme.js", "KEY, theme"), ("notify.js", 'KEPT, "off"'), ("notify.js", 'KEPT, "on"')}
    keeping = re.compile(r"sessionStorage|localStorage|indexedDB|document\.cookie|\bcaches\.")
    folder = Path(str(files("failgate.web").joinpath("static")))
    found = [one.relative_to(folder).as_posix() for one in folder.glob("*/*.js") if keeping.search(one.read_text())]
    assert found == ["sealed/device.js"]  # a reviewer's own keys, which no script can take out


def test_scripts_reach_no_prototype_by_a_name_that_comes_from_outside() -> None:
    """ASVS 15.3.6: what is looked up by a key, a word of an answer or an address is in a Map; nothing is merged or set by name."""
    for name, text in _scripts().items():
        code = re.sub(r"^\s*(?://|\*|/\*).*$", "", text, flags=re.MULTILINE)
        merges = (
            r"Object\.(?:assign|defineProperty|setPrototypeOf|fromEntries)|Reflect\.|__proto__|\.prototype|\bin event\b"
        )
        assert not re.search(rf"{merges}|\bfor \((?:const|let|var) \w+ in ", code), name
        assert not re.search(r"\}\)?\[(?!\])", code), f"{name}: a literal is looked up by a name"
        tables = re.findall(r"\b(?:const|let) (\w+) = \{", code)
        assert [one for one in tables if re.search(rf"\b{one}(?:\?\.)?\[", code)] == [], name
        assert not re.search(r"[\w)\]]\[(?![\d\"'])[^\]]*\]\s*(?:\|\||&&|\?\?)?=(?![=>])", code), (
            f"{name}: a member is set by a name"
        )


def _scripts() -> dict[str, str]:
    folder = files("failgate.web").joinpath("static")
    return {one.name: one.read_text() for one in folder.iterdir() if one.name.endswith(".js")}
