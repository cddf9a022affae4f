"""Signing this machine in and out by the command line. F17 F19 F20."""

import stat
from pathlib import Path
from typing import Any

from tests.client.wire_server import TOKEN

GITHUB = "ghp_" + "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfTa1b2"


def test_login_keeps_the_token_for_this_user_alone_and_logout_forgets_it(
    failgate: Any, environment: dict[str, str], tmp_path: Path
) -> None:
    del environment["FAILGATE_TOKEN"], environment["FAILGATE_WORKSPACE"]
    done = failgate("login", "--token-stdin", stdin=None, input=TOKEN + "\n")
    assert done.returncode == 0, done.stderr
    kept = tmp_path / "home" / "token"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert "agent builder" in failgate("whoami").stdout
    assert failgate("run", "--", "true").returncode == 0
    failgate("logout")
    assert not kept.exists()
    assert failgate("whoami").returncode == 78


def test_login_with_a_token_that_the_server_refuses_keeps_nothing(
    failgate: Any, environment: dict[str, str], tmp_path: Path
) -> None:
    del environment["FAILGATE_TOKEN"]
    done = failgate("login", "--token-stdin", stdin=None, input="fg_usr_wrong\n")
    assert done.returncode == 78
    assert not (tmp_path / "home" / "token").exists()


def test_a_misspelt_setting_of_the_client_is_named(failgate: Any, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "client.toml").write_text('uplaod = "never"\n')
    done = failgate("run", "--", "true")
    assert done.returncode == 78
    assert 'Did you mean "upload"?' in done.stderr
