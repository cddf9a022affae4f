// A reviewer's two keys in this browser: one that opens and one that decides. They are made here, no script can take
// their private halves out, and they are lost with the site's data; then the reviewer enrols anew.

import { checkHalves } from "./devices.js";
import { isSame, mapOf } from "./json.js";
import { OAEP, P256, RSA_BITS_LEAST, sealingKeyName, sign, unwrap, verify, verifyingKey } from "./keys.js";

/**
 * @typedef {{ crv: string, kty: string, x: string, y: string } | { e: string, kty: string, n: string }} PublicJwk
 * @typedef {{ jkt: string, key: CryptoKey, jwk: PublicJwk }} HeldKey
 * @typedef {import("./passkey.js").Passkey} Passkey
 * @typedef {import("./devices.js").Shared} Shared
 * @typedef {{ opening: HeldKey, deciding: HeldKey, passkey?: Passkey, shared?: Shared[] }} Device
 * @typedef {{ pin: string, signed: string, names?: Record<string, string> }} Believed the pin, the newest manifest as it
 *   was signed, and what people were called when their keys were first believed
 */

const DATABASE = "failgate-sealed";
const STORE = "devices";
const BELIEVED = "believed";
const TERMINAL = "Or review in a terminal: failgate review.";

/** Keys cannot be made, kept or found here; the message says why and what to do. */
export class NoKeys extends Error {}

/** The keys that this browser holds for `owner` (a workspace and an account), null when it has none. @param {string} owner @returns {Promise<Device | null>} */
export async function heldDevice(owner) {
  const database = await opened();
  try {
    return await read(database, owner);
  } finally {
    database.close();
  }
}

/** The keys of `owner`, made when there are none; two windows that ask at once are given the same. @param {string} owner @returns {Promise<Device>} */
export async function madeDevice(owner) {
  const database = await opened();
  try {
    const held = await read(database, owner);
    if (held !== null) return held;
    const made = await generated();
    await changed(database, STORE, (store) => store.add(made, owner));
    const device = await read(database, owner); // what it gives back: another window may have been first
    if (device === null) throw new NoKeys(`This browser did not keep the keys. Allow this site to keep data. ${TERMINAL}`);
    return device;
  } finally {
    database.close();
  }
}

/** Keeps `more` beside the keys that this browser holds for `owner`. @param {string} owner @param {{ passkey?: Passkey, shared?: Shared[] }} more @returns {Promise<void>} */
export async function keepBeside(owner, more) {
  const database = await opened();
  try {
    const held = await kept(database, STORE, owner);
    if (held === undefined) throw new NoKeys(`This browser holds no keys. Enrol it first. ${TERMINAL}`);
    await changed(database, STORE, (store) => store.put({ ...held, ...more }, owner));
  } finally {
    database.close();
  }
}

/** What `owner` believes here, null without a pin. @param {string} owner @returns {Promise<Believed | null>} */
export async function believed(owner) {
  const database = await opened();
  try {
    return (await kept(database, BELIEVED, owner)) ?? null;
  } finally {
    database.close();
  }
}

/** Keeps what `owner` believes from now on. @param {string} owner @param {Believed} trust @returns {Promise<void>} */
export async function believe(owner, trust) {
  const database = await opened();
  try {
    await changed(database, BELIEVED, (store) => store.put(trust, owner));
  } finally {
    database.close();
  }
}

/** Asks the browser to keep what it holds until the person takes it away; false when it may drop it for space. */
export async function isDurable() {
  return (await navigator.storage?.persist?.()) === true;
}

/** @returns {Promise<IDBDatabase>} */
async function opened() {
  if (!globalThis.isSecureContext || !globalThis.crypto?.subtle) {
    throw new NoKeys(`Keys are made over https alone. Open this server by its https address. ${TERMINAL}`);
  }
  return new Promise((resolve, reject) => {
    /** @param {unknown} error */
    const refuse = (error) => reject(forbidden(error));
    try {
      const asked = globalThis.indexedDB.open(DATABASE, 1);
      asked.onupgradeneeded = () => [STORE, BELIEVED].forEach((name) => asked.result.createObjectStore(name));
      asked.onsuccess = () => resolve(asked.result);
      asked.onerror = () => refuse(asked.error);
      asked.onblocked = () => refuse(null);
    } catch (error) {
      refuse(error); // cookies and site data are blocked, a sandbox, a private window of some browsers
    }
  });
}

/** @param {unknown} error */
function forbidden(error) {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "QuotaExceededError") return new NoKeys(`This browser has no space left for the keys. Make some, and try again. ${TERMINAL}`);
  return new NoKeys(
    `This browser keeps nothing for this site (IndexedDB is not allowed), so it can hold no keys. Allow cookies and site data for this address, or leave the private window. ${TERMINAL}`,
  );
}

/** @param {IDBDatabase} database @param {string} name @param {string} owner @returns {Promise<any>} */
function kept(database, name, owner) {
  return new Promise((resolve, reject) => {
    const asked = database.transaction(name).objectStore(name).get(owner);
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(forbidden(asked.error));
  });
}

/** @param {IDBDatabase} database @param {string} owner @returns {Promise<Device | null>} */
async function read(database, owner) {
  const found = await kept(database, STORE, owner);
  if (found === undefined) return null;
  try {
    const { opening, deciding, passkey, shared } = found;
    checkHeld(opening.key, "RSA-OAEP", "decrypt");
    checkHeld(deciding.key, "ECDSA", "sign");
    const opens = { ...opening, jkt: await sealingKeyName(mapOf(opening.jwk)) };
    const { jkt, key } = await verifyingKey(mapOf(deciding.jwk));
    const probe = crypto.getRandomValues(new Uint8Array(32));
    await verify({ jkt, key }, await sign(deciding, probe), probe, "deciding"); // both halves are of one key
    const locking = await crypto.subtle.importKey("jwk", opening.jwk, OAEP, false, ["encrypt"]);
    const wrapped = new Uint8Array(await crypto.subtle.encrypt(OAEP, locking, probe));
    if (!isSame(await unwrap(opens, wrapped, "opening"), probe)) throw new TypeError("halves of two keys");
    /** @type {Device} */
    const device = { opening: opens, deciding: { ...deciding, jkt } };
    if (passkey !== undefined) device.passkey = { ...passkey, jkt: (await verifyingKey(mapOf(passkey.jwk))).jkt };
    if (shared !== undefined) device.shared = await Promise.all(shared.map(readShared));
    return device;
  } catch {
    throw new NoKeys(`The keys that this browser holds are damaged. Remove this site's data and enrol anew. ${TERMINAL}`);
  }
}

/** @param {Shared} found @returns {Promise<Shared>} */
async function readShared(found) {
  checkHeld(found.key, "RSA-OAEP", "decrypt");
  const shared = { ...found, jkt: await sealingKeyName(mapOf(found.jwk)) };
  await checkHalves(shared);
  return shared;
}

/** @param {CryptoKey} key @param {string} algorithm @param {KeyUsage} usage */
function checkHeld(key, algorithm, usage) {
  const isHeld = key instanceof CryptoKey && key.type === "private" && !key.extractable;
  if (!isHeld || key.algorithm.name !== algorithm || !key.usages.includes(usage)) throw new TypeError("no such key");
}

/** @param {IDBDatabase} database @param {string} name @param {(store: IDBObjectStore) => IDBRequest} change @returns {Promise<void>} */
function changed(database, name, change) {
  return new Promise((resolve, reject) => {
    try {
      const whole = database.transaction(name, "readwrite", { durability: "strict" });
      const asked = change(whole.objectStore(name));
      asked.onerror = (event) => {
        if (asked.error?.name === "ConstraintError") event.preventDefault(); // another window was first: its keys stay
      };
      whole.oncomplete = () => resolve();
      whole.onabort = () => reject(forbidden(whole.error));
    } catch (error) {
      reject(forbidden(error)); // some browsers keep no CryptoKey
    }
  });
}

async function generated() {
  const rsa = { ...OAEP, modulusLength: RSA_BITS_LEAST, publicExponent: Uint8Array.of(1, 0, 1) };
  const [opening, deciding] = await Promise.all([
    crypto.subtle.generateKey(rsa, false, ["encrypt", "decrypt"]),
    crypto.subtle.generateKey(P256, false, ["sign", "verify"]),
  ]);
  const { e, n } = await crypto.subtle.exportKey("jwk", opening.publicKey);
  const { x, y } = await crypto.subtle.exportKey("jwk", deciding.publicKey);
  return {
    opening: { key: opening.privateKey, jwk: { e, kty: "RSA", n } },
    deciding: { key: deciding.privateKey, jwk: { crv: "P-256", kty: "EC", x, y } },
  };
}
