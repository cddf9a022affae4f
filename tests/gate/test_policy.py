"""The law by which findings combine. E5 E28."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from failgate.base.canonical import digest_of
from failgate.gate.policy import Finding, combine, rule_digest
from failgate.gate.terms import joined, people_needed
from failgate.wire.gate import Argument, Rule, RuleExecutable, RuleScope
from tests.gate.test_terms import TERMS

FINDINGS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.one_of(
            st.builds(Finding, says=st.sampled_from(["allow", "deny", "abstain"]), reason=st.just("r"), terms=TERMS),
            st.builds(Finding, says=st.just("ask"), reason=st.just("r"), need=st.integers(0, 9), terms=TERMS),
        ),
    ),
    max_size=6,
)


@given(FINDINGS)
def test_deny_beats_allow_beats_ask_beats_silence(findings):
    says = {finding.says for _, finding in findings}
    combined = combine(findings)
    if "deny" in says:
        assert combined.decision == "deny"
    elif "allow" in says:
        assert combined.decision == "allow"
    elif "ask" in says:
        assert combined.decision == "ask"
        terms = joined(finding.terms for _, finding in findings)
        assert combined.need == max(1, people_needed(terms), *(finding.need for _, finding in findings))
        assert combined.terms == terms
    else:
        assert (combined.decision, combined.reason) == ("deny", "no policy asks for anyone")
    assert (combined.need >= 1) == (combined.decision == "ask")
    assert list(combined.findings) == findings


@given(FINDINGS)
def test_the_order_of_the_policies_changes_no_decision(findings):
    answers = {
        (combine(order).decision, combine(order).need, combine(order).terms)
        for order in itertools.islice(itertools.permutations(findings), 24)
    }
    assert len(answers) == 1


@given(FINDINGS, FINDINGS)
def test_another_policy_never_turns_a_denial_into_anything_else(findings, others):
    if any(finding.says == "deny" for _, finding in findings):
        assert combine([*findings, *others]).decision == "deny"


@given(FINDINGS, FINDINGS)
def test_another_policy_that_allows_nothing_never_makes_it_easier(findings, others):
    """More people, a harder challenge, less time; or nothing passes at all."""
    before = combine(findings)
    after = combine([*findings, *(each for each in others if each[1].says != "allow")])
    if before.decision == "ask":
        assert after.decision in {"ask", "deny"}
    if before.decision == after.decision == "ask":
        assert after.need >= before.need
        assert joined((after.terms, before.terms)) == after.terms
    if before.decision == after.decision == "allow" and before.terms.use_within_seconds is not None:
        assert after.terms.use_within_seconds <= before.terms.use_within_seconds


def test_every_part_of_a_rule_moves_its_digest():
    plain = Rule(kind="exact", effect="allow", argv=["a", "b"])
    known = {"workspace_id": "w", "rule_id": "r", "rule": plain, "created_by": "u", "created_us": 5}
    digests = [
        rule_digest(**(known | change))
        for change in (
            {},
            {"workspace_id": "x"},
            {"rule_id": "x"},
            {"created_by": "x"},
            {"created_us": 6},
            *(
                {"rule": Rule(**({"kind": "exact", "effect": "allow", "argv": ["a", "b"]} | change))}
                for change in (
                    {"effect": "deny"},
                    {"argv": ["a b"]},
                    {"argv": ["a", "b", ""]},
                    {"note": "n"},
                    {"ttl_seconds": 1},
                    {"max_uses": 1},
                    {"kind": "prefix"},
                    {"kind": "argument", "rest": Argument(literal="c")},
                    {"kind": "argument", "rest": Argument(re2="c")},
                    {"kind": "argument", "arguments": [Argument(literal="c")]},
                    {"kind": "re2", "argv": [], "pattern": "a b"},
                    {"kind": "path", "argv": [], "pattern": "/a/b"},
                    {"executable": RuleExecutable("/a")},
                    {"scope": RuleScope(hosts=["h"])},
                    {"scope": RuleScope(agents=["h"])},
                    {"env": ["X"]},
                    {"owner": "u"},
                    {"review_by": "2027-01-31"},
                )
            ),
        )
    ]
    assert len(set(digests)) == len(digests)


def test_a_rule_of_the_first_version_keeps_its_digest():
    """What stands in the logs of those days: exact rules without any later member."""
    rule = Rule(kind="exact", effect="allow", argv=["git", "status"], note="n", ttl_seconds=60, max_uses=3)
    assert rule_digest("w", "r", rule, created_by="u", created_us=5) == digest_of(
        {
            "v": 1, "ws": "w", "id": "r", "kind": "exact", "effect": "allow", "argv": ["git", "status"], "note": "n",
            "ttl_seconds": 60, "max_uses": 3, "created_by": "u", "created_us": 5,
        }
    )  # fmt: skip
