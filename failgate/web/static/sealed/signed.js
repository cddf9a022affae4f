// "Signed by": how the page says who decided, and how it says that it cannot tell.

import { element, lock } from "./elements.js";
import { safetyNumber } from "./keys.js";

/** @typedef {{ account: string, kept: Record<string, string>, told: Map<string, string> }} Names `kept` counts; `told` is what the server says today */

const CLASSES = new Map([["browser", "browser key"], ["native", "terminal key"], ["webauthn", "passkey"]]);
const SHORT = 11; // characters of a safety number: two of its eight groups
const ENDED = new Set(["approved", "denied", "expired", "cancelled", "executed"]);

/** What is called of `uid`; the account's id where nothing else is known. @param {string} uid @param {Names} names */
export function nameOf(uid, { account, kept, told }) {
  const name = Object.hasOwn(kept, uid) ? kept[uid] : uid;
  const today = told.get(uid);
  const other = Object.hasOwn(kept, uid) && today !== undefined && today !== name ? ` (the server now says ${today})` : "";
  return `${name}${uid === account ? ", you" : ""}${other}`;
}

/** @param {import("./signers.js").Signature} signature @param {Names} names */
function line({ decision, why }, names) {
  const made = document.createElement("li");
  if (decision === null) {
    made.className = "note bad";
    made.append(element("span", `Not verified: ${why}. The server hands out a decision that this browser cannot trace to a key of the signed manifest. It counts for nothing.`));
    return made;
  }
  made.className = "signed";
  const number = element("span", safetyNumber(decision.jkt).slice(0, SHORT), "mono");
  number.title = safetyNumber(decision.jkt);
  const said = document.createElement("span");
  said.className = "wrap";
  said.replaceChildren("Signed by ", element("b", nameOf(decision.uid, names)), `: ${decision.decision}`);
  made.append(
    said,
    element("span", CLASSES.get(decision.keyClass) ?? decision.keyClass, "chip"),
    number,
    element("span", "verified by this browser", "chip ok"),
  );
  return made;
}

/** A list of who signed. @param {import("./signers.js").Signature[]} signatures @param {Names} names */
export function signedBy(signatures, names) {
  const made = document.createElement("ul");
  made.className = "signatures";
  made.append(...signatures.map((one) => line(one, names)));
  if (!signatures.length) made.append(element("li", "Nobody has signed a decision.", "muted"));
  return made;
}

/** Why nobody's signature can be told here. @param {string} why */
export function unverifiable(why) {
  return element("p", `Not verified: ${why} This browser cannot tell who signed; what the server says of it is its word alone.`, "note wait");
}

/** A request that has ended, as the server says. @param {Map<string, unknown>} item */
export function endedRow(item) {
  const made = document.createElement("li");
  const state = String(item.get("state"));
  made.className = "ended";
  made.dataset.request = String(item.get("id"));
  const head = document.createElement("div");
  head.className = "cluster";
  head.append(lock(), element("span", String(item.get("id")), "mono"), element("span", `the server says: ${ENDED.has(state) ? state : "nothing known"}`, "muted"));
  made.append(head);
  return made;
}
