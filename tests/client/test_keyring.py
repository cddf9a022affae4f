"""The files that this machine's tokens lie in: who may read them, what becomes of broken ones, writers at once. F9 E18"""

import json
import os
import stat
import threading
import time
from pathlib import Path

import pytest

from failgate.client.exits import NotConfigured
from failgate.client.keyring import (
    StoredLogin,
    forget_login,
    forget_token,
    store_login,
    store_token,
    stored_login,
    stored_token,
    write_private,
)
from failgate.client.settings import load_settings

HERE, THERE = "https://failgate.example", "https://other.example"
LOGIN = StoredLogin(HERE, "access", 2e9, "refresh")


def home(tmp_path: Path) -> str:
    return str(tmp_path / "home")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_are_for_this_user_alone_whatever_the_mask(tmp_path):
    before = os.umask(0)
    try:
        store_token(home(tmp_path), "secret", HERE)
        store_login(home(tmp_path), LOGIN)
    finally:
        os.umask(before)
    assert mode(tmp_path / "home") == 0o700
    assert {path.name: mode(path) for path in (tmp_path / "home").iterdir()} == {"token": 0o600, "logins.json": 0o600}


@pytest.mark.parametrize("name", ["token", "logins.json"])
@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o602, 0o777])
def test_a_file_that_others_can_touch_is_refused_with_the_mend(tmp_path, name, bits):
    folder = home(tmp_path)
    store_token(folder, "secret", HERE)
    store_login(folder, LOGIN)
    (tmp_path / "home" / name).chmod(bits)
    with pytest.raises(NotConfigured, match=f"{bits:04o}") as refused:
        _ = stored_token(folder, HERE) if name == "token" else stored_login(folder, HERE)
    assert "chmod 600" in (refused.value.hint or "")
    assert "secret" not in f"{refused.value} {refused.value.hint}"


@pytest.mark.parametrize("name", ["token", "logins.json"])
def test_what_is_no_file_of_ours_is_refused_and_never_waited_for(tmp_path, name):
    folder = tmp_path / "home"
    for make in (
        lambda path: os.mkfifo(path, 0o600),
        lambda path: path.mkdir(0o700),
        lambda path: path.symlink_to("/etc/hostname"),
    ):
        folder.mkdir()
        make(folder / name)
        began = time.monotonic()
        with pytest.raises(NotConfigured):
            _ = stored_token(str(folder), HERE) if name == "token" else stored_login(str(folder), HERE)
        assert time.monotonic() - began < 5
        folder.rename(tmp_path / f"gone-{os.urandom(4).hex()}")


BROKEN = {
    "nothing": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "half a file": json.dumps({HERE: {"access_token": "a"}}).encode(),
    "another kind": b'{"https://failgate.example": "x"}',
    "numbers too large": b'{"https://failgate.example": {"access_token": "a", "refresh_token": "r", "expires_at": 1'
    + b"0" * 400
    + b"}}",
    "a number for a token": b'{"https://failgate.example": {"access_token": 5, "refresh_token": "r", "expires_at": 1}}',
    "a header in a token": b'{"https://failgate.example": {"access_token": "a\\r\\nX: y", "refresh_token": "r", "expires_at": 1}}',
    "a header in a key": b'{"https://failgate.example": {"access_token": "a", "refresh_token": "r", "expires_at": 1, "retry_key": "a\\r\\nX: y"}}',
    "a number for a key": b'{"https://failgate.example": {"access_token": "a", "refresh_token": "r", "expires_at": 1, "retry_key": 7}}',
    "no text": b"\xff\xfe\x00",
    "deep": b"[" * 100_000,
    "too much": b" " * (1 << 20) + b"{}",
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_of_logins_is_named_and_left_alone(tmp_path, what):
    folder = tmp_path / "home"
    write_private(str(folder), "logins.json", BROKEN[what])
    for use in (
        lambda: stored_login(str(folder), HERE),
        lambda: store_login(str(folder), LOGIN),
        lambda: forget_login(str(folder), HERE),
    ):
        with pytest.raises(NotConfigured) as refused:
            use()
        assert "X: y" not in str(refused.value)
    assert (folder / "logins.json").read_bytes() == BROKEN[what]


@pytest.mark.parametrize("content", [b"", b"\n", b"a b\n", b"caf\xc3\xa9\n", b"x" * 9000, b"a\x00b"])
def test_a_broken_token_file_is_refused_without_showing_it(tmp_path, content):
    write_private(home(tmp_path), "token", content)
    with pytest.raises(NotConfigured, match="no usable token"):
        stored_token(home(tmp_path), HERE)


def test_a_time_that_is_no_number_counts_as_over(tmp_path):
    write_private(home(tmp_path), "logins.json", json.dumps(
        {HERE: {"access_token": "a", "refresh_token": "r", "expires_at": float("nan")}}
    ).encode())  # fmt: skip
    login = stored_login(home(tmp_path), HERE)
    assert login is not None
    assert login.is_due()


def test_a_login_is_due_a_little_before_its_end():
    now = time.time()
    assert [LOGIN._replace(expires_at=now + left).is_due() for left in (-1, 0, 25, 40)] == [True, True, True, False]


def test_logins_are_kept_by_server_and_each_is_forgotten_alone(tmp_path):
    folder, other = home(tmp_path), LOGIN._replace(url=THERE, refresh_token="other", retry_key="k" * 32)
    store_login(folder, LOGIN)
    store_login(folder, other)
    assert (stored_login(folder, HERE), stored_login(folder, THERE)) == (LOGIN, other)
    assert forget_login(folder, HERE) == LOGIN
    assert forget_login(folder, HERE) is None
    assert (stored_login(folder, HERE), stored_login(folder, THERE)) == (None, other)


def test_nothing_that_is_kept_for_one_server_goes_to_another(tmp_path):
    """FAILGATE_URL may come from a checkout; the token does not follow it."""
    folder = home(tmp_path)
    store_login(folder, LOGIN)
    store_token(folder, "secret", HERE)
    for url, token in ((HERE, "access"), (THERE, None), (f"{HERE}:8443", None), ("http://failgate.example", None)):
        settings = load_settings({"FAILGATE_HOME": folder, "FAILGATE_URL": url})
        assert settings.token == token, url
        assert (settings.login is None) is (token is None)
    forget_login(folder, HERE)
    assert load_settings({"FAILGATE_HOME": folder, "FAILGATE_URL": f"{HERE}/"}).token == "secret"
    assert load_settings({"FAILGATE_HOME": folder, "FAILGATE_URL": THERE}).token is None


def test_a_token_that_a_person_wrote_is_for_every_server(tmp_path):
    write_private(home(tmp_path), "token", b"secret\n")
    assert (stored_token(home(tmp_path), HERE), stored_token(home(tmp_path), THERE)) == ("secret", "secret")
    assert (forget_token(home(tmp_path)), forget_token(home(tmp_path))) == (True, False)


def test_writers_at_once_leave_one_whole_file_and_nothing_beside_it(tmp_path):
    folder = home(tmp_path)
    writers = [threading.Thread(target=store_token, args=(folder, f"token{n}" * 500, HERE)) for n in range(16)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    token = stored_token(folder, HERE)
    assert token in {f"token{n}" * 500 for n in range(16)}
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["token"]


def test_a_rest_of_an_earlier_process_is_in_nobodys_way(tmp_path):
    """A process of the same number died between the new file and its name."""
    (tmp_path / "home").mkdir(0o700)
    (tmp_path / "home" / f"token.{os.getpid()}.new").write_text("old")
    store_token(home(tmp_path), "secret", HERE)
    assert stored_token(home(tmp_path), HERE) == "secret"


def test_a_folder_that_takes_no_file_is_named_and_keeps_no_half_of_one(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotConfigured, match="cannot be written"):
        store_token(str(tmp_path / "file"), "secret", HERE)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NotConfigured, match="No space left"):
        store_login(home(tmp_path), LOGIN)
    assert list((tmp_path / "home").iterdir()) == []
