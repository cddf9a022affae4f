"""One's own API keys in a workspace. A key is made by a person, never by another key."""

from typing import Any

from litestar import Request
from litestar.params import FromPath, JSONBody

from failgate.access.principal import Principal
from failgate.accounts.token import Token, Wish
from failgate.accounts.token_text import token_id_of
from failgate.audit.record import Actor
from failgate.base.clock import MICROSECONDS, to_rfc3339
from failgate.base.db import Transaction
from failgate.base.errors import BadInput, NotFound
from failgate.roster import Services
from failgate.web.api.idempotency import IdempotencyKey, key_of
from failgate.web.context import services_of, visit_of
from failgate.wire.people import MintedToken, NewAgentToken, NewKey, TokenPage, TokenView

LONGEST_SECONDS = 10 * 366 * 86_400


async def listing(request: Request[Any, Any, Any]) -> TokenPage:
    """List one's own API keys of this workspace, the newest first."""
    visit = visit_of(request)
    found = await services_of(request).tokens.list(_owner(visit.principal), visit.here().id)
    return TokenPage([view_of(token) for token in found if token.kind == "usr"], None)


async def create(
    request: Request[Any, Any, Any], data: JSONBody[NewKey], idempotency_key: IdempotencyKey = None
) -> MintedToken:
    """Make an API key; it is shown this once. It never gives more than the role of its owner."""
    visit, services = visit_of(request), services_of(request)
    wish, actor, workspace = wish_of(data, services), Actor.of(visit.principal), visit.here()
    owner = _owner(visit.principal)

    async def verb(tx: Transaction) -> MintedToken:
        return minted(await services.tokens.mint_within(tx, "usr", owner, workspace.id, wish, actor=actor))

    key = key_of(request, idempotency_key, data)
    return await services.first_answers.once(key, MintedToken, verb, without_token)


async def revoke(request: Request[Any, Any, Any], id: FromPath[str]) -> None:  # noqa: A002 - the path's word
    """End one of one's own API keys, at once."""
    visit = visit_of(request)
    await services_of(request).tokens.revoke(
        id, Actor.of(visit.principal), workspace_id=visit.here().id, owner_id=_owner(visit.principal)
    )


def _owner(principal: Principal) -> str:
    if principal.account_id is None:
        raise NotFound("An agent has no API keys.")
    return principal.account_id


def wish_of(data: NewKey | NewAgentToken, services: Services) -> Wish:
    """Return what the new token shall be. Raises: BadInput (a time to live that is none)."""
    expires_us = None
    if data.ttl_seconds is not None:
        if not 1 <= data.ttl_seconds <= LONGEST_SECONDS:
            raise BadInput("The time to live has 1 second to ten years.", hint="Leave it out for no end.")
        expires_us = services.clock.now_us() + data.ttl_seconds * MICROSECONDS
    return Wish(data.label, expires_us, data.scopes, data.networks)


def minted(text: str) -> MintedToken:
    """Return the answer that shows the token `text`."""
    return MintedToken(token_id_of(text) or "", text)


def without_token(answer: MintedToken) -> MintedToken:
    """Return what is kept of the answer: no secret."""
    return MintedToken(answer.id, None)


def view_of(token: Token) -> TokenView:
    """Return a token as it can be listed."""
    return TokenView(
        token.id,
        token.label,
        to_rfc3339(token.created_us),
        _time(token.expires_us),
        None if token.scopes is None else sorted(token.scopes),
        list(token.networks),
        _time(token.last_used_us),
        token.last_used_address,
    )


def _time(us: int | None) -> str | None:
    return None if us is None else to_rfc3339(us)
