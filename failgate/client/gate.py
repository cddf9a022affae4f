"""The gate for programs in Python: ask, wait, run what was approved. `from failgate.client import Gate`."""

import os
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Self

from failgate.base.errors import FailgateError
from failgate.client.approval import Approval
from failgate.client.asking import must_be_clear
from failgate.client.command import build_call, close_call
from failgate.client.gated import Finished, Gated
from failgate.client.http import Api
from failgate.client.settings import Settings, load_settings

__all__ = ["Approval", "Denied", "Explained", "Finished", "Gate", "Gated", "NotExecuted", "Said"]

_NAMES = {"url": "FAILGATE_URL", "token": "FAILGATE_TOKEN", "workspace": "FAILGATE_WORKSPACE", "home": "FAILGATE_HOME"}


class Said(NamedTuple):
    """What one policy says of a command, and why."""

    policy: str
    says: str
    reason: str


class Explained(NamedTuple):
    """What the policies would decide now."""

    decision: Literal["allow", "ask", "deny"]
    findings: tuple[Said, ...]


class NotExecuted(FailgateError):
    """Nothing was executed. `state` is the word for why, `exit_code` the one that `failgate run` ends with."""

    slug = "not-executed"

    def __init__(self, finished: Finished) -> None:
        """Keep what `finished` says."""
        super().__init__(finished.message[:1].upper() + finished.message[1:])
        self.state, self.exit_code, self.request = finished.state, finished.exit_code, finished.request


class Denied(NotExecuted):
    """A reviewer or a policy denied it; the message has their words."""


class Gate:
    """The gate of one workspace. What is not given comes from the environment and the files that `failgate` uses.

    Everything fails closed: a command runs only after its very approval was verified and used up, in a process that
    holds the file that was approved.
    """

    def __init__(
        self, *, url: str | None = None, token: str | None = None, workspace: str | None = None, home: str | None = None
    ) -> None:
        """Read the settings. Raises: NotConfigured."""
        given = {"url": url, "token": token, "workspace": workspace, "home": home}
        self._environment = dict(os.environ) | {_NAMES[name]: text for name, text in given.items() if text is not None}
        self._settings: Settings = load_settings(self._environment)

    def __enter__(self) -> Self:
        """Return itself; there is nothing to close."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""

    def explain(self, argv: Sequence[str], *, cwd: str | os.PathLike[str] | None = None) -> Explained:
        """Return which policy would say what of `argv`; nothing is submitted.

        Raises: ClientError (no server, a token that is refused, no such program).
        """
        call = build_call(argv, self._environment, self._settings.env, None if cwd is None else os.fspath(cwd))
        close_call(call)
        must_be_clear(self._settings.folder)
        with Api(self._settings) as api:
            answer = api.call("POST", f"{api.workspace()}/policy/explain", {"command": call.command}).content
        findings = tuple(
            Said(str(one.get("policy")), str(one.get("says")), str(one.get("reason")))
            for one in answer.get("findings", [])
        )
        decision = answer.get("decision")
        return Explained(decision if decision in ("allow", "ask") else "deny", findings)

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: str | os.PathLike[str] | None = None,
        reason: str | None = None,
        ttl_seconds: int | None = None,
        variables: Sequence[str] = (),
        accepts_edits: bool = False,
    ) -> Finished:
        """Ask for `argv`, wait, execute it once; return how it ended, whatever its exit code.

        With `accepts_edits` it is executed as a reviewer edited it.

        Raises: Denied, NotExecuted (its `state` says why).
        """
        gated = self.start(
            argv, cwd=cwd, reason=reason, ttl_seconds=ttl_seconds, variables=variables, accepts_edits=accepts_edits
        )
        try:
            finished = gated.wait()
        except BaseException:
            gated.stop()
            raise
        assert finished is not None
        if finished.state == "denied":
            raise Denied(finished)
        if finished.state != "executed":
            raise NotExecuted(finished)
        return finished

    def start(
        self,
        argv: Sequence[str],
        *,
        cwd: str | os.PathLike[str] | None = None,
        reason: str | None = None,
        ttl_seconds: int | None = None,
        variables: Sequence[str] = (),
        origin: Mapping[str, str] | None = None,
        accepts_edits: bool = False,
    ) -> Gated:
        """Ask for `argv` and return at once; it is executed when it is approved, while this process lives.

        `origin` may name the `run`, `session` and `model` that it is shown with; `accepts_edits` as in `run`.
        """
        names = {"run": "FAILGATE_RUN", "session": "FAILGATE_SESSION", "model": "FAILGATE_MODEL"}
        told = {names[name]: text for name, text in (origin or {}).items() if name in names}
        return Gated(
            argv, cwd=cwd, reason=reason, ttl_seconds=ttl_seconds, variables=variables,
            environment=self._environment | told, accepts_edits=accepts_edits,
        )  # fmt: skip

    def ask(
        self,
        argv: Sequence[str],
        *,
        cwd: str | os.PathLike[str] | None = None,
        reason: str | None = None,
        ttl_seconds: int | None = None,
        origin: Mapping[str, str] | None = None,
    ) -> Approval:
        """Ask for `argv` for a program that executes by itself: wait, `use`, execute, `finish`.

        Raises: ClientError.
        """
        return Approval(self._settings, argv, cwd=cwd, reason=reason, ttl_seconds=ttl_seconds, origin=origin)

    def report_context(self, report_id: str, tokens: int = 8_000) -> str:
        """Return what a failure report says, as Markdown for a program to read. Raises: ClientError."""
        with Api(self._settings) as api:
            route = f"{api.workspace()}/reports/{_checked(report_id)}/context?budget={tokens}"
            return str(api.call("GET", route).content.get("markdown", ""))


def _checked(report_id: str) -> str:
    from failgate.base.errors import BadInput
    from failgate.base.ids import is_id

    if not is_id(report_id):
        raise BadInput("That is no id of a report.", hint="Take it from the message of the run, or from the list.")
    return report_id
