// One record: whether its bytes are canonical (RFC 8785, integers alone), and what it says of its own place.

import { textOf } from "./notes.js";

const DEEPEST = 64;

/** The canonical JSON of a value, null when it has none. @param {unknown} value @param {number} levels @returns {string | null} */
export function written(value, levels = DEEPEST) {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") return value.isWellFormed() ? JSON.stringify(value) : null;
  if (typeof value === "number") return Number.isSafeInteger(value) ? String(value) : null;
  if (typeof value !== "object" || levels === 0) return null;
  const parts = [];
  if (Array.isArray(value)) {
    for (const item of value) {
      const part = written(item, levels - 1);
      if (part === null) return null;
      parts.push(part);
    }
    return `[${parts.join(",")}]`;
  }
  for (const name of Object.keys(value).sort()) {
    const part = written(/** @type {Record<string, unknown>} */ (value)[name], levels - 1);
    if (part === null || !name.isWellFormed()) return null;
    parts.push(`${JSON.stringify(name)}:${part}`);
  }
  return `{${parts.join(",")}}`;
}

/** @param {Uint8Array} leaf @returns {{ seq: number, prev: string, ts: string, ws: string, pd: string | null } | null} */
export function readRecord(leaf) {
  const text = textOf(leaf);
  if (text === null) return null;
  try {
    const value = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
    if (written(value) !== text) return null;
    const { seq = -1, prev, ts = "", ws } = value;
    const isPlaced = typeof seq === "number" && typeof prev === "string" && typeof ts === "string" && typeof ws === "string";
    return isPlaced ? { seq, prev, ts, ws, pd: typeof value.pd === "string" ? value.pd : null } : null;
  } catch {
    return null;
  }
}
