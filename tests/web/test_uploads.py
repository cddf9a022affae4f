"""Forms with files at a real server: bounded before they are taken, whole or not at all, and forgotten afterwards."""

import asyncio
import re

import msgspec
import pytest

from failgate.base.errors import TooManyRequests
from failgate.plugin import Download, FilesTaken, PageDoor, Pages, SentOn, Shown
from failgate.web import app
from failgate.web.held import HeldBodies
from tests.web.conftest import running
from tests.web.pages.test_brought import with_pages

PATH = "/drawer"
FORM = '{% extends "plugin_public.html" %}{% from "parts/bits.html" import csrf %}{% block page %}<form method="post" enctype="multipart/form-data">{{ csrf(frame) }}</form>{% endblock %}'
TAKEN = FilesTaken(most=3, bytes_together=100_000)


class Nothing(msgspec.Struct, frozen=True):
    pass


class Drawer:
    """Keeps what it is sent, in memory."""

    def __init__(self):
        self.kept, self.held, self.is_full = [], [], False
        self.bodies = HeldBodies()

    def admit(self, ip):
        if self.is_full:
            raise TooManyRequests(f"{ip} sends too much.", retry_after_seconds=7)

    async def show(self, asked):
        return Shown("Drawer", "form.html", Nothing(), 429 if self.is_full else 200, 7 if self.is_full else None)

    async def put(self, asked):
        self.kept.append(asked)
        self.held.append(self.bodies._total)
        return SentOn(PATH)

    async def take(self, asked):
        return Download(self.kept[-1].files[0].name, self.kept[-1].files[0].content)

    def pages(self, folder):
        doors = (
            PageDoor(name="show", path=PATH, handler=self.show, audience="anybody"),
            PageDoor(
                name="put", path=PATH, handler=self.put, audience="anybody", method="POST", form_bytes=2_000,
                files=TAKEN, admit=self.admit,
            ),
            PageDoor(name="take", path="/drawer/first", handler=self.take, audience="anybody"),
        )  # fmt: skip
        return Pages(doors=doors, templates=folder)


@pytest.fixture
def drawer(tmp_path):
    (tmp_path / "form.html").write_text(FORM)
    return Drawer()


@pytest.fixture
async def client(services, drawer, tmp_path, monkeypatch):
    monkeypatch.setattr(app, "HeldBodies", lambda *limits: drawer.bodies if limits else HeldBodies())
    async with running(with_pages(services, drawer.pages(tmp_path))) as server:
        async with server.client(headers={"sec-fetch-site": "same-origin", "accept": "text/html"}) as one:
            one.token = re.search(r'name="csrf_token" value="([^"]+)"', (await one.get(PATH)).text)[1]
            yield one


def sending(client, *contents, **fields):
    files = [("files", (f"{number}.bin", content)) for number, content in enumerate(contents)]
    return client.post(PATH, data={"csrf_token": client.token, **fields}, files=files)


async def test_files_arrive_beside_the_fields_and_count_until_the_form_is_answered(client, drawer):
    assert (await sending(client, b"\x00\xff", b"", note="räk\r\nsmörgås")).status_code == 303
    [asked] = drawer.kept
    assert [(one.field, one.name, one.content) for one in asked.files] == [
        ("files", "0.bin", b"\x00\xff"), ("files", "1.bin", b""),
    ]  # fmt: skip
    assert asked.form["note"] == "räk\r\nsmörgås"
    assert drawer.held[0] > 0
    async with asyncio.timeout(60):
        while drawer.bodies._total:
            await asyncio.sleep(0.01)
    urlencoded = await client.post(PATH, data={"csrf_token": client.token, "note": "x"})
    assert (urlencoded.status_code, drawer.kept[1].files) == (303, ())


@pytest.mark.parametrize(
    ("contents", "fields", "status", "says"),
    [
        ([b"x"] * 4, {}, 413, "too many files"),
        ([b"x"] * 1000, {}, 413, "larger than|too many files"),
        ([b"x" * 60_000] * 2, {}, 413, "hold more than 100,000 bytes together"),
        ([b"x" * 10_000_000], {}, 413, "larger than"),
        ([b"x"], {"note": "A" * 2_001}, 413, "fields of the form hold more than"),
        ([b"x"], {"note": "A\0"}, 400, "NUL"),
        ([b"x"], {"csrf_token": "x"}, 403, "not one of this visit"),
    ],
)
async def test_what_is_too_much_is_refused_with_a_page_and_nothing_is_kept(
    client, drawer, contents, fields, status, says
):
    answer = await sending(client, *contents, **fields)
    assert (answer.status_code, bool(re.search(says, answer.text))) == (status, True), answer.text[-600:]
    assert drawer.kept == []
    async with asyncio.timeout(60):
        while drawer.bodies._total:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("cut", [3, 30, 200])
async def test_a_form_that_breaks_off_is_malformed(client, drawer, cut):
    whole = client.build_request("POST", PATH, data={"csrf_token": client.token}, files={"files": ("a", b"x")})
    body = whole.read()
    kind = {"content-type": whole.headers["content-type"]}
    answer = await client.post(PATH, content=body[:-cut], headers=kind)
    assert (answer.status_code, "ends too early" in answer.text) == (400, True)
    for wrong in ("multipart/form-data", "multipart/form-data; boundary=other"):
        assert (await client.post(PATH, content=body, headers={"content-type": wrong})).status_code == 400
    packed = await client.post(PATH, content=body, headers=kind | {"content-encoding": "gzip"})
    assert packed.status_code == 415
    assert drawer.kept == []


async def test_who_is_not_admitted_is_told_when_to_come_again_before_a_byte_is_read(client, drawer):
    drawer.is_full = True
    answer = await sending(client, b"x" * 10_000_000)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    shown = await client.get(PATH)
    assert (shown.status_code, shown.headers["retry-after"]) == (429, "7")


async def test_uploads_that_hold_too_much_together_wait_and_others_do_not(client, drawer):
    drawer.bodies._total = drawer.bodies._most_bytes
    answer = await sending(client, b"x")
    assert (answer.status_code, "retry-after" in answer.headers) == (429, True)
    drawer.bodies._total = 0
    assert (await sending(client, b"x")).status_code == 303


@pytest.mark.parametrize(
    ("name", "said"),
    [("../../etc/passwd", "_.._etc_passwd"), ("a\r\nset-cookie: x", "a__set-cookie__x"), ("\u202etxt.exe", "_txt.exe"),
     ("é" * 300, "_" * 100), ('"; filename="b', "___filename__b"), ("<svg onload=alert(1)>.html", "_svg_onload_alert_1__.html")],
)  # fmt: skip
async def test_what_was_sent_comes_back_as_an_attachment_alone(client, drawer, name, said):
    content = b"<script>alert(1)</script>"
    await client.post(PATH, data={"csrf_token": client.token}, files={"files": (name, content)})
    answer = await client.get(f"{PATH}/first")
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="{said}"; ')
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(("most", "together"), [(0, 1), (21, 1), (1, 0), (1, (16 << 20) + 1)])
def test_a_door_takes_no_more_than_a_server_holds(most, together):
    with pytest.raises(ValueError, match="1 to 20 files"):
        FilesTaken(most=most, bytes_together=together)
    with pytest.raises(ValueError, match="are of a POST"):
        PageDoor(name="a", path="/a", handler=None, audience="anybody", files=TAKEN)
