"""The step of the action: one command line behind the gate, its summary, its outputs. Every failure ends the step."""

import json
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

SAID = {
    75: "nobody decided in time", 76: "the verdict could not be verified", 77: "denied",
    78: "the configuration is wrong", 69: "the server did not answer",
}  # fmt: skip


def main() -> int:
    """Ask, run, tell; return the exit code of the step."""
    for name in ("FAILGATE_WORKSPACE", "FAILGATE_UPLOAD"):  # an input that was left empty is one that was not given
        if not os.environ.get(name):
            os.environ.pop(name, None)
    line = os.environ["GATE_COMMAND"]
    options = ["--ttl", os.environ.get("GATE_WAIT") or "15m"]
    if reason := os.environ.get("GATE_REASON"):
        options += ["--reason", reason]
    for name in os.environ.get("GATE_VARIABLES", "").split():
        options += ["--env", name]
    if os.environ.get("GATE_EDITS") == "true":
        options += ["--accept-edits"]
    shell = ["bash", "-e", "-o", "pipefail", "-c", line]
    with tempfile.TemporaryFile() as events:
        descriptor = events.fileno()
        options += ["--message-fd", str(descriptor)]
        command = [sys.executable, "-P", "-m", "failgate", "run", *options, "--", *shell]
        code = subprocess.run(command, pass_fds=(descriptor,), check=False).returncode
        events.seek(0)
        told = [_event(text) for text in events.read().decode("utf-8", "replace").splitlines()]
    request = next((str(one["id"]) for one in told if one.get("id")), "")
    was_run = any(one.get("event") == "ended" for one in told)
    sentence = f"ended with {code}" if was_run else SAID.get(code, f"not run ({code})")
    words = [str(one["message"]) for one in told if one.get("message") and one.get("event") not in ("ended", "waiting")]
    for word in words:
        print(f"failgate: {word}", file=sys.stderr)
    _output("exit-code", str(code))
    _output("request", request)
    _summary(line, sentence, request, "" if was_run else " ".join(words))
    return code


def _event(text: str) -> dict:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _output(name: str, value: str) -> None:
    """Write an output of the step. A delimiter of its own: what is in `value` can set no other output."""
    mark = secrets.token_hex(16)
    _append("GITHUB_OUTPUT", f"{name}<<{mark}\n{value}\n{mark}\n")


def _summary(line: str, sentence: str, request: str, said: str) -> None:
    """Write the job summary. The line stands in a fence that is longer than any run of backquotes in it."""
    longest = length = 0
    for sign in line:
        length = length + 1 if sign == "`" else 0
        longest = max(longest, length)
    fence = "`" * max(3, longest + 1)
    url = os.environ.get("FAILGATE_URL", "").rstrip("/")
    workspace = os.environ.get("FAILGATE_WORKSPACE", "")
    link = f"[request {request}]({url}/w/{workspace}/commands/{request})" if request and workspace else request
    parts = ["### Failgate", "", f"{fence}sh", line, fence, "", f"**{sentence}** {link}".rstrip()]
    parts += ["", "> " + said.replace("\n", "\n> ")] if said else []
    _append("GITHUB_STEP_SUMMARY", "\n".join(parts) + "\n")


def _append(name: str, text: str) -> None:
    path = os.environ.get(name)
    if path:
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(text)


if __name__ == "__main__":
    sys.exit(main())
