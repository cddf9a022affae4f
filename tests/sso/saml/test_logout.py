"""E24: single logout both ways and by both bindings; what is not signed, or not for us, ends nothing."""

import base64
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from lxml import etree
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from failgate.base.errors import BadInput
from failgate.sso.protocol import Departure, Refusal
from failgate.sso.saml.logout import (
    LogoutAnswer,
    LogoutDemand,
    answer_logout,
    begin_logout,
    claimed_request,
    read_logout,
)
from failgate.sso.saml.metadata import read_metadata
from failgate.sso.saml.refusals import Reason
from failgate.sso.saml.request import begin
from failgate.sso.saml.response import finish
from tests.peers.simplesaml import STUDENT, Form, SimpleSamlPhp, Walker, entry
from tests.sso.saml.provider import (
    NS,
    Provider,
    encoded,
    expected,
    key_pair,
    now_us,
    service,
    sign,
    with_settings,
    write_instant,
)

SP = service()
IDP = Provider()
CONNECTION = IDP.connection()


def demanded(query: str | None = None, form: dict[str, str] | None = None, **more: Any) -> LogoutDemand:
    read = read_logout(more.pop("connection", CONNECTION), SP, now_us(), query=query, form=form, **more)
    assert isinstance(read, LogoutDemand)
    return read


def reason(query: str | None = None, form: dict[str, str] | None = None, **more: Any) -> str:
    with pytest.raises(Refusal) as caught:
        read_logout(more.pop("connection", CONNECTION), SP, now_us(), query=query, form=form, **more)
    return caught.value.reason


def posted(message: Any, key: Any = None) -> dict[str, str]:
    return {"SAMLRequest": base64.b64encode(sign(message, key or IDP.keys[0])).decode()}


def sent_xml(departure: Departure) -> Any:
    """What the provider reads, its signature verified under our certificate."""
    certificate = SP.signing.certificate
    if departure.fields:
        document = base64.b64decode(departure.fields[0][1])
        name = etree.QName(etree.fromstring(document)).localname
        assert OneLogin_Saml2_Utils.validate_sign(document, cert=certificate, xpath=f"/samlp:{name}/ds:Signature")
        return etree.fromstring(document)
    query = urlsplit(departure.url).query
    fields = {name: values[0] for name, values in parse_qs(query).items()}
    covered = query[query.index("SAMLRe") : query.index("&Signature=")]
    assert OneLogin_Saml2_Utils.validate_binary_sign(
        covered, base64.b64decode(fields["Signature"]), certificate, fields["SigAlg"]
    )
    kind = "SAMLRequest" if "SAMLRequest" in fields else "SAMLResponse"
    return etree.fromstring(OneLogin_Saml2_Utils.decode_base64_and_inflate(fields[kind]))


def test_a_signed_demand_by_redirect_names_the_same_person_as_the_sign_in() -> None:
    message = IDP.logout_request(SP)
    read = demanded(IDP.query("SAMLRequest", message, relay_state="r 1&x"))
    signed_in = finish(CONNECTION, SP, encoded(IDP.respond(SP, "_r")), expected("_r"), now_us()).assertion
    assert read.logout.subject == signed_in.subject
    assert read.logout.provider_sessions == (signed_in.provider_session,)
    assert read.logout.message_ids == (read.request_id,) == (message.get("ID"),)
    assert read.relay_state == "r 1&x"
    assert 590_000_000 < read.logout.valid_until_us - now_us() <= 600_000_000


def test_a_signed_demand_by_post_is_read() -> None:
    read = demanded(form={**posted(IDP.logout_request(SP)), "RelayState": "r1"})
    assert (read.relay_state, read.logout.provider_sessions) == ("r1", ("_session1",))


def test_a_query_spelled_by_another_library_still_verifies() -> None:
    """AD FS and others escape in lower case; the signature covers the letters as they were sent."""
    message = OneLogin_Saml2_Utils.deflate_and_base64_encode(etree.tostring(IDP.logout_request(SP)).decode())

    def lower(text: str) -> str:
        return "".join(f"%{ord(c):02x}" if not c.isalnum() else c for c in text)

    covered = f"SAMLRequest={lower(message)}&SigAlg={lower('http://www.w3.org/2001/04/xmldsig-more#rsa-sha256')}"
    made = base64.b64encode(OneLogin_Saml2_Utils.sign_binary(covered, IDP.keys[0].private_key.reveal())).decode()
    # The order in the query is free: what is covered has its own.
    demanded(f"Signature={quote(made, safe='')}&{covered}")


def _without(query: str, name: str) -> str:
    return "&".join(part for part in query.split("&") if not part.startswith(f"{name}="))


def test_unsigned_logout_messages_are_refused() -> None:
    query = IDP.query("SAMLRequest", IDP.logout_request(SP))
    assert reason(_without(query, "Signature")) == Reason.UNSIGNED
    assert reason(_without(_without(query, "Signature"), "SigAlg")) == Reason.UNSIGNED
    plain = base64.b64encode(etree.tostring(IDP.logout_request(SP))).decode()
    assert reason(form={"SAMLRequest": plain}) == Reason.UNSIGNED
    answer = IDP.query("SAMLResponse", IDP.logout_response(SP, "_r"))
    assert reason(_without(answer, "Signature"), expected=expected("_r")) == Reason.UNSIGNED


def test_a_demand_that_was_touched_is_refused() -> None:
    query = IDP.query("SAMLRequest", IDP.logout_request(SP), relay_state="r1")
    other = IDP.query("SAMLRequest", IDP.logout_request(SP, subject="admin@example.org"))
    swapped = other.split("&", 1)[0] + "&" + query.split("&", 1)[1]
    assert reason(swapped) == Reason.SIGNATURE
    assert reason(query.replace("RelayState=r1", "RelayState=r2")) == Reason.SIGNATURE
    assert reason(query.replace("RelayState=r1&", "")) == Reason.SIGNATURE
    assert reason(f"{query}&SAMLRequest=x") == Reason.BINDING
    assert reason(f"{query}&RelayState=x") == Reason.BINDING
    assert reason(f"{query}&SAMLResponse=x") == Reason.BINDING
    form = posted(IDP.logout_request(SP))
    touched = base64.b64decode(form["SAMLRequest"]).replace(b"ada@", b"eva@")
    assert reason(form={"SAMLRequest": base64.b64encode(touched).decode()}) == Reason.SIGNATURE


def test_a_demand_of_somebody_elses_key_is_refused() -> None:
    assert reason(IDP.query("SAMLRequest", IDP.logout_request(SP), key=key_pair("idp2"))) == Reason.SIGNATURE
    assert reason(form=posted(IDP.logout_request(SP), key_pair("idp2"))) == Reason.SIGNATURE


@pytest.mark.parametrize(
    "algorithm",
    ["http://www.w3.org/2000/09/xmldsig#rsa-sha1", "http://www.w3.org/2000/09/xmldsig#hmac-sha1", "x", ""],
)
def test_a_query_signed_by_an_unlisted_algorithm_is_refused(algorithm: str) -> None:
    query = IDP.query("SAMLRequest", IDP.logout_request(SP), algorithm=algorithm or "x")
    assert reason(query) == Reason.ALGORITHM


def _set(**attributes: str | None) -> Any:
    message = IDP.logout_request(SP)
    for name, value in attributes.items():
        message.attrib.pop(name, None)
        if value is not None:
            message.set(name, value)
    return message


def _named(text: str | None) -> Any:
    message = IDP.logout_request(SP)
    name = message.find("a:NameID", NS)
    if text is None:
        name.set("Format", "urn:oasis:names:tc:SAML:2.0:nameid-format:transient")
    else:
        name.text = text
    return message


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: _set(Destination=None), Reason.DESTINATION),
        (lambda: _set(Destination=f"{SP.logout_url}/x"), Reason.DESTINATION),
        (lambda: _set(Destination=service("other").logout_url), Reason.DESTINATION),
        (lambda: _set(Version="1.1"), Reason.VERSION),
        (lambda: _set(IssueInstant=write_instant(now_us() - 3600_000_000)), Reason.ISSUE_INSTANT),
        (lambda: _set(IssueInstant=write_instant(now_us() + 3600_000_000)), Reason.ISSUE_INSTANT),
        (lambda: _set(NotOnOrAfter=write_instant(now_us() - 181_000_000)), Reason.EXPIRED),
        (lambda: _named(""), Reason.NAME_ID),
        (lambda: _named(None), Reason.NAME_ID_TRANSIENT),
        (lambda: Provider(entity_id="https://other.example").logout_request(SP), Reason.ISSUER),
        (lambda: IDP.logout_response(SP, "_r"), Reason.ROOT),
    ],
)
def test_a_signed_demand_that_lacks_something_is_refused(make: Any, word: Reason) -> None:
    assert reason(IDP.query("SAMLRequest", make())) == word
    assert reason(form=posted(make())) == word


def test_a_demand_without_an_id_is_refused() -> None:
    assert reason(IDP.query("SAMLRequest", _set(ID=None))) == Reason.IDS


def test_our_demand_names_the_person_as_the_provider_did() -> None:
    signed_in = finish(CONNECTION, SP, encoded(IDP.respond(SP, "_r")), expected("_r"), now_us()).assertion
    assert signed_in.logout_hint is not None
    for binding in ("redirect", "post"):
        at = IDP.connection(slo_binding=binding)
        departure = begin_logout(at, SP, signed_in.logout_hint, signed_in.provider_session, now_us())
        xml = sent_xml(departure)
        assert xml.get("ID") == departure.request_id
        assert xml.get("Destination") == "https://idp.example.org/slo"
        assert xml.find("a:NameID", NS).text == "ada@example.org"
        assert xml.find("a:NameID", NS).get("Format").endswith("emailAddress")
        assert xml.find("p:SessionIndex", NS).text == "_session1"


def test_the_answer_to_our_demand_must_be_to_it() -> None:
    query = IDP.query("SAMLResponse", IDP.logout_response(SP, "_mine"), relay_state="x")
    assert claimed_request(query=query) == "_mine"
    assert read_logout(CONNECTION, SP, now_us(), query=query, expected=expected("_mine")) == LogoutAnswer(
        "_mine", is_complete=True
    )
    assert reason(query, expected=expected("_other")) == Reason.IN_RESPONSE_TO
    assert reason(query) == Reason.UNSOLICITED
    signed = sign(IDP.logout_response(SP, "_mine", "Responder"), IDP.keys[0])
    form = {"SAMLResponse": base64.b64encode(signed).decode()}
    assert claimed_request(form=form) == "_mine"
    assert read_logout(CONNECTION, SP, now_us(), form=form, expected=expected("_mine")) == LogoutAnswer(
        "_mine", is_complete=False
    )


@pytest.mark.parametrize("binding", ["redirect", "post"])
def test_our_answer_goes_where_answers_go_with_the_relay_state(binding: str) -> None:
    demand = demanded(IDP.query("SAMLRequest", IDP.logout_request(SP), relay_state="theirs"))
    departure = answer_logout(
        IDP.connection(slo_binding=binding, slo_response_url="https://idp.example.org/slo/answer?a=1&b=2"),
        SP,
        demand,
        now_us(),
        is_done=binding == "redirect",
    )
    xml = sent_xml(departure)
    assert xml.get("InResponseTo") == demand.request_id
    assert xml.get("Destination") == "https://idp.example.org/slo/answer?a=1&b=2"
    code = xml.find("p:Status/p:StatusCode", NS).get("Value")
    assert code.endswith("Success" if binding == "redirect" else "Responder")
    if binding == "redirect":
        assert "RelayState=theirs" in departure.url
    else:
        assert dict(departure.fields)["RelayState"] == "theirs"


def test_without_a_logout_address_there_is_no_logout() -> None:
    with pytest.raises(Refusal) as caught:
        begin_logout(IDP.connection(slo_url=None), SP, '["","","","a"]', None, now_us())
    assert caught.value.reason == Reason.NO_LOGOUT
    for hint in ("", "x", "[]", "[1,2,3,4]", '{"a":1}'):
        with pytest.raises(BadInput):
            begin_logout(CONNECTION, SP, hint, None, now_us())


@pytest.mark.parametrize(
    "query", ["", "x", "SAMLRequest=", "SAMLRequest=%zz", "SAMLRequest=AAAA", "=&=", "SAMLRequest=%00"]
)
def test_what_is_no_message_is_refused(query: str) -> None:
    assert reason(query) in {Reason.BINDING, Reason.ENCODING, Reason.MALFORMED}
    with pytest.raises(Refusal):
        claimed_request(query=query)
    with pytest.raises(Refusal):
        claimed_request(form={})


def test_a_redirect_holds_its_signature_in_the_query_alone() -> None:
    inside = etree.fromstring(sign(IDP.logout_request(SP), IDP.keys[0]))
    assert reason(IDP.query("SAMLRequest", inside)) == Reason.SIGNATURE_FORM
    query = IDP.query("SAMLRequest", IDP.logout_request(SP))
    assert reason(f"{_without(query, 'Signature')}&Signature=%21") == Reason.ENCODING
    assert reason(f"{query}&x={'x' * 600_000}") == Reason.TOO_LARGE


def test_a_deflated_bomb_is_refused_small() -> None:
    bomb = OneLogin_Saml2_Utils.deflate_and_base64_encode("<a>" + " " * 50_000_000 + "</a>")
    assert len(bomb) < 256 * 1024
    assert reason(f"SAMLRequest={quote(bomb, safe='')}") == Reason.TOO_LARGE


@pytest.mark.parametrize("binding", ["redirect", "post"])
def test_simplesamlphp_and_we_end_each_others_sessions(simplesamlphp: SimpleSamlPhp, binding: str) -> None:
    known = "HTTP-Redirect" if binding == "redirect" else "HTTP-POST"
    simplesamlphp.serve([entry(SP, sls_binding=known)])
    settings = read_metadata(simplesamlphp.metadata(), now_us(), allow_loopback=True)
    connection = with_settings(replace(CONNECTION, settings=settings), slo_binding=binding)
    with Walker() as walker:

        def sign_in() -> Any:
            departure = begin(connection, SP, now_us())
            page = walker.open(departure.url, until=SP.acs_url)
            if not isinstance(page, Form):
                page = walker.sign_in(page, STUDENT, until=SP.acs_url)
            assert isinstance(page, Form)
            return finish(connection, SP, page.fields, expected(departure.request_id), now_us()).assertion

        def read_at(door: Form, **more: Any) -> LogoutDemand | LogoutAnswer:
            query = None if door.fields else urlsplit(door.url).query
            return read_logout(connection, SP, now_us(), query=query, form=door.fields or None, **more)

        signed_in = sign_in()
        ours = begin_logout(connection, SP, signed_in.logout_hint, signed_in.provider_session, now_us())
        back = walker.open(ours.url, fields=dict(ours.fields) or None, until=SP.logout_url)
        assert isinstance(back, Form), back.text
        assert read_at(back, expected=expected(ours.request_id)) == LogoutAnswer(ours.request_id, is_complete=True)

        signed_in = sign_in()
        theirs = walker.open(simplesamlphp.logout("http://127.0.0.1:1/after"), until=SP.logout_url)
        assert isinstance(theirs, Form), theirs.text
        demand = read_at(theirs)
        assert isinstance(demand, LogoutDemand)
        assert demand.logout.subject == signed_in.subject
        assert demand.logout.provider_sessions == (signed_in.provider_session,)
        answer = answer_logout(connection, SP, demand, now_us())
        end = walker.open(answer.url, fields=dict(answer.fields) or None, until="http://127.0.0.1:1/after")
        assert isinstance(end, Form), end.text
