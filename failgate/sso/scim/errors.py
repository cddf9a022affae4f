"""The one error of SCIM doors, as RFC 7644 section 3.12 shows errors. Pure.

```text
ScimError                    status and scimType as table 9 of RFC 7644 has them
```
"""

from typing import Final, Literal

from failgate.base.errors import FailgateError, NotFound

SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:Error"
ScimType = Literal[
    "invalidFilter",
    "tooMany",
    "uniqueness",
    "mutability",
    "invalidSyntax",
    "invalidPath",
    "noTarget",
    "invalidValue",
    "invalidVers",
    "sensitive",
]


class ScimError(FailgateError):
    """A request that cannot be done; `scim_type` is the keyword of RFC 7644, `http_status` its status."""

    slug = "scim"
    status = 400
    title = "The provisioning request cannot be done"

    def __init__(
        self, http_status: int, sentence: str, *, scim_type: ScimType | None = None, hint: str | None = None
    ) -> None:
        """Keep the status, the sentence and the keyword."""
        super().__init__(sentence, hint=hint)
        self.http_status = http_status
        self.scim_type: ScimType | None = scim_type


def error_document(status: int, detail: str, scim_type: str | None = None) -> dict[str, object]:
    """Return the body of an error: `status` is a JSON string there."""
    document: dict[str, object] = {"schemas": [SCHEMA], "status": str(status), "detail": detail}
    return document | ({"scimType": scim_type} if scim_type else {})


def invalid_value(sentence: str, hint: str | None = None) -> ScimError:
    """Return the answer to a value that cannot be taken."""
    return ScimError(400, sentence, scim_type="invalidValue", hint=hint)


def uniqueness(sentence: str, hint: str | None = None) -> ScimError:
    """Return the answer to a name or an address that is taken."""
    return ScimError(409, sentence, scim_type="uniqueness", hint=hint)


def missing() -> NotFound:
    """Return the one answer for a resource that is absent, or of another connection."""
    return NotFound("There is no such resource.")
