// Keys by their thumbprints: ES256 for signing, RSA-OAEP-256 for opening, and nothing else.
// RFC 7517, RFC 7518 (sections 3.4, 4.3, 6.2, 6.3), RFC 7638.

import * as form from "./form.js";
import { digestOf, isSame, joined, numberOf } from "./json.js";
import { Refused } from "./refusal.js";

/**
 * @typedef {{ jkt: string, key: CryptoKey }} VerifyingKey @typedef {{ jkt: string, key: CryptoKey }} OpeningKey
 * @typedef {{ jkt: string, key: CryptoKey }} SigningKey @typedef {Map<string, VerifyingKey>} Ring
 */

export const SIGNATURE_BYTES = 64; // r and s, 32 bytes each
export const RSA_BITS_LEAST = 3072;
const RSA_BITS_MOST = 8192;
const RSA_EXPONENT = "AQAB"; // 65537
const COORDINATE_BYTES = 32;
const FIELD = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const SMALL_PRIMES = Array.from({ length: 750 }, (_, number) => number + 2)
  .filter((number) => Array.from({ length: number - 2 }, (_, one) => one + 2).every((one) => number % one))
  .map(BigInt);
const EC_PUBLIC = ["crv", "kty", "x", "y"];
const RSA_PUBLIC = ["e", "kty", "n"];
const RSA_SECRET = ["d", "p", "q", "dp", "dq", "qi"];
export const P256 = { name: "ECDSA", namedCurve: "P-256" };
export const OAEP = { name: "RSA-OAEP", hash: "SHA-256" };
const ES256 = { name: "ECDSA", hash: "SHA-256" };

/** A public P-256 key. @param {unknown} jwk @param {string} [place] @returns {Promise<VerifyingKey>} */
export async function verifyingKey(jwk, place = "jwk") {
  const found = form.members(jwk, place, EC_PUBLIC, ["kid"]);
  if (found.get("kty") !== "EC" || found.get("crv") !== "P-256") throw new Refused("key", place);
  const [x, y] = ["x", "y"].map((name) => coordinate(found.get(name), `${place}.${name}`));
  const [across, up] = [numberOf(x), numberOf(y)];
  if ((up * up - (across * across * across - 3n * across + B)) % FIELD !== 0n) throw new Refused("key", place);
  const jkt = await thumbprint(found, EC_PUBLIC, place);
  const key = await crypto.subtle.importKey("raw", joined(Uint8Array.of(4), x, y), P256, true, ["verify"]);
  return { jkt, key };
}

/** What a public RSA key is called, once it is one to which commands may be sealed. @param {unknown} jwk @param {string} [place] */
export async function sealingKeyName(jwk, place = "jwk") {
  const found = form.members(jwk, place, RSA_PUBLIC, ["kid"]);
  if (found.get("kty") !== "RSA" || found.get("e") !== RSA_EXPONENT) throw new Refused("key", place);
  const content = positive(found.get("n"), `${place}.n`);
  const [bits, n] = [content.length * 8 - (Math.clz32(content[0]) - 24), numberOf(content)];
  if (bits < RSA_BITS_LEAST || bits > RSA_BITS_MOST || SMALL_PRIMES.some((prime) => n % prime === 0n)) {
    throw new Refused("key", place);
  }
  return await thumbprint(found, RSA_PUBLIC, place);
}

/** A private RSA key; it cannot be taken out of the browser again. @param {unknown} jwk @param {string} [place] @returns {Promise<OpeningKey>} */
export async function openingKey(jwk, place = "jwk") {
  const found = form.members(jwk, place, [...RSA_PUBLIC, ...RSA_SECRET], ["kid"]);
  const open = new Map([...found].filter(([name]) => !RSA_SECRET.includes(name)));
  const jkt = await sealingKeyName(open, place);
  for (const name of RSA_SECRET) positive(found.get(name), `${place}.${name}`);
  const [d, p, q, dp, dq, qi, n] = [...RSA_SECRET, "n"].map((name) => String(found.get(name)));
  const whole = { kty: "RSA", e: RSA_EXPONENT, n, d, p, q, dp, dq, qi };
  try {
    return { jkt, key: await crypto.subtle.importKey("jwk", whole, OAEP, false, ["decrypt"]) };
  } catch {
    throw new Refused("key", place);
  }
}

/** Accepts r and s, each from 1 to n-1. @param {VerifyingKey} key @param {Uint8Array} signature @param {Uint8Array} message @param {string} place */
export async function verify(key, signature, message, place) {
  const [r, s] = [numberOf(signature.subarray(0, 32)), numberOf(signature.subarray(32))];
  const isInRange = r > 0n && r < ORDER && s > 0n && s < ORDER;
  if (signature.length !== SIGNATURE_BYTES || !isInRange) throw new Refused("signature", place);
  if (!(await crypto.subtle.verify(ES256, key.key, signature, message))) throw new Refused("signature", place);
}

/** Accepts a signature in DER, in no other spelling of the same numbers. @param {VerifyingKey} key @param {Uint8Array} signature @param {Uint8Array} message @param {string} place */
export async function verifyDer(key, signature, message, place) {
  const numbers = [];
  let at = 2;
  for (let number = 0; number < 2; number += 1) {
    const content = signature.subarray(at + 2, at + 2 + (signature[at + 1] ?? 0));
    const digits = content.subarray(content.findIndex((octet) => octet !== 0));
    if (!content.some((octet) => octet !== 0) || digits.length > 32) throw new Refused("signature", place);
    numbers.push(joined(new Uint8Array(32 - digits.length), digits));
    at += 2 + content.length;
  }
  if (!isSame(der(numbers), signature)) throw new Refused("signature", place);
  await verify(key, joined(...numbers), message, place);
}

/** @param {Uint8Array[]} numbers r and s, 32 bytes each */
function der(numbers) {
  const parts = numbers.map((number) => {
    const digits = number.subarray(number.findIndex((octet) => octet !== 0));
    const content = digits[0] < 0x80 ? digits : joined(Uint8Array.of(0), digits);
    return joined(Uint8Array.of(2, content.length), content);
  });
  return joined(Uint8Array.of(0x30, parts[0].length + parts[1].length), ...parts);
}

/** r and s over `message`. @param {SigningKey} key @param {Uint8Array} message */
export async function sign(key, message) {
  return new Uint8Array(await crypto.subtle.sign(ES256, key.key, message));
}

/** The content key. @param {OpeningKey} opener @param {Uint8Array} wrapped @param {string} place */
export async function unwrap(opener, wrapped, place) {
  const { modulusLength } = /** @type {RsaHashedKeyAlgorithm} */ (opener.key.algorithm);
  if (wrapped.length !== Math.ceil(modulusLength / 8)) throw new Refused("does-not-open", place);
  try {
    return new Uint8Array(await crypto.subtle.decrypt(OAEP, opener.key, wrapped));
  } catch {
    throw new Refused("does-not-open", place);
  }
}

/** The public P-256 keys of `jwks` by their thumbprints. @param {unknown[]} jwks @param {string} [place] @returns {Promise<Ring>} */
export async function ringOf(jwks, place = "keys") {
  const ring = new Map();
  for (const [number, jwk] of jwks.entries()) {
    const key = await verifyingKey(jwk, `${place}[${number}]`);
    ring.set(key.jkt, key);
  }
  return ring;
}

/** @param {Ring} ring @param {string} jkt @param {string} place @returns {VerifyingKey} */
export function named(ring, jkt, place) {
  const key = ring.get(jkt);
  if (key === undefined) throw new Refused("unknown-key", place);
  if (key.jkt !== jkt) throw new Refused("thumbprint", place);
  return key;
}

/** A thumbprint, or any digest, as people compare it: eight groups of five digits. @param {unknown} jkt */
export function safetyNumber(jkt) {
  const number = numberOf(form.octets(jkt, "jkt", { least: form.DIGEST_BYTES, most: form.DIGEST_BYTES }));
  const digits = String(number % 10n ** 40n).padStart(40, "0");
  return Array.from({ length: 8 }, (_, group) => digits.slice(5 * group, 5 * group + 5)).join(" ");
}

/** @param {Map<string, unknown>} jwk @param {string[]} names @param {string} place */
async function thumbprint(jwk, names, place) {
  const jkt = await digestOf(new Map(names.map((name) => [name, jwk.get(name)])));
  if (jwk.has("kid") && jwk.get("kid") !== jkt) throw new Refused("thumbprint", `${place}.kid`);
  return jkt;
}

/** @param {unknown} value @param {string} place */
function coordinate(value, place) {
  const content = form.octets(value, place, { least: COORDINATE_BYTES, most: COORDINATE_BYTES });
  if (numberOf(content) >= FIELD) throw new Refused("key", place);
  return content;
}

/** A positive number without leading zeros, RFC 7518 section 2. @param {unknown} value @param {string} place */
function positive(value, place) {
  const content = form.octets(value, place, { least: 1, most: RSA_BITS_MOST / 8 });
  if (content[0] === 0) throw new Refused("key", place);
  return content;
}
