"""What is said of an event: a title, lines for people, facts for programs. Pure; others' texts are inert already."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from failgate.base.canonical import JSON
from failgate.base.clock import to_rfc3339
from failgate.notify import events
from failgate.notify.notifier import Notification
from failgate.notify.subjects import CommandFacts, ReportFacts, SealedFacts
from failgate.wire.notify import CommandNotice

_DECISIONS: Final = {
    "command.approved": "approved",
    "command.denied": "denied",
    "command.expired": "expired",
    "command.cancelled": "cancelled",
    "sealed_command.expired": "expired",
    "sealed_command.cancelled": "cancelled",
}
_SEALED_DECIDED: Final = "sealed_command.decided"
_ACT_OF_STATE: Final = {"pending": "command.created", "executed": "command.approved"}


@dataclass(frozen=True, slots=True)
class Happening:
    """One record that is to be told of: its event, number, time and act, what it happened to, what it states."""

    event: str
    place: int
    occurred_us: int
    act: str
    object_id: str
    data: Mapping[str, Any]

    @property
    def decision(self) -> str | None:
        """Return how a command ended, or None when this is about something else."""
        return str(self.data["state"]) if self.act == _SEALED_DECIDED else _DECISIONS.get(self.act)


@dataclass(frozen=True, slots=True)
class Setting:
    """Where it is told from: the workspace's slug, this server's address, and whether arguments may be let out."""

    slug: str
    base_url: str
    is_detailed: bool = False


Lines = list[tuple[str, str]]


def of_command(id_: str, happening: Happening, command: CommandFacts, setting: Setting) -> Notification:
    """Return what is said about a command."""
    what = f"{command.program or 'a command'} on {command.host}"
    facts: dict[str, JSON] = {
        "id": command.id, "digest": command.digest, "program": command.program, "agent": command.agent,
        "host": command.host,
    }  # fmt: skip
    lines: Lines = [("Agent", command.agent), ("Host", command.host), ("Program", command.program)]
    if setting.is_detailed:
        facts["argv"] = list(command.argv)
        lines[-1] = ("Command", " ".join(command.argv))
    if command.risk is not None:
        facts["risk"] = command.risk
        lines.append(("Risk", str(command.risk)))
    more: dict[str, JSON] = {}
    if happening.event in {"command.pending", "command.escalated"}:
        facts |= {"need": command.need, "expires_at": to_rfc3339(command.expires_us)}
        lines.append(("Decide until", f"{_clock_time(command.expires_us)} UTC"))
        if command.need > 1:
            lines.append(("People needed", str(command.need)))
    if happening.event == "command.pending":
        title = f"A command waits: {what}"
    elif happening.event == "command.escalated":
        group = str(happening.data.get("group", ""))
        more = {"group": group, "step": int(happening.data.get("step", 0))}
        lines.append(("Asked now", group))
        title = f"Nobody decided yet: {what}"
    elif happening.event == "command.quarantined":
        title = f"A command was quarantined: {what}"
    elif happening.event.startswith("glass."):
        return _of_glass(id_, happening, command, setting, what, lines, facts)
    else:
        facts["decision"] = happening.decision
        title = f"{(happening.decision or 'ended').capitalize()}: {what}"
    is_open = happening.event in {"command.pending", "command.escalated"}
    path = f"/queue?c={command.id}" if is_open else f"/commands/{command.id}"
    return _notification(id_, happening, setting, title, lines, path, {"command": facts, **more})


def of_sealed(id_: str, happening: Happening, command: SealedFacts, setting: Setting) -> Notification:
    """Return what is said about a sealed command: who asks and until when, for the server knows nothing else of it."""
    by = command.agent or "an agent"
    facts: dict[str, JSON] = {"id": command.id, "digest": command.digest, "agent": command.agent, "sealed": True}
    lines: Lines = [("Agent", command.agent)]
    if happening.event == "command.pending":
        facts["expires_at"] = to_rfc3339(command.expires_us)
        lines.append(("Decide until", f"{_clock_time(command.expires_us)} UTC"))
        lines.append(("Open it with", f"failgate review show {command.id}"))
        title = f"A sealed command of {by} waits"
    else:
        facts["decision"] = happening.decision
        title = f"{(happening.decision or 'ended').capitalize()}: a sealed command of {by}"
    return _notification(id_, happening, setting, title, lines, "/queue", {"command": facts})


def _of_glass(
    id_: str, happening: Happening, command: CommandFacts, setting: Setting, what: str, lines: Lines,
    facts: dict[str, JSON],
) -> Notification:  # fmt: skip
    """Return what is said when somebody let a command run without its quorum, while that is not reviewed, and after."""
    lines += [("Broken by", command.broken_by), ("Why", command.broken_why)]
    facts |= {"broken_by": command.broken_by, "reason": command.broken_why}
    verdict = happening.data.get("verdict")
    if verdict is not None:
        title = f"Broken glass was {'justified' if verdict == 'justified' else 'NOT justified'}: {what}"
        facts["verdict"] = str(verdict)
    elif "waited_us" in happening.data:
        title = f"BROKEN GLASS still waits for its review: {what}"
        facts["waited_us"] = int(happening.data["waited_us"])
    else:
        title = f"GLASS BROKEN, it runs without its quorum: {what}"
    return _notification(id_, happening, setting, title, lines, f"/commands/{command.id}/glass", {"command": facts})


def notice_of(command: CommandFacts) -> CommandNotice:
    """Return what a browser says of a command as it stands."""
    act = _ACT_OF_STATE.get(command.state, f"command.{command.state}")
    happening = Happening(events.OF_ACT[act], 0, 0, act, command.id, {})
    return CommandNotice(command.state, of_command("", happening, command, Setting("", "")).title, command.agent)


def of_report(id_: str, happening: Happening, report: ReportFacts, setting: Setting) -> Notification:
    """Return what is said about a report."""
    facts: dict[str, JSON] = {
        "id": report.id, "project": report.project, "exit_code": report.exit_code, "uploader": report.uploader,
        "command": report.command_id,
    }  # fmt: skip
    lines: Lines = [("Project", report.project), ("Exit code", str(report.exit_code)), ("Uploaded by", report.uploader)]
    if setting.is_detailed:
        facts["title"] = report.title
        lines.insert(0, ("Title", report.title))
    said = {
        "report.uploaded": "A failure was reported",
        "report.quarantined": "A failure report was quarantined",
        "report.regressed": "A failure that was resolved came back",
    }
    title = f"{said[happening.event]}: {report.project or 'no project'}"
    more: dict[str, JSON] = {"report": facts}
    path = f"/reports/{report.id}"
    if happening.event == "report.regressed":
        more["group"] = happening.object_id
        path = f"/report-groups/{happening.object_id}"
    return _notification(id_, happening, setting, title, lines, path, more)


def of_test(id_: str, now_us: int, destination: str, setting: Setting) -> Notification:
    """Return what is said to try a destination."""
    happening = Happening(events.TEST, 0, now_us, "", "", {})
    lines: Lines = [("Destination", destination)]
    return _notification(id_, happening, setting, "A test from Failgate", lines, "/settings/notifications", {})


def _notification(
    id_: str,
    happening: Happening,
    setting: Setting,
    title: str,
    lines: Lines,
    path: str,
    facts: dict[str, JSON],
) -> Notification:
    return Notification(
        id=id_,
        event=happening.event,
        workspace=setting.slug,
        occurred_us=happening.occurred_us,
        title=title,
        lines=tuple((label, text) for label, text in lines if text),
        url=f"{setting.base_url}/w/{setting.slug}{path}",
        facts=facts,
    )


def _clock_time(us: int) -> str:
    return to_rfc3339(us)[:19].replace("T", " ")
