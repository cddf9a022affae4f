"""From what arrived to a tree that holds nothing but elements, attributes and text. One parser: python3-saml's.

Everything that lets two readers see two documents is refused in the bytes, before any parser: document types, entities,
comments, CDATA sections, processing instructions, encodings other than UTF-8. In XML `<` stands for nothing but markup,
so `<!` and `<?` in the bytes are these and nothing else.
"""

import base64
import binascii
import importlib
import re
import zlib
from typing import Any, Final

from onelogin.saml2.xml_utils import OneLogin_Saml2_XML

from failgate.sso.saml.refusals import Reason, refused

MAX_BYTES: Final = 256 * 1024
SAML: Final = "{urn:oasis:names:tc:SAML:2.0:assertion}"
SAMLP: Final = "{urn:oasis:names:tc:SAML:2.0:protocol}"
MD: Final = "{urn:oasis:names:tc:SAML:2.0:metadata}"
DS: Final = "{http://www.w3.org/2000/09/xmldsig#}"
XENC: Final = "{http://www.w3.org/2001/04/xmlenc#}"
_XML_ID: Final = "{http://www.w3.org/XML/1998/namespace}id"
_SPACE: Final = rb"[ \t\r\n]"
_DECLARATION: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?<\?xml"
    + _SPACE
    + rb"+version=[\"']1\.0[\"'](?:"
    + _SPACE
    + rb"+encoding=[\"'](?i:utf-8)[\"'])?(?:"
    + _SPACE
    + rb"+standalone=[\"'](?:yes|no)[\"'])?"
    + _SPACE
    + rb"*\?>"
)
_REFERENCE: Final = re.compile(rb"&#(?:x0*([0-9a-fA-F]{1,8})|0*([0-9]{1,10}));")
_MAY_BE_REFERENCES: Final = frozenset(b"\"&'<>")

etree: Any = importlib.import_module("lxml.etree")  # it has no types, and the checkers differ over that
Element = Any


def decode_post(text: str) -> bytes:
    """Return the bytes of a message of the POST binding: base64, at most 256 KiB before decoding.

    Raises: Refusal.
    Source: saml-bindings-2.0-os section 3.5.4.
    """
    if len(text) > MAX_BYTES:
        raise refused(Reason.TOO_LARGE)
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise refused(Reason.ENCODING) from None


def decode_redirect(text: str) -> bytes:
    """Return the bytes of a message of the redirect binding: base64 of DEFLATE, at most 256 KiB before and after.

    Raises: Refusal.
    Source: saml-bindings-2.0-os section 3.4.4.1; RFC 1951.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(decode_post(text), MAX_BYTES + 1)
    except zlib.error:
        raise refused(Reason.ENCODING) from None
    if len(inflated) > MAX_BYTES:
        raise refused(Reason.TOO_LARGE)
    if not inflater.eof or inflater.unused_data:
        raise refused(Reason.ENCODING)
    return inflated


def parse(document: bytes, *, has_comments: bool = False) -> Element:
    """Return the root of `document`: only elements, attributes and text, every ID standing there once.

    `has_comments` is for metadata, which people write and nobody signs for us: comments and instructions are dropped.

    Raises: Refusal.
    """
    if len(document) > MAX_BYTES:
        raise refused(Reason.TOO_LARGE)
    try:
        document.decode()
    except UnicodeDecodeError:
        raise refused(Reason.ENCODING) from None
    if b"\0" in document:  # UTF-16 and UTF-32 are UTF-8 with NULs, and the parser would take them for what they are
        raise refused(Reason.ENCODING)
    if not has_comments:
        check_markup(document)
    elif b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        raise refused(Reason.MARKUP)
    try:
        root = OneLogin_Saml2_XML.to_etree(document)
    except (etree.XMLSyntaxError, ValueError):
        raise refused(Reason.MALFORMED) from None
    check_ids(root)
    return root


def check_markup(document: bytes) -> None:
    """Check that no markup but elements stands in `document`, apart from an XML declaration of UTF-8.

    Nor a character reference in place of a visible ASCII character: no provider writes that, and who looks for a name
    in the bytes does not find it. Others are common (`&#13;` in signature values).

    Raises: Refusal.
    """
    declaration = _DECLARATION.match(document)
    body = document[declaration.end() :] if declaration else document
    if b"<!" in body or b"<?" in body:
        raise refused(Reason.MARKUP)
    for reference in _REFERENCE.finditer(body):
        code = int(reference[1], 16) if reference[1] else int(reference[2])
        if 0x20 < code < 0x7F and code not in _MAY_BE_REFERENCES:
            raise refused(Reason.MARKUP)


def check_ids(root: Element) -> None:
    """Check that no two elements share an ID, in whatever attribute, and that none has an xml:id.

    Raises: Refusal. A signature's reference then leads to one element, whoever follows it.
    """
    seen: set[str] = set()
    for element in root.iter():
        for name, value in element.attrib.items():
            if etree.QName(name).localname.lower() != "id":
                continue
            if name == _XML_ID or not value or value in seen:
                raise refused(Reason.IDS)
            seen.add(value)


def check_schema(root: Element) -> None:
    """Check `root` against the schema of the SAML 2.0 protocol.

    Raises: Refusal.
    """
    if isinstance(OneLogin_Saml2_XML.validate_xml(root, "saml-schema-protocol-2.0.xsd", debug=False), str):
        raise refused(Reason.MALFORMED)


def serialise(root: Element) -> bytes:
    """Return `root` as UTF-8 bytes, with everything that stands in the tree."""
    return bytes(etree.tostring(root))


def only_child(parent: Element, tag: str, reason: Reason) -> Element:
    """Return the one child of `parent` that is a `tag`.

    Raises: Refusal (`reason`: there is none, or several).
    """
    found = parent.findall(tag)
    if len(found) != 1:
        raise refused(reason)
    return found[0]


def whole_text(element: Element, reason: Reason) -> str:
    """Return all text of `element`, which has no element inside.

    Raises: Refusal (`reason`).
    """
    if len(element):
        raise refused(reason)
    return str(element.text or "")
