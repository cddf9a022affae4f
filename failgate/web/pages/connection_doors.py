"""The doors of the owner's pages about identity providers."""

from collections.abc import Callable
from typing import Any, Final

from failgate.access.permission import Permission as P  # noqa: N817 - the table is read in columns
from failgate.web.door import Door
from failgate.web.pages import connection_changes as changes
from failgate.web.pages import connections, provisioning

_ROOT: Final = "/w/{workspace}/settings/sign-in"
_METADATA_BYTES: Final = 768 * 1024  # 256 KiB of XML, each character of it perhaps three in a form


def _look(name: str, path: str, handler: Callable[..., Any]) -> Door:
    return Door(
        name=name, method="GET", path=_ROOT + path, handler=handler, permission=P.WORKSPACE_SIGN_IN_READ, kind="page"
    )


def _change(name: str, path: str, handler: Callable[..., Any], form_bytes: int | None = None) -> Door:
    return Door(
        name=name, method="POST", path=_ROOT + path, handler=handler, permission=P.WORKSPACE_SIGN_IN_WRITE, kind="page",
        is_sensitive=True, form_bytes=form_bytes,
    )  # fmt: skip


CONNECTIONS: Final[tuple[Door, ...]] = (
    _look("page.connections", "", connections.listing),
    _look("page.connection_new", "/new", connections.new),
    _change("page.connection_create", "", connections.create, _METADATA_BYTES),
    _look("page.connection", "/{id}", connections.one),
    _look("page.connection_test", "/{id}/test", connections.test),
    _look("page.connection_trial", "/{id}/tests/{trial}", connections.trial),
    _change("page.connection_provider", "/{id}/provider", changes.provider, _METADATA_BYTES),
    _change("page.connection_mapping", "/{id}/mapping", changes.mapping),
    _change("page.connection_domains", "/{id}/domains", changes.domains),
    _change("page.connection_keys", "/{id}/keys", changes.keys),
    _change("page.connection_switch", "/{id}/switch", changes.switch),
    _change("page.connection_remove", "/{id}/remove", changes.remove),
    _look("page.provisioning", "/{id}/provisioning", provisioning.show_page),
    _change("page.provisioning_change", "/{id}/provisioning", provisioning.change),
    _change("page.sso_enforce", "/enforce", changes.enforce),
    _change("page.sso_release", "/release", changes.release),
)
