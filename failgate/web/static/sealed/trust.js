// What this browser believes of a workspace: the pinned first manifest, and those that follow it. The server gives them and
// can withhold; it cannot change them.

import * as form from "./form.js";
import { canonical } from "./json.js";
import { ringOf } from "./keys.js";
import { acceptChain, firstManifest, payloadOf } from "./manifest.js";
import { Refused } from "./refusal.js";

/**
 * @typedef {import("./manifest.js").Manifest} Manifest
 * @typedef {(path: string) => Promise<Map<string, unknown>>} Get answers a path below the workspace
 * @typedef {{ manifest: Manifest, signed: string, agents: import("./keys.js").Ring, chain: Manifest[] }} Trust `signed`: the
 *   manifest's text; `agents`: the keys of the agents that it lists; `chain`: what led to it, and itself
 */

const MOST_ITEMS = 4096;

/** What follows from the pin `pin`, told by an administrator and not by the server. @param {Get} get @param {string} pin @param {number} now @returns {Promise<Trust>} */
export async function pinned(get, pin, now) {
  const { items, agents } = await fetched(get, 0);
  if (!items.length) throw new Refused("pin", "manifest");
  const first = await firstManifest(items[0], { pin, keys: new Map(), now });
  return await ledOn(first, items[0], items.slice(1), { agents, now });
}

/** What follows from the manifest that is believed, the text `signed`. @param {Get} get @param {unknown} signed @param {number} now @returns {Promise<Trust>} */
export async function renewed(get, signed, now) {
  const last = await payloadOf(signed);
  const { items, agents } = await fetched(get, last.epoch);
  return await ledOn(last, signed, items, { agents, now });
}

/** The manifests from the pin to `manifest`, which is believed, by their epochs. @param {Get} get @param {{ pin: string, manifest: Manifest }} known @param {number} now */
export async function history(get, { pin, manifest }, now) {
  const { chain } = await pinned(get, pin, now);
  if (chain.find(({ epoch }) => epoch === manifest.epoch)?.digest !== manifest.digest) throw new Refused("chain", "manifest.prev");
  return new Map(chain.filter(({ epoch }) => epoch <= manifest.epoch).map((one) => [one.epoch, one]));
}

/** @param {Manifest} first @param {unknown} firstSigned @param {unknown[]} items @param {{ agents: import("./keys.js").Ring, now: number }} known */
async function ledOn(first, firstSigned, items, { agents, now }) {
  let [manifest, signed] = [first, firstSigned];
  const chain = [first];
  for (const [number, item] of items.entries()) {
    const keys = await ringOf(keysOf(signed), "manifest.keys");
    // One in the middle may have expired, and is believed at the time that it was of.
    const at = number + 1 === items.length ? now : Math.min(now, (await payloadOf(item)).exp);
    manifest = await acceptChain([item], { last: manifest, keys, now: at });
    signed = item;
    chain.push(manifest);
  }
  manifest.checkInForce(now);
  const listed = [...agents].filter(([jkt]) => manifest.agents?.includes(jkt));
  return { manifest, signed: canonical(signed), agents: new Map(listed), chain };
}

/** @param {unknown} signed */
const keysOf = (signed) => form.aList(form.anObject(signed, "manifest").get("keys") ?? [], "manifest.keys", { most: 128 });

/** All manifests after `epoch`, and the keys that sign. @param {Get} get @param {number} epoch */
async function fetched(get, epoch) {
  /** @type {unknown[]} */
  const items = [];
  for (let after = epoch; ; after = epoch + items.length) {
    const answer = await get(`key-manifests?after=${after}`);
    const found = form.aList(answer.get("items"), "items", { most: MOST_ITEMS });
    items.push(...found);
    if (found.length && answer.get("next") !== null && items.length <= MOST_ITEMS) continue;
    const keys = form.aList(answer.get("keys"), "keys", { most: 65_536 });
    return { items, agents: await ringOf(keys.filter((one) => form.anObject(one, "keys").get("kty") !== "RSA"), "keys") };
  }
}

/** The keys of `manifest` with whose they are, by thumbprint. @param {Manifest} manifest */
function ownersOf(manifest) {
  const people = manifest.people.flatMap((one) => [one.enc, ...one.keys.map((key) => key.jkt)].map((jkt) => /** @type {[string, string]} */ ([jkt, one.uid])));
  return new Map([...people, ...(manifest.agents ?? []).map((jkt) => /** @type {[string, string]} */ ([jkt, "agent"])), ...manifest.roots.map((jkt) => /** @type {[string, string]} */ ([jkt, "administrator"]))]);
}

/** What `newest` names otherwise than `last`: keys that came, went, or have another owner. @param {Manifest} last @param {Manifest} newest */
export function changesOf(last, newest) {
  const [before, now] = [ownersOf(last), ownersOf(newest)];
  return {
    added: [...now].filter(([jkt, owner]) => before.get(jkt) !== owner),
    removed: [...before].filter(([jkt, owner]) => now.get(jkt) !== owner),
  };
}
