"""What policies demand of those who decide: groups, challenge, clocks, ladder. Pure; frozen into a request that waits.

Terms join to the stricter of each member, whatever their order: `joined` is a semilattice, so one more policy never
loosens what the others demand.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, get_args

import msgspec

from failgate.base.canonical import base64url
from failgate.wire.gate import Challenge
from failgate.wire.glass import BreakGlass

# The ladder of what an approval takes. `click`: the button; `host`: the name of the host is typed; `factor`: that, and
# a second factor of the last five minutes, not a backup code; `passkey`: that factor is a passkey; `two`: the same as
# `factor`, by two people.
CHALLENGES: Final[tuple[Challenge, ...]] = get_args(Challenge)
FACTOR_SECONDS: Final = 300  # how old a proof may be that a challenge asks for


class Group(msgspec.Struct, frozen=True, omit_defaults=True):
    """People of whom `need` have to approve: whoever has one of `roles` or one of the addresses `members`."""

    name: str
    need: int = 1
    roles: tuple[str, ...] = ()
    members: tuple[str, ...] = ()

    def has(self, person: "Person") -> bool:
        """Tell whether `person` belongs to it, or stands in for somebody who does."""
        return any(_is_among(one, self.roles, self.members) for one in (person, *person.stands_for))


class Escalation(msgspec.Struct, frozen=True, omit_defaults=True, order=True):
    """A step of the ladder: who is told when nobody decided for `after_seconds`, by `roles` or addresses `members`.

    It gives nobody a vote and takes none: whoever may decide may do so before and after.
    """

    after_seconds: int
    name: str
    roles: tuple[str, ...] = ()
    members: tuple[str, ...] = ()

    def has(self, person: "Person") -> bool:
        """Tell whether `person` is told."""
        return _is_among(person, self.roles, self.members)


class Terms(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is demanded. None and empty demand nothing.

    `deny_after`: how many denials end a request, 1 where nobody says; `excluded`: addresses that do not decide;
    `decide_within_seconds` and `use_within_seconds` shorten the two clocks; `makers`: accounts that made the credential
    by which it was asked, whose approvals alone do not do; `escalations`: who is told when nobody decides, in turn;
    `break_glass`: who may let it run without its quorum in an emergency, nobody where it is None.
    """

    groups: tuple[Group, ...] = ()
    deny_after: int | None = None
    excluded: tuple[str, ...] = ()
    decide_within_seconds: int | None = None
    use_within_seconds: int | None = None
    challenge: Challenge = "click"
    makers: tuple[str, ...] = ()
    escalations: tuple[Escalation, ...] = ()
    break_glass: BreakGlass | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """A member, as groups know one; `stands_for` are those whose place in groups they may take."""

    account_id: str
    role: str
    email: str
    stands_for: tuple["Person", ...] = ()


NO_TERMS: Final = Terms()


def joined(all_terms: Iterable[Terms]) -> Terms:
    """Return the stricter of each member. Groups of one name and the same people become one, of the larger need."""
    known = [terms for terms in all_terms if terms != NO_TERMS]
    if not known:
        return NO_TERMS
    groups: dict[tuple[str, tuple[str, ...], tuple[str, ...]], Group] = {}
    for group in sorted((group for terms in known for group in terms.groups), key=lambda group: group.need):
        people = (group.name, tuple(sorted(group.roles)), tuple(sorted(group.members)))
        groups[people] = Group(group.name, group.need, people[1], people[2])
    return Terms(
        groups=tuple(groups[key] for key in sorted(groups)),
        deny_after=_least(terms.deny_after for terms in known),
        excluded=tuple(sorted({address for terms in known for address in terms.excluded})),
        decide_within_seconds=_least(terms.decide_within_seconds for terms in known),
        use_within_seconds=_least(terms.use_within_seconds for terms in known),
        challenge=CHALLENGES[max(CHALLENGES.index(terms.challenge) for terms in known)],
        makers=tuple(sorted({maker for terms in known for maker in terms.makers})),
        escalations=tuple(sorted({_sorted(step) for terms in known for step in terms.escalations})),
        break_glass=_stricter(terms.break_glass for terms in known),
    )


def _sorted(step: Escalation) -> Escalation:
    return Escalation(step.after_seconds, step.name, tuple(sorted(step.roles)), tuple(sorted(step.members)))


def _is_among(person: Person, roles: Iterable[str], members: Iterable[str]) -> bool:
    return person.role in roles or mailbox(person.email) in map(mailbox, members)


def _stricter(words: Iterable[BreakGlass | None]) -> BreakGlass | None:
    said = {word for word in words if word is not None}
    return "owner" if "owner" in said else "reviewer" if said else None


def _least(numbers: Iterable[int | None]) -> int | None:
    return min((number for number in numbers if number is not None), default=None)


def people_needed(terms: Terms) -> int:
    """Return how many distinct people the terms demand at least: nobody stands for two groups."""
    return max(sum(group.need for group in terms.groups), 2 if terms.challenge == "two" else 0)


def is_complete(terms: Terms, need: int, approvers: Sequence[Person]) -> bool:
    """Tell whether `approvers`, who may still decide, are enough: `need` distinct people who fill every group.

    Accounts of one mailbox are one person, who takes one seat, by any of them.
    """
    people: dict[str, list[Person]] = {}
    for person in approvers:
        people.setdefault(mailbox(person.email), []).append(person)
    if len(people) < need or (terms.makers and all(person.account_id in terms.makers for person in approvers)):
        return False
    return not missing_in_groups(terms.groups, tuple(people.values()))


def missing_in_groups(groups: Sequence[Group], people: Sequence[Sequence[Person]]) -> list[Group]:
    """Return the groups that are not full, each as often as it lacks somebody, when as many seats as can be are taken.

    Each of `people`, who is given by the accounts they have, takes one seat.

    Source: augmenting paths, H. W. Kuhn, The Hungarian Method, 1955.
    """
    seats = [group for group in groups for _ in range(group.need)]
    taken: dict[int, int] = {}  # seat -> person

    def seat(person: int, tried: set[int]) -> bool:
        for place, group in enumerate(seats):
            if place in tried or not any(map(group.has, people[person])):
                continue
            tried.add(place)
            if place not in taken or seat(taken[place], tried):
                taken[place] = person
                return True
        return False

    for person in range(len(people)):
        seat(person, set())
    return [group for place, group in enumerate(seats) if place not in taken]


def mailbox(address: str) -> str:
    """Return what tells people apart by their address: lower case, and without what follows a plus sign."""
    local, _, host = address.strip().casefold().rpartition("@")
    return f"{local.partition('+')[0]}@{host}"


def words_of(terms: Terms) -> list[str]:
    """Return whose approvals the groups take, as people read it: `2 of security`."""
    return [f"{group.need} of {group.name}" for group in terms.groups]


def ladder_of(terms: Terms) -> list[str]:
    """Return who is told when nobody decides, as people read it: `oncall after 30 s`."""
    return [f"{step.name} after {step.after_seconds} s" for step in terms.escalations]


_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(Terms).decode


def terms_text(terms: Terms) -> str | None:
    """Return `terms` as a row keeps them; None when they demand nothing."""
    return None if terms == NO_TERMS else _encode(terms).decode()


def stored_terms(text: str | None) -> Terms:
    """Return the terms that a row keeps."""
    return NO_TERMS if text is None else _decode(text)


def terms_digest(text: str) -> str:
    """Return the digest by which the record of a request names the terms that its row keeps."""
    return base64url(hashlib.sha256(text.encode()).digest())
