"""`failgate admin`, through the running server and without one."""

import json
from pathlib import Path

import pyotp
import pytest

from failgate.base.data_folder import hold_data_folder
from tests.journeys.harness import Server, failgate

PASSWORD = "a long and plain passphrase"


@pytest.fixture(params=["through the server", "without a server"])
def place(request: pytest.FixtureRequest, tmp_path: Path):
    data = tmp_path / "data"
    if request.param == "without a server":
        yield data
        return
    server = Server(data).start()
    yield data
    assert server.stop() == 0


def admin(data: Path, *words: str, stdin: str | None = None):
    end = words.index("--") if "--" in words else len(words)
    return failgate("admin", *words[:end], "--json", "--data", str(data), *words[end:], stdin=stdin)


def answer(data: Path, *words: str, stdin: str | None = None) -> dict:
    result = admin(data, *words, stdin=stdin)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_a_script_sets_up_a_workspace(place: Path) -> None:
    """B4 E19 E25: the whole set-up by script, with the names that scripts hold on to."""
    made = answer(
        place, "bootstrap", "--email", "o@acme.example", "--workspace", "acme", "--password-stdin", stdin=PASSWORD
    )
    assert set(made) == {"user", "workspace", "api_key"}
    assert made["api_key"].startswith("fg_usr_")
    user = answer(
        place, "user", "create", "--email", "r@acme.example", "--password-stdin", "--with-totp", stdin=PASSWORD
    )
    assert len(pyotp.TOTP(user["totp_secret"]).now()) == 6
    answer(place, "workspace", "add-member", "--workspace", "acme", "--email", "r@acme.example", "--role", "reviewer")
    agent = answer(place, "agent", "create", "--workspace", "acme", "--name", "ci")
    assert agent["token"].startswith("fg_agt_")
    answer(place, "allow", "add", "--workspace", "acme", "--exact", "--", "git", "status", "--short")
    answer(place, "api-key", "create", "--email", "r@acme.example", "--workspace", "acme")
    answer(place, "platform-role", "grant", "--email", "o@acme.example")
    answer(place, "user", "disable", "--email", "r@acme.example")
    answer(place, "user", "enable", "--email", "r@acme.example")
    answer(place, "user", "set-password", "--email", "r@acme.example", "--password-stdin", stdin=PASSWORD + " anew")
    answer(place, "workspace", "create", "--workspace", "second", "--owner", "o@acme.example")


def test_the_keys_of_the_installation_are_changed_by_one_command_each(place: Path) -> None:
    # ASVS 5.0 11.2.2
    answer(place, "bootstrap", "--email", "o@acme.example", "--workspace", "acme", "--password-stdin", stdin=PASSWORD)
    answer(place, "user", "create", "--email", "r@acme.example", "--password-stdin", "--with-totp", stdin=PASSWORD)
    before = {name: (place / name).read_bytes() for name in ("secrets.key", "audit.key")}
    sealing = answer(place, "sealing-key", "rotate")
    assert (sealing["values"] >= 1, sealing["kept_as"]) == (True, f"secrets.key.{sealing['key_before']}")
    log = answer(place, "log-key", "rotate")
    assert log["vkey"].startswith("failgate-")
    for name, old in before.items():
        assert (place / name).read_bytes() != old
    assert failgate("audit", "verify", "--data", str(place)).returncode == 0


@pytest.mark.parametrize(
    ("words", "stdin", "says"),
    [
        (("bootstrap", "--email", "o@acme.example", "--workspace", "acme", "--password-stdin"), "short", "15"),
        (
            ("bootstrap", "--email", "nobody", "--workspace", "acme", "--password-stdin"),
            PASSWORD,
            "not an e-mail address",
        ),
        (
            ("bootstrap", "--email", "o@acme.example", "--workspace", "Not A Slug", "--password-stdin"),
            PASSWORD,
            "short name of a workspace",
        ),
        (("agent", "create", "--workspace", "absent", "--name", "x"), None, "no workspace absent"),
        (("user", "disable", "--email", "absent@acme.example"), None, "no account absent@acme.example"),
        (("user", "create", "--email", "o@acme.example", "--password-stdin"), "", "no password"),
    ],
)
def test_a_wrong_argument_is_named_and_changes_nothing(place: Path, words, stdin, says) -> None:
    if not place.exists():
        with hold_data_folder(place):
            pass  # as what was begun and stopped leaves it
    result = admin(place, *words, stdin=stdin)
    assert result.returncode != 0
    assert says in result.stderr
    assert result.stderr.startswith("failgate: ")
    assert "Traceback" not in result.stderr
    assert PASSWORD not in result.stderr


@pytest.mark.parametrize("is_there", [False, True], ids=["absent", "empty"])
def test_a_mistyped_folder_is_named_and_nothing_is_made_in_it(tmp_path: Path, is_there: bool) -> None:
    """What would be made there is a second Failgate, whose tokens are good for nothing."""
    folder = tmp_path / "typo"
    if is_there:
        folder.mkdir()
    created = ("agent", "create", "--workspace", "acme", "--name", "ci")
    for result in (admin(folder, *created), failgate("audit", "checkpoint", "--data", str(folder))):
        assert result.returncode == 78, result.stderr
        assert f"There is no Failgate in {folder}." in result.stderr
        assert "--data DIR" in result.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["typo"] * is_there


def test_a_half_done_bootstrap_leaves_no_account(place: Path) -> None:
    words = ("bootstrap", "--email", "o@acme.example", "--workspace", "admin", "--password-stdin")
    assert admin(place, *words, stdin=PASSWORD).returncode != 0
    good = ("bootstrap", "--email", "o@acme.example", "--workspace", "acme", "--password-stdin")
    assert answer(place, *good, stdin=PASSWORD)["workspace"] == "acme"


def test_a_socket_that_a_killed_server_left_is_no_obstacle(tmp_path: Path) -> None:
    server = Server(tmp_path / "data").start()
    server.kill()
    made = answer(
        server.data, "bootstrap", "--email", "o@acme.example", "--workspace", "acme", "--password-stdin", stdin=PASSWORD
    )
    assert made["workspace"] == "acme"
