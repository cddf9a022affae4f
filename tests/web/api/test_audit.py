"""The audit log through its doors: everything can be read and proven, nothing changed. # E3 B10"""

import base64
import hashlib

import pytest

from failgate.web.routes import DOORS

WHERE = "/api/v1/workspaces/acme/audit"


@pytest.fixture
async def client(server, people):
    async with server.client(headers={"authorization": f"Bearer {people.key}"}) as one:
        yield one


async def test_records_come_in_their_order_with_the_bytes_that_are_hashed(client):
    page = (await client.get(f"{WHERE}/records?limit=2")).json()
    rest = (await client.get(f"{WHERE}/records?after={page['next']}&limit=1000")).json()
    records = page["records"] + rest["records"]
    assert [one["seq"] for one in records] == list(range(len(records)))
    assert len(page["records"]) == 2
    assert rest["next"] is None
    before = bytes(32)
    for one in records:
        assert one["record"]["prev"] == base64.urlsafe_b64encode(before).rstrip(b"=").decode()
        leaf = base64.urlsafe_b64decode(one["leaf"] + "==")
        before = hashlib.sha256(b"\0" + leaf).digest()
    assert records[0]["record"]["act"] == "workspace.created"
    assert all((one["body"] is None) == (one["record"]["pd"] is None) for one in records)


async def test_the_checkpoint_is_a_signed_note_and_a_proof_leads_to_it(client):
    note = await client.get(f"{WHERE}/checkpoint")
    assert note.headers["content-type"].startswith("text/plain")
    size = int(note.text.splitlines()[1])
    assert size > 0
    proof = (await client.get(f"{WHERE}/proof/inclusion?seq=0")).json()
    assert proof["checkpoint"].splitlines()[1] == str(size)
    text = await client.get(f"{WHERE}/proof/inclusion?seq=0", headers={"accept": "text/plain"})
    assert text.text.startswith("c2sp.org/tlog-proof@v1\nindex 0\n")
    grown = (await client.get(f"{WHERE}/proof/consistency?old=1&new={size}")).json()
    assert grown["hashes"]


@pytest.mark.parametrize(
    "query",
    ["inclusion", "inclusion?seq=-1", "inclusion?seq=x", "inclusion?seq=99999999", "consistency?old=9999&new=1",
     "inclusion?seq=99999999999999999999999", "consistency"],
)  # fmt: skip
async def test_a_proof_of_nothing_is_a_clear_error(client, query):
    answer = await client.get(f"{WHERE}/proof/{query}")
    assert answer.status_code in {400, 422}
    assert answer.json()["detail"]


def test_no_door_changes_or_deletes_a_record():
    changing = {door.name for door in DOORS if "audit" in door.path and door.method != "GET"}
    assert changing == {
        "page.audit_take",
        "page.audit_save",
        "page.audit_rename",
        "page.audit_forget",
    }  # views, exports


def root_of(leaf: bytes, seq: int, size: int, hashes: list[bytes]) -> bytes:
    """The root that a proof leads to, as RFC 9162 section 2.1.3.2 computes it."""
    at, last, found = seq, size - 1, hashlib.sha256(b"\0" + leaf).digest()
    for one in hashes:
        if at & 1 or at == last:
            found = hashlib.sha256(b"\1" + one + found).digest()
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\1" + found + one).digest()
        at, last = at >> 1, last >> 1
    assert last == 0
    return found


async def test_a_proof_says_which_tree_it_leads_to_and_the_checkpoint_is_the_newest(client):
    """A smaller tree is not signed again: consistency leads on to the checkpoint."""
    newest = (await client.get(f"{WHERE}/checkpoint")).text
    size = int(newest.splitlines()[1])
    [record] = (await client.get(f"{WHERE}/records?limit=1")).json()["records"]
    leaf = base64.urlsafe_b64decode(record["leaf"] + "==")
    for wanted in (None, 3, size):
        query = f"inclusion?seq=0{f'&size={wanted}' if wanted else ''}"
        proof = (await client.get(f"{WHERE}/proof/{query}")).json()
        assert proof["size"] == (wanted or size)
        assert proof["checkpoint"] == newest
        root = root_of(leaf, 0, proof["size"], [base64.b64decode(one) for one in proof["hashes"]])
        assert (base64.b64encode(root).decode() == newest.splitlines()[2]) == (proof["size"] == size)
    onward = (await client.get(f"{WHERE}/proof/consistency?old=3")).json()
    assert (onward["size"], onward["checkpoint"]) == (size, newest)


async def test_tiles_hold_the_leaf_hashes_and_the_records_under_the_checkpoint(client):
    """B10: who has no database mirrors the log tile by tile and arrives at the signed root."""
    size = int((await client.get(f"{WHERE}/checkpoint")).text.splitlines()[1])
    assert 0 < size < 256
    tile = await client.get(f"{WHERE}/tile/0/000.p/{size}")
    entries = await client.get(f"{WHERE}/tile/entries/000.p/{size}")
    assert tile.headers["content-type"] == entries.headers["content-type"] == "application/octet-stream"
    hashes, leaves, rest = [], [], entries.content
    for start in range(0, len(tile.content), 32):
        hashes.append(tile.content[start : start + 32])
    while rest:
        length = int.from_bytes(rest[:2], "big")
        leaves.append(rest[2 : 2 + length])
        rest = rest[2 + length :]
    records = (await client.get(f"{WHERE}/records?limit=1000")).json()["records"][:size]
    assert leaves == [base64.urlsafe_b64decode(one["leaf"] + "==") for one in records]
    assert hashes == [hashlib.sha256(b"\0" + leaf).digest() for leaf in leaves]
    assert (await client.get(f"{WHERE}/tile/entries/000.p/1")).content == entries.content[: 2 + len(leaves[0])]


@pytest.mark.parametrize(
    "place",
    ["0/000", "1/000", "entries/000", "0/000.p/0", "0/000.p/256", "0/000.p/999", "0/001.p/1", "9/000.p/1", "-1/000.p/1",
     "00/000.p/1", "0/0.p/1", "0/x000/000.p/1", "0/x001/000.p/1", "entries/x999/x999/x999/999.p/1", "x/000.p/1", "0/000.p/01",
     "0", "0/", "entries", "0/000.p/1%00", "0/%D9%A0%D9%A0%D9%A0.p/1", "5/x999/x999/x999/999.p/1",
     "0/x999/x999/x999/x999/000.p/1"],
)  # fmt: skip
async def test_a_tile_that_is_not_there_or_not_in_the_one_form_is_404(client, place):
    answer = await client.get(f"{WHERE}/tile/{place}")
    assert answer.status_code == 404, place
    assert answer.json()["title"]
