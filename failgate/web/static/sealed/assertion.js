// A decision by a passkey: what the browser and the authenticator say, held against what was to be signed.
// WebAuthn Level 2 sections 6.1 and 7.2; CTAP 2 section 6 for the shape of extensions.

import * as form from "./form.js";
import { isSame, octetsOf, readJson, sha256, textOf } from "./json.js";
import { Refused } from "./refusal.js";

/** @typedef {{ rpDigest: Uint8Array, flags: number, counter: number }} AuthenticatorData */

export const CLIENT_DATA_BYTES = 8192;
export const AUTHENTICATOR_DATA_BYTES = 4096;
const USER_PRESENT = 0x01;
const USER_VERIFIED = 0x04;
const BACKUP_ELIGIBLE = 0x08;
const BACKED_UP = 0x10;
const CREDENTIAL_INCLUDED = 0x40; // of a registration
const EXTENSIONS_INCLUDED = 0x80;
const FIXED_BYTES = 37; // digest of the relying party, flags, counter
const DEEPEST = 8;
const LENGTHS = new Map([[24, 1], [25, 2], [26, 4], [27, 8]]); // CBOR: bytes after the first one

/**
 * Accepts the client data of an assertion over `challenge`, made on one of `origins` itself. Members that are not known
 * are the browser's to add; none may stand twice.
 * @param {Uint8Array} content @param {{ challenge: string, origins: string[], place: string }} wanted
 */
export function checkClientData(content, { challenge, origins, place }) {
  let value;
  try {
    value = readJson(textOf(content));
  } catch {
    throw new Refused("client-data", place);
  }
  const found = form.anObject(value, place);
  if (found.get("type") !== "webauthn.get") throw new Refused("client-data", `${place}.type`);
  if (found.get("challenge") !== challenge) throw new Refused("challenge", `${place}.challenge`);
  if (!origins.includes(/** @type {string} */ (found.get("origin")))) throw new Refused("origin", `${place}.origin`);
  const isCross = found.has("crossOrigin") && found.get("crossOrigin") !== false;
  if (isCross || found.has("topOrigin")) throw new Refused("origin", `${place}.crossOrigin`);
}

/** What stands in `content`, all of whose bytes have to be accounted for. @param {Uint8Array} content @param {string} place @returns {AuthenticatorData} */
export function readAuthenticatorData(content, place) {
  if (content.length < FIXED_BYTES) throw new Refused("authenticator-data", place);
  const [flags, rest] = [content[32], content.subarray(FIXED_BYTES)];
  const isOdd = (flags & BACKED_UP) !== 0 && (flags & BACKUP_ELIGIBLE) === 0;
  if (flags & CREDENTIAL_INCLUDED || isOdd) throw new Refused("authenticator-data", place);
  if (flags & EXTENSIONS_INCLUDED) {
    const isMap = rest.length > 0 && rest[0] >= 0xa0 && rest[0] <= 0xbb;
    if (!isMap || endOfItem(rest, 0, DEEPEST, place) !== rest.length) throw new Refused("authenticator-data", place);
  } else if (rest.length) {
    throw new Refused("authenticator-data", place);
  }
  const counter = new DataView(content.buffer, content.byteOffset).getUint32(33);
  return { rpDigest: content.subarray(0, 32), flags, counter };
}

/** Accepts an authenticator that asked and verified the person for `rp`, and has not counted backwards. @param {AuthenticatorData} found @param {{ rp: string, storedCounter: number, place: string }} wanted */
export async function checkAuthenticator(found, { rp, storedCounter, place }) {
  if (!isSame(found.rpDigest, await sha256(octetsOf(rp)))) throw new Refused("relying-party", place);
  if (!(found.flags & USER_PRESENT) || !(found.flags & USER_VERIFIED)) throw new Refused("presence", place);
  if (found.counter < storedCounter) throw new Refused("counter", place);
}

/** Where the CBOR item ends that begins at `start`: definite lengths alone, RFC 8949 section 3. @param {Uint8Array} content @param {number} start @param {number} levels @param {string} place @returns {number} */
function endOfItem(content, start, levels, place) {
  if (start >= content.length || levels === 0) throw new Refused("authenticator-data", place);
  const [major, low] = [content[start] >> 5, content[start] & 0x1f];
  const size = LENGTHS.get(low) ?? 0;
  let after = start + 1 + size;
  if (low > 27 || after > content.length) throw new Refused("authenticator-data", place);
  // A length beyond 2^53 is rounded, and as much beyond the content as before.
  const number = size ? content.subarray(start + 1, after).reduce((sum, octet) => sum * 256 + octet, 0) : low;
  if (major === 0 || major === 1 || major === 7) return after;
  if (major === 2 || major === 3) return bounded(after + number, content, place);
  const items = major === 4 ? number : major === 5 ? number * 2 : 1; // a tag (6) stands before one item
  bounded(after + items, content, place);
  for (let item = 0; item < items; item += 1) after = endOfItem(content, after, levels - 1, place);
  return after;
}

/** @param {number} end @param {Uint8Array} content @param {string} place */
function bounded(end, content, place) {
  if (end > content.length) throw new Refused("authenticator-data", place);
  return end;
}
