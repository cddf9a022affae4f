"""What policies demand of those who decide. E5 B6 B7."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from failgate.gate.terms import (
    CHALLENGES,
    NO_TERMS,
    Escalation,
    Group,
    Person,
    Terms,
    is_complete,
    joined,
    ladder_of,
    mailbox,
    missing_in_groups,
    people_needed,
    stored_terms,
    terms_text,
)

SECONDS = st.none() | st.integers(1, 90)
GROUPS = st.lists(
    st.builds(
        Group,
        name=st.sampled_from(["ops", "security"]),
        need=st.integers(1, 3),
        roles=st.sampled_from([("owner",), ("admin", "owner"), ("reviewer",)]),
        members=st.sampled_from([(), ("a@x",), ("a@x", "b@x")]),
    ),
    max_size=3,
).map(tuple)
TERMS = st.builds(
    Terms,
    groups=GROUPS,
    deny_after=st.none() | st.integers(1, 4),
    excluded=st.lists(st.sampled_from(["a@x", "b@x"])).map(tuple),
    decide_within_seconds=SECONDS,
    use_within_seconds=SECONDS,
    challenge=st.sampled_from(CHALLENGES),
    makers=st.lists(st.sampled_from(["m", "n"])).map(tuple),
    escalations=st.lists(
        st.builds(
            Escalation,
            after_seconds=st.integers(1, 3),
            name=st.sampled_from(["near", "far"]),
            roles=st.sampled_from([(), ("owner", "admin"), ("admin", "owner")]),
            members=st.sampled_from([(), ("b@x", "a@x")]),
        ),
        max_size=3,
    ).map(tuple),
)
PEOPLE = st.lists(
    st.builds(
        Person,
        account_id=st.sampled_from(["1", "2", "3", "4", "m"]),
        role=st.sampled_from(["owner", "admin", "reviewer"]),
        email=st.sampled_from(["a@x", "A+bot@x", "b@x", "c@x", "d@x"]),
    ),
    max_size=5,
    unique_by=lambda person: person.account_id,
)


@given(TERMS, TERMS, TERMS)
def test_terms_join_alike_in_every_order_and_grouping(a, b, c):
    assert joined((a, b, c)) == joined((c, a, b)) == joined((joined((a, b)), c)) == joined((a, joined((b, c))))
    assert joined((a, a)) == joined((a,)) == joined((joined((a,)),))
    assert joined((a, NO_TERMS)) == joined((a,))
    assert joined(()) == NO_TERMS


@given(TERMS, TERMS, st.integers(1, 4), PEOPLE)
def test_one_more_policy_never_makes_fewer_people_enough(a, b, need, people):
    if is_complete(joined((a, b)), need, people):
        assert is_complete(joined((a,)), need, people)
    assert people_needed(joined((a, b))) >= people_needed(joined((a,)))
    assert CHALLENGES.index(joined((a, b)).challenge) >= CHALLENGES.index(a.challenge)


@given(TERMS, st.integers(1, 4), PEOPLE)
def test_enough_people_stay_enough_when_more_approve(terms, need, people):
    if is_complete(terms, need, people[:-1]):
        assert is_complete(terms, need, people)


@given(GROUPS, PEOPLE)
def test_the_groups_are_full_when_some_seating_fills_them(groups, people):
    """Against trying every seating."""
    seats = [group for group in groups for _ in range(group.need)]
    fills = len(seats) <= len(people) and any(
        all(group.has(person) for group, person in zip(seats, order, strict=True))
        for order in itertools.permutations(people, len(seats))
    )
    assert (not missing_in_groups(groups, [(person,) for person in people])) == fills


def test_nobody_stands_for_two_groups():
    groups = (Group("ops", 1, ("admin",)), Group("security", 1, (), ("ann@x",)))
    ann, bob, eve = Person("1", "admin", "ann@x"), Person("2", "admin", "bob@x"), Person("3", "reviewer", "eve@x")
    terms = Terms(groups=groups)
    assert people_needed(terms) == 2
    assert not is_complete(terms, 1, [ann])
    assert not is_complete(terms, 2, [ann, eve])
    assert is_complete(terms, 2, [ann, bob])
    assert is_complete(terms, 2, [bob, ann])


def test_two_accounts_of_one_mailbox_are_one_person():
    both = [Person("1", "admin", "ann@x"), Person("2", "admin", "Ann+second@X")]
    assert mailbox(both[0].email) == mailbox(both[1].email)
    assert not is_complete(NO_TERMS, 2, both)
    assert is_complete(NO_TERMS, 2, [*both, Person("3", "admin", "bob@x")])


def test_a_second_account_of_a_person_takes_nothing_from_the_first():
    """Their approval by another account, of a lower role, once put the first one's seat out."""
    terms = Terms(groups=(Group("lead", 1, ("owner",)),))
    first, second = Person("1", "owner", "ann@x"), Person("2", "admin", "ann+second@x")
    assert is_complete(terms, 1, [first, second])
    assert is_complete(terms, 1, [second, first])
    two = Terms(groups=(Group("lead", 1, ("owner",)), Group("peer", 1, ("admin",))))
    assert not is_complete(two, 1, [first, second]), "one person takes one seat"


def test_who_made_the_credential_is_not_the_only_approver():
    maker, other = Person("m", "admin", "m@x"), Person("o", "admin", "o@x")
    assert not is_complete(Terms(makers=("m",)), 1, [maker])
    assert is_complete(Terms(makers=("m",)), 1, [maker, other])
    assert is_complete(Terms(makers=("m",)), 1, [other])


@given(TERMS)
def test_terms_are_read_as_they_were_written(terms):
    text = terms_text(joined((terms,)))
    assert stored_terms(text) == joined((terms,))
    assert (text is None) == (joined((terms,)) == NO_TERMS)


def test_a_ladder_is_said_in_the_order_of_its_times_and_knows_its_people():
    near, far = Escalation(30, "near", ("admin",)), Escalation(90, "far", (), ("Ann+x@acme.example",))
    assert ladder_of(joined((Terms(escalations=(far,)), Terms(escalations=(near,))))) == [
        "near after 30 s",
        "far after 90 s",
    ]
    ann = Person("1", "reviewer", "ann@acme.example")
    assert (near.has(ann), far.has(ann), near.has(Person("2", "admin", "b@x"))) == (False, True, True)
