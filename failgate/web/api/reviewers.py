"""The door of the reviewers: how each of them decided in the last thirty days."""

from typing import Any

from litestar import Request

from failgate.gate.reviewers import DAYS, reviewed_in
from failgate.web.context import services_of, visit_of
from failgate.wire.reviewers import ReviewerPage, ReviewerView

Asking = Request[Any, Any, Any]


async def listing(request: Asking) -> ReviewerPage:
    """Say how often each member decided lately, how often they approved, and how long they read at most."""
    services, here = services_of(request), visit_of(request).here().id
    found = await reviewed_in(services.db, here, services.clock.now_us())
    accounts = await services.accounts.by_ids(one.account_id for one in found)
    return ReviewerPage(
        DAYS,
        [
            ReviewerView(
                one.account_id,
                accounts[one.account_id].email if one.account_id in accounts else "",
                one.decided,
                one.approved,
                one.percent,
                one.median_us // 1000,
                one.is_stamp,
            )
            for one in found
        ],
    )
