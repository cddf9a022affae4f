"""Claims become an assertion: which claim is the e-mail, the name, the groups. Pure.

Source: OpenID Connect Core 1.0 sections 2 and 5.1; a claim may lie inside another (`realm_access.roles`, as Keycloak
writes it).
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from failgate.accounts.email_address import normalised_or_none
from failgate.base.clock import MICROSECONDS
from failgate.sso.assertion import Assertion
from failgate.sso.connection import Connection, OidcSettings
from failgate.sso.oidc.id_token import CheckedIdToken
from failgate.sso.oidc.presets import is_email_vouched_for
from failgate.sso.protocol import Refusal

MAX_GROUPS: Final = 1000
MAX_TEXT_CHARACTERS: Final = 256
_MAX_ATTRIBUTES: Final = 100
_MAX_METHODS: Final = 20
_OF_THE_PROTOCOL: Final = frozenset({"nonce", "at_hash", "c_hash", "s_hash", "jti"})


def is_anything_missing(connection: Connection, settings: OidcSettings, claims: Mapping[str, Any]) -> bool:
    """Tell whether `claims` lack the e-mail, the name, or groups that this connection maps to roles."""
    wanted = [settings.email_claim, settings.name_claim]
    if connection.roles:
        wanted.append(settings.groups_claim)
    return any(find_claim(claims, name) is None for name in wanted)


def find_claim(claims: Mapping[str, Any], name: str) -> Any:
    """Return the claim `name`, or the one inside of others that `name` leads to with dots; None when absent."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for step in name.split("."):
        if not isinstance(found, Mapping) or step not in found:
            return None
        found = found[step]
    return found


def make_assertion(
    connection: Connection, settings: OidcSettings, checked: CheckedIdToken, claims: Mapping[str, Any], id_token: str
) -> Assertion:
    """Return what the provider asserts: `claims` are those of the checked token and of the userinfo endpoint.

    Raises: Refusal (`groups_elsewhere`, `groups_malformed`).
    """
    email = _read_email(find_claim(claims, settings.email_claim))
    started = checked.claims.get("auth_time")
    is_time = isinstance(started, int | float) and not isinstance(started, bool) and 0 < started < 2**40
    return Assertion(
        issuer=checked.issuer,
        subject=checked.subject,
        email=email,
        is_email_verified=email is not None and is_email_vouched_for(settings, claims, email),
        name=_read_name(find_claim(claims, settings.name_claim)),
        groups=_read_groups(connection, settings, claims),
        attributes=read_attributes(claims),
        methods=_read_texts(checked.claims.get("amr"))[:_MAX_METHODS],
        context=next(iter(_read_texts(checked.claims.get("acr"))), None),
        provider_session=next(iter(_read_texts(checked.claims.get("sid"))), None),
        logout_hint=id_token,
        authenticated_us=int(started * MICROSECONDS) if started is not None and is_time else None,
    )


def read_attributes(claims: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return every claim as texts, for the page that tests a connection; long ones are cut."""
    shown = [(name, value) for name, value in claims.items() if name not in _OF_THE_PROTOCOL][:_MAX_ATTRIBUTES]
    return {_as_shown(name): _as_texts(value) for name, value in shown}


def _as_texts(value: Any) -> tuple[str, ...]:
    values = value[:MAX_GROUPS] if isinstance(value, list) else [value]
    texts = (item if isinstance(item, str) else json.dumps(item, ensure_ascii=False) for item in values)
    return tuple(_as_shown(text) for text in texts)


def _as_shown(text: str) -> str:
    # A lone surrogate, which JSON may hold, could be written nowhere.
    return text[:MAX_TEXT_CHARACTERS].encode(errors="replace").decode()


def _read_email(value: Any) -> str | None:
    return normalised_or_none(value) if isinstance(value, str) else None


def _read_name(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    name = " ".join(value.split())[:MAX_TEXT_CHARACTERS]
    return name if name and name.isprintable() else None


def _read_texts(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(
        text
        for text in (str(item) if isinstance(item, int) and not isinstance(item, bool) else item for item in values)
        if isinstance(text, str) and 0 < len(text) <= MAX_TEXT_CHARACTERS and text.isprintable()
    )


def _read_groups(connection: Connection, settings: OidcSettings, claims: Mapping[str, Any]) -> tuple[str, ...]:
    found = find_claim(claims, settings.groups_claim)
    if found is None:
        elsewhere = claims.get("_claim_names")
        is_elsewhere = claims.get("hasgroups") is True or (
            isinstance(elsewhere, Mapping) and settings.groups_claim in elsewhere
        )
        if is_elsewhere and connection.roles:
            # To read this as "in no group" would take roles away from who has many.
            raise Refusal(
                "groups_elsewhere",
                "The person is in more groups than the token holds: assign groups to the application.",
            )
        return ()
    values = found if isinstance(found, list) else [found]
    groups = _read_texts(values)
    if len(groups) != len(values) or len(groups) > MAX_GROUPS:
        raise Refusal(
            "groups_malformed", f"The claim {settings.groups_claim!r} is not a list of up to {MAX_GROUPS} names."
        )
    return tuple(dict.fromkeys(groups))
