"""Where a signature may stand and what it may cover, whatever the cryptography would say of it."""

from typing import Any

import pytest
import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from lxml import etree

from failgate.sso.protocol import Refusal
from failgate.sso.saml.refusals import Reason
from failgate.sso.saml.signatures import check_signatures, verify
from failgate.sso.saml.tree import DS, SAML, parse
from tests.sso.saml.provider import Provider, service

IDP, SP = Provider(), service()
D = {"d": DS[1:-1]}


def signed(signs: str = "assertion") -> tuple[Any, Any, Any]:
    """A response, its assertion, and the first signature."""
    root = parse(IDP.respond(SP, "_r", signs=signs))
    return root, root.find(f"{SAML}Assertion"), root.find(".//d:Signature", D)


def reason(root: Any, assertion: Any) -> str:
    with pytest.raises(Refusal) as caught:
        check_signatures(root, [root, assertion])
    return caught.value.reason


def copied(element: Any) -> Any:
    return etree.fromstring(etree.tostring(element))


def test_it_says_what_is_signed() -> None:
    for signs, names in (("assertion", ["Assertion"]), ("response", ["Response"]), ("both", ["Response", "Assertion"])):
        root, assertion, _ = signed(signs)
        found = check_signatures(root, [root, assertion])
        assert [etree.QName(element).localname for element in found] == names


def test_a_signature_elsewhere_is_refused() -> None:
    root, assertion, signature = signed()
    root[1].append(copied(signature))
    assert reason(root, assertion) == Reason.SIGNATURE_FORM
    root, assertion, signature = signed()
    signature.addnext(copied(signature))
    assert reason(root, assertion) == Reason.SIGNATURE_FORM


def _add(path: str, tag: str, **attributes: str) -> Any:
    def edit(signature: Any) -> None:
        place = signature if path == "." else signature.find(path, D)
        etree.SubElement(place, tag, **attributes)

    return edit


def _set(path: str, **attributes: str | None) -> Any:
    def edit(signature: Any) -> None:
        for name, value in attributes.items():
            signature.find(path, D).attrib.pop(name, None)
            if value is not None:
                signature.find(path, D).set(name, value)

    return edit


def _remove(path: str) -> Any:
    def edit(signature: Any) -> None:
        found = signature.find(path, D)
        found.getparent().remove(found)

    return edit


def _twice(path: str) -> Any:
    def edit(signature: Any) -> None:
        found = signature.find(path, D)
        found.addnext(copied(found))

    return edit


REFERENCE, TRANSFORM = "d:SignedInfo/d:Reference", "d:SignedInfo/d:Reference/d:Transforms/d:Transform"


@pytest.mark.parametrize(
    ("edit", "word"),
    [
        (_add(".", f"{DS}Object"), Reason.SIGNATURE_FORM),
        (_twice("d:SignedInfo"), Reason.SIGNATURE_FORM),
        (_remove("d:SignatureValue"), Reason.SIGNATURE_FORM),
        (_add("d:KeyInfo", f"{DS}RetrievalMethod", URI="http://127.0.0.1:1/key"), Reason.SIGNATURE_FORM),
        (_twice(REFERENCE), Reason.SIGNATURE_FORM),
        (_remove(REFERENCE), Reason.SIGNATURE_FORM),
        (_set("d:SignedInfo/d:CanonicalizationMethod", Algorithm="urn:none"), Reason.SIGNATURE_FORM),
        (_set(REFERENCE, URI=""), Reason.SIGNATURE_FORM),
        (_set(REFERENCE, URI=None), Reason.SIGNATURE_FORM),
        (_set(REFERENCE, URI="#_other"), Reason.SIGNATURE_FORM),
        (_set(REFERENCE, URI="http://127.0.0.1:1/x.xml"), Reason.SIGNATURE_FORM),
        (_remove(f"{REFERENCE}/d:Transforms"), Reason.SIGNATURE_FORM),
        (_add(REFERENCE, f"{DS}Object"), Reason.SIGNATURE_FORM),
        (_remove(TRANSFORM), Reason.SIGNATURE_FORM),
        (_twice(TRANSFORM), Reason.SIGNATURE_FORM),
        (_set(TRANSFORM, Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"), Reason.SIGNATURE_FORM),
        (_add(TRANSFORM, f"{DS}XPath"), Reason.SIGNATURE_FORM),
        (_add(f"{TRANSFORM}[2]", f"{DS}XPath"), Reason.SIGNATURE_FORM),
        (_add(f"{REFERENCE}/d:DigestValue", "x"), Reason.SIGNATURE_FORM),
        (
            _set("d:SignedInfo/d:SignatureMethod", Algorithm="http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
            Reason.ALGORITHM,
        ),
        (_set("d:SignedInfo/d:SignatureMethod", Algorithm=None), Reason.ALGORITHM),
        (_add("d:SignedInfo/d:SignatureMethod", f"{DS}HMACOutputLength"), Reason.ALGORITHM),
        (_set(f"{REFERENCE}/d:DigestMethod", Algorithm="http://www.w3.org/2001/04/xmldsig-more#md5"), Reason.ALGORITHM),
        (_add(f"{REFERENCE}/d:DigestMethod", "x"), Reason.ALGORITHM),
    ],
)
def test_every_other_form_is_refused(edit: Any, word: Reason) -> None:
    root, assertion, signature = signed()
    edit(signature)
    assert reason(root, assertion) == word


def test_a_provider_may_sign_with_an_elliptic_curve() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    certificate = self_signed(key)
    root, assertion, _ = signed()
    assertion.remove(assertion.find("d:Signature", D))
    signature = xmlsec.template.create(assertion, xmlsec.Transform.EXCL_C14N, xmlsec.Transform.ECDSA_SHA256, ns="ds")
    assertion[0].addnext(signature)
    reference = xmlsec.template.add_reference(signature, xmlsec.Transform.SHA256, uri=f"#{assertion.get('ID')}")
    xmlsec.template.add_transform(reference, xmlsec.Transform.ENVELOPED)
    xmlsec.template.add_transform(reference, xmlsec.Transform.EXCL_C14N)
    xmlsec.tree.add_ids(assertion, ["ID"])
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(pem, xmlsec.KeyFormat.PEM, None)
    context.sign(signature)
    read = parse(etree.tostring(root))
    check_signatures(read, [read, read.find(f"{SAML}Assertion")])
    path = "/samlp:Response/saml:Assertion/ds:Signature"
    verify(read, path, [IDP.keys[0].certificate, certificate])
    with pytest.raises(Refusal):
        verify(read, path, [IDP.keys[0].certificate, self_signed(ec.generate_private_key(ec.SECP256R1()))])


def self_signed(key: ec.EllipticCurvePrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "idp")])
    like = x509.load_pem_x509_certificate(IDP.keys[0].certificate.encode())
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1)
    builder = builder.not_valid_before(like.not_valid_before_utc).not_valid_after(like.not_valid_after_utc)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_an_element_without_an_id_cannot_be_signed() -> None:
    root, assertion, signature = signed()
    assertion.attrib.pop("ID")
    signature.find(REFERENCE, D).set("URI", "#")
    assert reason(root, assertion) == Reason.SIGNATURE_FORM
