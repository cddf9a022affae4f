"""Secrets of a manager: systemd's credentials, and what the manager's own client prints. ASVS 5.0 13.3.1."""

import base64
import os
import subprocess
from pathlib import Path

import pytest

from failgate.config import secret_sources
from failgate.config.secret_sources import secret_from

SECRET = "hunter2 with spaces"
PATH = {"PATH": os.environ["PATH"]}


def test_a_credential_is_read_where_systemd_put_it(tmp_path: Path) -> None:
    """As systemd.exec(5) says: a folder of the service's own, one file of mode 0400 for each."""
    (tmp_path / "db").write_text(SECRET)
    (tmp_path / "db").chmod(0o400)
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert secret_from({"credential": "db"}, env, tmp_path) == SECRET
    with pytest.raises(ValueError, match="No such file"):
        secret_from({"credential": "other"}, env, tmp_path)
    for name in ("..", "a/b", "/etc/passwd", ""):
        with pytest.raises(ValueError, match="name has letters"):
            secret_from({"credential": name}, env, tmp_path)


def test_what_a_vault_prints_is_the_secret(tmp_path: Path) -> None:
    """A real one: a file that only this certificate's key opens, decrypted by OpenSSL (CMS, RFC 5652)."""
    key, certificate, sealed = (tmp_path / name for name in ("key.pem", "certificate.pem", "sealed.cms"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:3072", "-nodes", "-subj", "/CN=vault", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    subprocess.run(
        ["openssl", "cms", "-encrypt", "-binary", "-aes256", "-outform", "PEM", "-out", sealed, certificate],
        input=SECRET.encode(), check=True, capture_output=True,
    )  # fmt: skip
    asked = ["openssl", "cms", "-decrypt", "-binary", "-inform", "PEM", "-in", str(sealed), "-inkey", str(key)]
    assert SECRET not in sealed.read_text()
    assert secret_from({"command": asked}, PATH, tmp_path) == SECRET
    key.write_text("no key any more")
    with pytest.raises(ValueError, match="the program openssl ended with"):
        secret_from({"command": asked}, PATH, tmp_path)


def test_the_program_gets_words_and_no_shell_no_input_and_this_environment(tmp_path: Path) -> None:
    hostile = "$(touch here); `touch here` | touch here"
    assert secret_from({"command": ["printf", "%s", hostile]}, PATH, tmp_path) == hostile
    assert secret_from({"command": ["sh", "-c", 'cat; printf %s "$TOKEN"']}, {**PATH, "TOKEN": "t"}, tmp_path) == "t"


def test_a_program_that_does_not_answer_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_sources, "COMMAND_SECONDS", 0.2)
    with pytest.raises(ValueError, match="did not answer within"):
        secret_from({"command": ["sleep", "30"]}, PATH, tmp_path)


def test_keys_may_be_had_from_there_too(tmp_path: Path) -> None:
    from failgate.base.secret import Secret, key_of

    (tmp_path / "k").write_text(base64.b64encode(bytes(range(32))).decode() + "\n")
    found = secret_from({"credential": "k"}, {"CREDENTIALS_DIRECTORY": str(tmp_path)}, tmp_path)
    assert key_of(Secret(found)) == bytes(range(32))
