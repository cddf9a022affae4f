// The page of sealed commands: enrols this browser, opens what agents sealed, shows it, signs what the reviewer decides,
// and says who signed. What is signed is about exactly what was shown.

import { decisionPayload, signDecision } from "./decision.js";
import { believe, believed, heldDevice, isDurable, keepBeside, madeDevice } from "./device.js";
import { element, lock, onClick, part, say, sayWhy } from "./elements.js";
import * as form from "./form.js";
import { base64url, readJson } from "./json.js";
import { safetyNumber } from "./keys.js";
import { payloadOf } from "./manifest.js";
import { hasPasskeys, madePasskey, signByPasskey } from "./passkey.js";
import { Refused } from "./refusal.js";
import { openCommand } from "./sealing.js";
import { callerOf, itemsOf } from "./server.js";
import { endedRow, nameOf, signedBy, unverifiable } from "./signed.js";
import { decidingKeys, keptNames, namesIn, signaturesOf } from "./signers.js";
import { changesOf, history, pinned, renewed } from "./trust.js";
import { labelOf, openerOf, received, showYours } from "./yours.js";

/**
 * @typedef {import("./device.js").Device} Device @typedef {import("./trust.js").Trust} Trust
 * @typedef {import("./device.js").Believed} Believed
 */

part("unrun").hidden = true; // every file that this needs was the one that the page names

const DECIDE_SECONDS = 3600;
const MOST_ENDED = 8; // requests whose signatures are looked at
const now = () => Math.floor(Date.now() / 1000);

const { workspace = "", workspaceId = "", account = "" } = part("sealed").dataset;
const owner = `${workspaceId}/${account}`;
const call = callerOf(workspace);
const here = { call, owner, ws: workspaceId, uid: account, again: () => begin() };
/** @param {string} path */
const get = (path) => call(path);

/** @param {Device} device */
function showNumbers(device) {
  const numbers = [["opens", device.opening.jkt], ["signs", device.deciding.jkt]];
  for (const { jkt } of (device.shared ?? []).slice(-1)) numbers.push(["opens, shared", jkt]);
  if (device.passkey !== undefined) numbers.push(["passkey", device.passkey.jkt]);
  part("passkey-way").hidden = device.passkey !== undefined || !hasPasskeys();
  part("numbers").replaceChildren(...numbers.flatMap(([what, jkt]) => [element("dt", what), element("dd", safetyNumber(jkt), "mono")]));
  part("numbers-card").hidden = false;
}

async function enrol() {
  const device = await madeDevice(owner);
  const jkts = itemsOf(await get("device-keys")).map((one) => one.get("jkt"));
  const label = await labelOf(device);
  if (!jkts.includes(device.opening.jkt)) await call("device-keys", { body: { purpose: "opening", jwk: device.opening.jwk, label } });
  const deciding = { purpose: "deciding", class: "browser", jwk: device.deciding.jwk, label };
  if (!jkts.includes(device.deciding.jkt)) await call("device-keys", { body: deciding });
  const durable = await isDurable();
  await begin();
  say(`This browser is enrolled. Read its two numbers to an administrator, who signs them.${durable ? "" : " It may drop its keys when space runs out."}`);
}

async function addPasskey() {
  const passkey = await madePasskey(`${workspace}, ${account}`);
  const { jwk, rp, origins } = passkey;
  await call("device-keys", { body: { purpose: "deciding", class: "webauthn", jwk, rp, origins, label: `Passkey ${safetyNumber(passkey.jkt).slice(0, 11)}` } });
  await keepBeside(owner, { passkey });
  await begin();
  say("The passkey is enrolled. Read its number to an administrator; once they signed it, it signs your decisions here.");
}

/** @param {import("./manifest.js").Manifest} manifest @param {Device} device */
function checkHere(manifest, device) {
  if (manifest.ws !== workspaceId) throw new Refused("workspace", "manifest.ws");
  const { deciding, passkey } = device;
  for (const { uid, keys } of manifest.people) {
    const isOther = keys.some(({ jkt, keyClass, rp, origins }) => {
      if (jkt === deciding.jkt) return uid !== account || keyClass !== "browser";
      if (jkt !== passkey?.jkt) return false;
      return uid !== account || keyClass !== "webauthn" || rp !== passkey.rp || origins.join() !== passkey.origins.join();
    });
    if (isOther) throw new Refused("class", "manifest.members"); // one of this browser's keys, named as something else
  }
}

/** The passkey of `device` where the manifest names it: then it signs, and no other key. @param {Device} device @param {import("./manifest.js").Manifest} manifest */
const passkeyOf = ({ passkey }, manifest) =>
  passkey !== undefined && manifest.people.some(({ keys }) => keys.some(({ jkt }) => jkt === passkey.jkt)) ? passkey : null;

/** @param {Device} device */
async function pin(device) {
  const field = /** @type {HTMLInputElement} */ (part("pin-field"));
  const digest = form.digest(field.value.trim(), "pin");
  const { manifest, signed } = await pinned(get, digest, now());
  checkHere(manifest, device);
  await keep({ pin: digest, signed }, manifest);
  say("");
  await begin();
}

/** Keeps what is believed, and what the people of `manifest` are called. @param {Believed} trust @param {import("./manifest.js").Manifest} manifest */
async function keep(trust, manifest) {
  const told = namesIn(await get("members"));
  const names = keptNames(trust.names ?? {}, told, manifest.people.map(({ uid }) => uid));
  await believe(owner, { ...trust, names });
  return { account, kept: names, told };
}

/** Shows which keys changed, and goes on once the reviewer has said that they compared them. @param {Believed} held @param {Trust} trust @param {ReturnType<typeof changesOf>} changes */
function alarm(held, trust, changes) {
  const names = { account, kept: held.names ?? {}, told: new Map() };
  const lines = [
    ...changes.added.map(([jkt, whose]) => `new: ${nameOf(whose, names)}, ${safetyNumber(jkt)}`),
    ...changes.removed.map(([jkt, whose]) => `gone: ${nameOf(whose, names)}, ${safetyNumber(jkt)}`),
  ];
  part("changes").replaceChildren(...lines.map((line) => element("li", line, "mono")));
  part("alarm").hidden = false;
  part("compared").onclick = async () => {
    await keep({ ...held, signed: trust.signed }, trust.manifest).catch(sayWhy);
    part("alarm").hidden = true;
    await begin().catch(sayWhy);
  };
}

/** What `device` believes now, null while keys that changed are not yet compared. @param {Device} device @returns {Promise<(Trust & { names: import("./signed.js").Names, pin: string }) | null>} */
async function current(device) {
  const held = await believed(owner);
  if (held === null) return null;
  const last = readJson(held.signed);
  const trust = await renewed(get, last, now());
  checkHere(trust.manifest, device);
  const changes = changesOf(await payloadOf(last), trust.manifest);
  if (changes.added.length || changes.removed.length) {
    part("waiting").hidden = true;
    part("ended").hidden = true;
    part("command").hidden = true;
    alarm(held, trust, changes);
    return null;
  }
  return { ...trust, names: await keep({ ...held, signed: trust.signed }, trust.manifest), pin: held.pin };
}

/** @param {Device} device @param {Trust} trust @param {Map<string, unknown>[]} items */
function list(device, trust, items) {
  const level = passkeyOf(device, trust.manifest) === null ? "0" : "1";
  const badges = [document, /** @type {HTMLTemplateElement} */ (part("lock-template")).content];
  for (const one of badges.flatMap((place) => [...place.querySelectorAll("[data-level]")])) {
    one.toggleAttribute("hidden", one.getAttribute("data-level") !== level);
  }
  part("unnamed").hidden = openerOf(device, trust.manifest, account) !== null;
  const pending = items.filter((one) => one.get("state") === "pending");
  part("rows").replaceChildren(...pending.map((one) => row(String(one.get("id")), String(one.get("expires_at")), device)));
  part("none").hidden = pending.length > 0;
  part("waiting").hidden = false;
}

/** What ended, and who signed; without `trust` that nobody can be named. @param {NonNullable<Awaited<ReturnType<typeof current>>> | null} trust @param {Map<string, unknown>[]} items */
async function listEnded(trust, items) {
  const ended = items.filter((one) => one.get("state") !== "pending").slice(0, MOST_ENDED);
  const rows = ended.map((one) => [endedRow(one), String(one.get("id"))]);
  part("ended-rows").replaceChildren(...rows.map(([made]) => made));
  part("ended").hidden = ended.length === 0;
  for (const [made, cid] of /** @type {[HTMLElement, string][]} */ (rows)) made.append(await signatures(trust, cid));
}

/** @type {WeakMap<object, Promise<{ manifests: Map<number, import("./manifest.js").Manifest>, keys: import("./keys.js").Ring }>>} */
const histories = new WeakMap();

/** By what signatures are verified, fetched once for what is believed. @param {NonNullable<Awaited<ReturnType<typeof current>>>} trust */
function historyOf(trust) {
  const asked = histories.get(trust) ?? Promise.all([history(get, trust, now()), get("device-keys").then(decidingKeys)])
    .then(([manifests, keys]) => ({ manifests, keys }));
  histories.set(trust, asked);
  return asked;
}

/** @param {NonNullable<Awaited<ReturnType<typeof current>>> | null} trust @param {string} cid @param {Map<string, unknown>} [view] */
async function signatures(trust, cid, view) {
  if (trust === null) return unverifiable("it has pinned no workspace.");
  try {
    const known = { ...(await historyOf(trust)), cid, now: now() };
    const found = view ?? (await get(`sealed-commands/${encodeURIComponent(cid)}`));
    return signedBy(await signaturesOf(found, known), trust.names);
  } catch (error) {
    return unverifiable(`${error instanceof Error ? error.message : error}.`);
  }
}

/** @param {string} cid @param {string} expires @param {Device} device */
function row(cid, expires, device) {
  const made = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Open";
  button.addEventListener("click", () => open(cid, device).catch(sayWhy));
  const head = document.createElement("div");
  head.className = "cluster";
  head.append(lock(), element("span", `${cid}, until ${expires}`, "mono"));
  made.append(head, button);
  return made;
}

let shown = ""; // the request that was asked for last

/** @param {string} cid @param {Device} device */
async function open(cid, device) {
  part("command").hidden = true;
  say("");
  shown = cid;
  const trust = await current(device);
  if (trust === null) return;
  const view = await get(`sealed-commands/${encodeURIComponent(cid)}`);
  const { cmd, ctx } = await openCommand(view.get("sealed"), {
    opener: openerOf(device, trust.manifest, account) ?? device.opening, manifest: trust.manifest, agents: trust.agents, now: now(),
  });
  if (ctx.cid !== cid) throw new Refused("claims", "ctx.cid"); // another request than the one that was asked for
  if (shown !== cid) return; // another one was asked for meanwhile
  for (const word of /** @type {const} */ (["approve", "deny"])) {
    onClick(part(word), () => decide(word, ctx, device, trust)); // before it is shown: no button is of another command
  }
  show(cmd, ctx);
  part("signatures").replaceChildren(); // never those of another command
  const signed = await signatures(trust, cid, view);
  if (shown === cid) part("signatures").replaceChildren(signed);
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

/** Signs `word` about what is shown and hands it in. @param {"approve" | "deny"} word @param {import("./command.js").Context} ctx @param {Device} device @param {Trust} trust */
async function decide(word, ctx, device, { manifest }) {
  const [iat, jti] = [now(), base64url(crypto.getRandomValues(new Uint8Array(16)))];
  const payload = await decisionPayload(ctx, { decision: word, jti, iat, exp: Math.min(ctx.exp, iat + DECIDE_SECONDS) });
  const passkey = passkeyOf(device, manifest);
  const decision = passkey === null ? await signDecision(payload, device.deciding) : await signByPasskey(payload, passkey, { ctx, manifest, now: iat });
  const answer = await call(`sealed-commands/${encodeURIComponent(ctx.cid)}/decisions`, { body: { decision } });
  part("command").hidden = true;
  await begin();
  say(`You signed: ${word}. The request is ${answer.get("state")}.`);
}

async function begin() {
  let device = await heldDevice(owner);
  part("enrol-card").hidden = device !== null;
  if (device === null) return;
  showNumbers(device);
  const isPinned = (await believed(owner)) !== null;
  part("pin-card").hidden = isPinned;
  onClick(part("pin"), () => pin(/** @type {Device} */ (device)));
  let trust = null;
  try {
    trust = isPinned ? await current(device) : null;
    if (trust !== null) device = await received(here, device, trust);
  } finally {
    showNumbers(device);
    await showYours(here, device, trust);
  }
  if (isPinned && trust === null) return; // the alarm stands alone
  const items = itemsOf(await get("sealed-commands"));
  if (trust !== null) list(device, trust, items);
  await listEnded(trust, items);
}

onClick(part("enrol"), enrol);
onClick(part("add-passkey"), addPasskey);
onClick(part("again"), begin);
begin().catch(sayWhy);
