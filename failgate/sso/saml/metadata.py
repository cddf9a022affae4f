"""Metadata, both ways: the document that describes us, and what a provider's document says of it.

Source: saml-metadata-2.0-os sections 2.3, 2.4.
"""

from typing import Any, Final
from urllib.parse import urlsplit

from onelogin.saml2.constants import OneLogin_Saml2_Constants
from onelogin.saml2.metadata import OneLogin_Saml2_Metadata

from failgate.base.clock import MICROSECONDS
from failgate.base.errors import TooLarge, Unprocessable
from failgate.config.addresses import is_loopback_host
from failgate.sso.connection import Binding, SamlSettings
from failgate.sso.protocol import RSA_BITS, Refusal
from failgate.sso.saml import tree
from failgate.sso.saml.certificates import bare, certificate_facts, read_certificate
from failgate.sso.saml.encryption import CIPHERS, KEY_TRANSPORTS
from failgate.sso.saml.instants import read_instant, write_instant
from failgate.sso.saml.name_id import EMAIL, TRANSIENT
from failgate.sso.saml.outgoing import new_id
from failgate.sso.saml.service import ServiceProvider
from failgate.sso.saml.tree import DS, MD, SAMLP, Element, etree, serialise

VALID_SECONDS: Final = 14 * 24 * 3600
MAX_CERTIFICATES: Final = 4
MAX_URL_CHARACTERS: Final = 2048
_PROTOCOL: Final = SAMLP[1:-1]
_BINDINGS: Final[dict[Binding, str]] = {
    "redirect": OneLogin_Saml2_Constants.BINDING_HTTP_REDIRECT,
    "post": OneLogin_Saml2_Constants.BINDING_HTTP_POST,
}
_PERSISTENT: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"


def metadata(service: ServiceProvider, now_us: int) -> bytes:
    """Return our metadata for one connection: signed, valid for two weeks, with every certificate of a rollover."""
    prefixes = {"md": MD[1:-1], "ds": DS[1:-1]}
    root = etree.Element(f"{MD}EntityDescriptor", nsmap=prefixes, ID=new_id(), entityID=service.entity_id)
    root.set("validUntil", write_instant(now_us + VALID_SECONDS * MICROSECONDS))
    role = etree.SubElement(root, f"{MD}SPSSODescriptor", protocolSupportEnumeration=_PROTOCOL)
    role.set("AuthnRequestsSigned", "true")
    role.set("WantAssertionsSigned", "true")
    for use in ("signing", "encryption"):
        for key in service.keys:
            _add_key(role, use, key.certificate)
    for binding in _BINDINGS.values():
        etree.SubElement(role, f"{MD}SingleLogoutService", Binding=binding, Location=service.logout_url)
    for name_format in (_PERSISTENT, EMAIL):
        etree.SubElement(role, f"{MD}NameIDFormat").text = name_format
    acs = etree.SubElement(role, f"{MD}AssertionConsumerService", Binding=_BINDINGS["post"], Location=service.acs_url)
    acs.set("index", "0")
    acs.set("isDefault", "true")
    key = service.signing
    signed: Any = OneLogin_Saml2_Metadata.sign_metadata(serialise(root), key.private_key.reveal(), key.certificate)
    return bytes(signed)


def read_metadata(
    document: bytes,
    now_us: int,
    *,
    allow_loopback: bool = False,
    entity_id: str | None = None,
    rsa_bits: int = RSA_BITS,
) -> SamlSettings:
    """Return the settings of the one identity provider in `document` (of the one called `entity_id`, where given).

    The document is believed because of how it came: from an owner's hand, or over TLS from the address that an owner
    gave. A signature inside of it by a key inside of it would prove nothing.

    Raises: Unprocessable (not metadata, expired, no provider or several, no usable address or key); TooLarge.
    """
    root = _parse(document)
    entity, role = _provider(root, entity_id)
    expires_us = _expiry([root, entity, role], now_us)
    sso_binding, sso_url, _ = _endpoint(role, "SingleSignOnService", allow_loopback=allow_loopback)
    if sso_url is None:
        raise Unprocessable(
            "The metadata names no sign-in address that we can use.",
            hint="The provider must offer SingleSignOnService by HTTP-Redirect or HTTP-POST over https.",
        )
    slo_binding, slo_url, slo_response_url = _endpoint(role, "SingleLogoutService", allow_loopback=allow_loopback)
    formats = {"".join(element.itertext()).strip() for element in role.findall(f"{MD}NameIDFormat")} - {TRANSIENT}
    return SamlSettings(
        entity_id=str(entity.get("entityID")),
        sso_url=sso_url,
        sso_binding=sso_binding,
        slo_url=slo_url,
        slo_response_url=slo_response_url,
        slo_binding=slo_binding,
        certificates=_certificates(role, now_us, rsa_bits),
        metadata_expires_us=expires_us,
        name_id_format=formats.pop() if len(formats) == 1 else None,
    )


def _add_key(role: Element, use: str, certificate: str) -> None:
    descriptor = etree.SubElement(role, f"{MD}KeyDescriptor", use=use)
    held = etree.SubElement(etree.SubElement(descriptor, f"{DS}KeyInfo"), f"{DS}X509Data")
    etree.SubElement(held, f"{DS}X509Certificate").text = bare(certificate)
    if use == "encryption":  # authenticated ciphers first: a provider takes the first that it knows
        for method in [*sorted(CIPHERS, key=lambda name: (not name.endswith("gcm"), name)), *sorted(KEY_TRANSPORTS)]:
            etree.SubElement(descriptor, f"{MD}EncryptionMethod", Algorithm=method)


def _parse(document: bytes) -> Element:
    if len(document) > tree.MAX_BYTES:
        raise TooLarge(
            "The metadata is larger than 256 KiB.", hint="Give the metadata of this one provider, not of a federation."
        )
    try:
        return tree.parse(document, has_comments=True)
    except Refusal as refusal:
        raise Unprocessable(
            f"The metadata cannot be read. {refusal.detail}", hint="Download it from the provider again, as XML."
        ) from None


def _provider(root: Element, entity_id: str | None) -> tuple[Element, Element]:
    """Return the descriptor of the one provider, and its role.

    Raises: Unprocessable.
    """
    if root.tag not in {f"{MD}EntityDescriptor", f"{MD}EntitiesDescriptor"}:
        raise Unprocessable("That is not SAML metadata.", hint="Its root must be EntityDescriptor.")
    found = [
        (entity, role)
        for entity in root.iter(f"{MD}EntityDescriptor")
        for role in entity.findall(f"{MD}IDPSSODescriptor")
        if _PROTOCOL in str(role.get("protocolSupportEnumeration")).split()
        and entity_id in {None, entity.get("entityID")}
    ]
    if not found or not found[0][0].get("entityID"):
        raise Unprocessable(
            "The metadata describes no SAML 2.0 identity provider.", hint="It needs an IDPSSODescriptor."
        )
    if len(found) > 1:
        raise Unprocessable("The metadata describes several identity providers.", hint="Say which one, by entity id.")
    if len(found[0][0].get("entityID")) > 1024:
        raise Unprocessable("The entity id is longer than 1024 characters.", hint="SAML allows no more.")
    return found[0]


def _expiry(elements: list[Element], now_us: int) -> int | None:
    """Return the earliest end of the descriptors; None when they have none.

    Raises: Unprocessable (it has passed, or is no time).
    """
    try:
        ends = [read_instant(value) for element in elements if (value := element.get("validUntil")) is not None]
    except Refusal as refusal:
        raise Unprocessable(f"The metadata's validUntil cannot be read. {refusal.detail}") from None
    if ends and min(ends) <= now_us:
        raise Unprocessable("The metadata has expired.", hint="Download it from the provider again.")
    return min(ends, default=None)


def _endpoint(role: Element, name: str, *, allow_loopback: bool) -> tuple[Binding, str | None, str | None]:
    """Return binding, address and response address of the first `name` that can be used; redirect before POST."""
    for binding, uri in _BINDINGS.items():
        for endpoint in role.findall(f"{MD}{name}"):
            location, answer = endpoint.get("Location"), endpoint.get("ResponseLocation")
            if endpoint.get("Binding") == uri and is_address(location, allow_loopback=allow_loopback):
                usable = answer if is_address(answer, allow_loopback=allow_loopback) else None
                return binding, location, usable
    return "redirect", None, None


def is_address(url: str | None, *, allow_loopback: bool) -> bool:
    """Tell whether a browser may be sent to `url`: https, or http to this very machine where that is allowed."""
    if not url or len(url) > MAX_URL_CHARACTERS or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    if not host or parts.fragment or "@" in parts.netloc or "\\" in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and allow_loopback and is_loopback_host(host))


def _certificates(role: Element, now_us: int, rsa_bits: int) -> tuple[str, ...]:
    """Return the certificates that sign for the provider: at most four, those that end last.

    Raises: Unprocessable (none, or one that is not accepted).
    """
    listed = [
        "".join(certificate.itertext())
        for key in role.findall(f"{MD}KeyDescriptor")
        if key.get("use") in {None, "signing"}
        for certificate in key.iter(f"{DS}X509Certificate")
    ]
    unique = dict.fromkeys(read_certificate(text, rsa_bits) for text in listed)
    if not unique:
        raise Unprocessable("The metadata names no signing certificate.", hint="Without one nothing can be verified.")
    facts = {pem: certificate_facts(pem) for pem in unique}
    usable = [pem for pem in unique if not facts[pem].is_expired(now_us)] or list(unique)
    kept = sorted(usable, key=lambda pem: facts[pem].not_after_us, reverse=True)[:MAX_CERTIFICATES]
    return tuple(pem for pem in unique if pem in kept)
