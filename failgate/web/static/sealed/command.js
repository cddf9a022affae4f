// The command that is sealed, and the context that travels in clear and commits to it.

import * as form from "./form.js";
import { digestOf, mapOf } from "./json.js";
import { MOST_PEOPLE } from "./manifest.js";
import { Refused } from "./refusal.js";

/**
 * @typedef {import("./manifest.js").Manifest} Manifest
 * @typedef {{ agent: string, cid: string, commit: string, epoch: number, exp: number, iat: number, policy: string, rcpt: string[], ws: string }} Context
 */

const TYP = "failgate-cmd";
const LONGEST_LIFE_SECONDS = 86_400;
const MOST_TOKENS = 4096;
const MOST_VARIABLES = 512;
const LARGEST_UID = 2 ** 32 - 1;
const MOST_CHARACTERS = 65_536; // no sealed command is longer
const LONGEST_PATH = 4096; // PATH_MAX of Linux
const COMMAND = ["argv", "cwd", "cwd_dev_ino", "env", "exe", "host", "nonce", "uid", "v"];
const CONTEXT = ["agent", "cid", "commit", "epoch", "exp", "iat", "policy", "rcpt", "typ", "v", "ws"];

/** `ctx_sha256`, by which decisions name it. @param {Context} ctx */
export const contextDigest = (ctx) => digestOf(mapOf({ ...ctx, typ: TYP, v: 1 }));

/** The command, read from its canonical bytes, if it can be sealed: all nine members, each as a system call can take it. @param {unknown} value @param {string} [place] */
export function checkCommand(value, place = "cmd") {
  const cmd = form.members(value, place, COMMAND);
  form.exactly(cmd.get("v"), 1, `${place}.v`);
  const argv = form.aList(cmd.get("argv"), `${place}.argv`, { least: 1, most: MOST_TOKENS });
  for (const [number, token] of argv.entries()) {
    form.text(token, `${place}.argv[${number}]`, { most: MOST_CHARACTERS, isEmptyAllowed: number > 0 });
  }
  checkPath(cmd.get("cwd"), `${place}.cwd`);
  form.shaped(cmd.get("cwd_dev_ino"), `${place}.cwd_dev_ino`, /^[0-9]{1,20}(?::[0-9]{1,20}){1,2}$/u);
  checkVariables(cmd.get("env"), `${place}.env`);
  const exe = form.members(cmd.get("exe"), `${place}.exe`, ["path", "sha256"]);
  checkPath(exe.get("path"), `${place}.exe.path`);
  form.digest(exe.get("sha256"), `${place}.exe.sha256`);
  form.text(cmd.get("host"), `${place}.host`, { most: 253 });
  form.digest(cmd.get("nonce"), `${place}.nonce`);
  form.integer(cmd.get("uid"), `${place}.uid`, { most: LARGEST_UID });
  return cmd;
}

/** @param {unknown} value @param {string} [place] @returns {Context} */
export function readContext(value, place = "ctx") {
  const found = form.members(value, place, CONTEXT);
  form.exactly(found.get("typ"), TYP, `${place}.typ`);
  form.exactly(found.get("v"), 1, `${place}.v`);
  const [iat, exp] = ["iat", "exp"].map((name) => form.integer(found.get(name), `${place}.${name}`));
  if (exp <= iat || exp - iat > LONGEST_LIFE_SECONDS) throw new Refused("lifetime", `${place}.exp`);
  return {
    agent: form.digest(found.get("agent"), `${place}.agent`),
    cid: form.uuid(found.get("cid"), `${place}.cid`),
    commit: form.digest(found.get("commit"), `${place}.commit`),
    epoch: form.integer(found.get("epoch"), `${place}.epoch`, { least: 1 }),
    exp,
    iat,
    policy: form.digest(found.get("policy"), `${place}.policy`),
    rcpt: form.sortedDigests(found.get("rcpt"), `${place}.rcpt`, { least: 1, most: MOST_PEOPLE }),
    ws: form.uuid(found.get("ws"), `${place}.ws`),
  };
}

/** Accepts a context that the manifest in force bears out. @param {Context} ctx @param {Manifest} manifest @param {number} now @param {string} [place] */
export function checkContext(ctx, manifest, now, place = "ctx") {
  manifest.checkInForce(now);
  if (ctx.ws !== manifest.ws) throw new Refused("workspace", `${place}.ws`);
  if (ctx.epoch !== manifest.epoch) throw new Refused("epoch", `${place}.epoch`);
  if (manifest.agents !== null && !manifest.agents.includes(ctx.agent)) throw new Refused("agent", `${place}.agent`);
  if (![...manifest.policies.values()].includes(ctx.policy)) throw new Refused("policy", `${place}.policy`);
  const readers = manifest.recipients();
  if (ctx.rcpt.length !== readers.length || ctx.rcpt.some((one, number) => one !== readers[number])) {
    throw new Refused("recipients", `${place}.rcpt`);
  }
  form.checkNow(ctx.iat, ctx.exp, now, place);
}

/** @param {unknown} value @param {string} place */
function checkPath(value, place) {
  if (!form.text(value, place, { most: LONGEST_PATH }).startsWith("/")) throw new Refused("value", place);
}

/** @param {unknown} value @param {string} place */
function checkVariables(value, place) {
  const env = form.anObject(value, place);
  if (env.size > MOST_VARIABLES) throw new Refused("too-large", place);
  for (const [name, content] of env) {
    if (form.text(name, place, { most: MOST_CHARACTERS }).includes("=")) throw new Refused("value", place);
    form.text(content, place, { most: MOST_CHARACTERS, isEmptyAllowed: true });
  }
}
