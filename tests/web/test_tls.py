"""What the files of [server.tls] are judged by (E9)."""

import base64
import random
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from failgate.config.tls import TlsSection
from failgate.web.tls import TlsRefused, load, read
from tests.web.authority import DAY, NOW, Authority, issue

NOW_US = int(NOW.timestamp()) * 1_000_000


class Files:
    """A good set of files, to be spoiled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority()
        self.pair = self.authority.server("failgate.example")
        self.certificate, self.key = self.pair.write(folder, "server")
        self.client_ca = folder / "clients.pem"
        self.client_ca.write_bytes(self.authority.pair.pem)
        self.crl = folder / "clients.crl"
        self.crl.write_bytes(self.authority.crl())

    def section(self, **more) -> TlsSection:
        return TlsSection(**{"certificate": self.certificate, "key": self.key, **more})

    def asking(self, **more) -> TlsSection:
        return self.section(
            **{"client_certificates": "required", "client_ca": self.client_ca, "crl": (self.crl,), **more}
        )


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def faults(section: TlsSection, host: str | None = "failgate.example") -> list[tuple[str, str, bool]]:
    return [(each.key, f"{each.sentence}. {each.hint}", each.is_fatal) for each in read(section, host, NOW_US)[1]]


def test_a_good_set_has_no_fault_and_says_when_it_ends(files):
    material = load(files.asking(), "failgate.example", NOW_US)
    assert material.faults == ()
    assert material.expiries == {
        "certificate": int((NOW + 90 * DAY).timestamp()),
        "client_ca": int((NOW + 90 * DAY).timestamp()),
        "crl": int((NOW + DAY).timestamp()),
    }
    context = material.context
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert all("ECDHE" in one["name"] for one in context.get_ciphers() if one["protocol"] != "TLSv1.3")
    assert all("GCM" in one["name"] or "CHACHA20" in one["name"] for one in context.get_ciphers())


def test_client_certificates_are_off_optional_or_required(files):
    assert load(files.section(), None, NOW_US).context.verify_mode is ssl.CERT_NONE
    optional = load(files.asking(client_certificates="optional"), None, NOW_US)
    assert optional.context.verify_mode is ssl.CERT_OPTIONAL


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_key_that_others_can_touch_is_refused_with_the_mend(files, mode):
    files.key.chmod(mode)
    [(key, text, is_fatal)] = faults(files.section())
    assert (key, is_fatal) == ("key", True)
    assert f"chmod 600 {files.key}" in text


def test_the_key_of_another_certificate_is_refused(files):
    files.authority.server("failgate.example").write(files.folder, "other")
    [(key, text, is_fatal)] = faults(files.section(key=files.folder / "other.key"))
    assert (key, is_fatal) == ("key", True)
    assert "does not belong to the first certificate" in text
    with pytest.raises(TlsRefused, match=r"server\.tls\] key"):
        load(files.section(key=files.folder / "other.key"), None, NOW_US)


def test_an_encrypted_key_is_refused_without_asking_on_the_terminal(files):
    files.key.write_bytes(
        files.pair.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
        )
    )
    [(key, text, _)] = faults(files.section())
    assert key == "key"
    assert "is encrypted" in text


@pytest.mark.parametrize("which", ["certificate", "key", "client_ca", "crl"])
@pytest.mark.parametrize("spoiled", ["missing", "empty", "nonsense", "folder"])
def test_each_file_that_cannot_be_read_is_named(files, which, spoiled):
    path = {"certificate": files.certificate, "key": files.key, "client_ca": files.client_ca, "crl": files.crl}[which]
    path.unlink()
    if spoiled == "folder":
        path.mkdir()
    elif spoiled != "missing":
        path.write_bytes(b"" if spoiled == "empty" else b"-----BEGIN NONSENSE-----\n\xff\n")
        path.chmod(0o600)
    found = faults(files.asking())
    assert found
    assert {key for key, _, _ in found} == {which}
    assert found[0][2]
    assert str(path) in found[0][1]


def test_a_certificate_that_has_ended_or_not_begun_is_told_and_does_not_stop_a_start(files):
    for how, word in (
        ({"ends": NOW - DAY / 2}, "expired on"),
        ({"begins": NOW + DAY, "ends": NOW + 2 * DAY}, "is valid only from"),
    ):
        files.authority.server("failgate.example", **how).write(files.folder, "server")
        [(key, text, is_fatal)] = faults(files.section())
        assert (key, is_fatal) == ("certificate", False)
        assert word in text
        assert load(files.section(), None, NOW_US).faults


@pytest.mark.parametrize(
    ("hosts", "asked", "is_good"),
    [
        (["failgate.example"], "failgate.example", True),
        (["*.example"], "failgate.example", True),
        (["*.example"], "a.failgate.example", False),
        (["other.example"], "failgate.example", False),
        (["other.example"], "127.0.0.1", True),
    ],
)
def test_a_certificate_for_another_name_than_the_public_one_is_told(files, hosts, asked, is_good):
    files.authority.server(*hosts).write(files.folder, "server")
    assert ("is not for" in str(faults(files.section(), asked))) is not is_good


def test_a_certificate_that_is_not_for_the_host_of_downloads_is_told(files):
    files.authority.server("failgate.example", "files.example").write(files.folder, "server")
    assert load(files.section(), "failgate.example", NOW_US, "files.example").faults == ()
    [fault] = load(files.section(), "failgate.example", NOW_US, "other.example").faults
    assert fault.sentence.endswith("is not for other.example, the name in artifact_url")


def test_a_chain_in_the_wrong_order_is_told(files):
    middle = Authority("Middle", files.authority)
    leaf = middle.server("failgate.example")
    leaf.write(files.folder, "server", middle.pair, files.authority.pair)
    assert faults(files.section()) == []
    leaf.write(files.folder, "server", files.authority.pair, middle.pair)
    assert "did not issue certificate 1" in str(faults(files.section()))


@pytest.mark.parametrize(("bits", "least"), [(1024, 2048), (2048, 3072)])
def test_a_key_too_weak_for_tls_is_a_fault_and_no_traceback(files, bits, least):
    files.authority.server("failgate.example", rsa_bits=bits).write(files.folder, "server")
    (said,) = (
        text for key, text, is_fatal in faults(files.section(rsa_bits=least)) if is_fatal and key == "certificate"
    )
    assert f"RSA of {bits} bits" in said
    assert "elliptic curve" in said


@pytest.mark.parametrize(("bits", "least"), [(2048, 2048), (3072, 3072)])
def test_rsa_is_taken_from_128_bits_of_security_on_or_from_what_the_config_says(files, bits, least):
    # ASVS 5.0 11.2.3
    files.authority.server("failgate.example", rsa_bits=bits).write(files.folder, "server")
    assert faults(files.section(rsa_bits=least)) == []


def test_an_authority_of_clients_has_a_key_as_long(files):
    files.client_ca.write_bytes(Authority(rsa_bits=2048).pair.pem)
    assert [key for key, text, _ in faults(files.asking(crl=())) if "RSA of 2048 bits" in text] == ["client_ca"]
    assert faults(files.asking(crl=(), rsa_bits=2048)) == []


def test_an_authority_must_be_one(files):
    files.client_ca.write_bytes(files.authority.client("spiffe://a/b").pem)
    assert "is no certificate authority" in str(faults(files.asking(crl=())))


def test_with_lists_every_authority_needs_its_own_and_signs_it(files):
    other = Authority("Other root")
    files.client_ca.write_bytes(files.authority.pair.pem + other.pair.pem)
    assert "there is no revocation list of CN=Other root" in str(faults(files.asking()))
    files.crl.write_bytes(files.authority.crl() + other.crl())
    assert faults(files.asking()) == []
    forger = Authority("Other root")
    files.crl.write_bytes(files.authority.crl() + forger.crl())
    assert "is not signed by CN=Other root" in str(faults(files.asking()))


def spoiled_lists(files: Files) -> Iterator[bytes]:
    """Yield 600 revocation lists in each of which something is not as the authority signed it."""
    chance = random.Random(5280)
    pem = files.authority.crl()
    der = x509.load_pem_x509_crl(pem).public_bytes(serialization.Encoding.DER)
    yield from (
        b"",
        b"\0",
        der,
        pem[: len(pem) // 2],
        pem.replace(b"X509 CRL", b"CERTIFICATE"),
        b"-----BEGIN X509 CRL-----\n" * 1000,
        pem + b"\xff",
    )
    yield from (
        pem + pem.replace(b"M", b"N", 1),
        b"-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n",
        pem.replace(b"\n", b"\0"),
    )
    for number in range(590):
        octets = bytearray(der if number % 3 else pem)
        for _ in range(chance.randrange(1, 5)):
            place = chance.randrange(len(octets))
            match chance.randrange(4):
                case 0:
                    octets[place] = chance.randrange(256)
                case 1:
                    octets[place] ^= 1 << chance.randrange(8)
                case 2:
                    del octets[place : place + chance.randrange(1, 20)]
                case _:
                    octets[place:place] = chance.randbytes(chance.randrange(1, 20))
        body = base64.encodebytes(octets)
        yield b"-----BEGIN X509 CRL-----\n" + body + b"-----END X509 CRL-----\n" if number % 3 else bytes(octets)


def test_a_list_that_is_not_as_it_was_signed_stops_the_start_and_says_which(files):
    """Fails closed: a fault and never another error; what still loads revokes whom it did."""
    bad = files.authority.client("spiffe://acme.example/gone")
    files.authority.revoked.append(bad.certificate)
    refused, kept, said = 0, 0, set[str]()
    for octets in spoiled_lists(files):
        files.crl.write_bytes(octets)
        try:
            material = load(files.asking(), "failgate.example", NOW_US)
        except TlsRefused as error:
            said.add(re.sub(r"(/\S+/|CN=.*)", "", error.sentence))
            refused += 1
            continue
        [crl] = material.crls.values()
        assert crl.is_signature_valid(files.authority.pair.key.public_key())
        assert crl.get_revoked_certificate_by_serial_number(bad.certificate.serial_number) is not None
        kept += 1
    assert refused + kept == 600
    assert [sentence for sentence in said if "crl: " not in sentence] == []
    assert refused > 550  # what is left changed nothing that is signed: a line end, a text around it


def test_a_list_out_of_date_is_told(files):
    files.crl.write_bytes(files.authority.crl(ends=NOW - DAY / 2))
    [(key, text, is_fatal)] = faults(files.asking())
    assert (key, is_fatal) == ("crl", False)
    assert "is out of date" in text


def test_a_self_signed_certificate_may_serve(files):
    own = issue("own", None, sans=files.pair.certificate.extensions[1].value, is_ca=True)
    own.write(files.folder, "server")
    assert [each for each in faults(files.section()) if each[2]] == []
