// What the agent signs after the run: which request, when, how it ended, the digest of its output.

import * as form from "./form.js";
import { Refused } from "./refusal.js";
import { verified } from "./signing.js";

/** @typedef {import("./command.js").Context} Context */

const TYP = "failgate-receipt";
const SIGNATURE_TYP = "failgate-receipt+jws";
const LARGEST_EXIT = 255;
const PAYLOAD_BYTES = 4096;
const MEMBERS = ["cid", "commit", "ended", "exit", "out_sha256", "started", "typ", "v", "ws"];

/**
 * The receipt `sent` for the request of `ctx` by its own `agent`; of that output, if one is given. Times are seconds since 1970.
 * @param {unknown} sent @param {{ ctx: Context, agent: import("./keys.js").VerifyingKey, outSha256?: string | null }} known
 */
export async function verifyReceipt(sent, { ctx, agent, outSha256 = null }) {
  if (agent.jkt !== ctx.agent) throw new Refused("agent", "ctx.agent");
  const jws = await verified(sent, SIGNATURE_TYP, new Map([[agent.jkt, agent]]), "receipt", PAYLOAD_BYTES);
  const receipt = readPayload(form.readObject(jws.payload, "receipt.payload"), ctx);
  if (outSha256 !== null && receipt.outSha256 !== outSha256) throw new Refused("output", "receipt.out_sha256");
  return receipt;
}

/** @param {unknown} value @param {Context} ctx */
function readPayload(value, ctx) {
  const found = form.members(value, "receipt", MEMBERS);
  form.exactly(found.get("typ"), TYP, "receipt.typ");
  form.exactly(found.get("v"), 1, "receipt.v");
  if (found.get("cid") !== ctx.cid) throw new Refused("claims", "receipt.cid");
  if (found.get("commit") !== ctx.commit) throw new Refused("claims", "receipt.commit");
  if (found.get("ws") !== ctx.ws) throw new Refused("claims", "receipt.ws");
  const [started, ended] = ["started", "ended"].map((name) => form.integer(found.get(name), `receipt.${name}`));
  if (ended < started || started < ctx.iat - form.SKEW_SECONDS || started > ctx.exp) throw new Refused("times", "receipt.started");
  return {
    started,
    ended,
    exit: form.integer(found.get("exit"), "receipt.exit", { most: LARGEST_EXIT }),
    outSha256: form.digest(found.get("out_sha256"), "receipt.out_sha256"),
  };
}
