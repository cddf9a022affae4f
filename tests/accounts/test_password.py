import asyncio
import unicodedata

import argon2
import pytest

from failgate.accounts.password import MAX_WAITING, Passwords, check_new_password
from failgate.base.errors import BadInput, TooManyRequests

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


def test_fourteen_characters_in_nfd_do_not_count_as_more() -> None:
    with pytest.raises(BadInput, match="14 characters"):
        check_new_password(unicodedata.normalize("NFD", "äöüäöü pq rstv"), EMAIL)


async def test_the_same_letters_in_another_normal_form_fit(passwords: Passwords) -> None:
    stored = await passwords.hash(unicodedata.normalize("NFC", "Größe über Länge"))
    assert (await passwords.verify(stored, unicodedata.normalize("NFD", "Größe über Länge"))).fits


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
    assert (cost.memory_cost, cost.time_cost, cost.parallelism, cost.hash_len, cost.salt_len) == (8, 1, 1, 32, 16)
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
