"""What doors say of the deletion of a workspace, and its receipt."""

from typing import Literal

import msgspec


class TypedName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who asks or confirms types the workspace's short name, so that nobody deletes another one than they mean."""

    name: str


class DeletionView(msgspec.Struct, frozen=True):
    """An owner's word that waits for another owner's. `asked_by` is an account; times are RFC 3339."""

    id: str
    name: str
    asked_by: str
    asked_at: str
    expires_at: str


class WorkspaceReceipt(msgspec.Struct, frozen=True):
    """What was removed with a workspace, and the last head of its audit log, which is kept.

    `rows` counts by table, `size_bytes` the artifacts before they were sealed; `log_root` is hexadecimal, `checkpoint`
    the signed note of that head (C2SP tlog-checkpoint). Whoever asked and confirmed stand as ids of accounts.
    """

    id: str
    name: str
    asked_by: str
    asked_at: str
    confirmed_by: str
    closed_at: str
    emptied_at: str
    reports: int
    artifacts: int
    size_bytes: int
    rows: dict[str, int]
    log_size: int
    log_root: str
    checkpoint: str
    v: Literal[1] = 1


class RecordedReceipt(msgspec.Struct, frozen=True):
    """A receipt, and the number of the record in the log `system` that holds its digest."""

    receipt: WorkspaceReceipt
    record: int


class DeletedWorkspace(msgspec.Struct, frozen=True):
    """What is left of a workspace, for those who owned it. `receipt` is null until everything is removed."""

    id: str
    name: str
    closed_at: str
    state: Literal["emptying", "deleted"]
    receipt: WorkspaceReceipt | None
    record: int | None


class DeletedWorkspacePage(msgspec.Struct, frozen=True):
    """The deleted workspaces that one owned, the latest first."""

    items: list[DeletedWorkspace]
    next: str | None
