"""Why a SAML message is refused: one word each, for the audit record, with what it means for the operator."""

from enum import StrEnum, unique
from typing import Final

from failgate.sso.protocol import LEAST_SET, Refusal


@unique
class Reason(StrEnum):
    """The words. `docs/saml.md` says of each what the operator mends."""

    BINDING = "binding"
    TOO_LARGE = "too_large"
    ENCODING = "encoding"
    MARKUP = "markup"
    MALFORMED = "malformed"
    ROOT = "root"
    VERSION = "version"
    IDS = "ids"
    ASSERTIONS = "assertions"
    STATUS = "status"
    CANCELLED = "cancelled"
    UNSIGNED = "unsigned"
    SIGNATURE_FORM = "signature_form"
    ALGORITHM = "algorithm"
    SIGNATURE = "signature"
    KEY_LENGTH = "key_length"
    ENCRYPTION = "encryption"
    NOT_ENCRYPTED = "not_encrypted"
    ISSUER = "issuer"
    DESTINATION = "destination"
    TIME = "time"
    ISSUE_INSTANT = "issue_instant"
    UNSOLICITED = "unsolicited"
    IN_RESPONSE_TO = "in_response_to"
    CONDITIONS = "conditions"
    AUDIENCE = "audience"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    VALIDITY = "validity"
    CONFIRMATION = "confirmation"
    RECIPIENT = "recipient"
    AUTHN_STATEMENT = "authn_statement"
    AUTHN_INSTANT = "authn_instant"
    SESSION_EXPIRED = "session_expired"
    NAME_ID = "name_id"
    NAME_ID_TRANSIENT = "name_id_transient"
    ATTRIBUTES = "attributes"
    ATTRIBUTE_AMBIGUOUS = "attribute_ambiguous"
    TOOLKIT = "toolkit"
    METADATA_EXPIRED = "metadata_expired"
    NO_CERTIFICATE = "no_certificate"
    NO_LOGOUT = "no_logout"


SENTENCES: Final[dict[Reason, str]] = {
    Reason.BINDING: "The message did not arrive as its binding demands: a field is missing, or stands there twice.",
    Reason.TOO_LARGE: "The message is larger than 256 KiB.",
    Reason.ENCODING: "The message is not base64, not deflated as it should be, or not UTF-8.",
    Reason.MARKUP: "The message holds a document type, an entity, a comment, a CDATA section or an instruction.",
    Reason.MALFORMED: "The message is not well-formed XML, or not what the SAML schema describes.",
    Reason.ROOT: "The message is not of the kind that this address takes.",
    Reason.VERSION: "The message is not of SAML version 2.0.",
    Reason.IDS: "An ID is missing, or two elements share one.",
    Reason.ASSERTIONS: "The response does not hold exactly one assertion, directly below it.",
    Reason.STATUS: "The identity provider reports that it could not sign the person in.",
    Reason.CANCELLED: "The identity provider reports that the person was not signed in, or did not agree.",
    Reason.UNSIGNED: "Neither the response nor its assertion is signed, or a logout message is not.",
    Reason.SIGNATURE_FORM: "A signature stands where it may not, or covers something else than its own element.",
    Reason.ALGORITHM: "A signature or digest uses an algorithm that is not accepted (SHA-1, MD5, HMAC, unknown).",
    Reason.SIGNATURE: "A signature does not verify under a certificate of this connection.",
    Reason.KEY_LENGTH: "The RSA keys of this connection's certificates are shorter than [sso] rsa_bits. "
    f"Have the provider make another one{LEAST_SET}.",
    Reason.ENCRYPTION: "The assertion cannot be decrypted, or is encrypted in a way that is not accepted.",
    Reason.NOT_ENCRYPTED: "The assertion is not encrypted, and this connection demands it.",
    Reason.ISSUER: "The issuer is not the entity id of this connection.",
    Reason.DESTINATION: "The destination is absent or is not our address, character for character.",
    Reason.TIME: "A time is not written as SAML demands (UTC, ending in Z).",
    Reason.ISSUE_INSTANT: "The message was issued too long ago, or in the future: one of the two clocks is wrong.",
    Reason.UNSOLICITED: "Nobody asked for this message, and the connection does not allow that.",
    Reason.IN_RESPONSE_TO: "The message answers another request than the one that this browser sent.",
    Reason.CONDITIONS: "The conditions are absent, lack an end, or hold one that we do not know.",
    Reason.AUDIENCE: "The assertion is not addressed to us: no audience is our entity id.",
    Reason.EXPIRED: "The assertion has expired.",
    Reason.NOT_YET_VALID: "The assertion is not valid yet: one of the two clocks is wrong.",
    Reason.VALIDITY: "The assertion ends before it begins, or is valid for more than a day.",
    Reason.CONFIRMATION: "The subject is not confirmed as the bearer, with an end.",
    Reason.RECIPIENT: "The recipient is absent or is not our address, character for character.",
    Reason.AUTHN_STATEMENT: "The assertion does not hold exactly one authentication statement.",
    Reason.AUTHN_INSTANT: "The person signed in to the provider in the future, or more than a year ago.",
    Reason.SESSION_EXPIRED: "The person's session at the provider has ended.",
    Reason.NAME_ID: "The name of the person (NameID) is absent, empty, too long, encrypted or not plain text.",
    Reason.NAME_ID_TRANSIENT: "The name of the person (NameID) changes at each sign-in.",
    Reason.ATTRIBUTES: "The same attribute stands there twice, or an attribute is encrypted or nameless.",
    Reason.ATTRIBUTE_AMBIGUOUS: "Two attributes answer to the name that this connection maps.",
    Reason.TOOLKIT: "The SAML library refuses the message.",
    Reason.METADATA_EXPIRED: "The metadata of this connection has expired.",
    Reason.NO_CERTIFICATE: "This connection has no certificate that could verify an answer.",
    Reason.NO_LOGOUT: "This connection has no logout address.",
}


def refused(reason: Reason) -> Refusal:
    """Return the error to raise for `reason`."""
    return Refusal(reason.value, SENTENCES[reason])
