// The page of sealed commands: enrols this browser, opens what agents sealed, shows it, signs what the reviewer decides.
// What is signed is about exactly what was shown.

import { decisionPayload, signDecision } from "./decision.js";
import { believe, believed, heldDevice, isDurable, madeDevice } from "./device.js";
import * as form from "./form.js";
import { base64url, readJson } from "./json.js";
import { safetyNumber } from "./keys.js";
import { payloadOf } from "./manifest.js";
import { Refused } from "./refusal.js";
import { rendered } from "./rendering.js";
import { openCommand } from "./sealing.js";
import { changesOf, pinned, renewed } from "./trust.js";

/** @typedef {import("./device.js").Device} Device @typedef {import("./trust.js").Trust} Trust */

const DECIDE_SECONDS = 3600;
const now = () => Math.floor(Date.now() / 1000);

/** @param {string} name @returns {HTMLElement} */
function part(name) {
  const found = document.querySelector(`[data-${name}]`);
  if (!(found instanceof HTMLElement)) throw new TypeError(`the page lacks ${name}`);
  return found;
}

const root = part("sealed");
const { workspace = "", workspaceId = "", account = "" } = root.dataset;
const owner = `${workspaceId}/${account}`;

/** @param {string} path @param {object} [body] @returns {Promise<Map<string, unknown>>} */
async function call(path, body) {
  const token = document.querySelector('meta[name="csrf-token"]')?.getAttribute("content") ?? "";
  const answer = await fetch(`/api/v1/workspaces/${encodeURIComponent(workspace)}/${path}`, {
    method: body === undefined ? "GET" : "POST",
    credentials: "same-origin",
    cache: "no-store",
    headers: { accept: "application/json", ...(body && { "content-type": "application/json", "x-csrf-token": token }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  const found = form.anObject(readJson(await answer.text()), "answer");
  if (answer.ok) return found;
  throw new Error([found.get("detail"), found.get("hint")].filter(Boolean).join(" ") || `The server answered ${answer.status}.`);
}

/** @param {string} path */
const get = (path) => call(path);

/** An element with inert text. @param {string} tag @param {string} text @param {string} [looks] */
function element(tag, text, looks = "") {
  const made = document.createElement(tag);
  made.className = looks;
  for (const one of rendered(text)) {
    if (!one.isUnusual) {
      made.append(one.text);
      continue;
    }
    const mark = document.createElement("mark");
    mark.title = "Unusual character, written out";
    mark.textContent = one.text;
    made.append(mark);
  }
  return made;
}

/** @param {string} sentence @param {boolean} [isBad] */
function say(sentence, isBad = false) {
  const place = part("say");
  place.hidden = sentence === "";
  place.className = `note ${isBad ? "bad" : "ok"}`;
  place.textContent = sentence;
}

/** @param {unknown} error */
function sayWhy(error) {
  const why = error instanceof Error ? error.message : "The browser refused.";
  say(error instanceof Refused ? `This is not believed: ${why}. Decide on nothing, and tell an administrator.` : why, true);
}

/** Does `work` at each click, one at a time, and says what went wrong. @param {string} name @param {() => Promise<void>} work */
function at(name, work) {
  const button = part(name);
  button.addEventListener("click", async () => {
    if (button.ariaBusy === "true") return;
    button.ariaBusy = "true";
    await work().catch(sayWhy);
    button.ariaBusy = "false";
  });
}

/** @param {Device} device */
function showNumbers(device) {
  const numbers = [["opens", device.opening.jkt], ["signs", device.deciding.jkt]];
  part("numbers").replaceChildren(...numbers.flatMap(([what, jkt]) => [element("dt", what), element("dd", safetyNumber(jkt), "mono")]));
  part("numbers-card").hidden = false;
}

async function enrol() {
  const device = await madeDevice(owner);
  const known = form.aList((await get("device-keys")).get("items"), "items", { most: 65_536 });
  const jkts = known.map((one) => form.anObject(one, "items").get("jkt"));
  const label = "Browser";
  if (!jkts.includes(device.opening.jkt)) await call("device-keys", { purpose: "opening", jwk: device.opening.jwk, label });
  if (!jkts.includes(device.deciding.jkt)) await call("device-keys", { purpose: "deciding", class: "browser", jwk: device.deciding.jwk, label });
  const durable = await isDurable();
  await begin();
  say(`This browser is enrolled. Read its two numbers to an administrator, who signs them.${durable ? "" : " It may drop its keys when space runs out."}`);
}

/** @param {import("./manifest.js").Manifest} manifest */
function checkHere(manifest) {
  if (manifest.ws !== workspaceId) throw new Refused("workspace", "manifest.ws");
}

async function pin() {
  const field = /** @type {HTMLInputElement} */ (part("pin-field"));
  const digest = form.digest(field.value.trim(), "pin");
  const { manifest, signed } = await pinned(get, digest, now());
  checkHere(manifest);
  await believe(owner, { pin: digest, signed });
  say("");
  await begin();
}

/** Shows which keys changed, and goes on once the reviewer has said that they compared them. @param {{ pin: string }} held @param {Trust} trust @param {ReturnType<typeof changesOf>} changes */
function alarm(held, trust, changes) {
  const lines = [
    ...changes.added.map(([jkt, whose]) => `new: ${whose}, ${safetyNumber(jkt)}`),
    ...changes.removed.map(([jkt, whose]) => `gone: ${whose}, ${safetyNumber(jkt)}`),
  ];
  part("changes").replaceChildren(...lines.map((line) => element("li", line, "mono")));
  part("alarm").hidden = false;
  part("compared").onclick = async () => {
    await believe(owner, { pin: held.pin, signed: trust.signed });
    part("alarm").hidden = true;
    await begin().catch(sayWhy);
  };
}

/** What is believed now, null while keys that changed are not yet compared. @returns {Promise<Trust | null>} */
async function current() {
  const held = await believed(owner);
  if (held === null) return null;
  const last = readJson(held.signed);
  const trust = await renewed(get, last, now());
  checkHere(trust.manifest);
  const changes = changesOf(await payloadOf(last), trust.manifest);
  if (changes.added.length || changes.removed.length) {
    part("waiting").hidden = true;
    part("command").hidden = true;
    alarm(held, trust, changes);
    return null;
  }
  if (trust.signed !== held.signed) await believe(owner, { pin: held.pin, signed: trust.signed });
  return trust;
}

/** @param {Device} device @param {Trust} trust */
async function list(device, trust) {
  const isNamed = trust.manifest.recipients().includes(device.opening.jkt);
  part("unnamed").hidden = isNamed;
  const items = form.aList((await get("sealed-commands")).get("items"), "items", { most: 200 });
  const pending = items.map((one) => form.anObject(one, "items")).filter((one) => one.get("state") === "pending");
  part("rows").replaceChildren(...pending.map((one) => row(String(one.get("id")), String(one.get("expires_at")), device)));
  part("none").hidden = pending.length > 0;
  part("waiting").hidden = false;
}

/** @param {string} cid @param {string} expires @param {Device} device */
function row(cid, expires, device) {
  const made = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Open";
  button.addEventListener("click", () => open(cid, device).catch(sayWhy));
  made.append(element("span", `${cid}, until ${expires}`, "mono"), " ", button);
  return made;
}

/** @param {string} cid @param {Device} device */
async function open(cid, device) {
  part("command").hidden = true;
  say("");
  const trust = await current();
  if (trust === null) return;
  const view = await get(`sealed-commands/${encodeURIComponent(cid)}`);
  const { cmd, ctx } = await openCommand(view.get("sealed"), {
    opener: device.opening, manifest: trust.manifest, agents: trust.agents, now: now(),
  });
  if (ctx.cid !== cid) throw new Refused("claims", "ctx.cid"); // another request than the one that was asked for
  show(cmd, ctx);
  for (const word of /** @type {const} */ (["approve", "deny"])) {
    part(word).onclick = () => decide(word, ctx, device).catch(sayWhy);
  }
}

/** @param {Map<string, unknown>} cmd @param {import("./command.js").Context} ctx */
function show(cmd, ctx) {
  const exe = form.anObject(cmd.get("exe"), "cmd.exe");
  const env = [...form.anObject(cmd.get("env"), "cmd.env")];
  const facts = [
    ["request", ctx.cid], ["digest", ctx.commit], ["agent", safetyNumber(ctx.agent)], ["host", String(cmd.get("host"))],
    ["user", String(cmd.get("uid"))], ["folder", String(cmd.get("cwd"))], ["program", String(exe.get("path"))],
    ["SHA-256", String(exe.get("sha256"))], ...env.map(([name, value]) => ["environment", `${name}=${value}`]),
    ["until", new Date(ctx.exp * 1000).toISOString()],
  ];
  const argv = form.aList(cmd.get("argv"), "cmd.argv", { most: 4096 });
  part("argv").replaceChildren(...argv.map((token, number) => element("span", String(token), number ? "token" : "token program")));
  part("facts").replaceChildren(...facts.flatMap(([name, value]) => [element("dt", name), element("dd", value, "mono wrap")]));
  part("command").hidden = false;
  part("command").focus();
}

/** Signs `word` about what is shown and hands it in. @param {"approve" | "deny"} word @param {import("./command.js").Context} ctx @param {Device} device */
async function decide(word, ctx, device) {
  const [iat, jti] = [now(), base64url(crypto.getRandomValues(new Uint8Array(16)))];
  const payload = await decisionPayload(ctx, { decision: word, jti, iat, exp: Math.min(ctx.exp, iat + DECIDE_SECONDS) });
  const decision = await signDecision(payload, device.deciding);
  const answer = await call(`sealed-commands/${encodeURIComponent(ctx.cid)}/decisions`, { decision });
  part("command").hidden = true;
  await begin();
  say(`You signed: ${word}. The request is ${answer.get("state")}.`);
}

async function begin() {
  const device = await heldDevice(owner);
  part("enrol-card").hidden = device !== null;
  if (device === null) return;
  showNumbers(device);
  const isPinned = (await believed(owner)) !== null;
  part("pin-card").hidden = isPinned;
  const trust = isPinned ? await current() : null;
  if (trust !== null) await list(device, trust);
}

at("enrol", enrol);
at("pin", pin);
at("again", begin);
begin().catch(sayWhy);
