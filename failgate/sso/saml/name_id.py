"""The name by which a provider knows a person: read whole, and written in one way. Pure.

Source: saml-core-2.0-os sections 2.2.2, 2.2.3, 8.3.
"""

import json
import unicodedata
from dataclasses import dataclass
from typing import Final

from failgate.base.errors import BadInput
from failgate.sso.saml.refusals import Reason, refused
from failgate.sso.saml.tree import SAML, Element, whole_text

MAX_CHARACTERS: Final = 256  # section 8.3.7
UNSPECIFIED: Final = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
EMAIL: Final = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
TRANSIENT: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
ENTITY: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
_MEMBERS: Final = ("format", "name_qualifier", "sp_name_qualifier", "value")


@dataclass(frozen=True, slots=True)
class NameId:
    """A NameID as it was sent. Absent attributes are empty texts."""

    format: str
    name_qualifier: str
    sp_name_qualifier: str
    value: str

    def subject(self, issuer: str, entity_id: str) -> str:
        """Return the one text by which an account is found.

        A qualifier that says what is true anyway (the provider itself, we ourselves) is left out: section 8.3.7 lets
        a provider write it or not. Everything else tells two names apart.
        """
        name_qualifier = "" if self.name_qualifier == issuer else self.name_qualifier
        sp_name_qualifier = "" if self.sp_name_qualifier == entity_id else self.sp_name_qualifier
        parts = [self.format or UNSPECIFIED, name_qualifier, sp_name_qualifier, self.value]
        return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))

    def hint(self) -> str:
        """Return what our own logout request needs to name the person as the provider did."""
        return json.dumps([self.format, self.name_qualifier, self.sp_name_qualifier, self.value], ensure_ascii=False)


def from_hint(hint: str) -> NameId:
    """Return the NameID that `NameId.hint` wrote.

    Raises: BadInput.
    """
    try:
        parts = json.loads(hint)
    except ValueError:
        parts = None
    if not isinstance(parts, list) or len(parts) != len(_MEMBERS) or not all(isinstance(part, str) for part in parts):
        raise BadInput("The logout hint names nobody.")
    return NameId(*parts)


def read_name_id(parent: Element) -> NameId:
    """Return the one NameID of `parent`.

    Raises: Refusal (none, several, encrypted, transient, not one plain text of 1 to 256 characters).
    """
    found = [child for child in parent if child.tag in {f"{SAML}NameID", f"{SAML}BaseID", f"{SAML}EncryptedID"}]
    if len(found) != 1 or found[0].tag != f"{SAML}NameID":
        raise refused(Reason.NAME_ID)
    element = found[0]
    texts = [str(element.get(name) or "") for name in ("Format", "NameQualifier", "SPNameQualifier")]
    value = whole_text(element, Reason.NAME_ID)
    if element.get("SPProvidedID") is not None or texts[0] == ENTITY:
        raise refused(Reason.NAME_ID)
    if texts[0] == TRANSIENT:
        raise refused(Reason.NAME_ID_TRANSIENT)
    if not is_plain(value) or len(value) > MAX_CHARACTERS or any(text and not is_plain(text) for text in texts):
        raise refused(Reason.NAME_ID)
    return NameId(texts[0], texts[1], texts[2], value)


def is_plain(text: str) -> bool:
    """Tell whether `text` can name something: not empty, NFC, no outer space, nothing that does not show."""
    if not text or text != text.strip() or len(text) > 1024 or unicodedata.normalize("NFC", text) != text:
        return False
    # Cc control, Cf format (zero width, bidi), Cs surrogate, Co private, Cn unassigned, Zl and Zp line breaks.
    return not any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for character in text)
