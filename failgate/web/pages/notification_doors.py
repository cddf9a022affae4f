"""The doors of the pages about notifications; `doors.py` joins them to the rest."""

from collections.abc import Callable
from typing import Any, Final

from failgate.access.permission import Permission as P  # noqa: N817 - the table is read in columns
from failgate.web.door import Door
from failgate.web.pages import notifications, preferences

_HERE: Final = "/w/{workspace}/settings/notifications"


def _door(
    name: str, method: str, path: str, handler: Callable[..., Any], needs: P, *, is_sensitive: bool = False
) -> Door:
    return Door(
        name=f"page.{name}", method=method, path=path, handler=handler, permission=needs, kind="page",
        is_sensitive=is_sensitive,
    )  # fmt: skip


NOTIFICATIONS: Final = (
    _door("preferences", "GET", "/account/notifications", preferences.form, P.ACCOUNT_SELF_READ),
    _door("preferences_choose", "POST", "/account/notifications", preferences.choose, P.ACCOUNT_SELF_WRITE),
    _door("notifications", "GET", _HERE, notifications.listing, P.WORKSPACE_NOTIFICATION_READ),
    _door("notification_new", "GET", f"{_HERE}/new", notifications.form, P.WORKSPACE_NOTIFICATION_WRITE,
          is_sensitive=True),
    _door("notification_create", "POST", _HERE, notifications.create, P.WORKSPACE_NOTIFICATION_WRITE,
          is_sensitive=True),
    _door("notification", "GET", f"{_HERE}/{{id}}", notifications.one, P.WORKSPACE_NOTIFICATION_READ),
    _door("notification_change", "POST", f"{_HERE}/{{id}}", notifications.change, P.WORKSPACE_NOTIFICATION_WRITE,
          is_sensitive=True),
    _door("notification_rotate", "POST", f"{_HERE}/{{id}}/secret", notifications.rotate,
          P.WORKSPACE_NOTIFICATION_WRITE, is_sensitive=True),
    _door("notification_remove", "POST", f"{_HERE}/{{id}}/remove", notifications.remove,
          P.WORKSPACE_NOTIFICATION_WRITE, is_sensitive=True),
    _door("notification_test", "POST", f"{_HERE}/{{id}}/test", notifications.send_test, P.WORKSPACE_NOTIFICATION_WRITE),
    _door("notification_resend", "POST", f"{_HERE}/{{id}}/deliveries/{{delivery}}/resend", notifications.resend,
          P.WORKSPACE_NOTIFICATION_WRITE),
)  # fmt: skip
