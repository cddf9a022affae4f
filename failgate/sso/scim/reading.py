"""What a provider sends, checked: resources, patches. This module loads pydantic: import it inside functions.

A resource is a JSON object as it is kept: every attribute that was sent and is declared, none that is derived (`id`,
`meta`, a person's `groups`).

Sources: RFC 7643 section 2; RFC 7644 sections 3.3, 3.5.1 and 3.5.2.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, cast

from pydantic import ValidationError
from scim2_models import Context, Error, PatchOp, SCIMException

from failgate.sso.scim.dialects import PATCH_SCHEMA, Operation
from failgate.sso.scim.errors import ScimError, ScimType, invalid_value
from failgate.sso.scim.resources import POLICY, Kind, model_of

T = TypeVar("T")
MAX_TEXT: Final = 16_384  # characters; a certificate is the longest value there is
MAX_ENTRIES: Final = 100  # of one attribute of a person
_DERIVED: Final = ("id", "meta", "groups")


def read_resource(kind: Kind, value: Any, *, is_new: bool) -> dict[str, Any]:
    """Return the resource that `value` describes.

    Raises: ScimError naming the attribute.
    """
    check_texts(value)
    if isinstance(value, dict) and value.get("schemas") == []:
        raise ScimError(400, "The resource names no schema.", scim_type="invalidSyntax")
    context = Context.RESOURCE_CREATION_REQUEST if is_new else Context.RESOURCE_REPLACEMENT_REQUEST

    def read() -> dict[str, Any]:
        with POLICY:
            return model_of(kind).model_validate(value, scim_ctx=context).model_dump()

    return _checked(kind, guarded(read))


def patch_resource(kind: Kind, current: Mapping[str, Any], operations: list[Operation]) -> dict[str, Any]:
    """Return the resource `current` after `operations`, which are canonical.

    Raises: ScimError with the keyword of RFC 7644 for what cannot be done; then nothing was.
    """
    check_texts(operations)
    model = model_of(kind)
    message = {"schemas": [PATCH_SCHEMA], "Operations": operations}

    def patch() -> dict[str, Any]:
        with POLICY:
            resource = model.model_validate(current)
            patching: Any = PatchOp.__class_getitem__(model)
            patching.model_validate(message, scim_ctx=Context.RESOURCE_PATCH_REQUEST).patch(resource)
            return resource.model_dump()

    return _checked(kind, guarded(patch))


def check_texts(value: Any) -> None:
    """Check that every text of `value` can be kept on either engine and is not absurdly long.

    Raises: ScimError.
    """
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            if len(each) > MAX_TEXT:
                raise invalid_value(f"A text has more than {MAX_TEXT} characters.")
            if "\0" in each or any("\ud800" <= character <= "\udfff" for character in each):
                raise invalid_value("A text holds a NUL or half of a surrogate pair.")
        elif isinstance(each, dict):
            waiting.extend(each.keys())
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)


def guarded(read: Callable[[], T]) -> T:
    """Return what `read` returns, its errors as ours.

    Raises: ScimError.
    """
    try:
        return read()
    except ValidationError as error:
        first = Error.from_validation_error(cast("Mapping[str, Any]", error.errors(include_url=False)[0]))
        raise ScimError(first.status or 400, _sentence(first.detail), scim_type=_keyword(first.scim_type)) from None
    except SCIMException as error:
        raise ScimError(error.status, _sentence(str(error)), scim_type=_keyword(error.scim_type)) from None


def _checked(kind: Kind, resource: dict[str, Any]) -> dict[str, Any]:
    """Return the resource without what is derived. Raises: ScimError (no name, too many entries)."""
    for name in _DERIVED:
        resource.pop(name, None)
    name = "userName" if kind == "User" else "displayName"
    text = resource.get(name)
    if not isinstance(text, str) or not text.strip() or len(text) > 500:
        raise invalid_value(f"The {name} needs 1 to 500 characters.")
    for attribute, value in resource.items():
        if isinstance(value, list) and len(value) > MAX_ENTRIES and attribute != "members":
            raise invalid_value(f"The attribute {attribute} has more than {MAX_ENTRIES} values.")
    return resource


def _sentence(detail: str | None) -> str:
    """Return the first line of a library's message, short."""
    line = (detail or "The request is malformed.").strip().splitlines()
    return " ".join(line)[:500] if line else "The request is malformed."


def _keyword(scim_type: str | None) -> ScimType | None:
    return cast("ScimType", scim_type) if scim_type else None
