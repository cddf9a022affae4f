// Several devices of one person. A manifest has one key to which a person's commands are sealed, so devices share one: it
// is made on one of them, sealed to the key of each other that was compared there, and no script can take it out after.

import * as form from "./form.js";
import { base64url, canonical, digestOf, mapOf, octetsOf } from "./json.js";
import { OAEP, RSA_BITS_LEAST, safetyNumber, sealingKeyName, unwrap, verifyingKey } from "./keys.js";
import { Refused } from "./refusal.js";
import { sign, verified } from "./signing.js";

/**
 * @typedef {Map<string, unknown>} Listed a key as the server lists it
 * @typedef {{ crv: string, kty: string, x: string, y: string } | { e: string, kty: string, n: string }} PublicJwk
 * @typedef {{ jkt: string, key: CryptoKey, jwk: PublicJwk, holders: string[] }} Shared `holders`: the opening keys of the
 *   devices that have it, by thumbprint
 * @typedef {{ ws: string, uid: string }} Person
 */

const TYP = "failgate-opening-key";
const SIGNATURE_TYP = "failgate-opening-key+jws";
const MOST_BYTES = 8192;
const MOST_DEVICES = 8;
const IV_BYTES = 12;
const MEMBERS = ["ciphertext", "holders", "iv", "key", "to", "typ", "uid", "v", "wrapped", "ws"];

/** The number of a device: of its two keys together. @param {string} opening @param {string} deciding */
export const deviceNumber = async (opening, deciding) => safetyNumber(await digestOf(mapOf({ deciding, opening, typ: "failgate-device", v: 1 })));

/** The device of the person whose number was read, among the keys that the server lists; what they are called is computed here. @param {string} number @param {Listed[]} listed */
export async function deviceOf(number, listed) {
  const digits = number.replaceAll(/\s/gu, "");
  if (!/^[0-9]{40}$/u.test(digits)) throw new Error("The number has eight groups of five digits. Type it as the other device shows it.");
  const opening = listed.filter((one) => one.get("purpose") === "opening");
  const deciding = listed.filter((one) => one.get("purpose") === "deciding" && one.get("class") === "browser");
  for (const one of opening) {
    const to = await sealingKeyName(one.get("jwk"));
    for (const other of deciding) {
      const { jkt } = await verifyingKey(other.get("jwk"));
      if ((await deviceNumber(to, jkt)).replaceAll(" ", "") === digits) return to;
    }
  }
  throw new Error("No keys that the server lists for you have this number. Read it again. If it is right, the server lists other keys than that device made: share nothing, and tell an administrator.");
}

/**
 * A new opening key for this device and `others`, and the copy for each of these, signed by `deciding`.
 * @param {Person} person @param {{ own: string, others: string[], listed: Listed[], deciding: import("./keys.js").SigningKey }} known `own`, `others`: opening keys by thumbprint
 */
export async function sharedKey(person, { own, others, listed, deciding }) {
  const rsa = { ...OAEP, modulusLength: RSA_BITS_LEAST, publicExponent: Uint8Array.of(1, 0, 1) };
  const made = await crypto.subtle.generateKey(rsa, true, ["encrypt", "decrypt"]);
  const { e = "", n = "" } = await crypto.subtle.exportKey("jwk", made.publicKey);
  const jwk = { e, kty: "RSA", n };
  const [jkt, secret, holders] = [await sealingKeyName(mapOf(jwk)), await crypto.subtle.exportKey("pkcs8", made.privateKey), [own, ...others].sort()];
  /** @type {Record<string, string>} */
  const copies = {};
  for (const to of others) {
    const at = await keyNamed(to, listed);
    const content = crypto.getRandomValues(new Uint8Array(32));
    const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
    const aes = await crypto.subtle.importKey("raw", content, "AES-GCM", false, ["encrypt"]);
    const ciphertext = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, aes, secret));
    const wrapped = new Uint8Array(await crypto.subtle.encrypt(OAEP, at, content));
    const payload = mapOf({
      ciphertext: base64url(ciphertext), holders, iv: base64url(iv), key: jkt, to, typ: TYP, uid: person.uid, v: 1,
      wrapped: base64url(wrapped), ws: person.ws,
    });
    copies[to] = await sign(octetsOf(canonical(payload)), SIGNATURE_TYP, deciding);
  }
  const key = await crypto.subtle.importKey("pkcs8", secret, OAEP, false, ["decrypt"]);
  new Uint8Array(secret).fill(0);
  return { shared: { jkt, key, jwk, holders }, copies };
}

/**
 * The shared key in the copy `sent` for the device whose key is `opening`, when a deciding key of the same person signed
 * it that `manifest` names.
 * @param {unknown} sent @param {unknown} jwk of the shared key @param {Person} person @param {{ opening: import("./keys.js").OpeningKey, manifest: import("./manifest.js").Manifest, keys: import("./keys.js").Ring }} known @returns {Promise<Shared>}
 */
export async function openCopy(sent, jwk, { ws, uid }, { opening, manifest, keys }) {
  const own = manifest.people.find((one) => one.uid === uid)?.keys.map((one) => one.jkt) ?? [];
  const ring = new Map([...keys].filter(([jkt]) => own.includes(jkt)));
  const jws = await verified(sent, SIGNATURE_TYP, ring, "copy", MOST_BYTES);
  const found = form.members(form.readObject(jws.payload, "copy"), "copy", MEMBERS);
  form.exactly(found.get("typ"), TYP, "copy.typ");
  form.exactly(found.get("v"), 1, "copy.v");
  if (found.get("ws") !== ws) throw new Refused("workspace", "copy.ws");
  if (found.get("uid") !== uid || found.get("to") !== opening.jkt) throw new Refused("not-a-recipient", "copy.to");
  const jkt = await sealingKeyName(jwk);
  if (found.get("key") !== jkt) throw new Refused("thumbprint", "copy.key");
  const holders = form.sortedDigests(found.get("holders"), "copy.holders", { least: 2, most: MOST_DEVICES });
  const content = await unwrap(opening, form.octets(found.get("wrapped"), "copy.wrapped", { most: 1024 }), "copy.wrapped");
  const iv = form.octets(found.get("iv"), "copy.iv", { least: IV_BYTES, most: IV_BYTES });
  const { e, kty, n } = Object.fromEntries(form.anObject(jwk, "copy.jwk"));
  const written = { e: String(e), kty: String(kty), n: String(n) };
  try {
    const aes = await crypto.subtle.importKey("raw", content, "AES-GCM", false, ["decrypt"]);
    const secret = await crypto.subtle.decrypt({ name: "AES-GCM", iv }, aes, form.octets(found.get("ciphertext"), "copy.ciphertext", { most: 4096 }));
    const shared = { jkt, key: await crypto.subtle.importKey("pkcs8", secret, OAEP, false, ["decrypt"]), jwk: written, holders };
    await checkHalves(shared);
    return shared;
  } catch (error) {
    if (error instanceof Refused) throw error;
    throw new Refused("does-not-open", "copy");
  }
}

/** Accepts a key both halves of which are one. @param {{ jwk: PublicJwk, key: CryptoKey, jkt: string }} shared */
export async function checkHalves({ jwk, key, jkt }) {
  const probe = crypto.getRandomValues(new Uint8Array(32));
  const open = await crypto.subtle.importKey("jwk", jwk, OAEP, false, ["encrypt"]);
  const back = await unwrap({ jkt, key }, new Uint8Array(await crypto.subtle.encrypt(OAEP, open, probe)), "copy");
  if (base64url(back) !== base64url(probe)) throw new Refused("does-not-open", "copy");
}

/** The RSA key `jkt` among those that the server lists. @param {string} jkt @param {Listed[]} listed */
async function keyNamed(jkt, listed) {
  for (const one of listed.filter((key) => key.get("purpose") === "opening")) {
    if ((await sealingKeyName(one.get("jwk"))) !== jkt) continue;
    const [e, n] = ["e", "n"].map((name) => String(form.anObject(one.get("jwk"), "jwk").get(name)));
    return await crypto.subtle.importKey("jwk", { kty: "RSA", e, n }, OAEP, false, ["encrypt"]);
  }
  throw new Refused("unknown-key", "device-keys");
}
