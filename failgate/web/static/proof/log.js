// A whole bundle, verified in the browser: the second implementation of what failgate-verify does in Python. It names
// the same record. The walk decides: record by record, by hashes that lead to the signed root, else by the chain.

import { checkBodies } from "./bodies.js";
import { WIDTH, openBundle, tileName } from "./bundle.js";
import { base64url, incomplete, isSame, mustBeSigned, readCheckpoint, readKey, tampered, textOf, unusable } from "./notes.js";
import { readRecord } from "./record.js";
import { fold, leafHash, rootOf } from "./tree.js";

/** @typedef {import("./bundle.js").Bundle} Bundle @typedef {import("./notes.js").Checkpoint} Checkpoint */
/** @typedef {{ first: number, last: number, begin: string | null, end: string | null, made: string }} Manifest */

const LARGEST_TILE = WIDTH * (65_535 + 2);

/** @param {Uint8Array} content */
const hashesIn = (content) => Array.from({ length: content.length / 32 }, (_, place) => content.slice(32 * place, 32 * place + 32));

/** @param {Uint8Array[]} one @param {Uint8Array[]} other */
const areSame = (one, other) => one.length === other.length && one.every((hash, place) => isSame(hash, other[place]));

/** The log as the bundle holds it. */
class Held {
  /** @param {Bundle} bundle @param {Checkpoint} head @param {Manifest} manifest */
  constructor(bundle, head, manifest) {
    this.bundle = bundle;
    this.size = head.size;
    this.root = head.root;
    this.tiles = Math.ceil(head.size / WIDTH);
    this.full = Math.floor(head.size / WIDTH);
    const before = manifest.begin === null ? manifest.first : Math.max(manifest.first - 1, 0);
    const behind = manifest.end === null ? manifest.last : Math.min(manifest.last + 1, head.size - 1);
    this.begin = Math.floor(before / WIDTH);
    this.end = Math.floor(behind / WIDTH) + 1;
    for (const { name, level, number } of bundle.tiles) {
      if (number >= (level === 1 ? Math.ceil(this.full / WIDTH) : this.tiles)) {
        throw tampered(this.size, `The bundle has ${name}, beyond the ${this.size} records that were signed.`);
      }
      if (level === null) {
        this.begin = Math.min(this.begin, number);
        this.end = Math.max(this.end, number + 1);
      }
    }
  }

  /** @param {number} number */
  width(number) {
    return Math.min(WIDTH, this.size - number * WIDTH);
  }

  /** The bytes of a tile of records under whatever width. @param {number} number */
  async records(number) {
    for (let width = WIDTH; width > 0; width -= 1) {
      const content = await this.bundle.read(tileName(null, number, width), LARGEST_TILE);
      if (content !== null) return content;
    }
    return new Uint8Array();
  }

  /** @param {number} number @returns {Promise<Uint8Array[] | null>} */
  async leafHashes(number) {
    const width = this.width(number);
    const content = await this.bundle.read(tileName(0, number, width), WIDTH * 32);
    return content === null || content.length !== width * 32 ? null : hashesIn(content);
  }

  /** @returns {Promise<Uint8Array[] | null>} */
  async tileHashes() {
    const found = [];
    for (let start = 0; start < this.full; start += WIDTH) {
      const width = Math.min(WIDTH, this.full - start);
      const content = await this.bundle.read(tileName(1, start / WIDTH, width), WIDTH * 32);
      if (content === null || content.length !== width * 32) return null;
      found.push(...hashesIn(content));
    }
    return found;
  }

  /** The hashes of all full tiles when they lead to the signed root, else null. */
  async signedHashes() {
    const found = await this.tileHashes();
    const rest = this.size % WIDTH ? await this.leafHashes(this.tiles - 1) : [];
    return found !== null && rest !== null && isSame(await rootOf(found, rest), this.root) ? found : null;
  }
}

/** The whole records in a tile, and whether there is anything behind them. @param {Uint8Array} content @param {number} most */
export function split(content, most) {
  const leaves = [];
  let place = 0;
  while (leaves.length < most && place + 2 <= content.length) {
    const size = content[place] * 256 + content[place + 1];
    if (place + 2 + size > content.length) break;
    leaves.push(content.subarray(place + 2, place + 2 + size));
    place += 2 + size;
  }
  return { leaves, isMore: place < content.length };
}

/** One pass over a log, record by record. */
class Walk {
  /** @param {Held} held @param {Uint8Array[] | null} signed @param {Uint8Array[]} stated @param {(done: number) => void} tell */
  constructor(held, signed, stated, tell) {
    this.held = held;
    this.signed = signed;
    this.stated = stated;
    this.tell = tell;
    /** @type {Uint8Array | null} */
    this.last = new Uint8Array(32);
    this.lastLeaf = new Uint8Array();
    /** @type {string | null} */
    this.log = null;
    /** @type {number | null} */
    this.broken = null;
    this.claimed = "";
    /** @type {Uint8Array[]} */
    this.roots = [];
    /** @type {Map<number, Uint8Array[]>} */
    this.recent = new Map();
  }

  async run() {
    const { held } = this;
    /** @type {Uint8Array[]} */
    let rest = [];
    for (let number = 0; number < held.tiles; number += 1) {
      if (number < held.begin || number >= held.end) {
        await this.leave(null);
        if (held.width(number) === WIDTH) {
          this.roots.push(this.stated[number]);
          continue;
        }
        rest = (await held.leafHashes(number)) ?? [];
        continue;
      }
      const hashes = await this.tile(number);
      if (hashes.length === WIDTH) this.roots.push(await fold(hashes));
      else rest = hashes;
      this.tell((number + 1) / held.tiles);
    }
    await this.leave(rest);
    if (!isSame(await rootOf(this.roots, rest), held.root)) throw tampered(null, "The records do not lead to the signed root.");
    return { roots: this.roots, rest };
  }

  /** @param {number} number */
  async known(number) {
    if (this.signed === null) return null;
    const hashes = await this.held.leafHashes(number);
    if (hashes === null || (hashes.length === WIDTH && !isSame(await fold(hashes), this.signed[number]))) return null;
    return hashes;
  }

  /** @param {number} number */
  async tile(number) {
    const { held } = this;
    const first = number * WIDTH;
    const width = held.width(number);
    if (number && number === held.begin) this.last = null;
    const { leaves, isMore } = split(await held.records(number), width);
    const known = await this.known(number);
    const hashed = await Promise.all(leaves.map(leafHash));
    /** @type {Uint8Array[]} */
    const hashes = [];
    this.recent = new Map([[number - 1, this.recent.get(number - 1) ?? []], [number, hashes]]);
    for (let place = 0; place < width; place += 1) {
      const seq = first + place;
      if (place >= leaves.length) throw tampered(this.blamed(seq), `Record ${seq} is missing.`);
      if (known !== null && !isSame(hashed[place], known[place])) throw tampered(seq, `Record ${seq} is not the one that was signed.`);
      this.record(seq, leaves[place]);
      hashes.push(hashed[place]);
      this.last = hashed[place];
      this.lastLeaf = leaves[place];
    }
    if (isMore) throw tampered(first + width, `There is more behind record ${first + width - 1}.`);
    return hashes;
  }

  /** @param {number} seq @param {Uint8Array} leaf */
  record(seq, leaf) {
    const record = readRecord(leaf);
    if (record === null) throw tampered(this.blamed(seq), `Record ${seq} is not canonical.`);
    const isKept = this.last === null || record.prev === base64url(this.last);
    if (record.seq !== seq || (this.log !== null && record.ws !== this.log)) {
      const isPushed = record.seq === seq - 1 && !isSame(leaf, this.lastLeaf);
      const isAlone = record.seq === seq && !isKept;
      const blamed = this.broken !== null ? this.broken - 1 : isPushed || isAlone ? seq - 1 : seq;
      throw tampered(blamed, `Record ${seq} is in a place that is not its own.`);
    }
    this.log = record.ws;
    if (this.broken !== null) throw tampered(isKept ? this.broken - 1 : this.broken, "The chain of hashes is broken.");
    if (!isKept) {
      this.broken = seq;
      this.claimed = record.prev;
    }
  }

  /** The record before a broken link instead of `seq`, when there was one. @param {number} seq */
  blamed(seq) {
    return this.broken === null ? seq : this.broken - 1;
  }

  /** Decides who broke the last link, by the root when the log ends here. @param {Uint8Array[] | null} rest */
  async leave(rest) {
    if (this.broken === null) return;
    const number = Math.floor((this.broken - 1) / WIDTH);
    const place = (this.broken - 1) % WIDTH;
    const hashes = [...(this.recent.get(number) ?? [])];
    const claimed = hashIn(this.claimed);
    if (rest !== null && claimed !== null && hashes.length > place) {
      hashes[place] = claimed;
      const roots = [...this.roots];
      if (hashes.length === WIDTH) roots[number] = await fold(hashes);
      if (isSame(await rootOf(roots, hashes.length === WIDTH ? rest : hashes), this.held.root)) {
        throw tampered(this.broken - 1, "The chain of hashes is broken.");
      }
    }
    throw tampered(this.broken, "The chain of hashes is broken.");
  }
}

/** @param {string} text @returns {Uint8Array | null} */
function hashIn(text) {
  try {
    const octets = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
    return octets.length === 32 ? octets : null;
  } catch {
    return null;
  }
}

/** @param {Uint8Array} octets @param {Checkpoint} head @returns {Manifest} */
function readManifest(octets, head) {
  /** @type {Record<string, unknown>} */
  let members;
  try {
    members = JSON.parse(textOf(octets) ?? "");
  } catch {
    throw unusable("manifest.json is no JSON object.");
  }
  if (typeof members !== "object" || members === null || Array.isArray(members)) throw unusable("manifest.json is no JSON object.");
  if (members.format !== "failgate-audit-export") throw unusable("manifest.json is not of failgate-audit-export.");
  if (members.v !== 1) throw unusable("The bundle is of another version than this page reads (1).");
  if (members.origin !== head.origin) throw tampered(null, `manifest.json is of ${String(members.origin)}, the checkpoint of ${head.origin}.`);
  if (members.size !== head.size) throw tampered(null, `manifest.json does not state the size that is signed, ${head.size}.`);
  const { first, last } = members;
  const areNumbers = typeof first === "number" && typeof last === "number" && Number.isInteger(first) && Number.isInteger(last);
  if (!areNumbers || first < 0 || last < first || last >= head.size) throw tampered(null, "manifest.json names records that are not in the log.");
  const [begin, end] = [members.from ?? null, members.to ?? null];
  const isOpen = (/** @type {unknown} */ time, /** @type {boolean} */ border) => typeof time === "string" || (time === null && border);
  if (!isOpen(begin, first === 0) || !isOpen(end, last === head.size - 1)) throw tampered(null, "manifest.json leaves records out, and names no period.");
  const made = typeof members.made_at === "string" ? members.made_at : "";
  return { first, last, begin: /** @type {string | null} */ (begin), end: /** @type {string | null} */ (end), made };
}

/** Whether one time stands before another, by code points as in every other reader. @param {string} one @param {string} other */
export function isBefore(one, other) {
  const [a, b] = [[...one], [...other]];
  for (let place = 0; place < Math.min(a.length, b.length); place += 1) {
    const [x, y] = [a[place].codePointAt(0) ?? 0, b[place].codePointAt(0) ?? 0];
    if (x !== y) return x < y;
  }
  return a.length < b.length;
}

/** @param {Held} held @param {Manifest} manifest */
async function checkBorders(held, manifest) {
  const { first, last, begin, end } = manifest;
  const time = async (/** @type {number} */ seq) => {
    const { leaves } = split(await held.records(Math.floor(seq / WIDTH)), WIDTH);
    return readRecord(leaves[seq % WIDTH] ?? new Uint8Array())?.ts ?? "";
  };
  if (begin !== null && (isBefore(await time(first), begin) || (first > 0 && !isBefore(await time(first - 1), begin)))) {
    throw tampered(null, `manifest.json: record ${first} is not the first one since ${begin}.`);
  }
  if (end !== null && (!isBefore(await time(last), end) || (last + 1 < held.size && isBefore(await time(last + 1), end)))) {
    throw tampered(null, `manifest.json: record ${last} is not the last one before ${end}.`);
  }
}

/** @param {Held} held @param {{ roots: Uint8Array[], rest: Uint8Array[] }} walked @param {Uint8Array[] | null} stated */
async function checkHashes(held, walked, stated) {
  if (stated !== null && !areSame(stated, walked.roots)) throw tampered(null, "The hashes under `tile/1/` are not those of the records.");
  for (let number = held.begin; number < held.end; number += 1) {
    const hashes = await held.leafHashes(number);
    if (hashes !== null && !areSame(hashes, await hashesOf(held, number))) {
      throw tampered(null, `The hashes of the records from ${number * WIDTH} are not those of the records.`);
    }
  }
}

/** @param {Held} held @param {number} number */
async function hashesOf(held, number) {
  return Promise.all(split(await held.records(number), held.width(number)).leaves.map(leafHash));
}

/** @param {Held} held @param {number} size @param {{ roots: Uint8Array[], rest: Uint8Array[] }} walked */
export async function rootAt(held, size, { roots, rest }) {
  const full = Math.floor(size / WIDTH);
  const more = size % WIDTH;
  if (!more) return rootOf(roots.slice(0, full), []);
  if (full === roots.length) return rootOf(roots, rest.slice(0, more));
  if (full >= held.begin && full < held.end) return rootOf(roots.slice(0, full), (await hashesOf(held, full)).slice(0, more));
  throw incomplete(`The bundle does not hold the records around ${size}, where the kept checkpoint ends; export the whole log.`);
}

/**
 * Verifies the bundle in `blob`, signed by `vkey` (without one by its own key), against checkpoints that were kept.
 * @param {Blob} blob @param {string} vkey @param {{ name: string, note: Uint8Array }[]} kept @param {(done: number) => void} tell
 */
export async function verifyBundle(blob, vkey, kept, tell) {
  const bundle = await openBundle(blob);
  const given = vkey === "" ? null : await readKey(vkey);
  const note = await bundle.read("checkpoint", 64 * 1024);
  if (note === null) throw incomplete("The bundle has no checkpoint: nothing vouches for its records.");
  const head = readCheckpoint(note, "The checkpoint");
  const own = given === null ? await bundle.read("vkey", 4096) : null;
  if (given === null && own === null) throw incomplete("The bundle has no key, and none was given.");
  const key = given ?? (await readKey(textOf(own ?? new Uint8Array()) ?? ""));
  await mustBeSigned(head, key, "The checkpoint");
  if (head.size === 0) throw unusable("The log has no records.");
  const heads = [];
  for (const one of kept) heads.push(await keptHead(one, head, key));
  const written = await bundle.read("manifest.json", 64 * 1024);
  if (written === null) throw incomplete("The bundle has no manifest.json.");
  const manifest = readManifest(written, head);
  for (const one of heads) {
    if (one.size > head.size) throw tampered(head.size, `The log has ${head.size} records, ${one.size} were signed before.`);
  }
  const held = new Held(bundle, head, manifest);
  const stated = await held.tileHashes();
  if (stated === null && (held.begin > 0 || held.end < held.full)) {
    throw incomplete("The bundle holds a part of the log without the hashes of the rest: `tile/1/` is not whole.");
  }
  if (held.end < held.tiles && held.size % WIDTH && (await held.leafHashes(held.tiles - 1)) === null) {
    throw incomplete("The bundle does not hold the end of the log, nor its hashes in `tile/0/`.");
  }
  const walked = await new Walk(held, await held.signedHashes(), stated ?? [], tell).run();
  await checkHashes(held, walked, stated);
  for (const one of heads) {
    if (!isSame(await rootAt(held, one.size, walked), one.root)) {
      throw tampered(null, `The first ${one.size} records are not those that were signed before.`);
    }
  }
  if (manifest.begin !== null || manifest.end !== null) await checkBorders(held, manifest);
  /** @param {number} number */
  const leavesOf = async (number) => split(await held.records(number), held.width(number)).leaves;
  const bodies = await checkBodies(bundle, held, manifest, leavesOf);
  return { head, key, isKeyGiven: given !== null, manifest, kept: heads.length, bodies, held, walked };
}

/** @param {{ name: string, note: Uint8Array }} kept @param {Checkpoint} head @param {import("./notes.js").Key} key */
async function keptHead(kept, head, key) {
  const what = `The checkpoint ${kept.name}`;
  const found = readCheckpoint(kept.note, what);
  if (found.origin !== head.origin) throw unusable(`${what} is of ${found.origin}, the bundle of ${head.origin}.`);
  try {
    await mustBeSigned(found, key, what);
  } catch (error) {
    throw error instanceof Error ? unusable(error.message) : error;
  }
  return found;
}

