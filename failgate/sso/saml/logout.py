"""Single logout, both ways, by redirect and by POST. Every message is signed, ours and theirs.

A provider's demand names a person, and sessions of its own; which of our sessions end is not decided here. Nor is the
single use of a demand's ID.
Source: saml-core-2.0-os section 3.7; saml-profiles-2.0-os section 4.4; saml-bindings-2.0-os sections 3.4, 3.5.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_plus

from onelogin.saml2.utils import OneLogin_Saml2_Utils

from failgate.base.clock import MICROSECONDS
from failgate.sso.connection import Connection, SamlSettings
from failgate.sso.protocol import Departure, Expected, ProviderLogout
from failgate.sso.saml import tree
from failgate.sso.saml.conditions import SUCCESS, check_in_response_to, check_issuer
from failgate.sso.saml.instants import MAX_AGE_SECONDS, SKEW_SECONDS, check_issued, read_instant
from failgate.sso.saml.name_id import from_hint, read_name_id
from failgate.sso.saml.outgoing import Kind, depart, message
from failgate.sso.saml.refusals import Reason, refused
from failgate.sso.saml.service import ServiceProvider
from failgate.sso.saml.signatures import QUERY_METHODS, check_signatures, verify
from failgate.sso.saml.toolkit import saml_settings
from failgate.sso.saml.tree import SAML, SAMLP, Element, etree

PARTIAL = "urn:oasis:names:tc:SAML:2.0:status:PartialLogout"
RESPONDER = "urn:oasis:names:tc:SAML:2.0:status:Responder"
_TAGS: dict[Kind, str] = {"SAMLRequest": f"{SAMLP}LogoutRequest", "SAMLResponse": f"{SAMLP}LogoutResponse"}


@dataclass(frozen=True, slots=True)
class LogoutDemand:
    """The provider demands that sessions end. `answer_logout` needs `request_id` and `relay_state` back."""

    logout: ProviderLogout
    request_id: str
    relay_state: str


@dataclass(frozen=True, slots=True)
class LogoutAnswer:
    """The provider's answer to our own demand. Not complete: other services of the person are still signed in."""

    in_response_to: str
    is_complete: bool


@dataclass(frozen=True, slots=True)
class _Arrived:
    kind: Kind
    root: Element
    relay_state: str


def begin_logout(
    connection: Connection, service: ServiceProvider, logout_hint: str, provider_session: str | None, now_us: int
) -> Departure:
    """Return our demand that the provider end the session of whom `logout_hint` names (`Assertion.logout_hint`).

    Raises: Refusal (the connection has no logout address); BadInput (the hint names nobody).
    """
    settings = saml_settings(connection, now_us)
    url = _logout_url(settings)
    root = message("LogoutRequest", service, url, now_us)
    name_id = from_hint(logout_hint)
    element = etree.SubElement(root, f"{SAML}NameID")
    element.text = name_id.value
    for name, value in (
        ("Format", name_id.format),
        ("NameQualifier", name_id.name_qualifier),
        ("SPNameQualifier", name_id.sp_name_qualifier),
    ):
        if value:
            element.set(name, value)
    if provider_session:
        etree.SubElement(root, f"{SAMLP}SessionIndex").text = provider_session
    return depart(root, "SAMLRequest", service, url, settings.slo_binding, root.get("ID"))


def answer_logout(
    connection: Connection, service: ServiceProvider, demand: LogoutDemand, now_us: int, *, is_done: bool = True
) -> Departure:
    """Return our answer to the provider's `demand`.

    Raises: Refusal (the connection has no logout address).
    """
    settings = saml_settings(connection, now_us)
    url = settings.slo_response_url or _logout_url(settings)
    root = message("LogoutResponse", service, url, now_us, InResponseTo=demand.request_id)
    status = etree.SubElement(root, f"{SAMLP}Status")
    etree.SubElement(status, f"{SAMLP}StatusCode", Value=SUCCESS if is_done else RESPONDER)
    return depart(root, "SAMLResponse", service, url, settings.slo_binding, demand.relay_state)


def read_logout(
    connection: Connection,
    service: ServiceProvider,
    now_us: int,
    *,
    query: str | None = None,
    form: Mapping[str, str] | None = None,
    expected: Expected | None = None,
) -> LogoutDemand | LogoutAnswer:
    """Return what the provider's logout message says.

    `query` is the query string of a redirect exactly as it arrived (the signature covers its very letters), `form` the
    fields of a POST. An answer must be to `expected`; a demand needs none.

    Raises: Refusal.
    """
    settings = saml_settings(connection, now_us)
    arrived = _by_redirect(query, settings) if form is None else _by_post(form, settings)
    root = arrived.root
    if root.get("Destination") != service.logout_url:
        raise refused(Reason.DESTINATION)
    check_issuer(root, settings.entity_id)
    issued_us = check_issued(root.get("IssueInstant"), now_us)
    if arrived.kind == "SAMLResponse":
        if expected is None:
            raise refused(Reason.UNSOLICITED)
        check_in_response_to(root, expected.request_id)
        return LogoutAnswer(expected.request_id, is_complete=_is_complete(root))
    ends = root.get("NotOnOrAfter")
    if ends is not None and read_instant(ends) + SKEW_SECONDS * MICROSECONDS <= now_us:
        raise refused(Reason.EXPIRED)
    indexes = tuple(tree.whole_text(index, Reason.MALFORMED) for index in root.findall(f"{SAMLP}SessionIndex"))
    name_id = read_name_id(root)
    logout = ProviderLogout(
        issuer=settings.entity_id,
        subject=name_id.subject(settings.entity_id, service.entity_id),
        provider_sessions=tuple(index for index in indexes if index),
        message_ids=(str(root.get("ID")),),
        valid_until_us=issued_us + MAX_AGE_SECONDS * MICROSECONDS,
    )
    return LogoutDemand(logout, str(root.get("ID")), arrived.relay_state)


def claimed_request(*, query: str | None = None, form: Mapping[str, str] | None = None) -> str | None:
    """Return the InResponseTo that a logout answer claims, unchecked: only to look up what is expected.

    Raises: Refusal (it is no message at all).
    """
    if form is None:
        kind, fields = _query_fields(query or "")
        return _in_response_to(tree.parse(tree.decode_redirect(unquote_plus(fields[kind]))))
    return _in_response_to(tree.parse(tree.decode_post(form[_kind_of(form)])))


def _in_response_to(root: Element) -> str | None:
    claimed: str | None = root.get("InResponseTo")
    return claimed


def _logout_url(settings: SamlSettings) -> str:
    if settings.slo_url is None:
        raise refused(Reason.NO_LOGOUT)
    return settings.slo_url


def _is_complete(root: Element) -> bool:
    codes = [code.get("Value") for code in root.iter(f"{SAMLP}StatusCode")]
    return bool(codes) and codes[0] == SUCCESS and PARTIAL not in codes


def _kind_of(fields: Mapping[str, str]) -> Kind:
    if ("SAMLRequest" in fields) == ("SAMLResponse" in fields):
        raise refused(Reason.BINDING)
    return "SAMLRequest" if "SAMLRequest" in fields else "SAMLResponse"


def _query_fields(query: str) -> tuple[Kind, dict[str, str]]:
    """Return the fields of `query` as they are spelled there.

    Raises: Refusal (one stands there twice).
    """
    if len(query) > 2 * tree.MAX_BYTES:
        raise refused(Reason.TOO_LARGE)
    fields: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name in fields:
            raise refused(Reason.BINDING)
        fields[name] = value
    return _kind_of(fields), fields


def _by_redirect(query: str | None, settings: SamlSettings) -> _Arrived:
    """Return the message of a redirect, whose signature over the query verifies.

    Raises: Refusal.
    """
    kind, fields = _query_fields(query or "")
    root = _message(tree.parse(tree.decode_redirect(unquote_plus(fields[kind]))), kind)
    check_signatures(root, [])  # none inside: the query's is the one
    if not fields.get("Signature") or not fields.get("SigAlg"):
        raise refused(Reason.UNSIGNED)
    algorithm = unquote_plus(fields["SigAlg"])
    if algorithm not in QUERY_METHODS:
        raise refused(Reason.ALGORITHM)
    covered = [f"{name}={fields[name]}" for name in (kind, "RelayState", "SigAlg") if name in fields]
    try:
        signature = base64.b64decode(unquote_plus(fields["Signature"]), validate=True)
    except (binascii.Error, ValueError):
        raise refused(Reason.ENCODING) from None
    if not any(
        OneLogin_Saml2_Utils.validate_binary_sign("&".join(covered), signature, certificate, algorithm)
        for certificate in settings.certificates
    ):
        raise refused(Reason.SIGNATURE)
    return _Arrived(kind, root, unquote_plus(fields.get("RelayState", "")))


def _by_post(form: Mapping[str, str], settings: SamlSettings) -> _Arrived:
    """Return the message of a POST, whose enveloped signature verifies.

    Raises: Refusal.
    """
    kind = _kind_of(form)
    root = _message(tree.parse(tree.decode_post(form[kind])), kind)
    if not check_signatures(root, [root]):
        raise refused(Reason.UNSIGNED)
    name = etree.QName(root).localname
    verify(root, f"/samlp:{name}/ds:Signature", settings.certificates)
    return _Arrived(kind, root, form.get("RelayState", ""))


def _message(root: Element, kind: Kind) -> Element:
    if root.tag != _TAGS[kind]:
        raise refused(Reason.ROOT)
    if root.get("Version") != "2.0":
        raise refused(Reason.VERSION)
    if not root.get("ID"):
        raise refused(Reason.IDS)
    tree.check_schema(root)
    return root
