// "Your devices" on the page of sealed commands: the number of this one, another one added by its number, one removed.

import { heldDevice, keepBeside } from "./device.js";
import { deviceNumber, deviceOf, openCopy, sharedKey } from "./devices.js";
import { element, onClick, part, say } from "./elements.js";
import { safetyNumber } from "./keys.js";
import { Refused } from "./refusal.js";
import { decidingKeys } from "./signers.js";
import { itemsOf } from "./server.js";

/**
 * @typedef {import("./device.js").Device} Device @typedef {import("./trust.js").Trust} Trust @typedef {Map<string, unknown>} Listed
 * @typedef {{ call: ReturnType<typeof import("./server.js").callerOf>, owner: string, ws: string, uid: string, again: () => Promise<void> }} Here
 */

const SHORT = 11; // two groups of a number

/** What the keys of a device are called in lists. @param {Device} device */
export const labelOf = async ({ opening, deciding }) => `Browser ${(await deviceNumber(opening.jkt, deciding.jkt)).slice(0, SHORT)}`;

/** The key of `device` to which the manifest has the person's commands sealed, if it is one. @param {Device} device @param {Trust["manifest"]} manifest @param {string} uid */
export function openerOf({ opening, shared = [] }, manifest, uid) {
  const enc = manifest.people.find((one) => one.uid === uid)?.enc;
  return [opening, ...shared].find(({ jkt }) => jkt === enc) ?? null;
}

/** The newest shared key that is in force and held here. @param {Device} device @param {Listed[]} own */
const currentOf = ({ shared = [] }, own) => shared.findLast(({ jkt }) => own.some((one) => one.get("jkt") === jkt)) ?? null;

/** The keys in force that the server lists for the person. @param {Map<string, unknown>} answer @param {string} uid */
const ownOf = (answer, uid) => itemsOf(answer).filter((one) => one.get("account") === uid && one.get("revoked_at") === null);

/** `device` with the shared keys that another device of the person made for it. @param {Here} here @param {Device} device @param {Trust} trust @returns {Promise<Device>} */
export async function received({ call, owner, ws, uid }, device, { manifest }) {
  const answer = await call("device-keys");
  const keys = await decidingKeys(answer);
  const shared = [...(device.shared ?? [])];
  for (const one of ownOf(answer, uid)) {
    const copies = one.get("copies");
    const sent = copies instanceof Map ? copies.get(device.opening.jkt) : undefined;
    if (sent === undefined || shared.some(({ jkt }) => jkt === one.get("jkt"))) continue;
    try {
      shared.push(await openCopy(sent, one.get("jwk"), { ws, uid }, { opening: device.opening, manifest, keys }));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      say(`A key that is said to be shared by your devices is not believed: ${error.message}. Decide on nothing, and tell an administrator.`, true);
    }
  }
  if (shared.length === (device.shared ?? []).length) return device;
  await keepBeside(owner, { shared });
  return (await heldDevice(owner)) ?? device;
}

/** Makes a key for this device and `others`, and enrols it. @param {Here} here @param {Device} device @param {string[]} others @param {Listed[]} own */
async function share({ call, owner, ws, uid }, device, others, own) {
  const { opening, deciding } = device;
  const { shared, copies } = await sharedKey({ ws, uid }, { own: opening.jkt, others, listed: own, deciding });
  await keepBeside(owner, { shared: [...(device.shared ?? []), shared] });
  await call("device-keys", { body: { purpose: "opening", jwk: shared.jwk, label: "Shared by your devices", copies } });
}

/** @param {Here} here @param {Device} device */
async function add(here, device) {
  const own = ownOf(await here.call("device-keys"), here.uid);
  const field = /** @type {HTMLInputElement} */ (part("device-field"));
  const found = await deviceOf(field.value, own);
  if (found === device.opening.jkt) throw new Error("This is the number of this browser. Type the one that the other device shows.");
  const others = new Set([...(currentOf(device, own)?.holders ?? []), found]);
  others.delete(device.opening.jkt);
  await share(here, device, [...others], own);
  field.value = "";
  await here.again();
  say("The two devices share a new key that opens. Read its number to an administrator, with the one that the other device signs with; once they signed them, both open.");
}

/** @param {Here} here @param {Device} device @param {string} label */
async function remove(here, device, label) {
  const own = ownOf(await here.call("device-keys"), here.uid);
  const [gone, current] = [own.filter((one) => one.get("label") === label), currentOf(device, own)];
  const lost = gone.map((one) => String(one.get("jkt")));
  const isHolder = current !== null && current.holders.some((jkt) => lost.includes(jkt));
  const ended = isHolder ? [...gone, ...own.filter((one) => one.get("copies") instanceof Map)] : gone;
  for (const one of ended) await here.call(`device-keys/${encodeURIComponent(String(one.get("id")))}`, { method: "DELETE" });
  const left = isHolder ? current.holders.filter((jkt) => jkt !== device.opening.jkt && !lost.includes(jkt)) : [];
  if (left.length) await share(here, device, left, own);
  await here.again();
  const next = isHolder
    ? "The key that it shared is revoked with it: agents cannot ask until an administrator signs the next manifest. Have them sign it now."
    : "Agents that are misled by the server believe them until an administrator signs the next manifest, for 7 days at most.";
  say(`${label} is removed: this server takes nothing by its keys any more. ${next}`);
}

/** @param {Here} here @param {Device} device @param {string} label @param {Listed[]} keys */
function row(here, device, label, keys) {
  const [made, words, button] = [document.createElement("li"), document.createElement("div"), element("button", "Remove", "tiny deny")];
  made.dataset.device = label;
  words.append(element("b", label));
  for (const one of keys) {
    const what = one.get("purpose") === "opening" ? "opens" : `signs (${one.get("class")})`;
    words.append(document.createElement("br"), element("span", `${what}: ${safetyNumber(one.get("jkt"))}`, "mono small"));
  }
  button.setAttribute("type", "button");
  onClick(button, async () => {
    if (button.dataset.asked === undefined) {
      button.dataset.asked = "";
      button.textContent = "Remove for good";
      return;
    }
    await remove(here, device, label);
  });
  made.append(words, button);
  return made;
}

/** @param {Here} here @param {Device} device @param {Trust | null} trust */
export async function showYours(here, device, trust) {
  const own = ownOf(await here.call("device-keys"), here.uid);
  part("device-number").textContent = await deviceNumber(device.opening.jkt, device.deciding.jkt);
  const mine = [device.opening.jkt, device.deciding.jkt, device.passkey?.jkt];
  const labels = Map.groupBy(own.filter((one) => !mine.includes(String(one.get("jkt"))) && !(one.get("copies") instanceof Map)), (one) => String(one.get("label")));
  part("devices").replaceChildren(...[...labels].map(([label, keys]) => row(here, device, label, keys)));
  part("add-device-form").hidden = trust === null || openerOf(device, trust.manifest, here.uid) === null;
  onClick(part("add-device"), () => add(here, device));
  part("yours").hidden = false;
}
