// Who signed the decisions about a request, told by this browser: the server says nothing here that counts, but for the
// names of people, of which the one counts that was first told.

import { verifyDecision } from "./decision.js";
import * as form from "./form.js";
import { verifyingKey } from "./keys.js";
import { Refused } from "./refusal.js";
import { readOuter } from "./sealing.js";
import { itemsOf } from "./server.js";

/**
 * @typedef {import("./decision.js").Decision} Decision @typedef {import("./manifest.js").Manifest} Manifest
 * @typedef {{ decision: Decision, why: null } | { decision: null, why: string }} Signature `why` it is not believed
 */

const MOST_DECISIONS = 1024;
const PAYLOAD_BYTES = 4096;

/** Each decision that `view` has of the request `cid`, held against the manifest of its time. @param {Map<string, unknown>} view @param {{ cid: string, manifests: Map<number, Manifest>, keys: import("./keys.js").Ring, now: number }} known @returns {Promise<Signature[]>} */
export async function signaturesOf(view, { cid, manifests, keys, now }) {
  const listed = form.aList(view.get("decisions"), "decisions", { most: MOST_DECISIONS });
  if (!listed.length) return [];
  const { ctx } = readOuter(view.get("sealed"));
  if (ctx.cid !== cid) throw new Refused("claims", "ctx.cid");
  const manifest = manifests.get(ctx.epoch);
  if (manifest === undefined) throw new Refused("epoch", "ctx.epoch");
  if (ctx.ws !== manifest.ws) throw new Refused("workspace", "ctx.ws");
  const [seen, found] = [new Set(), /** @type {Signature[]} */ ([])];
  for (const [number, sent] of listed.entries()) {
    const place = `decisions[${number}]`;
    try {
      const at = signedAt(sent, place);
      if (at > now + form.SKEW_SECONDS) throw new Refused("ahead", `${place}.iat`);
      const decision = await verifyDecision(sent, { ctx, manifest, keys, now: at, counters: new Map(), place });
      if (seen.has(decision.jti)) throw new Refused("replayed", `${place}.jti`);
      seen.add(decision.jti);
      found.push({ decision, why: null });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      found.push({ decision: null, why: error.message });
    }
  }
  return found;
}

/** When it says that it was signed: what was good then stays good. @param {unknown} sent @param {string} place */
function signedAt(sent, place) {
  const encoded = typeof sent === "string" ? sent.split(".", 3)[1] : form.anObject(sent, place).get("payload");
  const payload = form.octets(encoded, `${place}.payload`, { most: PAYLOAD_BYTES });
  return form.integer(form.readObject(payload, `${place}.payload`).get("iat"), `${place}.iat`);
}

/** The keys that the server has of people who decide, by thumbprints that are computed here; revoked ones too. @param {Map<string, unknown>} answer */
export async function decidingKeys(answer) {
  const ring = new Map();
  for (const one of itemsOf(answer).filter((item) => item.get("purpose") === "deciding")) {
    const key = await verifyingKey(one.get("jwk")).catch(() => null); // one that is none names nobody
    if (key !== null) ring.set(key.jkt, key);
  }
  return ring;
}

/** What the server calls people, by their accounts. @param {Map<string, unknown>} answer @returns {Map<string, string>} */
export const namesIn = (answer) => new Map(itemsOf(answer).map((one) => [String(one.get("id")), String(one.get("email"))]));

/** `kept` names, and for those of `uids` who have none the one that is told now. @param {Record<string, string>} kept @param {Map<string, string>} told @param {string[]} uids @returns {Record<string, string>} */
export function keptNames(kept, told, uids) {
  const fresh = uids.filter((uid) => !Object.hasOwn(kept, uid) && told.has(uid));
  return { ...kept, ...Object.fromEntries(fresh.map((uid) => [uid, String(told.get(uid))])) };
}
