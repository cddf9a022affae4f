// Whether a request may run: enough distinct people, keys of the demanded classes, nobody against it.

import { checkContext } from "./command.js";
import { verifyDecision } from "./decision.js";
import * as form from "./form.js";
import { Refused } from "./refusal.js";

/** @typedef {import("./decision.js").Decision} Decision @typedef {import("./policy.js").Policy} Policy */

const MOST_DECISIONS = 1024;

/**
 * Who approved the request of `ctx`, if `sent` (one decision or a list) is enough. `used` holds the ids of requests that ran
 * and of decisions that counted. Each decision has to be good: one that is not refuses all, and says which.
 * @param {unknown} sent
 * @param {{ ctx: import("./command.js").Context, policy: Policy, manifest: import("./manifest.js").Manifest, keys: import("./keys.js").Ring, now: number, used?: Set<string>, counters?: Map<string, number> }} known
 */
export async function decide(sent, { ctx, policy, manifest, keys, now, used = new Set(), counters = new Map() }) {
  checkContext(ctx, manifest, now);
  manifest.checkPolicy(policy);
  if (policy.digest !== ctx.policy) throw new Refused("policy", "ctx.policy");
  if (used.has(ctx.cid)) throw new Refused("replayed", "ctx.cid");
  const listed = form.aList(Array.isArray(sent) ? sent : [sent], "decisions", { most: MOST_DECISIONS });
  /** @type {Decision[]} */
  const decisions = [];
  for (const [number, one] of listed.entries()) {
    const place = `decisions[${number}]`;
    const found = await verifyDecision(one, { ctx, manifest, keys, now, counters, place });
    if (used.has(found.jti) || decisions.some(({ jti }) => jti === found.jti)) throw new Refused("replayed", `${place}.jti`);
    decisions.push(found);
  }
  checkEnough(decisions, policy);
  return { approvedBy: [...people(decisions)].sort(), decisions };
}

/** @param {Decision[]} decisions */
const people = (decisions) => new Set(decisions.map((one) => one.uid));

/** @param {Decision[]} decisions @param {Policy} policy */
function checkEnough(decisions, policy) {
  if (decisions.some((one) => one.decision === "deny")) throw new Refused("denied", "decisions");
  if (people(decisions).size < policy.need) throw new Refused("quorum", "decisions");
  for (const [keyClass, least] of policy.require) {
    if (people(decisions.filter((one) => one.keyClass === keyClass)).size < least) throw new Refused("class-quorum", "decisions");
  }
}
