// Open a sealed command: a JWS of the agent inside a JWE that names its context in clear.
// RFC 7516 sections 5 and 7.2.1, RFC 7518 sections 4.3 and 5.3, NIST SP 800-38D.

import { checkCommand, checkContext, readContext } from "./command.js";
import * as form from "./form.js";
import { base64url, canonical, digestOf, joined, mapOf, octetsOf, textOf } from "./json.js";
import { named, unwrap } from "./keys.js";
import { MOST_PEOPLE } from "./manifest.js";
import { Refused } from "./refusal.js";
import { verified } from "./signing.js";

/**
 * @typedef {import("./command.js").Context} Context @typedef {import("./keys.js").OpeningKey} OpeningKey
 * @typedef {import("./keys.js").Ring} Ring @typedef {import("./keys.js").VerifyingKey} VerifyingKey
 * @typedef {{ ctx: Context, context: string, wrapped: Map<string, Uint8Array>, iv: Uint8Array, ciphertext: Uint8Array, tag: Uint8Array, aad: string }} Outer
 */

const INNER_TYP = "failgate-cmd+jws";
const OUTER_TYP = "failgate-cmd+jwe";
const LARGEST = 65_536; // bytes of content
const STEP = 1024;
const PROTECTED = base64url(octetsOf(canonical(mapOf({ cty: INNER_TYP, enc: "A256GCM", typ: OUTER_TYP }))));
const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const WRAPPED_BYTES = { least: 384, most: 1024 }; // RSA of 3,072 to 8,192 bits
const CONTEXT_BYTES = 32 * 1024;
const MEMBERS = ["aad", "ciphertext", "iv", "protected", "recipients", "tag"];

/**
 * The command that one of `agents` sealed to `opener` under `manifest`, with the context to which everybody agrees.
 * Everything is checked before anything is returned. `used` holds the ids of requests that were decided before.
 * @param {unknown} sealed @param {{ opener: OpeningKey, manifest: import("./manifest.js").Manifest, agents: Ring, now: number, used?: Set<string> }} known
 */
export async function openCommand(sealed, { opener, manifest, agents, now, used = new Set() }) {
  const outer = readOuter(sealed);
  const { ctx } = outer;
  checkContext(ctx, manifest, now);
  if (used.has(ctx.cid)) throw new Refused("replayed", "ctx.cid");
  if (!agents.has(ctx.agent)) throw new Refused("agent", "ctx.agent");
  const wrapped = outer.wrapped.get(opener.jkt);
  if (wrapped === undefined) throw new Refused("not-a-recipient", "jwe.recipients");
  const content = await decrypted(outer, await unwrap(opener, wrapped, "jwe"));
  return { cmd: await inner(content, outer, named(agents, ctx.agent, "ctx.agent")), ctx };
}

/** What whoever has no key sees; its form alone is checked, nothing is opened. @param {unknown} sealed @returns {Outer} */
export function readOuter(sealed) {
  const found = form.members(sealed, "jwe", MEMBERS);
  if (found.get("protected") !== PROTECTED) throw new Refused("header", "jwe.protected");
  const context = form.octets(found.get("aad"), "jwe.aad", { most: CONTEXT_BYTES });
  const ctx = readContext(form.readObject(context, "jwe.aad"));
  return {
    ctx,
    context: textOf(context),
    wrapped: readRecipients(found.get("recipients"), ctx),
    iv: form.octets(found.get("iv"), "jwe.iv", { least: IV_BYTES, most: IV_BYTES }),
    ciphertext: form.octets(found.get("ciphertext"), "jwe.ciphertext", { least: STEP, most: LARGEST }),
    tag: form.octets(found.get("tag"), "jwe.tag", { least: TAG_BYTES, most: TAG_BYTES }),
    aad: String(found.get("aad")),
  };
}

/** The token in `content`, whose length is a multiple of 1,024 up to 65,536 bytes. @param {Uint8Array} content */
export function unpadded(content) {
  let end = content.length;
  while (end > 0 && content[end - 1] === 0x3d) end -= 1;
  const isWhole = content.length > 0 && content.length % STEP === 0 && content.length <= LARGEST;
  if (!isWhole || content[end - 1] !== 0x2e) throw new Refused("padding", "jws");
  const token = content.subarray(0, end - 1);
  if (token.some((octet) => octet > 0x7f)) throw new Refused("encoding", "jws");
  return textOf(token);
}

/** The wrapped keys by thumbprint; they are exactly those that the context names. @param {unknown} value @param {Context} ctx */
function readRecipients(value, ctx) {
  const wrapped = new Map();
  for (const [number, one] of form.aList(value, "jwe.recipients", { least: 1, most: MOST_PEOPLE }).entries()) {
    const place = `jwe.recipients[${number}]`;
    const found = form.members(one, place, ["encrypted_key", "header"]);
    const header = form.members(found.get("header"), `${place}.header`, ["alg", "kid"]);
    if (header.get("alg") !== "RSA-OAEP-256") throw new Refused("header", `${place}.header.alg`);
    const kid = form.digest(header.get("kid"), `${place}.header.kid`);
    if (wrapped.has(kid)) throw new Refused("recipients", place);
    wrapped.set(kid, form.octets(found.get("encrypted_key"), `${place}.encrypted_key`, WRAPPED_BYTES));
  }
  if (wrapped.size !== ctx.rcpt.length || !ctx.rcpt.every((one) => wrapped.has(one))) throw new Refused("recipients", "jwe.recipients");
  return wrapped;
}

/** @param {Outer} outer @param {Uint8Array} secret */
async function decrypted(outer, secret) {
  if (secret.length !== KEY_BYTES) throw new Refused("does-not-open", "jwe");
  const key = await crypto.subtle.importKey("raw", secret, "AES-GCM", false, ["decrypt"]);
  const additionalData = octetsOf(`${PROTECTED}.${outer.aad}`);
  const gcm = { name: "AES-GCM", iv: outer.iv, additionalData, tagLength: TAG_BYTES * 8 };
  try {
    return new Uint8Array(await crypto.subtle.decrypt(gcm, key, joined(outer.ciphertext, outer.tag)));
  } catch {
    throw new Refused("does-not-open", "jwe");
  }
}

/** The command in `content`: signed by `agent`, with the same context, which commits to it. @param {Uint8Array} content @param {Outer} outer @param {VerifyingKey} agent */
async function inner(content, outer, agent) {
  const jws = await verified(unpadded(content), INNER_TYP, new Map([[agent.jkt, agent]]), "jws", LARGEST);
  const payload = form.members(form.readObject(jws.payload, "jws.payload"), "jws.payload", ["cmd", "ctx"]);
  if (form.written(payload.get("ctx"), "jws.payload.ctx") !== outer.context) throw new Refused("context", "jws.payload.ctx");
  const cmd = checkCommand(payload.get("cmd"));
  if ((await digestOf(cmd)) !== outer.ctx.commit) throw new Refused("commitment", "ctx.commit");
  return cmd;
}
