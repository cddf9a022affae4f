"""Sealed commands and signed decisions in a real browser: a second verifier, which says what the one in Python says. E14"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route

from failgate.base.canonical import digest_of
from failgate.sealed.vectors import judge
from failgate.web.headers import _CSP  # the pages' own policy
from tests.journeys.harness import browser, failgate
from tests.sealed.parties import VECTORS
from tests.sealed.spoiling import edges, signed_nonsense, spoiled_tokens

STATIC = Path(__file__).parents[2] / "failgate" / "web" / "static"
JUDGING = Path(__file__).parents[1] / "sealed" / "judging.mjs"
NODE = shutil.which("node")
SITE = "https://sealed.example"
NONCE = "bm9uY2U"
PAGE = f"""<!doctype html><meta charset="utf-8"><title>Vectors</title>
<script type="module" nonce="{NONCE}">
import * as decision from "/static/sealed/decision.js";
import * as json from "/static/sealed/json.js";
import * as keys from "/static/sealed/keys.js";
import {{ readContext }} from "/static/sealed/command.js";
import {{ judge }} from "/static/sealed/vectors.js";
window.sealed = {{ ...decision, ...json, ...keys, readContext, judge }};
</script>"""

SIGN = """async ([ctx, now]) => {
  const pair = await crypto.subtle.generateKey(sealed.P256, false, ["sign", "verify"]);
  const { crv, kty, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  const jwk = { crv, kty, x, y };
  const { jkt } = await sealed.verifyingKey(sealed.mapOf(jwk));
  const context = sealed.readContext(sealed.readJson(JSON.stringify(ctx)));
  const said = { decision: "approve", jti: "from-the-browser", iat: now, exp: now + 60 };
  const payload = await sealed.decisionPayload(context, said);
  return { jwk, jkt, token: await sealed.signDecision(payload, { jkt, key: pair.privateKey }) };
}"""


def answered(route: Route) -> None:
    """Answer from the static folder, under the policy that every page of the server has; nothing else exists."""
    path = route.request.url.removeprefix(SITE)
    if path == "/":
        policy = _CSP.format(nonce=NONCE, forms="")
        route.fulfill(body=PAGE, content_type="text/html", headers={"content-security-policy": policy})
    else:
        route.fulfill(path=STATIC / path.removeprefix("/static/"), content_type="text/javascript")


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser() as chromium, chromium.new_context() as context:
        context.route("**/*", answered)
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda one: said.append(one.text))
        page.on("pageerror", lambda one: said.append(str(one)))
        page.goto(SITE)
        page.wait_for_function("window.sealed !== undefined")
        yield page
        assert said == []


def both(page: Page, file: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the verdicts of Python and of the browser on one and the same text."""
    text = json.dumps(file)
    return [one._asdict() for one in judge(json.loads(text))], page.evaluate("text => sealed.judge(text)", text)


def test_every_vector_has_the_verdict_that_the_command_line_prints(page: Page) -> None:
    printed = json.loads(failgate("sealed", "vectors", str(VECTORS), "--json").stdout)
    assert page.evaluate("text => sealed.judge(text)", VECTORS.read_text()) == printed
    assert len(printed) == 141
    assert all(one["accepted"] == one["expected"] for one in printed)


@pytest.mark.parametrize("seed", range(3))
def test_spoiled_tokens_are_refused_for_the_same_reason(page: Page, seed: int) -> None:
    python, here = both(page, spoiled_tokens(seed, 60))
    assert here == python
    assert len({one["reason"] for one in python}) >= 12


@pytest.mark.parametrize("seed", range(3))
def test_nonsense_that_the_right_keys_signed_is_judged_alike(page: Page, seed: int) -> None:
    python, here = both(page, signed_nonsense(seed, 60))
    assert here == python
    reasons = {one["reason"] for one in python}
    assert {"not-canonical", "value", "claims", "members", "context", None} <= reasons


def test_each_edge_is_drawn_at_the_same_place(page: Page) -> None:
    python, here = both(page, edges())
    assert here == python
    assert {
        "key",
        "lifetime",
        "origin",
        "client-data",
        "authenticator-data",
        "presence",
        "key-twice",
        "times",
        None,
    } <= {one["reason"] for one in python}


@pytest.mark.parametrize("seed", range(2))
def test_another_web_crypto_says_the_same(seed: int) -> None:
    if NODE is None:
        pytest.skip("node is missing: install the package `nodejs`")
    for file in (json.loads(VECTORS.read_text()), spoiled_tokens(seed, 60), signed_nonsense(seed, 60), edges()):
        text = json.dumps(file)
        said = subprocess.run([NODE, JUDGING], input=text, capture_output=True, text=True, check=True, timeout=120)
        assert json.loads(said.stdout) == [one._asdict() for one in judge(json.loads(text))]


def test_a_decision_that_the_browser_signs_is_believed(page: Page) -> None:
    """Made in the browser with a key that cannot leave it; judged by both as the only decision that is needed."""
    file = json.loads(VECTORS.read_text())
    policy = {**file["policy"], "need": 1}
    file["ctx"]["policy"] = file["manifest_payload"]["policies"]["default"] = digest_of(policy)
    made = page.evaluate(SIGN, [file["ctx"], file["now"]])
    keys = [key for one in file["manifest_payload"]["members"] for key in one["sig"] if key["class"] == "browser"]
    keys[0]["jkt"] = made["jkt"]
    tokens = {"as it is": made["token"], "other bytes": made["token"][:-4] + "AAAA"}
    cases = [{"case": name, "jws": token} for name, token in tokens.items()]
    sound = {name: one for name, one in file.items() if not name.startswith(("positive_", "negative_"))}
    sound |= {"policy": policy, "positive_decisions": cases}
    sound["reviewer_sig_keys"].append(made["jwk"])
    python, here = both(page, sound)
    assert here == python
    assert [one["reason"] for one in python] == [None, "signature"]
