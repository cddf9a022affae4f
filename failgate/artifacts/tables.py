"""What is kept of an artifact: metadata alone. The bytes lie in the store under the row's id."""

from typing import Final

from piccolo.columns import BigInt, Text
from piccolo.table import Table

from failgate.base.emptying import Rows


class ArtifactRow(Table, tablename="artifact"):
    """One object of one workspace. `findings` is JSON `{rule: count}`; `scanned_by` the rule set, empty if none ran.

    `salt` is that of a sealed object, None for a plain one; `object_key` its name in the store where that is not `id`.
    `scanned_us` is when a virus scanner looked through it, None when it did not; `malware` what it found.
    """

    id = Text(primary_key=True)
    workspace_id = Text()
    sha256 = Text()
    size_bytes = BigInt()
    findings = Text()
    scanned_by = Text()
    created_us = BigInt()
    salt = Text(null=True, default=None)
    object_key = Text(null=True, default=None)
    scanned_us = BigInt(null=True, default=None)
    malware = Text(null=True, default=None)


class ArtifactKeyRow(Table, tablename="artifact_key"):
    """The data key of a workspace, wrapped by the key `wrapping_key_id`; empty once it is destroyed."""

    workspace_id = Text(primary_key=True)
    wrapped = Text()
    wrapping_key_id = Text()
    created_us = BigInt()
    destroyed_us = BigInt(null=True, default=None)


# What goes with a workspace that is deleted, in the order in which it goes.
# The text kept of an artifact is of the room of reports, and its row has no other parent.
OF_WORKSPACE: Final = (
    Rows("artifact", children=(("report_excerpt", "artifact_id"),), has_objects=True),
    Rows("artifact_key", "workspace_id"),
)
