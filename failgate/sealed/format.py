"""The names of this room that the plugins' API gives: what a relay needs to say what it believes."""

from failgate.sealed import form
from failgate.sealed.command import Context, check_context
from failgate.sealed.decision import Decision, verify_decision
from failgate.sealed.keys import SealingKey, VerifyingKey, ring_of
from failgate.sealed.manifest import MOST_BYTES, Manifest, accept_chain, first_manifest, read_payload
from failgate.sealed.policy import Policy, read_policy
from failgate.sealed.quorum import decide
from failgate.sealed.receipt import Receipt, verify_receipt
from failgate.sealed.refusal import Refused
from failgate.sealed.rules import Head, Run, verify_head, verify_run
from failgate.sealed.sealing import read_outer

__all__ = [
    "MOST_BYTES",
    "Context",
    "Decision",
    "Head",
    "Manifest",
    "Policy",
    "Receipt",
    "Refused",
    "Run",
    "SealingKey",
    "VerifyingKey",
    "accept_chain",
    "check_context",
    "decide",
    "first_manifest",
    "form",
    "read_outer",
    "read_payload",
    "read_policy",
    "ring_of",
    "verify_decision",
    "verify_head",
    "verify_receipt",
    "verify_run",
]
