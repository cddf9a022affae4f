// Strict reading: one value has one spelling, and whatever else arrives is refused with its place. Every function takes
// what came from outside, and `place`, which says where it stood. Throws Refused alone.

import { canonical, readJson, textOf, unbase64url } from "./json.js";
import { Refused } from "./refusal.js";

/** @typedef {Map<string, unknown>} Members */

export const DIGEST_BYTES = 32; // SHA-256
export const SKEW_SECONDS = 30; // by which another clock may be ahead

/** Whether `text` has more than `most` characters: of Unicode, not of UTF-16. @param {string} text @param {number} most */
const isLonger = (text, most) => text.length > most && (text.length > 2 * most || [...text].length > most);

/** @param {unknown} value @param {string} place @param {{ most: number, least?: number }} bounds @returns {Uint8Array} */
export function octets(value, place, { most, least = 0 }) {
  if (typeof value !== "string") throw new Refused("shape", place);
  if (isLonger(value, Math.floor((most * 4 + 2) / 3) + 4)) throw new Refused("too-large", place);
  const content = unbase64url(value);
  if (content === null) throw new Refused("encoding", place);
  if (content.length > most) throw new Refused("too-large", place);
  if (content.length < least) throw new Refused("value", place);
  return content;
}

/** 32 bytes in base64url: a digest, a thumbprint or a nonce. @param {unknown} value @param {string} place @returns {string} */
export function digest(value, place) {
  octets(value, place, { least: DIGEST_BYTES, most: DIGEST_BYTES });
  return String(value);
}

/** The object whose RFC 8785 bytes are `content`. @param {Uint8Array} content @param {string} place @returns {Members} */
export function readObject(content, place) {
  const { value, isCanonical } = parsed(content);
  if (!isCanonical) throw new Refused("not-canonical", place);
  return anObject(value, place);
}

/** @param {Uint8Array} content */
function parsed(content) {
  try {
    const text = textOf(content);
    const value = readJson(text);
    return { value, isCanonical: canonical(value) === text };
  } catch {
    return { value: null, isCanonical: false };
  }
}

/** @param {unknown} value @param {string} place @returns {string} */
export function written(value, place) {
  try {
    return canonical(value);
  } catch {
    throw new Refused("not-canonical", place);
  }
}

/** @param {unknown} value @param {string} place @returns {Members} */
export function anObject(value, place) {
  if (!(value instanceof Map)) throw new Refused("shape", place);
  return value;
}

/**
 * The object `value` if it has all of `needed`, and beside them nothing but `also`.
 * @param {unknown} value @param {string} place @param {string[]} needed @param {string[]} [also] @returns {Members}
 */
export function members(value, place, needed, also = []) {
  const found = anObject(value, place);
  const isKnown = [...found.keys()].every((name) => needed.includes(name) || also.includes(name));
  if (!isKnown || !needed.every((name) => found.has(name))) throw new Refused("members", place);
  return found;
}

/** @param {unknown} value @param {string} place @param {{ most: number, least?: number }} bounds @returns {unknown[]} */
export function aList(value, place, { most, least = 0 }) {
  if (!Array.isArray(value)) throw new Refused("shape", place);
  if (value.length > most) throw new Refused("too-large", place);
  if (value.length < least) throw new Refused("value", place);
  return value;
}

/**
 * A text that a system call can take: no NUL in it.
 * @param {unknown} value @param {string} place @param {{ most: number, isEmptyAllowed?: boolean }} bounds @returns {string}
 */
export function text(value, place, { most, isEmptyAllowed = false }) {
  if (typeof value !== "string") throw new Refused("value", place);
  if (isLonger(value, most)) throw new Refused("too-large", place);
  if (value.includes("\0") || (value === "" && !isEmptyAllowed)) throw new Refused("value", place);
  return value;
}

/** @param {unknown} value @param {string} place @param {RegExp} pattern @returns {string} */
export function shaped(value, place, pattern) {
  if (typeof value !== "string" || !pattern.test(value)) throw new Refused("value", place);
  return value;
}

/** 1 to 128 visible ASCII characters. @param {unknown} value @param {string} place */
export const word = (value, place) => shaped(value, place, /^[\x21-\x7e]{1,128}$/u);

/** In lower case with hyphens. @param {unknown} value @param {string} place */
export const uuid = (value, place) => shaped(value, place, /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/u);

/** @param {unknown} value @param {string} place @param {{ most?: number, least?: number }} [bounds] @returns {number} */
export function integer(value, place, { most = Number.MAX_SAFE_INTEGER, least = 0 } = {}) {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < least || value > most) {
    throw new Refused("value", place);
  }
  return value;
}

/** @param {unknown} value @param {string | number} wanted @param {string} place */
export function exactly(value, wanted, place) {
  if (value !== wanted) throw new Refused("value", place);
}

/** @param {unknown} value @param {string} place @param {{ most: number, least?: number }} bounds @returns {string[]} */
export function sortedDigests(value, place, bounds) {
  const found = aList(value, place, bounds).map((one, number) => digest(one, `${place}[${number}]`));
  if (found.some((one, number) => number > 0 && found[number - 1] >= one)) throw new Refused("value", place);
  return found;
}

/** Times are seconds since 1970. @param {number} issued @param {number} expires @param {number} now @param {string} place */
export function checkNow(issued, expires, now, place) {
  if (issued > now + SKEW_SECONDS) throw new Refused("ahead", `${place}.iat`);
  if (now > expires) throw new Refused("expired", `${place}.exp`);
}

