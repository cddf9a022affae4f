"""Who is told, and what is on its way."""

from typing import Final

from piccolo.columns import BigInt, Text
from piccolo.table import Table

from failgate.base.emptying import Rows


class NotifyDestinationRow(Table, tablename="notify_destination"):
    """A place that a workspace named. Address and secrets are sealed; `events` is a JSON list of names."""

    id = Text(primary_key=True)
    workspace_id = Text()
    notifier = Text()
    name = Text()
    shown = Text()
    sealed_address = Text()
    sealed_secret = Text(null=True, default=None)
    sealed_previous = Text(null=True, default=None)
    previous_until_us = BigInt(null=True, default=None)
    events = Text()
    is_detailed = BigInt()
    is_enabled = BigInt()
    since = BigInt()
    created_by = Text()
    created_us = BigInt()


class NotifyPreferenceRow(Table, tablename="notify_preference"):
    """What a member wants to be told of in person; the key is workspace and account."""

    workspace_id = Text(primary_key=True)
    account_id = Text()
    events = Text()
    changed_us = BigInt()


class NotifyCursorRow(Table, tablename="notify_cursor"):
    """How many records of a workspace's log were read for what is to be told."""

    workspace_id = Text(primary_key=True)
    seq = BigInt()


class NotificationRow(Table, tablename="notification"):
    """What is told to one target, and how that went. `state` is waiting, delivered or dead."""

    id = Text(primary_key=True)
    workspace_id = Text()
    target = Text()
    is_member = BigInt()
    notifier = Text()
    place = BigInt()
    event = Text()
    body = Text()
    state = Text()
    attempts = BigInt()
    next_us = BigInt()
    created_us = BigInt()
    ended_us = BigInt(null=True, default=None)
    outcome = Text(null=True, default=None)


# What goes with a workspace that is deleted, in the order in which it goes.
OF_WORKSPACE: Final = (
    Rows("notification"),
    Rows("notify_destination"),
    Rows("notify_preference", "account_id"),
    Rows("notify_cursor", "workspace_id"),
)
