"""What is kept of an artifact: metadata alone. The bytes lie in the store under the row's id."""

from piccolo.columns import BigInt, Text
from piccolo.table import Table


class ArtifactRow(Table, tablename="artifact"):
    """One object of one workspace. `findings` is JSON `{rule: count}`; `scanned_by` the rule set, empty if none ran."""

    id = Text(primary_key=True)
    workspace_id = Text()
    sha256 = Text()
    size_bytes = BigInt()
    findings = Text()
    scanned_by = Text()
    created_us = BigInt()
