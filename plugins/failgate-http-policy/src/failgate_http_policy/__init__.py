"""An external policy service is asked over HTTP; what is not a clear answer in time refuses the command."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from failgate.plugin import (
    Answer,
    Between,
    Challenge,
    Command,
    CommandContext,
    Duration,
    FailgateError,
    Finding,
    Host,
    Outbound,
    Plugin,
    Provides,
    Secret,
    SettingRefused,
    Terms,
    arguments_without_secrets,
    to_rfc3339,
    without_secrets,
)

__all__ = ["HttpPolicy", "HttpPolicySettings", "plugin"]

MAX_ANSWER_BYTES: Final = 64 * 1024
REASON_CHARACTERS: Final = 300


class HttpPolicySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the service is, and how far its word goes."""

    url: str
    token: Secret | None = None
    deadline: Annotated[Duration, Between("50ms", "1900ms")] = Duration("1500ms")
    may_allow: bool = False

    def __post_init__(self) -> None:
        """Refuse an address that is none, or that carries a secret. Raises: SettingRefused."""
        if not self.url.startswith(("https://", "http://")) or "@" in self.url.partition("://")[2].partition("/")[0]:
            raise SettingRefused("url", "say an https address without user name and password; `token` is sent apart")


class Result(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the service says of a command."""

    decision: Literal["allow", "ask", "deny", "abstain"]
    reason: str = ""
    need: Annotated[int, msgspec.Meta(ge=1, le=20)] = 1
    challenge: Challenge = "click"


class Body(msgspec.Struct, frozen=True):
    """The answer; other members, as `decision_id`, are of no concern here."""

    result: bool | Result


_read = msgspec.json.Decoder(Body).decode


class HttpPolicy:
    """The policy."""

    def __init__(self, settings: HttpPolicySettings, outbound: Outbound) -> None:
        """Ask by `outbound` as `settings` say."""
        self._settings = settings
        self._outbound = outbound
        self._headers = {"Content-Type": "application/json"}
        if settings.token is not None:
            self._headers["Authorization"] = f"Bearer {settings.token.reveal()}"

    async def judge(self, command: Command, context: CommandContext) -> Finding:
        """Ask the service; without a clear answer in time, refuse."""
        seconds = self._settings.deadline.seconds
        try:
            async with asyncio.timeout(seconds):
                body, is_whole = await asyncio.to_thread(question_of, command, context)
                answer = await self._outbound.post(
                    self._settings.url, body, headers=self._headers, max_bytes=MAX_ANSWER_BYTES, seconds=seconds
                )
        except TimeoutError:
            return Finding("deny", "the policy service did not answer in time")
        except FailgateError:
            return Finding("deny", "the policy service cannot be asked")
        except (msgspec.MsgspecError, UnicodeError):
            return Finding("deny", "the policy service cannot be told this command")
        return self._finding(answer, is_whole=is_whole)

    def snapshot(self, workspace_id: str) -> dict[str, object]:  # noqa: ARG002 - every workspace alike
        """Return who is asked and how far its word goes; the service's own rules are not known here."""
        return {"url": without_secrets(self._settings.url), "may_allow": self._settings.may_allow}

    def _finding(self, answer: Answer, *, is_whole: bool) -> Finding:
        if answer.status != 200:
            return Finding("deny", f"the policy service answered {answer.status}")
        try:
            result = _read(answer.body).result
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return Finding("deny", "the policy service gave no usable answer")
        if isinstance(result, bool):
            return Finding("abstain", "nothing against it") if result else Finding("deny", "the policy service refuses")
        reason, terms = _reason_of(result), Terms(challenge=result.challenge)
        if result.decision == "allow" and not (self._settings.may_allow and is_whole):
            return Finding("abstain", f"{reason} (its word lets nothing pass)", terms=terms)
        return Finding(result.decision, reason, need=result.need if result.decision == "ask" else 0, terms=terms)


def question_of(command: Command, context: CommandContext) -> tuple[bytes, bool]:
    """Return what is sent, and whether it tells every argument and the folder as they are.

    Raises: msgspec.MsgspecError, UnicodeError (a lone surrogate).
    """
    argv, folder = arguments_without_secrets(command.argv), without_secrets(command.cwd)
    is_whole = argv == command.argv and folder == command.cwd
    told: dict[str, Any] = {
        "argv": argv,
        "cwd": folder,
        "host": command.host,
        "env": sorted(command.env),
        "exe": None if command.exe is None else {"path": command.exe.path, "sha256": command.exe.sha256},
        "uid": command.uid,
        "gid": command.gid,
        "umask": command.umask,
        "workspace": context.workspace_id,
        "agent": context.agent_id,
        "requester": context.requester_account_id,
        "time": to_rfc3339(context.now_us),
        "redacted": not is_whole,
    }
    return msgspec.json.encode({"input": told}), is_whole


def _reason_of(result: Result) -> str:
    """Return the service's sentence, made fit for one line."""
    text = "".join(each if each.isprintable() else " " for each in result.reason)[:REASON_CHARACTERS].strip()
    return without_secrets(text) or f"the policy service says {result.decision}"


@asynccontextmanager
async def open_http_policy(config: HttpPolicySettings, host: Host) -> AsyncGenerator[Provides]:
    """Open the policy."""
    named = urlsplit(config.url).hostname or ""
    yield Provides(approval_policy=HttpPolicy(config, host.outbound.naming(named)))


plugin = Plugin(name="http-policy", config=HttpPolicySettings, open=open_http_policy)
