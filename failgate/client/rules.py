"""Rules that this machine judges by itself: their body in its own folder, their signed head from the server.

Whatever is wrong with either (withheld, older than one that was seen, expired, of another manifest, another body) means
that nothing runs by them: the command is sealed and people are asked.
"""

from __future__ import annotations

import json
import time
from typing import NamedTuple

from failgate.base.errors import FailgateError
from failgate.client.exits import NotConfigured
from failgate.client.keyring import read_private, write_private
from failgate.client.pins import held, load_pins, store_pins
from failgate.sealed.refusal import Refused
from failgate.sealed.rules import Head, SignedRule, read_body, verify_head

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from failgate.client.command import Call
    from failgate.client.pins import Pins

RULES_FILE = "sealed-rules.json"
MOST_BYTES = 16 << 20


class Allowed(NamedTuple):
    """What lets a command run at once: the head, and the ids of the rules that speak of it."""

    head: Head
    rules: tuple[str, ...]


def keep_rules(folder: str, content: bytes) -> str:
    """Keep the body `content` in place of the one before; return its digest.

    Raises: NotConfigured (it is no body of rules, or one of them allows too much).
    """
    rules, digest = body_of(content)
    for rule in rules:
        check_rule(rule)
    write_private(folder, RULES_FILE, content)
    return digest


def body_of(content: bytes) -> tuple[tuple[SignedRule, ...], str]:
    """Return the rules of a body and its digest. Raises: NotConfigured (it is none)."""
    try:
        return read_body(json.loads(content))
    except Refused as error:
        raise NotConfigured(f"This is no body of rules: {error.sentence}", hint="Ask who signed it.") from error
    except (ValueError, RecursionError):
        raise NotConfigured("This is no body of rules: it is no JSON.", hint="Ask who signed it.") from None


def check_rule(rule: SignedRule) -> None:
    """Accept a rule as the allowlist would. Raises: NotConfigured, naming it (it allows too much, or nothing)."""
    from failgate.matching.matcher import check_rule as check
    from failgate.wire.gate import Rule

    try:
        check(Rule(rule.kind, "allow", list(rule.argv)))
    except FailgateError as error:
        raise NotConfigured(f"The rule {rule.id} is none: {error.sentence}", hint=error.hint) from error


def allowed_by(folder: str, pins: Pins, given: object, call: Call) -> Allowed | None:
    """Return what lets `call` run at once, None where no rule speaks of it or no body is kept here.

    `given` is the head that the server gives now, under the manifest in `pins`, which was renewed just now. The newest
    head is remembered, so that an older one is not believed afterwards.

    Raises: Refused, NotConfigured (head or body are not believed: then people are asked).
    """
    content = read_private(f"{folder}/{RULES_FILE}", "file of rules", most=MOST_BYTES)
    if content is None:
        return None
    rules, digest = body_of(content)
    with held(folder):
        kept = load_pins(folder)
        head = verify_head(given, manifest=pins.manifest, now=int(time.time()), last=kept and kept.rules)
        if kept is not None and kept.rules != (head.epoch, head.digest):
            store_pins(folder, kept._replace(rules=(head.epoch, head.digest)))
    if head.rules != digest:
        raise Refused("commitment", "rules.rules")
    ids = speaking(rules, call.command)
    return None if ids is None else Allowed(head, ids)


def speaking(rules: Sequence[SignedRule], command: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the ids of the rules that together let `command` pass, as the allowlist would; None when they do not.

    A line for a shell passes when each program that it could run passes, or when a rule allows exactly this line.
    """
    import msgspec

    from failgate.matching.calls import call_of, calls_in_line
    from failgate.matching.matcher import matcher_of
    from failgate.matching.shell import Uninspectable
    from failgate.wire.gate import Command, Rule

    try:
        call = call_of(msgspec.convert(dict(command), Command), None)
        ready = [(one.id, matcher_of(Rule(one.kind, "allow", list(one.argv)))) for one in rules]
    except (msgspec.ValidationError, FailgateError):
        return None

    def first(of: Any) -> str | None:
        return next((name for name, matcher in ready if matcher.fits(of)), None)

    whole, inner = first(call), calls_in_line(call)
    if isinstance(inner, Uninspectable):
        return None
    if whole is not None:
        return (whole,)
    found = [first(one) for one in inner or ()]
    return tuple(name for name in found if name is not None) if found and None not in found else None
