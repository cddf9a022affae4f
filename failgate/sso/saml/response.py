"""A SAML response becomes an assertion, or is refused with a reason.

In this order: the bytes, the shape, the signature, then everything that the signed element says; last, python3-saml's
own verdict over the same tree. What is read is the element whose signature was verified. Not here: single use of
requests and assertions, which needs memory.
Source: saml-profiles-2.0-os section 4.1.4; OWASP SAML Security Cheat Sheet.
"""

from collections.abc import Mapping

from onelogin.saml2.errors import OneLogin_Saml2_Error, OneLogin_Saml2_ValidationError
from onelogin.saml2.response import OneLogin_Saml2_Response
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from failgate.accounts.email_address import normalised_or_none
from failgate.sso.assertion import Assertion
from failgate.sso.connection import Connection, SamlSettings
from failgate.sso.protocol import CheckedResponse, Expected, Refusal
from failgate.sso.saml import tree
from failgate.sso.saml.attributes import DISPLAY_NAMES, GROUP_NAMES, METHOD_NAMES, email_of, read_attributes
from failgate.sso.saml.conditions import (
    check_conditions,
    check_confirmations,
    check_in_response_to,
    check_issuer,
    check_status,
    read_authentication,
)
from failgate.sso.saml.encryption import check_encrypted, decrypt
from failgate.sso.saml.instants import check_issued
from failgate.sso.saml.name_id import EMAIL, read_name_id
from failgate.sso.saml.refusals import Reason, refused
from failgate.sso.saml.service import ServiceProvider, toolkit_request
from failgate.sso.saml.signatures import check_signatures, verify
from failgate.sso.saml.toolkit import saml_settings, toolkit_settings
from failgate.sso.saml.tree import SAML, SAMLP, Element


def finish(
    connection: Connection,
    service: ServiceProvider,
    form: Mapping[str, str],
    expected: Expected | None,
    now_us: int,
) -> CheckedResponse:
    """Return what the response in `form` asserts. `expected` None: nobody asked for it.

    Takes some 10 ms of one core: call it in a thread.

    Raises: Refusal.
    """
    settings = saml_settings(connection, now_us)
    if expected is None and not settings.is_idp_initiated_allowed:
        raise refused(Reason.UNSOLICITED)
    request_id = None if expected is None else expected.request_id
    encoded = form.get("SAMLResponse")
    if not encoded:
        raise refused(Reason.BINDING)
    document = tree.decode_post(encoded)
    sent = tree.parse(document)
    _check_shape(sent)
    response, root, assertion = _verified(sent, document, settings, service)
    _check_response(sent, settings, service, request_id, now_us)
    checked = _read_assertion(assertion, settings, service, request_id, now_us)
    _ask_toolkit(response, service, request_id)
    assert root is assertion.getparent()
    return checked


def claimed_request(form: Mapping[str, str]) -> str | None:
    """Return the InResponseTo that the response in `form` claims, unchecked: only to look up what is expected.

    Raises: Refusal (it is no message at all).
    """
    claimed: str | None = tree.parse(tree.decode_post(form.get("SAMLResponse") or "")).get("InResponseTo")
    return claimed


def _check_shape(root: Element) -> None:
    """Refuse what is no successful response with exactly one assertion, plain or encrypted, directly below it."""
    if root.tag != f"{SAMLP}Response":
        raise refused(Reason.ROOT)
    if root.get("Version") != "2.0":
        raise refused(Reason.VERSION)
    if not root.get("ID"):
        raise refused(Reason.IDS)
    if sum(1 for _ in root.iter(f"{SAMLP}Response")) != 1:
        raise refused(Reason.ROOT)
    check_status(root)
    everywhere = [*root.iter(f"{SAML}Assertion"), *root.iter(f"{SAML}EncryptedAssertion")]
    if len(everywhere) != 1 or everywhere[0].getparent() is not root:
        raise refused(Reason.ASSERTIONS)
    for encrypted in root.findall(f"{SAML}EncryptedAssertion"):
        check_encrypted(encrypted)


def _verified(
    sent: Element, document: bytes, settings: SamlSettings, service: ServiceProvider
) -> tuple[OneLogin_Saml2_Response, Element, Element]:
    """Return python3-saml's response, its tree (decrypted where need be) and the assertion that a signature covers."""
    is_encrypted = sent.find(f"{SAML}EncryptedAssertion") is not None
    if settings.is_encryption_required and not is_encrypted:
        raise refused(Reason.NOT_ENCRYPTED)
    plain = sent.findall(f"{SAML}Assertion")
    is_response_signed = sent in check_signatures(sent, [sent, *plain])
    tree.check_schema(sent)
    if is_response_signed:  # before anything is decrypted
        verify(sent, OneLogin_Saml2_Utils.RESPONSE_SIGNATURE_XPATH, settings.certificates)
    response = _opened(document, settings, service, is_response_signed=is_response_signed)
    root = response.get_xml_document()
    assertion = tree.only_child(root, f"{SAML}Assertion", Reason.ASSERTIONS)
    if is_encrypted:
        _check_decrypted(root)
    signed = check_signatures(root, [root, assertion])
    if assertion in signed:
        verify(root, OneLogin_Saml2_Utils.ASSERTION_SIGNATURE_XPATH, settings.certificates)
    elif not is_response_signed:
        raise refused(Reason.UNSIGNED)
    return response, root, assertion


def _check_decrypted(root: Element) -> None:
    """Check what came out of the encryption as what came in was checked: anybody can encrypt to us."""
    tree.check_markup(tree.serialise(root))
    tree.check_ids(root)
    everywhere = [*root.iter(f"{SAML}Assertion"), *root.iter(f"{SAML}EncryptedAssertion")]
    if len(everywhere) != 1:
        raise refused(Reason.ASSERTIONS)


class _Response(OneLogin_Saml2_Response):  # type: ignore[misc]  # python3-saml has no types
    """python3-saml's response, which leaves the decryption to us."""

    def _decrypt_assertion(self, xml: Element) -> Element:
        """Put the decrypted assertion in place of the encrypted one."""
        encrypted = tree.only_child(xml, f"{SAML}EncryptedAssertion", Reason.ASSERTIONS)
        assertion = decrypt(encrypted, self._settings.get_sp_key())
        assertion.tail = encrypted.tail
        xml.replace(encrypted, assertion)
        return xml


def _opened(
    document: bytes, settings: SamlSettings, service: ServiceProvider, *, is_response_signed: bool
) -> OneLogin_Saml2_Response:
    """Return python3-saml's response over `document`, decrypted with whichever of our keys fits."""
    encoded = OneLogin_Saml2_Utils.b64encode(document)
    for key in service.keys:
        given = toolkit_settings(settings, service, key, is_response_signed=is_response_signed)
        try:
            return _Response(given, encoded)
        except Refusal:
            raise
        except Exception:  # noqa: BLE001, S112 - xmlsec raises its own kinds, and each means: not with this key
            continue
    raise refused(Reason.ENCRYPTION)


def _check_response(
    sent: Element, settings: SamlSettings, service: ServiceProvider, request_id: str | None, now_us: int
) -> None:
    """Check what the response itself says, signed or not."""
    check_issuer(sent, settings.entity_id)
    if sent.get("Destination") != service.acs_url:
        raise refused(Reason.DESTINATION)
    check_in_response_to(sent, request_id)
    check_issued(sent.get("IssueInstant"), now_us)


def _read_assertion(
    assertion: Element, settings: SamlSettings, service: ServiceProvider, request_id: str | None, now_us: int
) -> CheckedResponse:
    """Return what `assertion`, whose signature is verified, says."""
    if assertion.get("Version") != "2.0":
        raise refused(Reason.VERSION)
    check_issuer(assertion, settings.entity_id)
    issued_us = check_issued(assertion.get("IssueInstant"), now_us)
    ends_us = check_conditions(assertion, service.entity_id, issued_us, now_us)
    subject = tree.only_child(assertion, f"{SAML}Subject", Reason.NAME_ID)
    confirmed_us = check_confirmations(subject, service.acs_url, request_id, issued_us, now_us)
    name_id = read_name_id(subject)
    authentication = read_authentication(assertion, now_us)
    attributes = read_attributes(assertion)
    email = email_of(attributes, settings) or (name_id.value if name_id.format == EMAIL else None)
    email = None if email is None else normalised_or_none(email)
    names = attributes.first_called(settings.name_attribute, DISPLAY_NAMES)
    return CheckedResponse(
        assertion=Assertion(
            issuer=settings.entity_id,
            subject=name_id.subject(settings.entity_id, service.entity_id),
            email=email,
            is_email_verified=email is not None and settings.is_email_verified,
            name=names[0] if names else None,
            groups=attributes.first_called(settings.groups_attribute, GROUP_NAMES),
            attributes=attributes.values,
            methods=attributes.first_called(None, METHOD_NAMES),
            context=authentication.context,
            provider_session=authentication.session_index,
            logout_hint=name_id.hint(),
            authenticated_us=authentication.at_us,
            session_ends_us=authentication.session_ends_us,
        ),
        assertion_ids=(str(assertion.get("ID")),),
        valid_until_us=max(ends_us, confirmed_us),
    )


def _ask_toolkit(response: OneLogin_Saml2_Response, service: ServiceProvider, request_id: str | None) -> None:
    """Let python3-saml judge the same tree by its own rules."""
    try:
        response.is_valid(toolkit_request(service.acs_url), request_id, raise_exceptions=True)
    except (OneLogin_Saml2_ValidationError, OneLogin_Saml2_Error):
        raise refused(Reason.TOOLKIT) from None
    except Exception:  # noqa: BLE001 - whatever else it raises on strange input is a refusal too
        raise refused(Reason.TOOLKIT) from None
