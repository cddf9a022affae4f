"""How workspaces are named: the slug in addresses, the name for people. Pure."""

import re
from typing import Final

from failgate.base.errors import BadInput

MIN_SLUG: Final = 2
MAX_SLUG: Final = 40
MAX_NAME: Final = 100
_SLUG: Final = re.compile(r"[a-z0-9](?:-?[a-z0-9])*", re.ASCII)
# Words that stand, or may one day stand, where a slug stands in an address or a log's name.
RESERVED: Final = frozenset(
    {
        "account",
        "admin",
        "api",
        "audit",
        "device",
        "failgate",
        "healthz",
        "internal",
        "login",
        "logout",
        "me",
        "metrics",
        "new",
        "null",
        "oauth",
        "platform",
        "public",
        "readyz",
        "root",
        "s",
        "scim",
        "security",
        "security-txt",
        "self",
        "settings",
        "setup",
        "share",
        "signin",
        "signout",
        "sso",
        "static",
        "system",
        "undefined",
        "w",
        "well-known",
        "workspace",
        "workspaces",
        "x",
    }
)


def is_slug(text: str) -> bool:
    """Tell whether `text` is written like a slug, reserved words included."""
    return MIN_SLUG <= len(text) <= MAX_SLUG and _SLUG.fullmatch(text) is not None


def check_slug(text: str) -> str:
    """Return `text`.

    Raises: BadInput (not written like a slug, or reserved).
    """
    if not is_slug(text):
        raise BadInput(
            f"The short name of a workspace has {MIN_SLUG} to {MAX_SLUG} of a-z, 0-9 and single hyphens between them.",
            hint="Write it like payments-team.",
        )
    if text in RESERVED:
        raise BadInput(f"The short name {text} is reserved.", hint="Choose another one.")
    return text


def check_name(text: str) -> str:
    """Return `text` without outer spaces.

    Raises: BadInput (empty, over 100 characters, or with a character that does not print).
    """
    name = text.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise BadInput(
            f"A name has 1 to {MAX_NAME} printable characters.", hint="Shorten it or remove control characters."
        )
    return name
