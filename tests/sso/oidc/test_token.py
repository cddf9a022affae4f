"""E23, SECURITY.md section 1 (OIDC row): header, key and signature of a token; every forgery is refused."""

import base64
import contextlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, RSAKey

from failgate.sso.oidc.metadata import ALGORITHMS
from failgate.sso.oidc.token import KeyUnknown, open_token, read_key_set
from failgate.sso.protocol import Refusal
from tests.sso.oidc.making import EC, ED, KEYS, PSS, RSA, RSA_OTHER, claims, sign


def opened(token: str, keys=KEYS, **options):
    return open_token(token, keys, **{"algorithms": ALGORITHMS, "types": ("jwt", None), **options})


def encoded(value) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (PSS, "PS256"), (EC, "ES256"), (ED, "EdDSA")])
def test_each_accepted_algorithm_is_read(key, algorithm: str) -> None:
    token = opened(sign(claims(), key, algorithm))
    assert token.claims["sub"] == "alice"
    assert token.algorithm == algorithm


def test_a_token_without_kid_is_read_when_one_key_fits() -> None:
    assert opened(sign(claims(), ED, "EdDSA", kid=...)).claims["sub"] == "alice"
    alone = (RSA.as_dict(private=False),)
    assert opened(sign(claims(), RSA, kid=...), alone).claims["sub"] == "alice"


def test_a_token_without_type_is_read() -> None:
    assert opened(sign(claims(), typ=...)).claims["sub"] == "alice"


def test_members_of_the_header_that_mean_nothing_here_are_passed_over() -> None:
    assert opened(sign(claims(), x5t="dGh1bWI", custom=[1])).claims["sub"] == "alice"


def by_hmac(secret: bytes) -> str:
    """A token signed by HS256 with whatever bytes a verifier might take for its key (RFC 8725 section 2.1)."""
    body = f"{encoded({'alg': 'HS256', 'kid': 'rsa'})}.{encoded(claims())}"
    return f"{body}.{encoded(hmac.digest(secret, body.encode(), 'sha256'))}"


RIGHT = sign(claims())
HEAD, BODY, SIGNATURE = RIGHT.split(".")
PSS_BARE = RSAKey.import_key({name: value for name, value in PSS.as_dict(private=True).items() if name != "alg"})
OWN = RSA_OTHER.as_dict(private=False)

DOUBLE_HEADER = b'{"alg":"RS256","kid":"rsa","kid":"rsa"}'

FORGERIES = {
    "alg none": (f"{encoded({'alg': 'none'})}.{BODY}.", "token_algorithm"),
    "alg None in other letters": (f"{encoded({'alg': 'nOnE'})}.{BODY}.", "token_algorithm"),
    "alg none with the signature": (f"{encoded({'alg': 'none', 'kid': 'rsa'})}.{BODY}.{SIGNATURE}", "token_algorithm"),
    "no alg": (f"{encoded({'kid': 'rsa'})}.{BODY}.{SIGNATURE}", "token_algorithm"),
    "alg a list": (f"{encoded({'alg': ['RS256'], 'kid': 'rsa'})}.{BODY}.{SIGNATURE}", "token_algorithm"),
    "HS256 with the public key as PEM": (by_hmac(RSA.as_pem(private=False)), "token_algorithm"),
    "HS256 with the public key as DER": (by_hmac(RSA.as_der(private=False)), "token_algorithm"),
    "HS256 with the client secret": (by_hmac(b"s3cret"), "token_algorithm"),
    "RS512, which is not accepted": (sign(claims(), RSA_OTHER, "RS512"), "token_algorithm"),
    "another key under the known kid": (sign(claims(), RSA_OTHER), "token_signature"),
    "an unknown kid": (sign(claims(), RSA_OTHER, kid="nope"), "token_key_unknown"),
    "a kid that climbs": (sign(claims(), RSA_OTHER, kid="../../../../dev/null"), "token_key_unknown"),
    "a kid with a quote": (sign(claims(), RSA_OTHER, kid="rsa' OR '1'='1"), "token_key_unknown"),
    "an empty kid": (sign(claims(), RSA_OTHER, kid=""), "token_key_unknown"),
    "a kid of another algorithm": (sign(claims(), RSA, kid="ec"), "token_key_unknown"),
    "a key whose own alg is another": (sign(claims(), PSS_BARE, "RS256"), "token_key_unknown"),
    "no kid and two keys that fit": (sign(claims(), RSA, kid=...), None),
    "jwk: a key of its own": (sign(claims(), RSA_OTHER, jwk=OWN), "token_header"),
    "jku: its own key set": (sign(claims(), RSA_OTHER, jku="https://evil.example/keys"), "token_header"),
    "x5u: its own certificate": (sign(claims(), RSA_OTHER, x5u="https://evil.example/cert"), "token_header"),
    "x5c: its own certificate inside": (sign(claims(), RSA_OTHER, x5c=["MIIB"]), "token_header"),
    "crit": (f"{encoded({'alg': 'RS256', 'kid': 'rsa', 'crit': ['exp']})}.{BODY}.{SIGNATURE}", "token_header"),
    "b64": (f"{encoded({'alg': 'RS256', 'kid': 'rsa', 'b64': False})}.{BODY}.{SIGNATURE}", "token_header"),
    "an access token's type": (sign(claims(), typ="at+jwt"), "token_type"),
    "a logout token's type": (sign(claims(), typ="logout+jwt"), "token_type"),
    "a type that is no text": (f"{encoded({'alg': 'RS256', 'kid': 'rsa', 'typ': 1})}.{BODY}.{SIGNATURE}", "token_type"),
    "another body": (f"{HEAD}.{encoded(claims(sub='bob'))}.{SIGNATURE}", "token_signature"),
    "another header": (f"{encoded({'alg': 'RS256', 'kid': 'rsa', 'a': 1})}.{BODY}.{SIGNATURE}", "token_signature"),
    "no signature": (f"{HEAD}.{BODY}.", "token_signature"),
    "half a signature": (f"{HEAD}.{BODY}.{SIGNATURE[:100]}", "token_signature"),
    "an ECDSA signature of zeros": (
        f"{encoded({'alg': 'ES256', 'kid': 'ec'})}.{BODY}.{encoded(bytes(64))}",
        "token_signature",
    ),
    "a double member in the header": (
        f"{encoded(DOUBLE_HEADER)}.{BODY}.{SIGNATURE}",
        "token_malformed",
    ),
    "a double claim": (sign('{"sub":"alice","sub":"bob"}'), "token_malformed"),
    "a body that is a list": (sign("[]"), "token_malformed"),
    "a body that is no JSON": (sign("alice"), "token_malformed"),
    "a body with NaN": (sign('{"exp":NaN}'), "token_malformed"),
    "a body nested without end": (sign('{"a":' + "[" * 3000), "token_malformed"),
    "five parts, encrypted": (f"{HEAD}.{BODY}.{SIGNATURE}.{BODY}.{BODY}", "token_malformed"),
    "two parts": (f"{HEAD}.{BODY}", "token_malformed"),
    "JSON serialisation": ('{"payload":"e30","signatures":[]}', "token_malformed"),
    "letters beyond ASCII": (RIGHT + "é", "token_malformed"),
    "white space around": (f" {RIGHT}\n", "token_malformed"),
    "a large header": (sign(claims(), padding="x" * 3000), "token_malformed"),
    "nine kilobytes": (sign(claims(padding="x" * 9000)), "token_too_large"),
    "half a gigabyte of header": ("A" * 50_000_000 + ".e30.", "token_too_large"),
    "nothing": ("", "token_malformed"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_token_is_refused(name: str) -> None:
    token, reason = FORGERIES[name]
    keys = (*KEYS, {**RSA_OTHER.as_dict(private=False), "kid": "second"}) if reason is None else KEYS
    with pytest.raises(Refusal) as refused:
        opened(token, keys)
    assert refused.value.reason == (reason or "token_key_unknown")


def test_there_are_forgeries_enough() -> None:
    assert len(FORGERIES) >= 25


def test_a_provider_that_does_not_offer_an_algorithm_is_not_believed_with_it() -> None:
    with pytest.raises(Refusal) as refused:
        opened(sign(claims(), EC, "ES256"), algorithms=("RS256",))
    assert refused.value.reason == "token_algorithm"


@pytest.mark.parametrize(
    "changed",
    [
        {"use": "enc"},
        {"key_ops": ["encrypt"]},
        {"alg": "PS256"},
        {"kty": "EC"},
        {"kty": "oct", "k": "AAAA"},
        {"kid": "other"},
    ],
)
def test_a_key_for_something_else_signs_nothing(changed: dict) -> None:
    with pytest.raises(KeyUnknown):
        opened(sign(claims()), ({**KEYS[0], **changed},))


@pytest.mark.parametrize("changed", [{"n": "AQAB"}, {"n": 5}, {"n": "***"}, {"e": None}, {"n": ...}])
def test_a_broken_key_is_refused(changed: dict) -> None:
    key = {name: value for name, value in {**KEYS[0], **changed}.items() if value is not ...}
    with pytest.raises(Refusal) as refused:
        opened(sign(claims()), (key,))
    assert refused.value.reason in {"token_malformed", "token_signature", "key_length"}


@pytest.mark.parametrize(("bits", "least"), [(2048, 3072), (1024, 2048)])
def test_a_short_rsa_key_is_refused(bits: int, least: int) -> None:
    # ASVS 5.0 11.2.3
    with pytest.warns(SecurityWarning) if bits < 2048 else contextlib.nullcontext():
        short = RSAKey.generate_key(bits, {"kid": "short"})
    with pytest.raises(Refusal) as refused:
        opened(sign(claims(), short), (short.as_dict(private=False),), **({} if least == 3072 else {"rsa_bits": least}))
    assert refused.value.reason == "key_length"
    assert f"{bits} bits; [sso] rsa_bits asks for {least}" in refused.value.detail
    assert ("sets rsa_bits = 2048 in [sso]" in refused.value.detail) == (bits == 2048)  # of no help for shorter ones


def test_an_rsa_key_of_2048_bits_is_taken_where_the_config_says_so() -> None:
    short = RSAKey.generate_key(2048, {"kid": "short"})
    token = sign(claims(), short)
    assert opened(token, (short.as_dict(private=False),), rsa_bits=2048).claims["sub"] == "alice"


def test_the_curve_belongs_to_the_algorithm() -> None:
    other = ECKey.generate_key("P-384", {"kid": "ec"})
    with pytest.raises(KeyUnknown):
        opened(sign(claims(), EC, "ES256"), (other.as_dict(private=False),))


def test_two_keys_under_one_kid_are_not_guessed_among() -> None:
    with pytest.raises(KeyUnknown):
        opened(sign(claims()), (KEYS[0], {**OWN, "kid": "rsa"}))


@pytest.mark.parametrize("document", [None, [], {}, {"keys": {}}, {"keys": []}, {"keys": [{}] * 101}, "keys", 5])
def test_a_key_set_that_is_none_is_refused(document) -> None:
    with pytest.raises(Refusal) as refused:
        read_key_set(document)
    assert refused.value.reason == "keys_malformed"


def test_a_private_key_in_the_set_is_read_as_a_public_one() -> None:
    assert opened(sign(claims()), (RSA.as_dict(private=True),)).claims["sub"] == "alice"


@given(st.text(max_size=200) | st.text("abcdefghijklmnopqrstuvwxyzABCDEF0123456789-_.=", max_size=300))
def test_no_text_gets_another_answer_than_a_refusal(text: str) -> None:
    with pytest.raises(Refusal):
        opened(text)


@given(st.integers(0, len(RIGHT) - 1), st.sampled_from("ABab01-_."))
def test_no_changed_character_is_accepted_as_another_claim(place: int, character: str) -> None:
    """A signature's last character holds bits that mean nothing; whatever is accepted says what was signed."""
    try:
        token = opened(RIGHT[:place] + character + RIGHT[place + 1 :])
    except Refusal:
        return
    assert token.claims == claims()
