"""F2 F19: the pages of a review: what they show, what they take, what they refuse."""

import re

from failgate.client.report_folder import reviewed_in
from tests.client.test_rewriting import WORD
from tests.web.loopback.conftest import Seat


async def test_the_link_leads_in_once_and_the_page_is_inert(seat: Seat) -> None:
    async with seat.browser() as browser:
        entered = await browser.get(seat.entry.link, headers={"sec-fetch-site": "cross-site"})
        assert entered.status_code == 200
        assert f'content="0;url={seat.entry.place}/"' in entered.text
        shown = await browser.get(f"{seat.entry.place}/")
        policy = shown.headers["content-security-policy"]
        nonce = re.search(r"script-src 'nonce-([\w-]+)' 'strict-dynamic'", policy)
        assert nonce is not None
        assert set(re.findall(r'nonce="([^"]+)"', shown.text)) == {nonce[1]}
        assert nonce[1] not in entered.text, "each answer has its own"
        for name, value in (
            ("cache-control", "no-store"), ("referrer-policy", "same-origin"), ("x-content-type-options", "nosniff"),
            ("cross-origin-resource-policy", "same-origin"), ("cross-origin-opener-policy", "same-origin"),
        ):  # fmt: skip
            assert shown.headers[name] == value
        assert "access-control-allow-origin" not in shown.headers
        assert "⟨ESC[31m⟩" in shown.text
        assert "&lt;script&gt;alert(1)" in shown.text
        assert "<script>alert" not in shown.text
        assert "unsafe" not in policy
    async with seat.browser() as other:
        again = await other.get(seat.entry.link)
        assert (again.status_code, "used already" in again.text) == (403, True)
        assert "set-cookie" not in again.headers
        assert seat.entry.place not in again.text


async def test_nobody_else_is_told_anything(seat: Seat) -> None:
    async with seat.browser() as browser, seat.browser() as other:
        await browser.get(seat.entry.link)
        for path in ("/", "/act", "/consent", "/progress", "/frames/3", "/sending"):
            answer = await other.get(seat.entry.place + path)
            assert (answer.status_code, answer.text) == (404, "There is nothing here."), path
        missing = await other.get("/nowhere")
        assert missing.text == answer.text
        moved = await browser.get(f"{seat.entry.place}/", headers={"host": "evil.example:4242"})
        assert (moved.status_code, "output" in moved.text) == (421, False)
        for headers in ({"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-site"}, {"origin": "null"}):
            data = {"csrf_token": seat.entry.form_token, "act": "leave-out", "artifact": "1"}
            answer = await browser.post(f"{seat.entry.place}/act", data=data, headers=headers)
            assert answer.status_code == 403
        assert seat.review.changes.is_nothing


async def test_a_form_without_its_token_or_of_another_kind_changes_nothing(seat: Seat) -> None:
    async with seat.browser() as browser:
        await browser.get(seat.entry.link)
        step = {"act": "leave-out", "artifact": "1"}
        where = f"{seat.entry.place}/act"
        assert (await browser.post(where, data=step)).status_code == 403
        assert (await browser.post(where, data=step | {"csrf_token": "x" * 43})).status_code == 403
        assert (await browser.post(where, json=step | {"csrf_token": seat.entry.form_token})).status_code == 415
        assert (await browser.post(where, data=step | {"csrf_token": "x" * 70_000})).status_code == 413
        assert (await browser.post(f"{seat.entry.place}/upload", data={"agreed": "yes"})).status_code == 403
        assert (await browser.get(f"{seat.entry.place}/act")).status_code == 405
        assert seat.review.changes.is_nothing


async def test_steps_are_taken_said_and_taken_back(seat: Seat) -> None:
    async with seat.browser() as browser:
        await browser.get(seat.entry.link)
        page = await seat.act(browser, act="leave-out", artifact="2")
        assert "2 of 3 artifacts" in page.text
        page = await seat.act(browser, act="selection", artifact="1", text="for ac⟨ESC[0m⟩me\nxy")
        assert seat.review.changes.literals == ("for acme",)
        assert "1 place is replaced by it" in page.text
        page = await seat.act(browser, act="pattern", text="(")
        assert 'role="alert"' in page.text
        page = await seat.act(browser, act="words", text="not in there")
        assert "Nothing more in the report holds that" in page.text
        page = await seat.act(browser, act="forget", text="not in there")
        for wrong in (
            {"act": "fly"},
            {"act": "leave-out", "artifact": "9"},
            {"act": "selection", "text": "[redacted:by-hand]"},
        ):
            assert 'role="alert"' in (await seat.act(browser, **wrong)).text
        for _ in range(4):
            page = await seat.act(browser, act="undo")
        assert seat.review.changes.is_nothing
        assert 'role="alert"' not in page.text
        assert "nothing to take back" in (await seat.act(browser, act="undo")).text


async def test_words_go_from_what_is_played_and_read_of_a_recording(seat: Seat) -> None:
    async with seat.browser() as browser:
        await browser.get(seat.entry.link)
        page = await seat.act(browser, act="words", text="of acme", artifact="3")
        assert "data-playback" in page.text
        listing = page.text[page.text.index("data-playback") :].partition("desk-bar")[0]
        assert "of ac" not in listing
        assert "redacted:by-hand" in listing
        frames = await browser.get(f"{seat.entry.place}/frames/3")
        assert "of ac" not in frames.text
        assert "redacted:by-hand" in frames.text
        for number in ("1", "9", "x"):
            assert (await browser.get(f"{seat.entry.place}/frames/{number}")).status_code in {400, 404}


async def test_the_manifest_is_shown_as_it_would_leave(seat: Seat) -> None:
    async with seat.browser() as browser:
        await browser.get(seat.entry.link)
        page = await browser.get(f"{seat.entry.place}/")
        assert page.text.count(WORD) >= 3, "argv, folder, environment"
        page = await seat.act(browser, act="words", text=WORD)
        assert page.text.count(WORD) == 3, "in the list of words, and nowhere else"


async def test_consent_is_over_what_was_saved_and_over_nothing_else(seat: Seat) -> None:
    async with seat.browser() as browser:
        await browser.get(seat.entry.link)
        before = seat.review.report.manifest_sha256
        await seat.act(browser, act="leave-out", artifact="2")
        page = await browser.get(f"{seat.entry.place}/consent", follow_redirects=True)
        assert "Save what you decided first" in page.text
        page = await seat.act(browser, "/save", then="consent")
        digest = seat.review.report.manifest_sha256
        assert digest != before
        assert digest in page.text
        assert "no token and no login" in page.text, "what is missing is said"
        assert reviewed_in(seat.review.report) == [seat.review.report.manifest.artifacts[0].sha256]
        for wrong in ({"agreed": "yes", "manifest_sha256": before}, {"manifest_sha256": digest}, {"agreed": "yes"}):
            page = await seat.act(browser, "/upload", **wrong)
            assert "Nothing was uploaded" in page.text
        await seat.act(browser, act="leave-out", artifact="1")
        page = await seat.act(browser, "/upload", agreed="yes", manifest_sha256=digest)
        assert "save what you decided first" in page.text
        assert seat.desk.phase == "reviewing"


async def test_an_upload_that_cannot_begin_is_said_and_the_review_goes_on(seat: Seat) -> None:
    async with seat.browser() as browser:
        await browser.get(seat.entry.link)
        page = await seat.act(browser, "/upload", agreed="yes", manifest_sha256=seat.review.report.manifest_sha256)
        for _ in range(200):
            facts = (await browser.get(f"{seat.entry.place}/progress")).json()
            if facts["phase"] != "sending":
                break
        page = await browser.get(f"{seat.entry.place}/sending")
        assert ("Not uploaded" in page.text, "no token" in page.text) == (True, True)
        assert "Look through the report" in (await browser.get(f"{seat.entry.place}/")).text


async def test_an_artifact_that_was_changed_is_said_and_not_shown(seat: Seat) -> None:
    first = seat.review.report.manifest.artifacts[0]
    (seat.review.report.folder / first.sha256).write_bytes(b"something else")
    async with seat.browser() as browser:
        await browser.get(seat.entry.link)
        page = await browser.get(f"{seat.entry.place}/?artifact=1")
        assert (page.status_code, "was changed after its capture" in page.text) == (200, True)
        assert "something else" not in page.text
        for query in (
            "artifact=0",
            "artifact=-1",
            "artifact=99999999999999",
            "artifact=1&part=x",
            "artifact=2&part=9e9",
            "x=%00",
        ):
            assert (await browser.get(f"{seat.entry.place}/?{query}")).status_code == 200, query


async def test_closing_ends_the_work_and_says_what_is_lost(seat: Seat) -> None:
    async with seat.browser() as browser:
        await browser.get(seat.entry.link)
        await seat.act(browser, act="leave-out", artifact="2")
        page = await seat.act(browser, "/end")
        assert "was not saved" in page.text
        assert seat.ends == [True]


async def test_static_files_are_the_same_for_everybody_and_no_way_out_of_their_folder(seat: Seat) -> None:
    async with seat.browser() as browser:
        assert (await browser.get("/static/failgate.css")).headers["content-type"].startswith("text/css")
        for path in (
            "/static/../pages.py",
            "/static/%2e%2e/pages.py",
            "/static//etc/passwd",
            "/static/",
            "/static/nothing.css",
        ):
            assert (await browser.get(path)).status_code == 404, path
