// The Merkle tree of RFC 9162 section 2.1 over WebCrypto's SHA-256.

import { joined, sha256 } from "./notes.js";

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** @param {Uint8Array} leaf */
export const leafHash = (leaf) => sha256(joined(LEAF, leaf));

/** @param {Uint8Array} left @param {Uint8Array} right */
const nodeHash = (left, right) => sha256(joined(NODE, left, right));

/** The root over a power of two of hashes. @param {Uint8Array[]} hashes @returns {Promise<Uint8Array>} */
export async function fold(hashes) {
  let level = hashes;
  while (level.length > 1) {
    const below = level;
    level = await Promise.all(below.filter((_, place) => place % 2 === 0).map((left, place) => nodeHash(left, below[2 * place + 1])));
  }
  return level[0];
}

/** The root over full tiles and the leaf hashes of the last one. @param {Uint8Array[]} tiles @param {Uint8Array[]} rest */
export async function rootOf(tiles, rest) {
  /** @type {Uint8Array[]} */
  const peaks = [];
  for (const hashes of [tiles, rest]) {
    let place = 0;
    let left = hashes.length;
    while (left) {
      const width = 2 ** Math.floor(Math.log2(left));
      peaks.push(await fold(hashes.slice(place, place + width)));
      place += width;
      left -= width;
    }
  }
  if (!peaks.length) return sha256(new Uint8Array());
  let root = peaks[peaks.length - 1];
  for (let place = peaks.length - 2; place >= 0; place -= 1) root = await nodeHash(peaks[place], root);
  return root;
}
