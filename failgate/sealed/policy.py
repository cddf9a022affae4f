"""The body of a policy: how many have to approve, with keys of which class. Its digest stands in the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, cast

from failgate.base.canonical import digest_of
from failgate.sealed import form
from failgate.sealed.refusal import Refused

KeyClass = Literal["browser", "native", "webauthn"]
CLASSES: Final = frozenset({"browser", "native", "webauthn"})
_MOST_PEOPLE: Final = 1000
_MEMBERS: Final = ("deny", "id", "need", "require", "v")


class Policy(NamedTuple):
    """`need` people have to approve, `require[class]` of them with a key of that class; one denial ends the request."""

    id: str
    need: int
    require: Mapping[KeyClass, int]
    digest: str


def read_policy(value: object, place: str = "policy") -> Policy:
    """Return the policy whose body is `value`.

    Raises: Refused (`members`, `value`, …).
    """
    body = form.members(value, place, _MEMBERS)
    form.exactly(body["v"], 1, f"{place}.v")
    form.exactly(body["deny"], "wins", f"{place}.deny")
    need = form.integer(body["need"], f"{place}.need", least=1, most=_MOST_PEOPLE)
    require: dict[KeyClass, int] = {
        a_class(name, f"{place}.require"): form.integer(number, f"{place}.require", least=1, most=_MOST_PEOPLE)
        for name, number in form.an_object(body["require"], f"{place}.require").items()
    }
    return Policy(form.word(body["id"], f"{place}.id"), need, require, digest_of(body))


def a_class(value: object, place: str) -> KeyClass:
    """Return `value` if it is a class of keys.

    Raises: Refused (`value`).
    """
    if not isinstance(value, str) or value not in CLASSES:
        raise Refused("value", place)
    return cast("KeyClass", value)
