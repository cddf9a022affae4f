// The log of logs: the heads of other logs that the log `system` records, and whether those logs had them. The second
// implementation of `failgate-verify heads`.

import { isBefore, rootAt, split, verifyBundle } from "./log.js";
import { WIDTH } from "./bundle.js";
import { incomplete, isSame, tampered, textOf, unusable } from "./notes.js";

/** @typedef {Awaited<ReturnType<typeof verifyBundle>>} Proven */
/** @typedef {{ size: number, root: Uint8Array, seq: number, ts: string }} Told */

const HEAD = '{"act":"head.recorded",';
const EXCUSE = '{"act":"rollback.accepted",';
const BORDER = "/log/";

/** The server's name and the log's. @param {string} origin @returns {[string, string]} */
function partsOf(origin) {
  const place = origin.lastIndexOf(BORDER);
  return place < 0 ? ["", origin] : [origin.slice(0, place), origin.slice(place + BORDER.length)];
}

/** Whether a bundle is of the log of logs. @param {Proven} proven */
export function isLogOfLogs({ head }) {
  return head.origin.includes(BORDER) && partsOf(head.origin)[1] === "system";
}

/** @param {unknown} text @returns {Uint8Array | null} */
function rootIn(text) {
  if (typeof text !== "string" || !/^[A-Za-z0-9_-]{43}$/u.test(text)) return null;
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
}

/** @param {unknown} value @returns {Record<string, unknown> | null} */
const membersOf = (value) => (typeof value === "object" && value !== null && !Array.isArray(value) ? /** @type {Record<string, unknown>} */ (value) : null);

/**
 * The heads of each log that are recorded, in order; a rollback that was accepted excuses those before it.
 * @param {Proven} system @returns {Promise<Map<string, Told[]>>}
 */
export async function toldBy({ held }) {
  /** @type {Map<string, Told[]>} */
  const found = new Map();
  for (let number = held.begin; number < held.end; number += 1) {
    for (const leaf of split(await held.records(number), WIDTH).leaves) {
      const text = textOf(leaf) ?? "";
      const isHead = text.startsWith(HEAD);
      if (!isHead && !text.startsWith(EXCUSE)) continue;
      const record = JSON.parse(text);
      const log = membersOf(record.obj)?.id;
      const facts = membersOf(record.data);
      const [size, root] = [facts?.size, rootIn(facts?.root)];
      if (typeof log === "string" && facts !== null && !isHead) found.delete(log);
      else if (typeof log === "string" && typeof size === "number" && size >= 0 && root !== null) {
        found.set(log, [...(found.get(log) ?? []), { size, root, seq: record.seq, ts: record.ts }]);
      } else throw unusable(`Record ${record.seq} of the log of logs states no head.`);
    }
  }
  return found;
}

/**
 * Compares bundles of other logs with the heads that the log `system` records of them.
 * @param {Proven} system @param {{ name: string, blob: Blob }[]} others @param {(done: number) => void} tell
 * @returns {Promise<{ proven: Proven, heads: number }[]>}
 */
export async function compareHeads(system, others, tell) {
  const [server] = partsOf(system.head.origin);
  if (!isLogOfLogs(system)) throw unusable(`The bundle is of ${system.head.origin}, not of a log \`system\`.`);
  if (system.manifest.first !== 0 || system.manifest.last !== system.head.size - 1) {
    throw incomplete("The bundle holds a part of the log of logs; export the whole.");
  }
  const told = await toldBy(system);
  const found = [];
  for (const { name, blob } of others) {
    const proven = await verifyBundle(blob, "", [], tell);
    const [prefix, log] = partsOf(proven.key.name);
    if (prefix !== server || !isSame(proven.key.public, system.key.public)) {
      throw unusable(`${name} is of ${proven.key.name}, signed by another key than the log of logs.`);
    }
    const heads = told.get(log) ?? [];
    await mustHaveHad(proven, heads);
    found.push({ proven, heads: heads.length });
  }
  return found;
}

/** @param {Proven} proven @param {Told[]} told */
async function mustHaveHad({ head, manifest, held, walked }, told) {
  for (const one of told) {
    if (one.size <= head.size) continue;
    const said = `record ${one.seq} of the log of logs tells of ${one.size}`;
    if (isBefore(one.ts, manifest.made)) throw tampered(head.size, `The log has ${head.size} records, and ${said} before this was exported.`);
    throw incomplete(`The bundle has ${head.size} records, and ${said}, later: export this log once more.`);
  }
  for (const one of told) {
    if (!isSame(await rootAt(held, one.size, walked), one.root)) {
      throw tampered(null, `The first ${one.size} records are not those that record ${one.seq} of the log of logs tells of.`);
    }
  }
}
