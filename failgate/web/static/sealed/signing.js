// Compact JWS with one algorithm and exactly three header members. RFC 7515 sections 3.1 and 7.1, RFC 7518 section 3.4.

import * as form from "./form.js";
import { base64url, canonical, mapOf, octetsOf } from "./json.js";
import { SIGNATURE_BYTES, named, sign as signed, verify } from "./keys.js";
import { Refused } from "./refusal.js";

/**
 * @typedef {import("./keys.js").Ring} Ring @typedef {import("./keys.js").SigningKey} SigningKey
 * @typedef {{ kid: string, payload: Uint8Array, signed: Uint8Array, signature: Uint8Array }} Compact
 */

const HEADER_BYTES = 256;

/** @param {string} kid @param {string} typ */
const headerOf = (kid, typ) => base64url(octetsOf(canonical(mapOf({ alg: "ES256", kid, typ }))));

/** A compact JWS over `payload`. @param {Uint8Array} payload @param {string} typ @param {SigningKey} signer */
export async function sign(payload, typ, signer) {
  const content = `${headerOf(signer.jkt, typ)}.${base64url(payload)}`;
  return `${content}.${base64url(await signed(signer, octetsOf(content)))}`;
}

/**
 * The parts of a compact JWS; nothing is verified yet.
 * @param {unknown} token @param {string} typ @param {string} place @param {number} most bytes of the payload @returns {Compact}
 */
export function read(token, typ, place, most) {
  if (typeof token !== "string") throw new Refused("shape", place);
  const parts = token.split(".", 4);
  if (parts.length !== 3) throw new Refused("shape", place);
  const [header, payload, signature] = parts;
  return {
    kid: readHeader(header, typ, `${place}.header`),
    payload: form.octets(payload, `${place}.payload`, { most }),
    signature: readSignature(signature, `${place}.signature`),
    signed: octetsOf(`${header}.${payload}`),
  };
}

/** The `kid` of a header that is exactly the one that belongs there. @param {unknown} encoded @param {string} typ @param {string} place */
export function readHeader(encoded, typ, place) {
  const header = form.readObject(form.octets(encoded, place, { most: HEADER_BYTES }), place);
  const kid = header.get("kid");
  if (typeof kid !== "string" || encoded !== headerOf(kid, typ)) throw new Refused("header", place);
  return form.digest(kid, `${place}.kid`);
}

/** @param {unknown} encoded @param {string} place */
export function readSignature(encoded, place) {
  const content = form.octets(encoded, place, { most: SIGNATURE_BYTES * 2 });
  if (content.length !== SIGNATURE_BYTES) throw new Refused("signature", place);
  return content;
}

/** What `read` returns, once the named key signed it. @param {unknown} token @param {string} typ @param {Ring} keys @param {string} place @param {number} most */
export async function verified(token, typ, keys, place, most) {
  const found = read(token, typ, place, most);
  await verify(named(keys, found.kid, `${place}.header.kid`), found.signature, found.signed, `${place}.signature`);
  return found;
}
