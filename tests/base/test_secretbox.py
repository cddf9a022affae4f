import os
import stat
from pathlib import Path

import pytest

from failgate.base.errors import Conflict, FailgateError, StartRefused
from failgate.base.secretbox import SecretBox


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets.key"
    first = SecretBox.open(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_size == 32
    sealed = first.seal(b"secret", purpose="totp", owner="ann")
    assert SecretBox.open(path).unseal(sealed, purpose="totp", owner="ann") == b"secret"
    assert [entry.name for entry in tmp_path.iterdir()] == ["secrets.key"]


def test_a_sealed_value_opens_for_its_purpose_and_owner_alone(tmp_path: Path) -> None:
    box = SecretBox.open(tmp_path / "secrets.key")
    sealed = box.seal(b"secret", purpose="totp", owner="ann")
    for purpose, owner in (("totp", "bob"), ("other", "ann"), ("totp:ann", ""), ("tot", "p:ann")):
        with pytest.raises(FailgateError):
            box.unseal(sealed, purpose=purpose, owner=owner)


def test_a_changed_byte_anywhere_is_noticed(tmp_path: Path) -> None:
    box = SecretBox.open(tmp_path / "secrets.key")
    sealed = box.seal(b"secret", purpose="totp", owner="ann")
    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(FailgateError):
            box.unseal(changed, purpose="totp", owner="ann")
    for cut in (b"", sealed[:1], sealed[:13], sealed[:-1]):
        with pytest.raises(FailgateError):
            box.unseal(cut, purpose="totp", owner="ann")


def test_another_key_does_not_open_it(tmp_path: Path) -> None:
    sealed = SecretBox.open(tmp_path / "a.key").seal(b"secret", purpose="totp", owner="ann")
    with pytest.raises(FailgateError, match=r"secrets\.key"):
        SecretBox.open(tmp_path / "b.key").unseal(sealed, purpose="totp", owner="ann")


def test_sealing_twice_gives_different_bytes(tmp_path: Path) -> None:
    box = SecretBox.open(tmp_path / "secrets.key")
    assert len({box.seal(b"x", purpose="p", owner="o") for _ in range(100)}) == 100


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_can_read_refuses_the_start(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secrets.key"
    SecretBox.open(path)
    path.chmod(mode)
    with pytest.raises(StartRefused, match="chmod 600"):
        SecretBox.open(path)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_length_refuses_the_start(tmp_path: Path, size: int) -> None:
    path = tmp_path / "secrets.key"
    path.write_bytes(os.urandom(size))
    path.chmod(0o600)
    with pytest.raises(StartRefused, match="32"):
        SecretBox.open(path)


def test_a_link_or_a_missing_folder_refuses_the_start(tmp_path: Path) -> None:
    SecretBox.open(tmp_path / "real.key")
    (tmp_path / "secrets.key").symlink_to(tmp_path / "real.key")
    with pytest.raises(StartRefused):
        SecretBox.open(tmp_path / "secrets.key")
    with pytest.raises(StartRefused):
        SecretBox.open(tmp_path / "absent" / "secrets.key")


def test_a_key_that_is_kept_elsewhere_leaves_no_file_and_opens_what_the_file_s_key_sealed(tmp_path: Path) -> None:
    path, key = tmp_path / "secrets.key", os.urandom(32)
    sealed = SecretBox.given(key, path).seal(b"secret", purpose="totp", owner="ann")
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(key)
    path.chmod(0o600)
    assert SecretBox.open(path).unseal(sealed, purpose="totp", owner="ann") == b"secret"
    assert SecretBox.given(key, path).unseal(sealed, purpose="totp", owner="ann") == b"secret"
    with pytest.raises(StartRefused, match=r"another key than that of .*secrets\.key"):
        SecretBox.given(os.urandom(32), path)


def test_a_given_key_stands_beside_no_other_one(tmp_path: Path) -> None:
    path = tmp_path / "secrets.key"
    box = SecretBox.given(b"k" * 32, path)
    sealed = box.seal(b"secret", purpose="totp", owner="ann")
    SecretBox.open(path)
    with pytest.raises(StartRefused, match=r"another key than that of"):
        SecretBox.given(b"k" * 32, path)
    assert SecretBox.given(path.read_bytes(), path).mark != box.mark
    path.unlink()
    path.mkdir()
    with pytest.raises(StartRefused, match=r"cannot be read"):
        SecretBox.given(b"k" * 32, path)
    with pytest.raises(Conflict, match=r"secrets manager"):
        box.begin()
    path.rmdir()
    later = SecretBox.given(b"l" * 32, path, previous=b"k" * 32)
    assert later.mark_before == box.mark
    assert later.unseal(sealed, purpose="totp", owner="ann") == b"secret"
    assert not later.is_current(sealed, purpose="totp", owner="ann")
    assert later.finish() is None  # its file is none of ours
    assert later.mark_before is None
    with pytest.raises(FailgateError):
        later.unseal(sealed, purpose="totp", owner="ann")


def test_a_new_key_that_cannot_be_kept_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    box = SecretBox.open(folder / "secrets.key")
    before = box.mark
    (folder / "secrets.key").unlink()
    folder.rmdir()
    with pytest.raises(StartRefused, match=r"secrets.key.next cannot be made"):
        box.begin()
    assert (box.mark, box.mark_before) == (before, None)


def test_a_new_key_seals_at_once_and_the_old_one_opens_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "secrets.key"
    box = SecretBox.open(path)
    old, before = path.read_bytes(), box.mark
    sealed = box.seal(b"secret", purpose="totp", owner="ann")
    assert box.is_current(sealed, purpose="totp", owner="ann")
    assert (box.mark_before, box.finish()) == (None, None)
    box.begin()
    after = box.mark
    assert (box.mark_before, after == before) == (before, False)
    box.begin()  # again: goes on with the same
    assert box.mark == after
    assert SecretBox.open(path).mark == after  # a start in between goes on too
    assert not box.is_current(sealed, purpose="totp", owner="ann")
    fresh = box.seal(b"new", purpose="totp", owner="ann")
    kept = box.finish()
    assert kept is not None
    assert (tmp_path / kept).read_bytes() == old
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(["secrets.key", kept])
    reopened = SecretBox.open(path)
    assert (reopened.mark, reopened.mark_before) == (after, None)
    assert reopened.unseal(fresh, purpose="totp", owner="ann") == b"new"
    with pytest.raises(FailgateError):
        reopened.unseal(sealed, purpose="totp", owner="ann")
