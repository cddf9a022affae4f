"""The client's half of the device flow, against a server that answers as a test says. F9 F10"""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from failgate.client import login as flow
from failgate.client.exits import DENIED, EXPIRED, NotConfigured, Refused, Unreachable
from failgate.client.http import Api
from failgate.client.keyring import StoredLogin, store_login, stored_login
from failgate.client.login import NotApproved, renewed, sign_in, sign_out
from failgate.client.settings import Settings, load_settings

BEGUN = {
    "device_code": "dc",
    "user_code": "BCDF-GHJK",
    "verification_uri": "https://x/device",
    "expires_in": 600,
    "interval": 5,
}
Said = tuple[int, Any]


def error(word: str, status: int = 400) -> Said:
    return status, {"error": word}


def tokens(number: int = 1) -> Said:
    return 200, {
        "access_token": f"access{number}",
        "refresh_token": f"refresh{number}",
        "expires_in": 600,
        "token_type": "Bearer",
    }


class Office:
    """What the server answers at each path, in order (the last for ever), and what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Said | None]] = {
            "/oauth/device_authorization": [(200, BEGUN)],
            "/oauth/revoke": [(200, {})],
        }
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.lock = threading.Lock()
        self.url = ""

    def fields(self, path: str) -> list[dict[str, str]]:
        return [fields for asked, fields, _ in self.asked if asked == path]


@pytest.fixture
def office() -> Iterator[Office]:
    office = Office()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            with office.lock:
                fields = {name: values[0] for name, values in parse_qs(body).items()}
                office.asked.append((self.path, fields, dict(self.headers)))
                answers = office.answers[self.path]
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if answer is None:  # taken, and the answer is lost
                self.close_connection = True
                return
            content = json.dumps(answer[1]).encode()
            self.send_response(answer[0])
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    office.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield office
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def settings(office: Office, tmp_path: Path) -> Settings:
    return load_settings({"FAILGATE_HOME": str(tmp_path / "home"), "FAILGATE_URL": office.url})


def kept(settings: Settings) -> StoredLogin | None:
    return stored_login(settings.folder, settings.url)


def keep(settings: Settings, **changes: Any) -> StoredLogin:
    login = StoredLogin(settings.url, "access0", time.time() + 600, "refresh0")._replace(**changes)
    with flow.locked(settings.folder):
        store_login(settings.folder, login)
    return login


def enter(settings: Settings) -> tuple[StoredLogin, list[float], list[str]]:
    slept: list[float] = []
    said: list[str] = []
    return sign_in(settings, said.append, sleep=slept.append), slept, said


def test_a_login_is_kept_when_a_person_approved_and_the_pace_is_the_servers(office, settings):
    pending, faster = error("authorization_pending"), error("slow_down")
    office.answers["/oauth/token"] = [pending, faster, (429, {"error": "x"}), None, (503, {}), tokens()]
    login, slept, said = enter(settings)
    assert kept(settings) == login
    assert (login.access_token, login.refresh_token) == ("access1", "refresh1")
    assert slept == [5, 5, 10, 15, 15, 20]
    assert "BCDF-GHJK" in said[0]
    assert office.fields("/oauth/token")[0]["device_code"] == "dc"


@pytest.mark.parametrize(("interval", "first"), [(0, 1), (-1, None), (0.2, 1), (7, 7), ("5", None), (None, None)])
def test_no_server_makes_the_client_ask_without_a_pause(office, settings, interval, first):
    office.answers["/oauth/device_authorization"] = [(200, BEGUN | {"interval": interval})]
    office.answers["/oauth/token"] = [tokens()]
    if first is None:
        with pytest.raises(Unreachable, match="interval"):
            enter(settings)
        return
    assert enter(settings)[1] == [first]


@pytest.mark.parametrize(
    ("word", "code"), [("access_denied", DENIED), ("expired_token", EXPIRED), ("invalid_grant", EXPIRED)]
)
def test_who_is_not_let_in_keeps_nothing(office, settings, word, code):
    office.answers["/oauth/token"] = [error("authorization_pending"), error(word)]
    with pytest.raises(NotApproved) as refused:
        enter(settings)
    assert refused.value.exit_code == code
    assert kept(settings) is None


@pytest.mark.parametrize(
    "spoiled",
    [
        {"device_code": "a\r\nX: y"},
        {"user_code": None},
        {"verification_uri": "\x1b[2J"},
        {"expires_in": True},
        {"device_code": "x" * 9000},
    ],
)
def test_an_answer_that_is_none_ends_it(office, settings, spoiled):
    office.answers["/oauth/device_authorization"] = [(200, BEGUN | spoiled)]
    with pytest.raises(Unreachable):
        enter(settings)
    assert kept(settings) is None


def test_a_new_login_ends_the_one_before_and_one_at_another_server_stays(office, settings):
    keep(settings)
    other = StoredLogin("https://other.example", "a", 1.0, "r")
    store_login(settings.folder, other)
    office.answers["/oauth/token"] = [tokens()]
    enter(settings)
    assert [each["token"] for each in office.fields("/oauth/revoke")] == ["refresh0"]
    assert stored_login(settings.folder, other.url) == other


def test_a_login_is_renewed_before_it_runs_out_and_the_call_goes_on(office, settings):
    keep(settings, expires_at=time.time() + 5)
    office.answers["/oauth/token"] = [tokens(7)]
    office.answers["/api/v1/whoami"] = [(200, {"id": "me"})]
    fresh = load_settings({"FAILGATE_HOME": settings.folder, "FAILGATE_URL": settings.url})
    with Api(fresh) as api:
        assert api.call("POST", "/api/v1/whoami", {}).content == {"id": "me"}
    assert office.asked[-1][2]["Authorization"] == "Bearer access7"
    assert office.fields("/oauth/token")[0]["refresh_token"] == "refresh0"
    found = kept(settings)
    assert found is not None
    assert (found.refresh_token, found.retry_key) == ("refresh7", None)


def test_a_refresh_token_that_has_expired_ends_the_login_here_and_says_how_to_get_another(office, settings):
    login = keep(settings, expires_at=0.0)
    office.answers["/oauth/token"] = [error("invalid_grant")]
    with pytest.raises(NotConfigured, match="has ended") as ended:
        renewed(settings, login)
    assert f"failgate login {settings.url}" in (ended.value.hint or "")
    assert kept(settings) is None
    with pytest.raises(NotConfigured, match="has ended"):
        renewed(settings, login)
    assert len(office.fields("/oauth/token")) == 1  # it is asked for once


@pytest.mark.parametrize("said", [(429, {"error": "temporarily_unavailable"}), (503, {}), error("server_error", 500)])
def test_a_server_that_cannot_renew_now_ends_no_login(office, settings, said):
    login = keep(settings, expires_at=0.0)
    office.answers["/oauth/token"] = [said]
    with pytest.raises((Refused, Unreachable)):
        renewed(settings, login)
    found = kept(settings)
    assert found is not None
    assert found.refresh_token == "refresh0"
    office.answers["/oauth/token"] = [tokens(2)]
    assert renewed(settings, login).access_token == "access2"
    keys = [headers.get("Idempotency-Key") for path, _, headers in office.asked if path == "/oauth/token"]
    assert len(set(keys)) == 1  # a repetition, not a second use of the refresh token
    assert keys[0] == found.retry_key


def test_an_answer_that_is_lost_is_asked_for_again_under_the_same_key(office, settings):
    login = keep(settings, expires_at=0.0)
    office.answers["/oauth/token"] = [None, tokens(3)]
    assert renewed(settings, login).refresh_token == "refresh3"
    keys = {headers["Idempotency-Key"] for path, _, headers in office.asked if path == "/oauth/token"}
    assert len(keys) == 1


def test_of_many_that_renew_at_once_one_does(office, settings):
    login = keep(settings, expires_at=0.0)
    office.answers["/oauth/token"] = [tokens(4), error("invalid_grant")]  # a second use would end the family
    got: list[str] = []
    threads = [threading.Thread(target=lambda: got.append(renewed(settings, login).access_token)) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert got == ["access4"] * 8
    assert len(office.fields("/oauth/token")) == 1


def test_who_signs_out_while_the_server_is_away_is_out_here_and_is_told(settings, tmp_path):
    away = settings._replace(url="http://127.0.0.1:9")
    keep(away)
    assert sign_out(away, away.url) is False
    assert kept(away) is None
    assert sign_out(away, away.url) is None


def test_who_signs_out_ends_the_login_at_its_own_server_alone(office, settings):
    keep(settings)
    assert sign_out(settings, "https://other.example") is None
    assert office.asked == []
    assert sign_out(settings, settings.url) is True
    assert [each["token"] for each in office.fields("/oauth/revoke")] == ["refresh0"]


def test_a_folder_that_is_none_is_named(settings, tmp_path):
    (tmp_path / "plain").write_text("x")
    with pytest.raises(NotConfigured, match="cannot be used"), flow.locked(str(tmp_path / "plain")):
        pass


def test_the_lock_is_no_way_to_another_file(settings, tmp_path):
    folder = Path(settings.folder)
    folder.mkdir()
    (tmp_path / "target").write_text("x")
    (folder / flow.LOCK_FILE).symlink_to(tmp_path / "target")
    with pytest.raises(NotConfigured, match="cannot be used"), flow.locked(settings.folder):
        pass
