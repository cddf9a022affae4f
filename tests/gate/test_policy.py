"""The law by which findings combine. E5 E28."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from failgate.gate.policy import Finding, combine, rule_digest
from failgate.wire.gate import Rule

FINDINGS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.one_of(
            st.builds(Finding, says=st.sampled_from(["allow", "deny", "abstain"]), reason=st.just("r")),
            st.builds(Finding, says=st.just("ask"), reason=st.just("r"), need=st.integers(0, 9)),
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
        assert combined.need == max(1, *(finding.need for _, finding in findings))
    else:
        assert (combined.decision, combined.reason) == ("deny", "no policy asks for anyone")
    assert (combined.need >= 1) == (combined.decision == "ask")
    assert list(combined.findings) == findings


@given(FINDINGS)
def test_the_order_of_the_policies_changes_no_decision(findings):
    answers = {
        (combine(order).decision, combine(order).need)
        for order in itertools.islice(itertools.permutations(findings), 24)
    }
    assert len(answers) == 1


@given(FINDINGS, FINDINGS)
def test_another_policy_never_turns_a_denial_into_anything_else(findings, others):
    if any(finding.says == "deny" for _, finding in findings):
        assert combine([*findings, *others]).decision == "deny"


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
                )
            ),
        )
    ]
    assert len(set(digests)) == len(digests)
