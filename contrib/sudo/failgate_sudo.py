"""Plugins for sudo: what it is about to run as another user is asked for at the gate first; how that ended is told.

sudo calls `check` after its own policy said yes and before it runs anything. Whatever is not a verified approval of
this very call, used up here, rejects it. An audit plugin hears how the command ended; each plugin has an interpreter of
its own, so a file of root holds what was approved. Source: sudo_plugin_python(5), "Approval plugin API", "Audit plugin
API".
"""

import os
import sys
import time
from typing import Any

import sudo

_LIBRARY = "FailgatePath"


class FailgateApproval(sudo.Plugin):
    """Asks for each command. Options in sudo.conf: `Home=FOLDER` (of the client's files), `Wait=SECONDS`,
    `FailgatePath=FOLDER` (where the package is), `Exempt=USER` (repeatable; not asked for), `Outcomes=FOLDER` (where
    FailgateOutcome finds what was approved)."""

    def __init__(self, user_info: tuple, plugin_options: tuple, **_: Any) -> None:
        options = [option.partition("=") for option in plugin_options]
        self._options = {name: value for name, _, value in options}
        self._exempt = {value for name, _, value in options if name == "Exempt"}
        self._user = sudo.options_as_dict(user_info)

    def check(self, command_info: tuple, run_argv: tuple, run_env: tuple) -> int:
        """Return ACCEPT after the approval was used up, else reject with the reason."""
        user = self._user.get("user", "?")
        if user in self._exempt:
            return sudo.RC.ACCEPT
        try:
            self._ask(sudo.options_as_dict(command_info), list(run_argv), run_env, user)
        except BaseException as crash:  # any other end would be sudo's choice
            said = f"Failgate: {_sentence(crash)}; nothing is run"
            sudo.log_error(said)  # sudo itself tells only its logs why
            raise sudo.PluginReject(said) from None
        return sudo.RC.ACCEPT

    def _ask(self, command: dict, argv: list, environment: tuple, user: str) -> None:
        _find_library(self._options)
        from failgate.base.canonical import base64url, canonical, digest_of
        from failgate.client.asking import Asking
        from failgate.client.command import allowed_environment, open_executable
        from failgate.client.http import Api
        from failgate.client.keyring import write_private
        from failgate.client.messages import Messages
        from failgate.client.settings import load_settings
        from failgate.client.verdict import check_approval, note_of

        settings = load_settings(_own(self._options))
        seen = dict(entry.partition("=")[::2] for entry in environment)
        cwd = os.path.realpath(command.get("cwd") or self._user.get("cwd") or "/")
        facts = os.stat(cwd)
        program = open_executable(command["command"], cwd, "")
        try:
            asked = {
                "v": 1,
                "argv": argv,
                "cwd": cwd,
                "cwd_dev_ino": f"{facts.st_dev}:{facts.st_ino}",
                "env": allowed_environment(seen, ()),
                "exe": {"path": program.path, "sha256": program.sha256},
                "host": os.uname().nodename or "localhost",
                "uid": int(command.get("runas_euid") or command.get("runas_uid") or 0),
                "gid": int(command.get("runas_egid") or command.get("runas_gid") or 0),
                "nonce": base64url(os.urandom(32)),
            }
        finally:
            os.close(program.descriptor)
        digest = digest_of(asked)
        with Api(settings) as api:
            asking = Asking(api, Messages(), asked, digest)
            try:
                standing = asking.decided(
                    reason=f"sudo by {user} as {command.get('runas_user') or 'uid ' + str(asked['uid'])}",
                    ttl_seconds=int(self._options.get("Wait", "300")),
                    origin={"program": "sudo", "session": user, "tool": "sudo"},
                )
            except BaseException:  # also Ctrl-C
                asking.withdraw()
                raise
            if standing.state != "approved":
                raise _Refused(f"{standing.state}{note_of(standing)}")
            check_approval(standing, digest, time.time())
            asking.use(standing)
        if "Outcomes" in self._options:
            kept = {"route": asking.route, "digest": digest, "at": str(time.time())}
            write_private(self._options["Outcomes"], str(os.getpid()), canonical(kept), is_lasting=False)


class FailgateOutcome(sudo.Plugin):
    """Tells how an approved command ended. The same options as FailgateApproval, `Outcomes` among them."""

    def __init__(self, plugin_options: tuple, **_: Any) -> None:
        self._options = sudo.options_as_dict(plugin_options)

    def close(self, status_kind: int, status: int) -> None:
        """Tell it once; what cannot be told changes nothing, the command has ended."""
        place = os.path.join(self._options.get("Outcomes", "/run/failgate"), str(os.getpid()))
        try:
            if os.stat(place).st_uid != os.geteuid():
                return
        except OSError:
            return  # nothing was approved
        try:
            self._tell(place, int(status_kind), status)
        except BaseException as crash:
            sudo.log_error(f"Failgate: how it ended could not be told: {_sentence(crash)}")
        finally:
            os.unlink(place)

    def _tell(self, place: str, status_kind: int, status: int) -> None:
        if status_kind == sudo.EXIT_REASON.WAIT_STATUS:
            code = os.waitstatus_to_exitcode(status)
        elif status_kind == sudo.EXIT_REASON.EXEC_ERROR:
            code = 126  # as a shell says it
        else:
            return  # sudo itself does not know
        _find_library(self._options)
        from failgate.base.quick import loads
        from failgate.client.asking import tell_outcome
        from failgate.client.http import Api
        from failgate.client.messages import Messages
        from failgate.client.settings import load_settings

        with open(place, "rb") as stream:
            kept = loads(stream.read())
        outcome = {
            "digest": kept["digest"],
            "exit_code": code if code >= 0 else 128 - code,
            "duration_ms": max(0, round((time.time() - float(kept["at"])) * 1000)),
            "signal": -code if code < 0 else None,
        }
        with Api(load_settings(_own(self._options))) as api:
            tell_outcome(api, Messages(), kept["route"], outcome)


def _find_library(options: dict) -> None:
    place = options.get(_LIBRARY)
    if place and place not in sys.path:
        sys.path.append(place)


def _own(options: dict) -> dict:
    """Return the environment that counts. Nothing of the user's is believed: root's own files say where the gate is."""
    return {"FAILGATE_HOME": options.get("Home", "/etc/failgate"), "HOME": "/root"}


class _Refused(Exception):
    """Somebody, or the time, decided against it."""


def _sentence(crash: BaseException) -> str:
    from failgate.base.errors import FailgateError

    return str(crash) if isinstance(crash, FailgateError | _Refused) else type(crash).__name__
