"""The command that is sealed, and the context that travels in clear and commits to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from failgate.base.canonical import digest_of
from failgate.sealed import form
from failgate.sealed.manifest import MOST_PEOPLE, Manifest
from failgate.sealed.refusal import Refused

TYP: Final = "failgate-cmd"
LONGEST_LIFE_SECONDS: Final = 86_400
MOST_TOKENS: Final = 4096
MOST_VARIABLES: Final = 512
LARGEST_UID: Final = 2**32 - 1
_MOST_CHARACTERS: Final = 65_536  # no sealed command is longer
_LONGEST_PATH: Final = 4096  # PATH_MAX of Linux
_COMMAND: Final = ("argv", "cwd", "cwd_dev_ino", "env", "exe", "host", "nonce", "uid", "v")
_CONTEXT: Final = ("agent", "cid", "commit", "epoch", "exp", "iat", "policy", "rcpt", "typ", "v", "ws")
_DEV_INO: Final = re.compile(r"[0-9]{1,20}(:[0-9]{1,20}){1,2}", re.ASCII)


class Context(NamedTuple):
    """What the server sees of a command. `commit` is the digest of it, `policy` that of the policy it waits for."""

    agent: str
    cid: str
    commit: str
    epoch: int
    exp: int
    iat: int
    policy: str
    rcpt: tuple[str, ...]
    ws: str

    def value(self) -> dict[str, object]:
        """Return the object that is signed and authenticated."""
        return {**self._asdict(), "rcpt": list(self.rcpt), "typ": TYP, "v": 1}

    def digest(self) -> str:
        """Return `ctx_sha256`, by which decisions name it."""
        return digest_of(self.value())


def commitment(cmd: Mapping[str, object]) -> str:
    """Return `commit`, the digest of the canonical command; its 256-bit nonce keeps it from being guessed.

    Raises: Refused (the command is not one that is sealed).
    """
    return digest_of(check_command(dict(cmd)))


def check_command(value: object, place: str = "cmd") -> dict[str, object]:
    """Return `value` if it is a command that can be sealed: all nine members, each as a system call can take it.

    Raises: Refused (`members`, `value`, `too-large`, …).
    """
    cmd = form.members(value, place, _COMMAND)
    form.exactly(cmd["v"], 1, f"{place}.v")
    argv = form.a_list(cmd["argv"], f"{place}.argv", least=1, most=MOST_TOKENS)
    for number, token in enumerate(argv):
        form.text(token, f"{place}.argv[{number}]", most=_MOST_CHARACTERS, is_empty_allowed=number > 0)
    _path(cmd["cwd"], f"{place}.cwd")
    if not isinstance(cmd["cwd_dev_ino"], str) or not _DEV_INO.fullmatch(cmd["cwd_dev_ino"]):
        raise Refused("value", f"{place}.cwd_dev_ino")
    _check_variables(cmd["env"], f"{place}.env")
    exe = form.members(cmd["exe"], f"{place}.exe", ("path", "sha256"))
    _path(exe["path"], f"{place}.exe.path")
    form.digest(exe["sha256"], f"{place}.exe.sha256")
    form.text(cmd["host"], f"{place}.host", most=253)
    form.digest(cmd["nonce"], f"{place}.nonce")
    form.integer(cmd["uid"], f"{place}.uid", most=LARGEST_UID)
    form.written(cmd, place)  # half a character has no bytes
    return cmd


def read_context(value: object, place: str = "ctx") -> Context:
    """Return the context whose object is `value`.

    Raises: Refused (`members`, `value`, `lifetime`, …).
    """
    found = form.members(value, place, _CONTEXT)
    form.exactly(found["typ"], TYP, f"{place}.typ")
    form.exactly(found["v"], 1, f"{place}.v")
    iat, exp = form.life(found, place, most=LONGEST_LIFE_SECONDS)
    return Context(
        agent=form.digest(found["agent"], f"{place}.agent"),
        cid=form.uuid(found["cid"], f"{place}.cid"),
        commit=form.digest(found["commit"], f"{place}.commit"),
        epoch=form.integer(found["epoch"], f"{place}.epoch", least=1),
        exp=exp,
        iat=iat,
        policy=form.digest(found["policy"], f"{place}.policy"),
        rcpt=form.sorted_digests(found["rcpt"], f"{place}.rcpt", least=1, most=MOST_PEOPLE),
        ws=form.uuid(found["ws"], f"{place}.ws"),
    )


def check_context(ctx: Context, manifest: Manifest, *, now: int, place: str = "ctx") -> None:
    """Accept a context that the manifest in force bears out: workspace, epoch, agent, policy, recipients, times.

    Raises: Refused (`workspace`, `epoch`, `agent`, `policy`, `recipients`, `expired`, `ahead`).
    """
    manifest.check_in_force(now)
    if ctx.ws != manifest.ws:
        raise Refused("workspace", f"{place}.ws")
    if ctx.epoch != manifest.epoch:
        raise Refused("epoch", f"{place}.epoch")
    if manifest.agents is not None and ctx.agent not in manifest.agents:
        raise Refused("agent", f"{place}.agent")
    if ctx.policy not in manifest.policies.values():
        raise Refused("policy", f"{place}.policy")
    if ctx.rcpt != manifest.recipients():
        raise Refused("recipients", f"{place}.rcpt")
    form.check_now(ctx.iat, ctx.exp, now, place)


def _path(value: object, place: str) -> None:
    if not form.text(value, place, most=_LONGEST_PATH).startswith("/"):
        raise Refused("value", place)


def _check_variables(value: object, place: str) -> None:
    env = form.an_object(value, place)
    if len(env) > MOST_VARIABLES:
        raise Refused("too-large", place)
    for name, content in env.items():
        if "=" in form.text(name, place, most=_MOST_CHARACTERS):
            raise Refused("value", place)
        form.text(content, place, most=_MOST_CHARACTERS, is_empty_allowed=True)
