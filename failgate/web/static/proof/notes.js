// Signed notes, checkpoints and keys, by C2SP signed-note and tlog-checkpoint. Signatures: Ed25519 of WebCrypto, held
// to the one form of each number and to no key or R of small order, as the verifier in Python is.

const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const ENCODER = new TextEncoder();
const LARGEST_NOTE = 64 * 1024;

/** How a verification ends when it does not end well; `firstBad` is null when nothing tells. */
export class Verdict extends Error {
  /** @param {"tampered" | "unusable" | "incomplete"} state @param {string} sentence @param {number | null} [firstBad] */
  constructor(state, sentence, firstBad = null) {
    super(sentence);
    this.state = state;
    this.firstBad = firstBad;
  }
}

/** @param {string} sentence */
export const unusable = (sentence) => new Verdict("unusable", sentence);

/** @param {number | null} firstBad @param {string} sentence */
export const tampered = (firstBad, sentence) => new Verdict("tampered", sentence, firstBad);

/** @param {string} sentence */
export const incomplete = (sentence) => new Verdict("incomplete", sentence);

/** @param {Uint8Array} octets @returns {string | null} */
export function textOf(octets) {
  try {
    return DECODER.decode(octets);
  } catch {
    return null;
  }
}

/** @param {Uint8Array} octets */
export async function sha256(octets) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", octets));
}

/** @param {Uint8Array} one @param {Uint8Array} other */
export function isSame(one, other) {
  return one.length === other.length && one.every((octet, place) => octet === other[place]);
}

/** @param {Uint8Array} octets */
export const hexOf = (octets) => [...octets].map((octet) => octet.toString(16).padStart(2, "0")).join("");

/** @param {Uint8Array} octets */
export const base64 = (octets) => btoa(String.fromCharCode(...octets));

/** @param {Uint8Array} octets */
export const base64url = (octets) => base64(octets).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/u, "");

/** @param {string} text @returns {Uint8Array | null} */
function unbase64(text) {
  try {
    const plain = atob(text);
    return btoa(plain) === text ? Uint8Array.from(plain, (one) => one.charCodeAt(0)) : null;
  } catch {
    return null;
  }
}

/** @param {...Uint8Array} parts */
export function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let place = 0;
  for (const part of parts) {
    whole.set(part, place);
    place += part.length;
  }
  return whole;
}

const isName = (/** @type {string} */ name) => name !== "" && !/[+\s\x1c-\x1f\x85]/u.test(name);

/**
 * @typedef {{ name: string, id: string, octets: Uint8Array }} Signature
 * @typedef {{ name: string, kind: number, public: Uint8Array, id: string, vkey: string }} Key
 * @typedef {{ origin: string, size: number, root: Uint8Array, text: string, signatures: Signature[] }} Checkpoint
 */

/** @param {string} vkey @returns {Promise<Key>} */
export async function readKey(vkey) {
  const [, name = "", id = "", encoded = ""] = /^([^+]*)\+([^+]*)\+(.*)$/su.exec(vkey.trim()) ?? [];
  const octets = unbase64(encoded);
  if (!isName(name) || octets === null || octets.length !== 33 || ![1, 4].includes(octets[0])) {
    throw unusable("The verifier key is no Ed25519 key; it reads name+8 hex digits+base64.");
  }
  const digest = await sha256(joined(ENCODER.encode(`${name}\n`), octets));
  if (hexOf(digest.slice(0, 4)) !== id) throw unusable("The verifier key's id does not belong to its name and key.");
  return { name, kind: octets[0], public: octets.slice(1), id, vkey: vkey.trim() };
}

/** @param {Uint8Array} octets @param {string} what @returns {Checkpoint} */
export function readCheckpoint(octets, what) {
  const note = textOf(octets);
  if (note === null) throw unusable(`${what} is no text.`);
  // eslint-disable-next-line no-control-regex -- control characters are what it looks for
  if (octets.length > LARGEST_NOTE || /[\x00-\x09\x0b-\x1f]/u.test(note)) {
    throw unusable(`${what} is too long or holds control characters.`);
  }
  const border = note.lastIndexOf("\n\n");
  if (border < 0 || !note.endsWith("\n") || border + 2 >= note.length) {
    throw unusable(`${what} is no signed note: an empty line stands between its text and its signatures.`);
  }
  const lines = note.slice(0, border).split("\n");
  const root = lines.length > 2 ? unbase64(lines[2]) : null;
  const isSize = lines.length > 1 && /^(?:0|[1-9][0-9]{0,18})$/u.test(lines[1]) && BigInt(lines[1]) < 2n ** 63n;
  if (lines.length < 3 || lines.includes("") || !isSize || root === null || root.length !== 32) {
    throw unusable(`${what} does not state an origin, a size and a root, one a line.`);
  }
  const written = note.slice(border + 2, -1).split("\n");
  if (written.length > 64) throw unusable(`${what} has more than 64 signatures.`);
  const signatures = written.map((line) => {
    const [, name = "", encoded = ""] = /^— ([^ ]*) (.*)$/su.exec(line) ?? [];
    const content = unbase64(encoded);
    if (!isName(name) || content === null || content.length < 5) {
      throw unusable(`A signature line of ${what[0].toLowerCase()}${what.slice(1)} is malformed: em dash, name, base64.`);
    }
    return { name, id: hexOf(content.slice(0, 4)), octets: content.slice(4) };
  });
  return { origin: lines[0], size: Number(lines[1]), root, text: `${note.slice(0, border)}\n`, signatures };
}

/** Returns when `key` signed the checkpoint as the log's own. @param {Checkpoint} checkpoint @param {Key} key @param {string} what */
export async function mustBeSigned(checkpoint, key, what) {
  if (key.kind !== 1) throw unusable(`The key of ${key.name} is a witness's, not a log's.`);
  if (key.name !== checkpoint.origin) throw tampered(null, `${what} is of ${checkpoint.origin}, the key of ${key.name}.`);
  const found = checkpoint.signatures.filter((one) => one.name === key.name && one.id === key.id);
  if (!found.length) throw tampered(null, `${what} is not signed by the key of ${key.name}.`);
  for (const one of found) {
    if (!(await isSignature(key.public, ENCODER.encode(checkpoint.text), one.octets))) {
      throw tampered(null, `The signature on ${what[0].toLowerCase()}${what.slice(1)} is wrong.`);
    }
  }
}

// y of the points of small order, little-endian, without the sign.
const SMALL = new Set([
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
]);
const P = 2n ** 255n - 19n;
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

/** @param {Uint8Array} octets */
const numberOf = (octets) => BigInt(`0x${hexOf(octets.slice().reverse())}`);

/** @param {Uint8Array} point */
function isGoodPoint(point) {
  const y = point.slice();
  y[31] &= 0x7f;
  return numberOf(y) < P && !SMALL.has(hexOf(y));
}

/** @param {Uint8Array} publicKey @param {Uint8Array} message @param {Uint8Array} signature */
export async function isSignature(publicKey, message, signature) {
  if (signature.length !== 64 || !isGoodPoint(publicKey) || !isGoodPoint(signature.slice(0, 32))) return false;
  if (numberOf(signature.slice(32)) >= ORDER) return false;
  try {
    const key = await crypto.subtle.importKey("raw", publicKey, "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", key, signature, message);
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotSupportedError") {
      throw unusable("This browser does not know Ed25519; use a newer one.");
    }
    return false;
  }
}
