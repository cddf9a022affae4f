"""What the room of evidence keeps. Times are microseconds since 1970."""

from typing import Final

from piccolo.columns import BigInt, Integer, Text
from piccolo.table import Table

from failgate.base.emptying import Rows


class SavedViewRow(Table, tablename="saved_view"):
    """A filter of the audit page that somebody named; `is_shared` is 1 when all who may read the log see it."""

    id = Text(primary_key=True, default="")
    workspace_id = Text()
    account_id = Text()
    name = Text()
    query = Text()
    is_shared = Integer()
    created_us = BigInt()


OF_WORKSPACE: Final = (Rows("saved_view"),)
