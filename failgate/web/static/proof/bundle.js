// A bundle, read where it lies: a .tar is never loaded whole and never unpacked. What no bundle has is refused.

import { textOf, unusable } from "./notes.js";

export const WIDTH = 256;
const BLOCK = 512;
const MOST_FILES = 1 << 20;
const TILE = /^(?:entries|tile\/([01]))\/((?:x[0-9]{3}\/){0,3}[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/u;
const PLAIN = new Set(["manifest.json", "vkey", "checkpoint", "bodies.jsonl"]);

/** @param {number | null} level @param {number} number @param {number} width */
export function tileName(level, number, width) {
  const groups = [String(number % 1000).padStart(3, "0")];
  for (let rest = Math.floor(number / 1000); rest; rest = Math.floor(rest / 1000)) {
    groups.unshift(`x${String(rest % 1000).padStart(3, "0")}`);
  }
  return `${level === null ? "entries" : `tile/${level}`}/${groups.join("/")}${width === WIDTH ? "" : `.p/${width}`}`;
}

/** @param {string} name @returns {{ level: number | null, number: number } | null} */
function tileOf(name) {
  const written = TILE.exec(name);
  if (written === null) return null;
  const level = written[1] === undefined ? null : Number(written[1]);
  const number = Number(written[2].replaceAll(/[x/]/gu, ""));
  const width = written[3] === undefined ? WIDTH : Number(written[3]);
  return width <= WIDTH && tileName(level, number, width) === name ? { level, number } : null;
}

/** The files of a bundle by their names. */
export class Bundle {
  /** @param {Blob} blob */
  constructor(blob) {
    this.blob = blob;
    this.isCut = false;
    /** @type {Map<string, { start: number, size: number }>} */
    this.files = new Map();
    /** @type {{ name: string, level: number | null, number: number }[]} */
    this.tiles = [];
  }

  /** @param {string} name @param {number} most @returns {Promise<Uint8Array | null>} */
  async read(name, most) {
    const place = this.files.get(name);
    if (place === undefined) return null;
    if (place.size > most) throw unusable(`A file of the bundle has ${place.size} bytes; ${most} are the most.`);
    return new Uint8Array(await this.blob.slice(place.start, place.start + place.size).arrayBuffer());
  }
}

/** Reads the headers of a ustar archive. @param {Blob} blob @returns {Promise<Bundle>} */
export async function openBundle(blob) {
  const bundle = new Bundle(blob);
  let offset = 0;
  for (;;) {
    const header = new Uint8Array(await blob.slice(offset, offset + BLOCK).arrayBuffer());
    if (header.length === BLOCK && header.every((octet) => octet === 0)) return bundle;
    if (header.length < BLOCK && offset) {
      bundle.isCut = true;
      return bundle;
    }
    const member = memberOf(header);
    const start = offset + BLOCK;
    if (member.name.endsWith("/")) {
      offset = start;
      continue;
    }
    bundle.isCut = start + member.size > blob.size;
    keep(bundle, member.name, start, Math.min(member.size, blob.size - start));
    if (bundle.isCut) return bundle;
    offset = start + Math.ceil(member.size / BLOCK) * BLOCK;
  }
}

/** @param {Bundle} bundle @param {string} name @param {number} start @param {number} size */
function keep(bundle, name, start, size) {
  const tile = tileOf(name);
  if (bundle.files.has(name)) throw unusable(`The bundle has ${name} twice.`);
  if (tile === null && !PLAIN.has(name)) throw unusable(`The bundle has a file that no bundle has: ${JSON.stringify(name)}.`);
  if (tile !== null) bundle.tiles.push({ name, ...tile });
  bundle.files.set(name, { start, size });
  if (bundle.files.size > MOST_FILES) throw unusable(`The bundle has more than ${MOST_FILES} files.`);
}

/** @param {Uint8Array} header */
function memberOf(header) {
  const sum = header.reduce((all, octet, place) => all + (place >= 148 && place < 156 ? 0x20 : octet), 0);
  if (header.length < BLOCK || plainText(header.slice(257, 262)) !== "ustar" || octal(header.slice(148, 156)) !== sum) {
    throw unusable("This is no bundle: it is no tar archive.");
  }
  const size = octal(header.slice(124, 136));
  const parts = [plainText(header.slice(345, 500)), plainText(header.slice(0, 100))].filter(Boolean);
  const name = parts.join("/").replace(/^\.\//u, "");
  const kind = String.fromCharCode(header[156]);
  if (size === null) throw unusable(`The archive's member ${JSON.stringify(name)} has no size.`);
  if (kind === "5" && size === 0) {
    if (name.startsWith("/") || name.split("/").includes("..")) {
      throw unusable(`The archive has a name that leads out of it: ${JSON.stringify(name)}.`);
    }
    return { name: `${name.replace(/\/+$/u, "")}/`, size: 0 };
  }
  if (kind !== "0" && kind !== "\0") throw unusable(`The archive has ${JSON.stringify(name)}, which is no regular file.`);
  return { name, size };
}

/** @param {Uint8Array} field */
function plainText(field) {
  const end = field.indexOf(0);
  return String.fromCharCode(...(end < 0 ? field : field.slice(0, end)));
}

/** @param {Uint8Array} field */
function octal(field) {
  const digits = (textOf(field) ?? "").replace(/^[ \0]+|[ \0]+$/gu, "");
  return /^[0-7]{1,12}$/u.test(digits) ? Number.parseInt(digits, 8) : null;
}
