"""The exit codes of `failgate run`, and how a call ends with one."""

from failgate.base.errors import FailgateError

USAGE = 2
UNREACHABLE = 69  # EX_UNAVAILABLE
EXPIRED = 75  # EX_TEMPFAIL
UNVERIFIED = 76  # EX_PROTOCOL
DENIED = 77  # EX_NOPERM
CONFIGURATION = 78  # EX_CONFIG
CANNOT_EXECUTE = 126
NO_PROGRAM = 127
INTERRUPTED = 130


class ClientError(FailgateError):
    """The client stops; `exit_code` says why."""

    slug = "client"
    exit_code = 1


class NotConfigured(ClientError):
    """An address, a token, a workspace or a file of the client is missing or not acceptable."""

    slug = "not-configured"
    exit_code = CONFIGURATION


class Unreachable(ClientError):
    """The server did not answer, or something other than the server did."""

    slug = "unreachable"
    exit_code = UNREACHABLE


class Unverified(ClientError):
    """What came back does not fit what was asked, or what would be executed has changed."""

    slug = "unverified"
    exit_code = UNVERIFIED


class NotExecutable(ClientError):
    """There is no such program, or it may not be executed: codes 127 and 126, as shells have them."""

    slug = "not-executable"

    def __init__(self, sentence: str, *, exit_code: int, hint: str | None = None) -> None:
        """Keep the code."""
        super().__init__(sentence, hint=hint)
        self.exit_code = exit_code


class Refused(ClientError):
    """The server answered with a problem (RFC 9457): `status`, `problem` its slug."""

    slug = "refused"

    def __init__(
        self, status: int, problem: str, sentence: str, *, hint: str | None, members: dict[str, object]
    ) -> None:
        """Keep the status, the slug of the problem, its sentence and all its members."""
        super().__init__(sentence, hint=hint)
        self.answered = status
        self.problem = problem
        self.members = members
        self.exit_code = {409: UNVERIFIED, 429: UNREACHABLE}.get(
            status, UNREACHABLE if status >= 500 else CONFIGURATION
        )
