"""`failgate audit signer`: made, looked at, forgotten; a folder that is none is refused."""

import stat

import pytest

from failgate.audit.signing import KEY_FILE
from tests.journeys.harness import failgate


def run(*arguments: str) -> tuple[int, str]:
    done = failgate("audit", "signer", *arguments)
    return done.returncode, done.stdout + done.stderr


def test_a_new_signer_is_made_once_shown_and_given_a_key_that_waits(tmp_path):
    folder = tmp_path / "signer"
    place = ("--folder", str(folder))
    code, said = run("init", *place, "--origin", "failgate.example")
    assert (code, said) == (0, f"failgate.example: a signer in {folder}, which knows 0 signed heads\n")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()} == {0o600}
    assert run("init", *place)[0] != 0
    code, said = run("next-key", *place)
    assert (code, said) == run("next-key", *place)
    code, shown = run("show", *place)
    assert code == 0
    assert shown.splitlines()[0] == "origin failgate.example"
    assert shown.splitlines()[2] == f"next {said.split()[0]}"
    code, said = run("forget", *place, "--log", "system")
    assert (code != 0, "Nothing was signed of a log system" in said) == (True, True)


@pytest.mark.parametrize("verb", ["show", "next-key", "serve", "forget"])
def test_a_folder_without_a_signer_is_told_so(tmp_path, verb):
    more = {"serve": ("--socket", str(tmp_path / "s")), "forget": ("--log", "system")}.get(verb, ())
    code, said = run(verb, "--folder", str(tmp_path), *more)
    assert (code, f"There is no signer in {tmp_path}" in said) == (78, True), said


def test_what_makes_no_sense_is_refused(tmp_path):
    folder = str(tmp_path / "signer")
    for arguments, says in (
        (("init", "--folder", folder, "--origin", "has blank"), "--origin has blank"),
        (("init", "--folder", folder, "--from", str(tmp_path), "--origin", "a.example"), "for a new installation"),
        (("init", "--folder", folder, "--from", str(tmp_path)), "There is no Failgate in"),
        (("serve", "--folder", folder, "--socket", "s", "--peer", "nobody-of-that-name"), "There is no account"),
    ):
        code, said = run(*arguments)
        assert (code != 0, says in said) == (True, True), said
    assert not (tmp_path / "signer" / KEY_FILE).exists()
