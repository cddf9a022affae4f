"""An identity provider of the tests: it signs whatever it is told to, also what no provider should."""

import base64
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from lxml import etree
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from failgate.sso.connection import Connection, SamlSettings
from failgate.sso.protocol import Expected
from failgate.sso.saml.instants import write_instant
from failgate.sso.saml.service import KeyPair, ServiceProvider, make_key_pair, service_of

NS = {
    "p": "urn:oasis:names:tc:SAML:2.0:protocol",
    "a": "urn:oasis:names:tc:SAML:2.0:assertion",
    "d": "http://www.w3.org/2000/09/xmldsig#",
}
A, P = f"{{{NS['a']}}}", f"{{{NS['p']}}}"
EMAIL = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
Edit = Callable[[Any, Any], object]
_made: dict[str, KeyPair] = {}


def key_pair(name: str, bits: int = 3072) -> KeyPair:
    """The same key for the same name, once a test session: making one takes long."""
    if name not in _made:
        _made[name] = make_key_pair(name, now_us() - 3600_000_000, key_bits=bits)
    return _made[name]


def now_us() -> int:
    return time.time_ns() // 1000


@dataclass
class Provider:
    entity_id: str = "https://idp.example.org/metadata"
    keys: tuple[KeyPair, ...] = field(default_factory=lambda: (key_pair("idp"),))
    clock_off_seconds: int = 0

    def connection(self, **changes: Any) -> Connection:
        settings = SamlSettings(
            entity_id=self.entity_id,
            sso_url="https://idp.example.org/sso?a=1&b=2",
            slo_url="https://idp.example.org/slo",
            certificates=tuple(key.certificate for key in self.keys),
        )
        return Connection(id="c1", slug="acme", title="Acme", settings=_changed(settings, changes))

    def assertion(self, service: ServiceProvider, request_id: str | None, *, subject: str = "ada@example.org") -> Any:
        """An unsigned assertion of a well-behaved provider."""
        moment = now_us() + self.clock_off_seconds * 1_000_000
        at, start, end = (write_instant(moment + offset * 1_000_000) for offset in (0, -30, 300))
        answers = f'InResponseTo="{request_id}"' if request_id else ""
        return etree.fromstring(f"""<saml:Assertion xmlns:saml="{NS["a"]}" ID="_{secrets.token_hex(16)}" Version="2.0" IssueInstant="{at}"
><saml:Issuer>{self.entity_id}</saml:Issuer><saml:Subject><saml:NameID Format="{EMAIL}">{subject}</saml:NameID
><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"
><saml:SubjectConfirmationData NotOnOrAfter="{end}" Recipient="{service.acs_url}" {answers}/></saml:SubjectConfirmation></saml:Subject
><saml:Conditions NotBefore="{start}" NotOnOrAfter="{end}"><saml:AudienceRestriction><saml:Audience>{service.entity_id}</saml:Audience
></saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant="{at}" SessionIndex="_session1"
><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef
></saml:AuthnContext></saml:AuthnStatement><saml:AttributeStatement
><saml:Attribute Name="email" FriendlyName="mail"><saml:AttributeValue>{subject}</saml:AttributeValue></saml:Attribute
><saml:Attribute Name="displayName"><saml:AttributeValue>Ada Lovelace</saml:AttributeValue></saml:Attribute
><saml:Attribute Name="groups"><saml:AttributeValue>staff</saml:AttributeValue><saml:AttributeValue>ops</saml:AttributeValue></saml:Attribute
></saml:AttributeStatement></saml:Assertion>""")

    def respond(
        self,
        service: ServiceProvider,
        request_id: str | None,
        *,
        signs: str = "assertion",
        edit: Edit | None = None,
        edit_signed: Edit | None = None,
        encrypt_to: str | None = None,
        key: KeyPair | None = None,
        subject: str = "ada@example.org",
        signature: str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        digest: str = "http://www.w3.org/2001/04/xmlenc#sha256",
    ) -> bytes:
        """A response. `edit(response, assertion)` works before the signatures, `edit_signed` after the assertion's."""
        key = key or self.keys[0]
        assertion = self.assertion(service, request_id, subject=subject)
        moment = write_instant(now_us() + self.clock_off_seconds * 1_000_000)
        answers = f'InResponseTo="{request_id}"' if request_id else ""
        response = etree.fromstring(f"""<samlp:Response xmlns:samlp="{NS["p"]}" xmlns:saml="{NS["a"]}" ID="_{secrets.token_hex(16)}" Version="2.0"
 IssueInstant="{moment}" Destination="{service.acs_url}" {answers}><saml:Issuer>{self.entity_id}</saml:Issuer
><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status></samlp:Response>""")
        if edit is not None:
            edit(response, assertion)
        if signs in {"assertion", "both"}:
            assertion = etree.fromstring(sign(assertion, key, signature, digest))
        if encrypt_to is not None:
            assertion = encrypted(assertion, encrypt_to)
        response.append(assertion)
        if edit_signed is not None:
            edit_signed(response, assertion)
        if signs in {"response", "both"}:
            return sign(response, key, signature, digest)
        return etree.tostring(response)

    def logout_request(
        self, service: ServiceProvider, *, subject: str = "ada@example.org", index: str = "_session1"
    ) -> Any:
        moment = write_instant(now_us() + self.clock_off_seconds * 1_000_000)
        return etree.fromstring(f"""<samlp:LogoutRequest xmlns:samlp="{NS["p"]}" xmlns:saml="{NS["a"]}" ID="_{secrets.token_hex(16)}" Version="2.0"
 IssueInstant="{moment}" Destination="{service.logout_url}"><saml:Issuer>{self.entity_id}</saml:Issuer
><saml:NameID Format="{EMAIL}">{subject}</saml:NameID><samlp:SessionIndex>{index}</samlp:SessionIndex></samlp:LogoutRequest>""")

    def logout_response(self, service: ServiceProvider, request_id: str, status: str = "Success") -> Any:
        moment = write_instant(now_us() + self.clock_off_seconds * 1_000_000)
        return etree.fromstring(f"""<samlp:LogoutResponse xmlns:samlp="{NS["p"]}" xmlns:saml="{NS["a"]}" ID="_{secrets.token_hex(16)}" Version="2.0"
 IssueInstant="{moment}" Destination="{service.logout_url}" InResponseTo="{request_id}"><saml:Issuer>{self.entity_id}</saml:Issuer
><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:{status}"/></samlp:Status></samlp:LogoutResponse>""")

    def query(
        self, kind: str, message: Any, *, relay_state: str = "", algorithm: str = "", key: KeyPair | None = None
    ) -> str:
        """The message as the signed query of a redirect."""
        algorithm = algorithm or "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
        fields = [(kind, OneLogin_Saml2_Utils.deflate_and_base64_encode(etree.tostring(message).decode()))]
        fields += [("RelayState", relay_state)] if relay_state else []
        covered = urlencode([*fields, ("SigAlg", algorithm)])
        made = OneLogin_Saml2_Utils.sign_binary(covered, (key or self.keys[0]).private_key.reveal())
        return f"{covered}&{urlencode({'Signature': base64.b64encode(made).decode()})}"


def service(
    slug: str = "acme", base: str = "https://gate.example.com", keys: tuple[str, ...] = ("sp",)
) -> ServiceProvider:
    return service_of(base, slug, tuple(key_pair(name) for name in keys))


def expected(request_id: str) -> Expected:
    return Expected(request_id, now_us())


def sign(
    element: Any,
    key: KeyPair,
    signature: str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    digest: str = "http://www.w3.org/2001/04/xmlenc#sha256",
) -> bytes:
    text = etree.tostring(element).decode()
    signed = OneLogin_Saml2_Utils.add_sign(text, key.private_key.reveal(), key.certificate, False, signature, digest)
    return signed if isinstance(signed, bytes) else signed.encode()


def encrypted(
    element: Any, certificate: str, cipher: Any = xmlsec.Transform.AES128, transport: Any = xmlsec.Transform.RSA_OAEP
) -> Any:
    """An EncryptedAssertion around `element`."""
    body = xmlsec.template.encrypted_data_create(
        etree.Element("x"), cipher, type=xmlsec.EncryptionType.ELEMENT, ns="xenc"
    )
    xmlsec.template.encrypted_data_ensure_cipher_value(body)
    info = xmlsec.template.encrypted_data_ensure_key_info(body, ns="ds")
    held = xmlsec.template.add_encrypted_key(info, transport)
    xmlsec.template.encrypted_data_ensure_cipher_value(held)
    manager = xmlsec.KeysManager()
    manager.add_key(xmlsec.Key.from_memory(certificate, xmlsec.KeyFormat.CERT_PEM, None))
    context = xmlsec.EncryptionContext(manager)
    size = 256 if cipher is xmlsec.Transform.AES256 else 128
    context.key = xmlsec.Key.generate(xmlsec.KeyData.AES, size, xmlsec.KeyDataType.SESSION)
    outer = etree.fromstring(etree.tostring(element))
    made = context.encrypt_xml(body, outer)
    shell = etree.Element(f"{A}EncryptedAssertion", nsmap={"saml": NS["a"]})
    shell.append(made)
    return shell


def encrypted_bytes(content: bytes, certificate: str) -> Any:
    """An EncryptedAssertion around any bytes, as anybody can make it who has our certificate."""
    shell = encrypted(etree.fromstring("<x/>"), certificate)
    body = shell[0]
    key, start = secrets.token_bytes(16), secrets.token_bytes(16)
    pad = 16 - len(content) % 16
    cipher = Cipher(algorithms.AES(key), modes.CBC(start)).encryptor()
    sealed = start + cipher.update(content + b"\0" * (pad - 1) + bytes([pad])) + cipher.finalize()
    public = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    values = [element for element in body.iter() if element.tag.endswith("CipherValue")]
    values[0].text = base64.b64encode(public.encrypt(key, oaep)).decode()
    values[1].text = base64.b64encode(sealed).decode()
    return shell


def encoded(document: bytes) -> dict[str, str]:
    return {"SAMLResponse": base64.b64encode(document).decode()}


def _changed(settings: SamlSettings, changes: dict[str, Any]) -> SamlSettings:
    import msgspec

    return msgspec.structs.replace(settings, **changes)


def with_settings(connection: Connection, **changes: Any) -> Connection:
    assert isinstance(connection.settings, SamlSettings)
    return replace(connection, settings=_changed(connection.settings, changes))
