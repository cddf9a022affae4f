// Verdicts on a file of test vectors, as `failgate sealed vectors FILE --json` prints them, so that anybody can compare
// this implementation with another. No page of the server loads it; docs/sealed.md has the shape of such a file.

import { readContext } from "./command.js";
import * as form from "./form.js";
import { base64url, readJson, sha256 } from "./json.js";
import { openingKey, ringOf, sealingKeyName, verifyingKey } from "./keys.js";
import { acceptChain, readPayload } from "./manifest.js";
import { readPolicy } from "./policy.js";
import { decide } from "./quorum.js";
import { verifyReceipt } from "./receipt.js";
import { Refused } from "./refusal.js";
import { openCommand } from "./sealing.js";

/** @typedef {Map<string, unknown>} Members @typedef {{ case: string, expected: boolean, accepted: boolean, reason: string | null }} Verdict */

const OUTPUT_BYTES = 1024 * 1024;
const SECRET = ["d", "dp", "dq", "p", "q", "qi"];
const RINGS = ["reviewer_sig_keys", "other_sig_keys", "root_keys", "other_root_keys"];

/** What the verifier of a case knows, and the checks of each subject. */
class Bench {
  /** @param {Members} file */
  constructor(file) {
    this.file = file;
    /** @type {Map<number, import("./keys.js").OpeningKey>} */
    this.openers = new Map();
    this.ring = new Map();
    this.agent = /** @type {import("./keys.js").VerifyingKey | null} */ (null);
    this.checks = new Map([
      ["jwe", this.jwe],
      ["decisions", this.decisions],
      ["manifests", this.manifests],
      ["receipts", this.receipts],
      ["keys", this.keys],
    ]);
  }

  async prepare() {
    this.ring = await ringOf(RINGS.flatMap((name) => /** @type {unknown[]} */ (this.file.get(name) ?? [])).map(open));
    this.agent = await verifyingKey(open(this.file.get("agent_sig_key")));
  }

  /** @param {Members} entry */
  async world(entry) {
    const said = /** @type {Members} */ (entry.get("state") ?? new Map());
    const state = new Map([.../** @type {Members} */ (this.file.get("state")), ...said]);
    const manifest = await readPayload(state.get("manifest") ?? this.file.get("manifest_payload"));
    const last = await readPayload(state.get("manifest_prev_payload") ?? this.file.get("manifest_prev_payload"));
    const output = state.has("output_b64u") ? form.octets(state.get("output_b64u"), "state", { most: OUTPUT_BYTES }) : null;
    return {
      now: Number(state.get("now") ?? this.file.get("now")),
      used: new Set(/** @type {unknown[]} */ (state.get("used") ?? []).map(String)),
      counters: /** @type {Map<string, number>} */ (state.get("counters") ?? new Map()),
      manifest: manifest.of(String(state.get("ws") ?? manifest.ws)),
      last: last.of(String(state.get("ws") ?? last.ws)),
      ctx: readContext(state.get("ctx") ?? this.file.get("ctx")),
      policy: state.get("policy") ?? this.file.get("policy"),
      served: state.get("served_policy"),
      output: output === null ? null : base64url(await sha256(output)),
    };
  }

  /** @param {Members} entry */
  async jwe(entry) {
    const { manifest, now, used } = await this.world(entry);
    const number = Number(entry.get("open_as") ?? 0);
    let opener = this.openers.get(number);
    if (opener === undefined) {
      opener = await openingKey(/** @type {unknown[]} */ (this.file.get("reviewer_enc_keys"))[number]);
      this.openers.set(number, opener);
    }
    const agent = /** @type {import("./keys.js").VerifyingKey} */ (this.agent);
    await openCommand(entry.get("jwe"), { opener, manifest, agents: new Map([[agent.jkt, agent]]), now, used });
  }

  /** @param {Members} entry */
  async decisions(entry) {
    const { policy, ...known } = await this.world(entry);
    await decide(entry.get("jws"), { ...known, policy: await readPolicy(policy), keys: this.ring });
  }

  /** @param {Members} entry */
  async manifests(entry) {
    const { last, now, served } = await this.world(entry);
    const newest = await acceptChain(entry.get("chain"), { last, keys: this.ring, now });
    if (served !== undefined && served !== null) newest.checkPolicy(await readPolicy(served));
  }

  /** @param {Members} entry */
  async receipts(entry) {
    const { ctx, manifest, output } = await this.world(entry);
    if (ctx.ws !== manifest.ws) throw new Refused("workspace", "ctx.ws");
    const agent = /** @type {import("./keys.js").VerifyingKey} */ (this.agent);
    await verifyReceipt(entry.get("jws"), { ctx, agent, outSha256: output });
  }

  /** @param {Members} entry */
  async keys(entry) {
    const jwk = entry.get("jwk");
    const jkt = entry.get("use") === "enc" ? await sealingKeyName(jwk) : (await verifyingKey(jwk)).jkt;
    if (jkt !== entry.get("jkt")) throw new Refused("thumbprint", "jwk");
  }
}

/** A key of the file without its secret half. @param {unknown} jwk @returns {Members} */
const open = (jwk) => new Map([.../** @type {Members} */ (jwk)].filter(([name]) => !SECRET.includes(name)));

/** The verdict on every case of the vectors in `text`, in the order of the file. @param {string} text @returns {Promise<Verdict[]>} */
export async function judge(text) {
  const file = /** @type {Members} */ (readJson(text, false));
  const bench = new Bench(file);
  await bench.prepare();
  const verdicts = [];
  for (const [name, cases] of file) {
    const [, sign, subject] = /^(positive|negative)_(.*)$/u.exec(name) ?? [];
    if (sign === undefined) continue;
    const check = bench.checks.get(subject);
    if (check === undefined) throw new TypeError(`${name} is no subject that is known.`);
    for (const entry of /** @type {Members[]} */ (cases)) {
      const verdict = { case: String(entry.get("case")), expected: sign === "positive", accepted: true, reason: null };
      verdicts.push(await check.call(bench, entry).then(() => verdict, (error) => refused(verdict, error)));
    }
  }
  return verdicts;
}

/** @param {Verdict} verdict @param {unknown} error @returns {Verdict} */
function refused(verdict, error) {
  if (!(error instanceof Refused)) throw error;
  return { ...verdict, accepted: false, reason: error.reason };
}
