"""A reviewer's keys in a real browser: made there, kept there, never taken out, and said so where they cannot be. E14"""

import base64
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from failgate.base.canonical import base64url
from failgate.sealed.keys import SealingKey, VerifyingKey, safety_number
from failgate.web.headers import _CSP  # the pages' own policy
from tests.journeys.harness import browser

STATIC = Path(__file__).parents[2] / "failgate" / "web" / "static"
SITE = "https://keys.example"
PAGE = """<!doctype html><meta charset="utf-8"><title>Keys</title>
<script type="module" nonce="bm9uY2U">
import * as device from "/static/sealed/device.js";
import * as keys from "/static/sealed/keys.js";
window.sealed = { ...device, ...keys };
</script>"""
SHOWN = """async ([verb, owner]) => {
  const one = await sealed[verb](owner);
  return one && Object.fromEntries(["opening", "deciding"].map((name) => [name, { jkt: one[name].jkt, jwk: one[name].jwk }]));
}"""
REFUSED = """async (verb) => {
  try { await sealed[verb]("w/a"); return "nothing"; }
  catch (error) { return error instanceof sealed.NoKeys ? error.message : `another error: ${error}`; }
}"""


def answering(more: str = "") -> Any:
    """Return what answers from the static folder under the pages' policy, with `more` policy."""

    def answer(route: Route) -> None:
        path = route.request.url.removeprefix(SITE)
        if path == "/":
            headers = {"content-security-policy": _CSP.format(nonce="bm9uY2U", forms="") + more}
            route.fulfill(body=PAGE, content_type="text/html", headers=headers)
        else:
            headers = {"access-control-allow-origin": "*"}  # to a page whose origin is nobody's
            route.fulfill(path=STATIC / path.removeprefix("/static/"), content_type="text/javascript", headers=headers)

    return answer


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as one:
        yield one


def shown(page: Page) -> Page:
    page.goto(SITE)
    page.wait_for_function("window.sealed !== undefined")
    return page


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    with chromium.new_context() as context:
        context.route("**/*", answering())
        yield shown(context.new_page())


def test_keys_are_made_once_and_are_there_in_the_next_window(page: Page) -> None:
    assert page.evaluate(SHOWN, ["heldDevice", "w/alice"]) is None
    made = page.evaluate(SHOWN, ["madeDevice", "w/alice"])
    assert VerifyingKey.from_jwk(made["deciding"]["jwk"]).jkt == made["deciding"]["jkt"]
    assert SealingKey.from_jwk(made["opening"]["jwk"]).jkt == made["opening"]["jkt"]
    assert len(base64.urlsafe_b64decode(made["opening"]["jwk"]["n"])) == 384
    other = shown(page.context.new_page())
    assert other.evaluate(SHOWN, ["heldDevice", "w/alice"]) == made
    assert other.evaluate(SHOWN, ["madeDevice", "w/alice"]) == made
    assert other.evaluate(SHOWN, ["heldDevice", "w/bob"]) is None


def test_two_windows_that_make_keys_at_once_hold_the_same(page: Page) -> None:
    both = "async () => Promise.all([1, 2, 3].map(async () => (await sealed.madeDevice('w/a')).deciding.jkt))"
    assert len(set(page.evaluate(both))) == 1


def test_the_private_halves_do_not_leave_the_browser(page: Page) -> None:
    tried = page.evaluate("""async () => {
      const { opening, deciding } = await sealed.madeDevice("w/a");
      const said = [];
      for (const { key } of [opening, deciding]) {
        for (const form of ["jwk", "pkcs8"]) {
          said.push(await crypto.subtle.exportKey(form, key).then(() => "taken out", (error) => error.name));
        }
      }
      return { said, held: JSON.stringify([opening, deciding]) };
    }""")
    assert tried["said"] == ["InvalidAccessError"] * 4
    assert not {"d", "p", "q"} & {name for one in json.loads(tried["held"]) for name in one["jwk"]}


def test_what_python_seals_to_the_browser_opens_there(page: Page) -> None:
    made = page.evaluate(SHOWN, ["madeDevice", "w/a"])
    secret = secrets.token_bytes(32)
    wrapped = base64url(SealingKey.from_jwk(made["opening"]["jwk"]).wrap(secret))
    unwrap = """async (text) => {
      const { opening } = await sealed.heldDevice("w/a");
      const octets = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
      return [...await sealed.unwrap(opening, octets, "jwe")];
    }"""
    assert bytes(page.evaluate(unwrap, wrapped)) == secret


def test_safety_numbers_are_the_same_on_both_sides(page: Page) -> None:
    digests = [bytes(32), b"\xff" * 32, *(secrets.token_bytes(32) for _ in range(200))]
    digests += [(10**40 + by).to_bytes(32, "big") for by in (-1, 0, 1)]
    texts = [base64url(one) for one in digests]
    assert page.evaluate("texts => texts.map((one) => sealed.safetyNumber(one))", texts) == [
        safety_number(one) for one in texts
    ]
    refused = "text => { try { sealed.safetyNumber(text); return null; } catch (error) { return error.reason; } }"
    assert [page.evaluate(refused, text) for text in ("", "A" * 44, "A" * 42 + "=", None)] == [
        "value", "too-large", "encoding", "shape",
    ]  # fmt: skip


@pytest.mark.parametrize("verb", ["heldDevice", "madeDevice"])
def test_a_browser_that_forbids_indexeddb_says_so(chromium: Browser, verb: str) -> None:
    """A page of no origin is refused by the browser itself, as one is whose site data are blocked."""
    with chromium.new_context() as context:
        context.route("**/*", answering("; sandbox allow-scripts"))
        said = shown(context.new_page()).evaluate(REFUSED, verb)
    assert "IndexedDB is not allowed" in said
    assert "Allow cookies and site data" in said
    assert "failgate review" in said


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("Object.defineProperty(window, 'indexedDB', { value: undefined })", "IndexedDB is not allowed"),
        ("Object.defineProperty(window, 'isSecureContext', { value: false })", "https"),
        (
            "IDBObjectStore.prototype.add = () => { throw new DOMException('full', 'QuotaExceededError'); }",
            "no space left",
        ),
        ("IDBObjectStore.prototype.add = () => { throw new DOMException('no', 'DataCloneError'); }", "not allowed"),
    ],
)
def test_each_way_in_which_keys_cannot_be_kept_has_its_mend(chromium: Browser, broken: str, said: str) -> None:
    with chromium.new_context() as context:
        context.route("**/*", answering())
        context.add_init_script(broken)
        found = shown(context.new_page()).evaluate(REFUSED, "madeDevice")
    assert said in found
    assert "failgate review" in found


@pytest.mark.parametrize("kind", ["empty", "no keys", "may leave", "opens for another", "signs for another"])
def test_damaged_keys_are_no_missing_ones(page: Page, kind: str) -> None:
    page.evaluate(
        """async (kind) => {
          const { opening, deciding } = await sealed.madeDevice("w/a");
          const other = await sealed.madeDevice("w/b");
          const leaves = await crypto.subtle.generateKey(sealed.P256, true, ["sign", "verify"]);
          const made = new Map([
            ["empty", {}],
            ["no keys", { opening: 1, deciding: 2 }],
            ["may leave", { opening, deciding: { ...deciding, key: leaves.privateKey } }],
            ["opens for another", { opening: { ...opening, key: other.opening.key }, deciding }],
            ["signs for another", { opening, deciding: { ...deciding, key: other.deciding.key } }],
          ]).get(kind);
          const database = await new Promise((resolve) => {
            const asked = indexedDB.open("failgate-sealed", 1);
            asked.onsuccess = () => resolve(asked.result);
          });
          await new Promise((resolve) => {
            const change = database.transaction("devices", "readwrite");
            change.objectStore("devices").put(made, "w/a");
            change.oncomplete = resolve;
          });
          database.close();
        }""",
        kind,
    )
    for verb in ("heldDevice", "madeDevice"):
        assert "damaged" in page.evaluate(REFUSED, verb)
    assert page.evaluate(SHOWN, ["heldDevice", "w/b"]) is not None
