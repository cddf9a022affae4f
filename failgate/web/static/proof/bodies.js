// Bodies beside the records of a bundle: whether each is what its record commits to, as failgate-verify has it. One that
// is not there is no fault: it may be erased, or was not to leave.

import { WIDTH } from "./bundle.js";
import { base64url, incomplete, tampered, textOf, unusable } from "./notes.js";
import { readRecord, written } from "./record.js";

const FILE = "bodies.jsonl";
const PIECE = 1 << 20;
const LONGEST_LINE = 131_072;
const DOMAIN = "failgate personal data v1\n";

/** @typedef {{ seq: number, salt: Uint8Array, body: string }} Line */

/** @param {Uint8Array} salt @param {string} body */
async function commitment(salt, body) {
  const parts = [new TextEncoder().encode(DOMAIN), salt, new TextEncoder().encode(body)];
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer())));
}

/** @param {Uint8Array} octets @returns {Line | null} */
function lineOf(octets) {
  const text = textOf(octets);
  if (text === null) return null;
  try {
    const value = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value) || written(value) !== text) return null;
    const { body, salt, seq } = value;
    if (Object.keys(value).length !== 3 || typeof seq !== "number" || typeof salt !== "string") return null;
    if (!/^[A-Za-z0-9_-]{43}$/u.test(salt) || typeof body !== "object" || body === null || Array.isArray(body)) return null;
    const octetsOfSalt = Uint8Array.from(atob(salt.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
    return { seq, salt: octetsOfSalt, body: written(body) ?? "" };
  } catch {
    return null;
  }
}

/** The lines, whose numbers grow. @param {Blob} content @param {boolean} isCut @returns {AsyncGenerator<Line, null>} */
async function* linesOf(content, isCut) {
  let rest = new Uint8Array();
  let before = -1;
  let number = 0;
  for (let offset = 0; offset < content.size; offset += PIECE) {
    const piece = new Uint8Array(await content.slice(offset, offset + PIECE).arrayBuffer());
    const octets = new Uint8Array(rest.length + piece.length);
    octets.set(rest);
    octets.set(piece, rest.length);
    let start = 0;
    for (let end = octets.indexOf(10); end >= 0; end = octets.indexOf(10, start)) {
      number += 1;
      const line = end - start < LONGEST_LINE ? lineOf(octets.subarray(start, end)) : null;
      if (line === null || line.seq <= before) throw unusable(`${FILE}: line ${number} is no body, or stands in another order.`);
      before = line.seq;
      start = end + 1;
      yield line;
    }
    rest = octets.slice(start);
    if (rest.length >= LONGEST_LINE) break;
  }
  if (rest.length && isCut) throw incomplete(`The bundle ends within ${FILE}.`);
  if (rest.length) throw unusable(`${FILE}: line ${number + 1} is no body, or stands in another order.`);
  return null;
}

/**
 * Compares the bodies that a bundle carries with its records, which were verified before; null when it has none.
 * @param {import("./bundle.js").Bundle} bundle @param {{ begin: number, end: number }} held
 * @param {{ first: number, last: number }} manifest @param {(number: number) => Promise<Uint8Array[]>} leavesOf
 */
export async function checkBodies(bundle, held, manifest, leavesOf) {
  const place = bundle.files.get(FILE);
  if (place === undefined) return null;
  const lines = linesOf(bundle.blob.slice(place.start, place.start + place.size), bundle.isCut);
  let line = (await lines.next()).value;
  let [count, absent] = [0, 0];
  for (let number = held.begin; number < held.end; number += 1) {
    for (const [offset, leaf] of (await leavesOf(number)).entries()) {
      const seq = number * WIDTH + offset;
      const pd = readRecord(leaf)?.pd ?? null;
      if (line !== null && line.seq === seq) {
        if (pd === null || pd !== (await commitment(line.salt, line.body))) {
          throw tampered(seq, `The body of record ${seq} is not what the record commits to.`);
        }
        count += 1;
        line = (await lines.next()).value;
      } else if (pd !== null && manifest.first <= seq && seq <= manifest.last) {
        absent += 1;
      }
    }
  }
  if (line !== null) throw tampered(line.seq, `${FILE} has a body of record ${line.seq}, which is not in the bundle.`);
  return { count, absent };
}
