"""`failgate run` in a workspace that this machine pinned: seal, ask, believe signatures alone, execute once.

```text
pins ─► newest manifest ─► seal ─► wait ─► verify each decision ─► note as used (fsync) ─► execute ─► receipt
                  └─► signed rules of this machine allow it ─────────────────────────────► execute ─► run, signed
```

The server is asked for everything and believed in nothing: what is not signed by the pinned reviewers about exactly
this command ends with 76, and nothing is executed.
"""

from __future__ import annotations

import hashlib
import os
import time
from typing import NamedTuple

from failgate.base.canonical import base64url
from failgate.base.errors import FailgateError
from failgate.base.ids import new_id
from failgate.base.quick import signal
from failgate.client.answer import Lost
from failgate.client.asking import Stopped, stop_by_signals
from failgate.client.command import build_call, check_unchanged, close_call, is_read
from failgate.client.execution import execute
from failgate.client.exits import DENIED, EXPIRED, INTERRUPTED, ClientError, NotConfigured, Refused, Unverified
from failgate.client.http import ANSWER_SECONDS, Api
from failgate.client.messages import Messages, inert
from failgate.client.output import STDOUT, Output
from failgate.client.pins import Fetched, Pins, Used, fresh_nonce, held, load_pins, renewed, unbelieved
from failgate.client.search import is_of_system
from failgate.sealed.command import Context, commitment, read_context
from failgate.sealed.policy import Policy
from failgate.sealed.quorum import Quorum, decide
from failgate.sealed.receipt import Receipt, sign_receipt
from failgate.sealed.refusal import Refused as NotBelieved
from failgate.sealed.rules import Run, sign_run
from failgate.sealed.sealing import seal_command

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from failgate.client.command import Call
    from failgate.client.copies import Held
    from failgate.client.execution import Ended
    from failgate.client.options import Options
    from failgate.client.rules import Allowed
    from failgate.client.settings import Settings

DEFAULT_TTL_SECONDS = 60
_WAIT_SECONDS = 25
_PAUSE_SECONDS = 1.0
_RECEIPT_TRIES = 3
_HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class _Asked(NamedTuple):
    """What was asked for: the context that everybody signs, its policy, where the server has it."""

    ctx: Context
    policy: Policy
    route: str


class Digesting(Output):
    """Takes the output and keeps nothing of it but its digest."""

    def __init__(self) -> None:
        """Begin with no output."""
        super().__init__(head=0, tail=0)
        self._digest = hashlib.sha256()

    def write(self, piece: bytes, stream: int = STDOUT, at_us: int | None = None) -> None:
        """Take `piece`, which came now."""
        del stream, at_us
        self._digest.update(piece)

    @property
    def sha256(self) -> str:
        """Return the digest of all output in the order in which it came, in base64url."""
        return base64url(self._digest.digest())


def run_sealed(options: Options, settings: Settings, messages: Messages) -> int:
    """Carry out `options` in the pinned workspace; return the exit code of the command, or why nothing was executed.

    Raises: ClientError (76 for whatever is not believed).
    """
    if options.is_input_held or options.edited is not None:
        raise Unverified("A sealed command takes neither --stdin nor --edited.", hint="Leave them out.")
    call = build_call(options.argv, os.environ, (*settings.env, *options.env))
    stop_by_signals(signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    api = Api(settings)
    run = _SealedRun(api, settings.folder, messages, call)
    try:
        return run.carry_out(options.ttl_seconds)
    except (Stopped, KeyboardInterrupt) as stop:
        run.withdraw()
        if run.exit_code is not None:
            return run.exit_code
        return 128 + stop.number if isinstance(stop, Stopped) else INTERRUPTED
    except FailgateError:
        run.withdraw(is_said=False)  # by what is not believed nothing runs: nobody need decide on it
        raise
    finally:
        messages.clear()
        api.close()
        close_call(call)


class _SealedRun:
    """One sealed request from its submission to its receipt."""

    def __init__(self, api: Api, folder: str, messages: Messages, call: Call) -> None:
        self._api = api
        self._folder = folder
        self._messages = messages
        self._call = call
        self._route: str | None = None
        self.exit_code: int | None = None  # of the command, once it ended

    def carry_out(self, ttl_seconds: int | None) -> int:
        """Return the exit code."""
        pins = load_pins(self._folder)
        if pins is None or pins.opening is not None:
            raise NotConfigured("This folder holds a reviewer's keys.", hint="Use another one (FAILGATE_HOME).")
        cmd = sealed_form(self._call)
        pins, fetched = renewed(self._api, self._folder)
        allowed = self._allowed(pins, fetched)
        if allowed is not None:
            return self._run_by(allowed, cmd, pins)
        asked = self._ask(cmd, pins, fetched, ttl_seconds or DEFAULT_TTL_SECONDS)
        view = self._decided(asked)
        state = view.get("state")
        if state == "denied":
            self._messages.say("denied", "denied", id=asked.ctx.cid)
            return DENIED
        if state == "expired":
            self._messages.say("expired", "expired: nobody decided in time", id=asked.ctx.cid)
            return EXPIRED
        check_unchanged(self._call)
        pins, fetched = renewed(self._api, self._folder)  # who was removed meanwhile decides no more
        copies = self._held()
        self._claim(asked, pins, fetched, view.get("decisions"))

        def hand_in(receipt: Receipt) -> None:
            body = {"receipt": sign_receipt(receipt, asked.ctx, pins.key)}
            self._hand_in(f"{asked.route}/receipt", body, asked.ctx.cid)

        return self._execute(asked.ctx.cid, copies, hand_in)

    def withdraw(self, *, is_said: bool = True) -> None:
        """End the request at the server, if one was made and nothing ran; without an answer it expires by itself."""
        if self.exit_code is not None:
            return
        said = "nothing was executed, and nothing was asked"
        try:
            if self._route is not None:
                self._api.close()
                key = f"cancel-{self._route[-36:]}"
                self._api.call("POST", f"{self._route}/cancel", {}, seconds=3, idempotency_key=key)
                said = "the request is withdrawn; nothing was executed"
        except (FailgateError, KeyboardInterrupt, Stopped):
            said = "nothing was executed; the request expires by itself"
        if is_said:
            self._messages.say("cancelled", said)

    def _allowed(self, pins: Pins, fetched: Fetched) -> Allowed | None:
        """Return what of this machine's rules lets the command run; whatever is wrong with them, people are asked."""
        if not os.path.lexists(f"{self._folder}/sealed-rules.json"):
            return None
        from failgate.client.rules import allowed_by

        try:
            return allowed_by(self._folder, pins, fetched.rules, self._call)
        except (NotBelieved, ClientError) as error:
            self._messages.say("rules-unbelieved", f"the signed rules are not used, people are asked: {error.sentence}")
            return None

    def _run_by(self, allowed: Allowed, cmd: dict[str, Any], pins: Pins) -> int:
        """Execute what signed rules allow; hand in what is signed about it, which says nothing of what it was."""
        check_unchanged(self._call)
        rid = new_id()
        self._messages.say_json("allowed", id=rid, rules=list(allowed.rules), epoch=allowed.head.epoch)

        def hand_in(receipt: Receipt) -> None:
            run = Run(rid, allowed.head.digest, commitment(cmd), receipt)
            body = {"run": sign_run(run, pins.manifest.ws, pins.key)}
            self._hand_in(f"{self._api.workspace()}/sealed-runs", body, rid)

        return self._execute(rid, self._held(), hand_in)

    def _ask(self, cmd: dict[str, Any], pins: Pins, fetched: Fetched, ttl_seconds: int) -> _Asked:
        """Seal the command to everybody who reviews, and hand it in."""
        manifest, now = pins.manifest, int(time.time())
        policy = fetched.policies.get(manifest.policies.get(pins.policy, ""))
        if policy is None:
            raise Unverified("The server does not give the policy that the manifest names.", hint="Try again.")
        recipients = manifest.recipients()
        absent = [jkt for jkt in recipients if jkt not in fetched.sealing]
        if absent:
            raise Unverified(f"The server withholds {len(absent)} of the reviewers' keys.", hint="Try again.")
        try:
            manifest.check_policy(policy)
            ctx = read_context({
                "agent": pins.key.jkt, "cid": new_id(), "commit": commitment(cmd), "epoch": manifest.epoch,
                "exp": now + ttl_seconds, "iat": now, "policy": policy.digest, "rcpt": list(recipients),
                "typ": "failgate-cmd", "v": 1, "ws": manifest.ws,
            })  # fmt: skip
            body = seal_command(cmd, ctx, signer=pins.key, readers={jkt: fetched.sealing[jkt] for jkt in recipients})
        except NotBelieved as error:
            raise Unverified(f"The command cannot be sealed: {error.sentence}", hint="Nothing was asked.") from error
        route = f"{self._api.workspace()}/sealed-commands"
        self._route = f"{route}/{ctx.cid}"  # before it is handed in: an interruption may come while it is
        self._api.call("POST", route, {"sealed": body}, idempotency_key=ctx.cid)
        self._messages.say("waiting", f"sealed, waiting for the reviewers (request {ctx.cid})", id=ctx.cid)
        return _Asked(ctx, policy, self._route)

    def _decided(self, asked: _Asked) -> dict[str, Any]:
        """Return what the server says once it says that it is decided, or that the time is over."""
        while True:
            left = asked.ctx.exp - time.time()
            if left < 0:
                return {"state": "expired"}
            wait = max(1, min(_WAIT_SECONDS, round(left)))
            try:
                answer = self._api.call(
                    "GET", f"{asked.route}?wait={wait}", seconds=wait + ANSWER_SECONDS, tick=self._tick
                )
            except Lost:
                self._messages.show("the connection is lost; trying again")
            except Refused as error:
                if error.answered != 429 and error.answered < 500:
                    raise
            else:
                view: dict[str, Any] = answer.content
                if view.get("state") != "pending":
                    return view
            time.sleep(_PAUSE_SECONDS if left > _PAUSE_SECONDS else 0.1)

    def _claim(self, asked: _Asked, pins: Pins, fetched: Fetched, sent: object) -> Quorum:
        """Return the quorum that the pinned keys signed, noted as used: nothing runs by it a second time."""
        with held(self._folder):
            used = Used(self._folder)
            try:
                quorum = decide(
                    sent, ctx=asked.ctx, policy=asked.policy, manifest=pins.manifest, keys=fetched.deciding,
                    now=int(time.time()), used=used.ids, counters=used.counters,
                )  # fmt: skip
            except NotBelieved as error:
                raise unbelieved("The approval", error) from error
            used.keep({asked.ctx.cid: asked.ctx.exp, **quorum.jtis}, quorum.counters)
            return quorum

    def _held(self) -> Held | None:
        if is_of_system(self._call.executable.path):
            return None
        from failgate.client.copies import hold

        return hold(self._call)

    def _execute(self, name: str, copies: Held | None, hand_in: Callable[[Receipt], None]) -> int:
        output, started = Digesting(), int(time.time())
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
        try:
            self._messages.clear()
            ended: Ended = execute(
                self._call.argv, path=self._call.executable.path, environment=self._call.environment,
                descriptor=self._call.executable.descriptor, folder=self._call.folder, output=output, held=copies,
            )  # fmt: skip
            self.exit_code = ended.exit_code
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        receipt = Receipt(started, max(started, int(time.time())), ended.exit_code, output.sha256)
        try:
            hand_in(receipt)
        except (FailgateError, Stopped, KeyboardInterrupt) as error:
            self._messages.say("receipt-failed", f"the receipt could not be handed in: {inert(str(error))}")
        self._messages.say_json("ended", id=name, exit_code=ended.exit_code, duration_ms=ended.duration_ms)
        return ended.exit_code

    def _hand_in(self, route: str, body: dict[str, str], key: str) -> None:
        for attempt in range(_RECEIPT_TRIES):
            try:
                self._api.call("POST", route, body, seconds=10, idempotency_key=key)
            except Lost:
                if attempt + 1 == _RECEIPT_TRIES:
                    raise
                time.sleep(0.3 * (attempt + 1))
            else:
                return

    def _tick(self) -> None:
        if not self._messages.is_heard():
            raise Stopped(signal.SIGHUP)


def sealed_form(call: Call) -> dict[str, Any]:
    """Return the command of `call` as it is sealed: nine members, of which every one is compared before it runs.

    Raises: Unverified (it reads a script, or starts a program that others may change: the form has no place for them).
    """
    programs: dict[str, dict[str, str]] = call.command["programs"]
    has_own = any("sha256" in facts for facts in programs.values())
    if is_read(call) or has_own or set(call.command["exe"]) != {"path", "sha256"}:
        raise Unverified(
            "A sealed command names the program alone, and this one reads a script, or starts a program of its own.",
            hint="Run a program directly: what is behind it could change between the approval and the run.",
        )
    return {
        "argv": call.argv,
        "cwd": call.command["cwd"],
        "cwd_dev_ino": call.command["cwd_dev_ino"],
        "env": call.environment,
        "exe": {"path": call.executable.path, "sha256": base64url(bytes.fromhex(call.executable.sha256))},
        "host": call.command["host"],
        "nonce": fresh_nonce(),
        "uid": call.command["uid"],
        "v": 1,
    }
