"""Signatures inside a message: where they may stand, what they may cover, which algorithms they may name.

What these checks leave to the cryptography is one question: does this element's own signature verify under a pinned
certificate? Source: saml-core-2.0-os section 5.4; XML Signature 1.1; "On Breaking SAML" (USENIX Security 2012).
"""

from collections.abc import Iterable
from typing import Final

from onelogin.saml2.utils import OneLogin_Saml2_Utils

from failgate.sso.saml.refusals import Reason, refused
from failgate.sso.saml.tree import DS, Element

EXCLUSIVE_C14N: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED: Final = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
_MORE: Final = "http://www.w3.org/2001/04/xmldsig-more#"
QUERY_METHODS: Final = frozenset({f"{_MORE}rsa-sha256", f"{_MORE}rsa-sha384", f"{_MORE}rsa-sha512"})
METHODS: Final = QUERY_METHODS | {f"{_MORE}ecdsa-sha256", f"{_MORE}ecdsa-sha384", f"{_MORE}ecdsa-sha512"}
DIGESTS: Final = frozenset(
    {
        "http://www.w3.org/2001/04/xmlenc#sha256",
        f"{_MORE}sha384",
        "http://www.w3.org/2001/04/xmlenc#sha512",
    }
)
_KEY_INFO: Final = frozenset({f"{DS}X509Data", f"{DS}KeyName", f"{DS}KeyValue"})  # present, and never used


def check_signatures(root: Element, owners: Iterable[Element]) -> list[Element]:
    """Return those of `owners` that carry a signature: over themselves, in the one accepted form, and nowhere else.

    Raises: Refusal.
    """
    signed = [owner for owner in owners if owner.find(f"{DS}Signature") is not None]
    signatures = list(root.iter(f"{DS}Signature"))
    if len(signatures) != len(signed) or any(signature.getparent() not in signed for signature in signatures):
        raise refused(Reason.SIGNATURE_FORM)
    for signature in signatures:
        _check_form(signature)
    return signed


def verify(root: Element, path: str, certificates: Iterable[str]) -> None:
    """Check that the signature at `path` of `root` verifies under one of `certificates` (PEM).

    Raises: Refusal. Keys inside of the message are never used.
    """
    if not OneLogin_Saml2_Utils.validate_sign(root, xpath=path, multicerts=list(certificates)):
        raise refused(Reason.SIGNATURE)


def _check_form(signature: Element) -> None:
    """Refuse every form of `signature` but: one reference, to its own parent, enveloped, exclusive canonical form."""
    owner_id = signature.getparent().get("ID")
    parts = [child.tag for child in signature]
    if parts not in ([f"{DS}SignedInfo", f"{DS}SignatureValue"], [f"{DS}SignedInfo", f"{DS}SignatureValue", _KEY]):
        raise refused(Reason.SIGNATURE_FORM)
    if any(child.tag not in _KEY_INFO for key_info in signature.findall(_KEY) for child in key_info):
        raise refused(Reason.SIGNATURE_FORM)
    signed_info = list(signature[0])
    if [child.tag for child in signed_info] != [f"{DS}CanonicalizationMethod", f"{DS}SignatureMethod", _REFERENCE]:
        raise refused(Reason.SIGNATURE_FORM)
    canonical, method, reference = signed_info
    if canonical.get("Algorithm") != EXCLUSIVE_C14N or not owner_id or reference.get("URI") != f"#{owner_id}":
        raise refused(Reason.SIGNATURE_FORM)
    if method.get("Algorithm") not in METHODS or len(method):  # a child would shorten an HMAC
        raise refused(Reason.ALGORITHM)
    _check_reference(reference)


def _check_reference(reference: Element) -> None:
    if [child.tag for child in reference] != [f"{DS}Transforms", f"{DS}DigestMethod", f"{DS}DigestValue"]:
        raise refused(Reason.SIGNATURE_FORM)
    transforms, digest, value = reference
    if [(step.tag, step.get("Algorithm")) for step in transforms] != [
        (f"{DS}Transform", ENVELOPED),
        (f"{DS}Transform", EXCLUSIVE_C14N),
    ]:
        raise refused(Reason.SIGNATURE_FORM)
    inclusive = f"{{{EXCLUSIVE_C14N}}}InclusiveNamespaces"
    if len(transforms[0]) or any(child.tag != inclusive for child in transforms[1]) or len(value):
        raise refused(Reason.SIGNATURE_FORM)
    if digest.get("Algorithm") not in DIGESTS or len(digest):
        raise refused(Reason.ALGORITHM)


_KEY: Final = f"{DS}KeyInfo"
_REFERENCE: Final = f"{DS}Reference"
