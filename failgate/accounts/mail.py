"""Outgoing e-mail by SMTP: put in a line and sent behind the answers, never before them.

A letter that cannot be delivered is tried three times; what failed is counted, logged and recorded without address and
text, and kept for the operator's page. So is what is not sent when the server stops. Letters wait in memory only, for
their links are secrets that nothing else keeps: what waits when the process is killed is not sent; the record of the
invitation or of the reset stands, and whoever asked for it asks again.

Source: RFC 5321, RFC 8314 (TLS), RFC 6531 (addresses beyond ASCII).
"""

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import Final, Literal

from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, SYSTEM, Act, Event
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.errors import FailgateError, StorageUnavailable
from failgate.base.ids import new_id
from failgate.base.log import get_logger
from failgate.base.secret import Secret

MAX_WAITING: Final = 500  # letters; more are dropped and counted as failed
CLOSING_SECONDS: Final = 10.0
RETRY_SECONDS: Final = (2.0, 15.0)  # pauses before the second and the third try
Tls = Literal["starttls", "implicit", "none"]
log = get_logger("failgate.mail")


@dataclass(frozen=True, slots=True)
class Relay:
    """The SMTP server that takes our letters. `ca_file` replaces the machine's certificate authorities."""

    host: str
    port: int
    sender: str
    tls: Tls = "starttls"
    username: str | None = None
    password: Secret | None = None
    ca_file: Path | None = None
    timeout_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter. `purpose` is a word for the log: it holds neither the address nor the text."""

    to: str
    subject: str
    text: str
    purpose: str


class LetterRefused(FailgateError):
    """A letter was not taken; the sentence holds nothing that the other side wrote. Trying again may help or not."""

    slug = "letter-refused"
    status = 502
    title = "The letter was not sent"

    def __init__(self, sentence: str, *, is_final: bool) -> None:
        """Keep whether trying again is useless."""
        super().__init__(sentence)
        self.is_final = is_final


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Sends a letter now, for whoever keeps it until it is sent."""

    relay: Relay
    clock: Clock

    async def send(self, letter: Letter) -> None:
        """Return when the SMTP server has taken `letter`. Raises: LetterRefused."""
        try:
            await send_by(self.relay, letter, self.clock.now_us())
        except Exception as error:  # noqa: BLE001 - resolver, TLS, SMTP: their errors have no common class, and each is a letter to keep
            raise LetterRefused(f"The letter was not taken: {_sentence(error)}.", is_final=_is_final(error)) from None


@dataclass(frozen=True, slots=True)
class Standing:
    """How sending goes: letters sent and failed since the start, waiting now, and the last failure with its time."""

    is_configured: bool
    sent: int = 0
    failed: int = 0
    waiting: int = 0
    failure: str | None = None
    failed_us: int | None = None


class Mail:
    """Sends letters one after another, beside the answers."""

    def __init__(
        self,
        relay: Relay | None,
        clock: Clock,
        audit: AuditLog | None = None,
        *,
        retry_seconds: Sequence[float] = RETRY_SECONDS,
    ) -> None:
        """Send by `relay`; without one nothing is ever sent and `is_configured` is false. `audit` hears what failed."""
        self._relay = relay
        self._audit = audit
        self._recording: set[asyncio.Task[None]] = set()
        self._clock = clock
        self._retry_seconds = tuple(retry_seconds)
        self._waiting: deque[Letter] = deque()
        self._task: asyncio.Task[None] | None = None
        self._sent = self._failed = 0
        self._failure: str | None = None
        self._failed_us: int | None = None

    @property
    def is_configured(self) -> bool:
        """Tell whether there is a relay."""
        return self._relay is not None

    @property
    def standing(self) -> Standing:
        """Return how sending goes."""
        waiting = len(self._waiting)
        return Standing(self.is_configured, self._sent, self._failed, waiting, self._failure, self._failed_us)

    def post(self, letter: Letter) -> bool:
        """Put `letter` in the line and return at once; False when there is no relay or the line is full."""
        if self._relay is None:
            return False
        if len(self._waiting) >= MAX_WAITING:
            self._note_failure(letter, f"{MAX_WAITING} letters wait already", "line_full")
            return False
        self._waiting.append(letter)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._send_all(self._relay), name="mail")
        return True

    async def settle(self) -> None:
        """Return when nothing waits any more."""
        while self._task is not None and not self._task.done():
            await asyncio.wait({self._task})
        while self._recording:
            await asyncio.wait(set(self._recording))

    async def close(self) -> None:
        """Give what waits ten seconds, then send nothing more; what was not sent is recorded."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                await self.settle()
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})
        for letter in self._waiting:
            self._note_failure(letter, "the server stopped before it was sent", "stopped")
        self._waiting.clear()
        await self.settle()

    async def _send_all(self, relay: Relay) -> None:
        while self._waiting:
            letter = self._waiting[0]  # it waits until it is sent or given up
            try:
                await self._send_or_retry(relay, letter)
            except Exception as error:  # noqa: BLE001 - one letter that fails does not stop the next
                self._waiting.popleft()
                self._note_failure(letter, _sentence(error), "not_delivered")
            else:
                self._waiting.popleft()
                self._sent += 1
                log.info("letter.sent", purpose=letter.purpose)

    async def _send_or_retry(self, relay: Relay, letter: Letter) -> None:
        for pause in self._retry_seconds:
            try:
                await self._send(relay, letter)
            except Exception as error:
                if _is_final(error):
                    raise
                log.warning("letter.delayed", purpose=letter.purpose, reason=_sentence(error))
                await asyncio.sleep(pause)
            else:
                return
        await self._send(relay, letter)

    async def _send(self, relay: Relay, letter: Letter) -> None:
        await send_by(relay, letter, self._clock.now_us())

    def _note_failure(self, letter: Letter, sentence: str, reason: str) -> None:
        self._failed += 1
        self._failure, self._failed_us = sentence, self._clock.now_us()
        log.error("letter.failed", purpose=letter.purpose, reason=sentence)
        if self._audit is not None:
            task = asyncio.get_running_loop().create_task(self._record(self._audit, letter, reason), name="mail-record")
            self._recording.add(task)
            task.add_done_callback(self._recording.discard)

    @staticmethod
    async def _record(audit: AuditLog, letter: Letter, reason: str) -> None:
        facts: dict[str, JSON] = {"purpose": letter.purpose, "reason": reason}
        with contextlib.suppress(StorageUnavailable):  # the log has it
            await audit.record(Event(Act.LETTER_FAILED, SYSTEM, "letter", new_id(), SERVER, facts, out="error"))


async def send_by(relay: Relay, letter: Letter, now_us: int) -> None:
    """Return when `relay` has taken `letter`. Raises: whatever goes wrong on the way, as `_sentence` reads it."""
    import aiosmtplib

    await aiosmtplib.send(
        message_of(letter, relay.sender, now_us),
        hostname=relay.host,
        port=relay.port,
        username=relay.username,
        password=await relay.password.ask() if relay.password is not None else None,
        use_tls=relay.tls == "implicit",
        # True, not "when offered": who strips the offer on the way must not get the letter in the clear.
        start_tls=relay.tls == "starttls",
        tls_context=ssl.create_default_context(cafile=relay.ca_file) if relay.tls != "none" else None,
        timeout=relay.timeout_seconds,
    )


def message_of(letter: Letter, sender: str, now_us: int) -> EmailMessage:
    """Return `letter` as it goes out: plain text, marked as written by a program.

    Raises: ValueError (a line break in an address or the subject).
    """
    from datetime import UTC, datetime

    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, letter.to, letter.subject
    message["Date"] = format_datetime(datetime.fromtimestamp(now_us / MICROSECONDS, UTC))
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2].strip(" >") or "localhost")
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5: no answering machine writes back
    message.set_content(letter.text)
    return message


def _is_final(error: Exception) -> bool:
    """Tell whether trying again is useless: refused for good, no permission, a certificate that does not fit."""
    code = getattr(error, "code", None)
    if isinstance(code, int) and 500 <= code < 600:
        return True
    return isinstance(error, ValueError) or _certificate_error(error) is not None


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """Return the refused certificate behind `error`, or None."""
    for _ in range(8):
        if error is None or isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _sentence(error: Exception) -> str:
    """Return what failed, without anything that the peer wrote: it may repeat the address."""
    code = getattr(error, "code", None)
    refused = _certificate_error(error)
    if refused is not None:
        return f"the certificate of the SMTP server is not trusted: {refused.verify_message}"
    return f"{type(error).__name__} {code}" if isinstance(code, int) else type(error).__name__
