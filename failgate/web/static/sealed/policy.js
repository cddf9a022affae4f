// The body of a policy: how many have to approve, with keys of which class. Its digest stands in the manifest.

import * as form from "./form.js";
import { digestOf } from "./json.js";
import { Refused } from "./refusal.js";

/** @typedef {{ id: string, need: number, require: Map<string, number>, digest: string }} Policy */

const CLASSES = ["browser", "native", "webauthn"];
const MOST_PEOPLE = 1000;

/** @param {unknown} value @param {string} [place] @returns {Promise<Policy>} */
export async function readPolicy(value, place = "policy") {
  const body = form.members(value, place, ["deny", "id", "need", "require", "v"]);
  form.exactly(body.get("v"), 1, `${place}.v`);
  form.exactly(body.get("deny"), "wins", `${place}.deny`);
  const need = form.integer(body.get("need"), `${place}.need`, { least: 1, most: MOST_PEOPLE });
  const require = new Map();
  for (const [name, number] of form.anObject(body.get("require"), `${place}.require`)) {
    const least = form.integer(number, `${place}.require`, { least: 1, most: MOST_PEOPLE });
    require.set(aClass(name, `${place}.require`), least);
  }
  return { id: form.word(body.get("id"), `${place}.id`), need, require, digest: await digestOf(body) };
}

/** @param {unknown} value @param {string} place @returns {string} */
export function aClass(value, place) {
  if (typeof value !== "string" || !CLASSES.includes(value)) throw new Refused("value", place);
  return value;
}
