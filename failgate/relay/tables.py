"""What is kept of end-to-end mode."""

from typing import Final

from piccolo.columns import BigInt, Text
from piccolo.table import Table

from failgate.base.emptying import Rows


class DeviceKeyRow(Table, tablename="device_key"):
    """A public key of a person's device or of an agent; `jkt` is its thumbprint."""

    id = Text(primary_key=True, default="")
    workspace_id = Text()
    purpose = Text()
    account_id = Text(null=True, default=None)
    agent_id = Text(null=True, default=None)
    jkt = Text()
    jwk = Text()
    key_class = Text(null=True, default=None)
    rp = Text(null=True, default=None)
    origins = Text(null=True, default=None)
    label = Text()
    copies = Text(null=True, default=None)
    created_us = BigInt()
    revoked_us = BigInt(null=True, default=None)


class KeyManifestRow(Table, tablename="key_manifest"):
    """A manifest of keys that was accepted; one for each epoch."""

    id = Text(primary_key=True, default="")
    workspace_id = Text()
    epoch = BigInt()
    digest = Text()
    signed = Text()
    policies = Text()
    expires_us = BigInt()
    accepted_us = BigInt()
    account_id = Text(null=True, default=None)


class SealedCommandRow(Table, tablename="sealed_command"):
    """A sealed command; `body` is the JWE."""

    id = Text(primary_key=True, default="")
    workspace_id = Text()
    cid = Text()
    agent_id = Text()
    agent_jkt = Text()
    owner_account_id = Text(null=True, default=None)
    commitment = Text()
    epoch = BigInt()
    policy = Text()
    size_bytes = BigInt()
    body = Text()
    state = Text()
    created_us = BigInt()
    expires_us = BigInt()
    ended_us = BigInt(null=True, default=None)
    receipt = Text(null=True, default=None)


class SealedDecisionRow(Table, tablename="sealed_decision"):
    """A reviewer's signed decision; one of each person for each command."""

    id = Text(primary_key=True, default="")
    workspace_id = Text()
    cid = Text()
    account_id = Text()
    jkt = Text()
    decision = Text()
    body = Text()
    decided_us = BigInt()


class SealedRulesRow(Table, tablename="sealed_rules"):
    """A signed head of rules that machines judge by themselves; one for each epoch. The rules are not here."""

    id = Text(primary_key=True, default="")
    workspace_id = Text()
    epoch = BigInt()
    digest = Text()
    signed = Text()
    issued_us = BigInt()
    expires_us = BigInt()
    accepted_us = BigInt()
    account_id = Text(null=True, default=None)


class SealedRunRow(Table, tablename="sealed_run"):
    """What an agent ran by such rules, as it signed it."""

    id = Text(primary_key=True, default="")
    workspace_id = Text()
    rid = Text()
    agent_id = Text()
    agent_jkt = Text()
    rules = Text()
    commitment = Text()
    exit_code = BigInt()
    receipt = Text()
    taken_us = BigInt()


# What goes with a workspace that is deleted, in the order in which it goes.
OF_WORKSPACE: Final = (
    Rows("sealed_run"),
    Rows("sealed_rules"),
    Rows("sealed_decision"),
    Rows("sealed_command"),
    Rows("key_manifest"),
    Rows("device_key"),
)
