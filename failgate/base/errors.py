"""Every error that a user can meet, as one tree.

```text
FailgateError                500 error
├── BadInput                 400 bad-input            the request is malformed
├── NotSignedIn              401 not-signed-in        no credential, or one that is not valid
├── Forbidden                403 forbidden            a valid credential without this permission
│   ├── StepUpRequired       403 step-up-required     a fresh second factor is needed
│   ├── SsoRequired          403 sso-required         the workspace is entered through its identity provider
│   └── CrossSite            403 cross-site           the request comes from another site
├── NotFound                 404 not-found            absent, or of another workspace: the same answer
├── Conflict                 409 conflict             the state of the thing forbids it
├── TooLarge                 413 too-large
├── WrongMediaType           415 wrong-media-type
├── Unprocessable            422 unprocessable        well-formed, yet it cannot be true
├── TooManyRequests          429 too-many-requests    `retry_after_seconds` says when
├── StorageUnavailable       503 storage-unavailable  nothing was kept: ask again
│   └── OutcomeUnknown       503 storage-unavailable  the answer to a commit was lost: ask again with the same key
└── StartRefused             -   start-refused        the program does not start; exit code 78
```

A sentence says what, where and the mend; present tense, no blame. `facts` become members of the problem
document (RFC 9457), so they hold nothing secret.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from typing import ClassVar, Literal


class FailgateError(Exception):
    """Base of every error that is meant for a person or a program to read."""

    slug: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "The server met an error of its own"

    def __init__(self, sentence: str, *, hint: str | None = None, **facts: object) -> None:
        """Keep `sentence` (what and where), `hint` (the mend) and `facts` (members of the problem document)."""
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint
        self.facts = facts

    def __str__(self) -> str:
        """Return the sentence, and the hint when there is one."""
        return f"{self.sentence} {self.hint}" if self.hint else self.sentence


class BadInput(FailgateError):
    """The request is malformed."""

    slug = "bad-input"
    status = 400
    title = "The request is malformed"


class NotSignedIn(FailgateError):
    """No credential came with the request, or one that is not valid."""

    slug = "not-signed-in"
    status = 401
    title = "A valid credential is needed"


class Forbidden(FailgateError):
    """The credential is valid and does not give this permission."""

    slug = "forbidden"
    status = 403
    title = "This is not allowed"


class StepUpRequired(Forbidden):
    """A fresh factor is needed first; `wants` says which: the second, any, all, or that one is set up."""

    slug = "step-up-required"
    title = "A fresh second factor is needed"
    wants: Literal["factor", "any", "all", "enrol"] = "factor"


class SsoRequired(Forbidden):
    """The workspace is entered in a session that its identity provider opened."""

    slug = "sso-required"
    title = "This workspace asks for single sign-on"


class CrossSite(Forbidden):
    """The request comes from another site."""

    slug = "cross-site"
    title = "The request comes from another site"


class NotFound(FailgateError):
    """Absent, or belonging to another workspace: the answer is the same."""

    slug = "not-found"
    status = 404
    title = "There is nothing here"


class Conflict(FailgateError):
    """The state of the thing forbids it."""

    slug = "conflict"
    status = 409
    title = "The state of the thing forbids it"


class TooLarge(FailgateError):
    """The body, or a part of it, is larger than the limit."""

    slug = "too-large"
    status = 413
    title = "The body is too large"


class WrongMediaType(FailgateError):
    """The body is of a media type that this route does not read."""

    slug = "wrong-media-type"
    status = 415
    title = "The media type is not accepted"


class Unprocessable(FailgateError):
    """Well-formed, yet it cannot be true or cannot be used."""

    slug = "unprocessable"
    status = 422
    title = "The request cannot be used"


class TooManyRequests(FailgateError):
    """The caller has to wait; `retry_after_seconds` says how long."""

    slug = "too-many-requests"
    status = 429
    title = "Too many requests"

    def __init__(self, sentence: str, *, retry_after_seconds: int, hint: str | None = None) -> None:
        """Keep how many seconds to wait before the next try."""
        super().__init__(sentence, hint=hint, retry_after_seconds=retry_after_seconds)
        self.retry_after_seconds = retry_after_seconds


class StorageUnavailable(FailgateError):
    """The storage did not take the change: nothing was kept, the caller may ask again."""

    slug = "storage-unavailable"
    status = 503
    title = "The storage is not available"


class OutcomeUnknown(StorageUnavailable):
    """The answer to a commit was lost: the change was kept whole, or not at all."""

    def __init__(self) -> None:
        super().__init__(
            "It is not known whether the database took the change.",
            hint="Ask again with the same Idempotency-Key: what was kept is answered, what was not is done.",
        )


class DiskFull(StorageUnavailable):
    """The disk has no room: nothing was kept. Denying goes on, out of what was put by for it."""

    def __init__(self, wanted_bytes: int = 0) -> None:
        """`wanted_bytes`: how much has to be free again; 0 when any space helps."""
        some = f"at least {-(-wanted_bytes // 2**20)} MiB of space" if wanted_bytes else "some space"
        super().__init__(
            "The disk is full; nothing was kept.",
            hint=f"Free {some} on its disk, then ask again: the server goes on.",
        )


class StartRefused(FailgateError):
    """The program does not start; the sentence names the cause and the mend."""

    slug = "start-refused"
    title = "The program does not start"
