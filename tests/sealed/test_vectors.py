"""The published vectors: every verdict is the wanted one, and a file that is none is said to be none. E10 E13 E15."""

import copy
from collections import Counter
from typing import Any

import pytest

from failgate.base.errors import BadInput
from failgate.sealed.refusal import REASONS
from failgate.sealed.vectors import judge
from tests.sealed.parties import vector_file


def test_every_vector_has_the_wanted_verdict() -> None:
    verdicts = list(judge(vector_file()))
    assert [one for one in verdicts if one.accepted != one.expected] == []
    assert Counter(one.expected for one in verdicts) == {True: 41, False: 100}
    assert all((one.reason is None) == one.accepted for one in verdicts)
    assert {one.reason for one in verdicts if one.reason} <= set(REASONS)


def test_each_refusal_is_for_its_own_reason() -> None:
    """A case that is refused for something else proves nothing about its own rule."""
    reasons = {one.case: one.reason for one in judge(vector_file())}
    assert reasons["jwe: different CEK for reviewer 1"] == "does-not-open"
    assert reasons["jwe: inner ctx differs from AAD in exp"] == "context"
    assert reasons["jwe: inner signature r=n"] == "signature"
    assert reasons["jwe: inner: padding with one foreign byte"] == "padding"
    assert reasons["decisions: root key decides"] == "unknown-key"
    assert reasons["decisions: deny first"] == "denied"
    assert reasons["decisions: same decision twice"] == "replayed"
    assert reasons["decisions: webauthn: origin of a subdomain"] == "origin"
    assert reasons["decisions: webauthn: counter 0 after 5"] == "counter"
    assert reasons["manifests: one signer twice"] == "signer-twice"
    assert reasons["manifests: rotation signed by the new set only"] == "threshold"
    assert reasons["manifests: policy served is not in the manifest"] == "policy"
    assert reasons["receipts: out_sha256 of other output"] == "output"
    assert reasons["keys: x beyond the field"] == "key"


def changed(path: list[str | int], value: object) -> dict[str, Any]:
    """Return the file with one place changed; `...` takes the place away. Only the first case of each member stays."""
    document: Any = copy.deepcopy(
        {name: one[:1] if name.startswith(("positive_", "negative_")) else one for name, one in vector_file().items()}
    )
    place = document
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["state"], ..., "the file lacks state"),
        (["state", "now"], "soon", "state.now is no number of seconds"),
        (["state", "ws"], 1, "state.ws is no text"),
        (["state", "used"], {}, "state.used is no list"),
        (["state", "counters", "x"], "5", "state.counters holds something else"),
        (["state", "output_b64u"], "=", "state.output_b64u is not usable"),
        (["manifest_prev_payload"], ..., "the file lacks manifest_prev_payload"),
        (["manifest_payload", "epoch"], 0, "manifest_payload is not usable"),
        (["ctx", "rcpt"], [], "ctx is not usable"),
        (["agent_sig_key"], ..., "the file lacks agent_sig_key"),
        (["agent_sig_key", "x"], "AA", "agent_sig_key is not usable"),
        (["root_keys", 0, "crv"], "P-384", "root_keys[0] is not usable"),
        (["root_keys", 0], "key", "a key is no object"),
        (["reviewer_enc_keys"], ..., "the file lacks reviewer_enc_keys"),
        (["reviewer_enc_keys", 0, "p"], "AQ", "reviewer_enc_keys[0] is not usable"),
        (["positive_jwe", 0, "open_as"], 3, "positive_jwe[0].open_as is no number from 0 to 2"),
        (["positive_jwe", 0, "jwe"], ..., "positive_jwe[0] lacks jwe"),
        (["positive_jwe", 0, "case"], 1, "positive_jwe[0].case is no text"),
        (["positive_jwe", 0], [], "positive_jwe[0] is no object"),
        (["positive_keys", 0, "use"], "both", "positive_keys[0].use is neither enc nor sig"),
        (["negative_manifests"], {}, "negative_manifests is no list"),
        (["negative_other"], [], "negative_other is no subject that is known"),
    ],
)
def test_a_file_that_is_none_says_what_and_where(path: list[str | int], value: object, said: str) -> None:
    with pytest.raises(BadInput) as refusal:
        list(judge(changed(path, value)))
    assert said in str(refusal.value)


@pytest.mark.parametrize("document", [None, [], "x", 1, {}, {"state": {}}])
def test_what_holds_no_vectors_is_refused(document: object) -> None:
    with pytest.raises(BadInput):
        list(judge(document))


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"ctx": {**vector_file()["ctx"], "rcpt": []}}, "value"),
        ({"manifest": {**vector_file()["manifest_payload"], "epoch": 0}}, "value"),
        ({"ws": "00000000-0000-4000-8000-000000000000"}, "workspace"),
    ],
)
@pytest.mark.parametrize("subject", ["positive_decisions", "positive_receipts"])
def test_what_a_case_says_of_the_state_is_judged(subject: str, state: dict[str, Any], reason: str) -> None:
    (verdict, *_) = [one for one in judge(changed([subject, 0, "state"], state)) if one.case.startswith(subject[9:])]
    assert (verdict.accepted, verdict.reason) == (False, reason)
