// A reviewer's decision: one request, one word, one key; signed plainly or by a passkey.

import { AUTHENTICATOR_DATA_BYTES, CLIENT_DATA_BYTES, checkAuthenticator, checkClientData, readAuthenticatorData } from "./assertion.js";
import { contextDigest } from "./command.js";
import * as form from "./form.js";
import { base64url, canonical, joined, mapOf, octetsOf, sha256 } from "./json.js";
import { named, verify, verifyDer } from "./keys.js";
import { Refused } from "./refusal.js";
import { read, sign } from "./signing.js";

/**
 * @typedef {import("./command.js").Context} Context @typedef {import("./keys.js").Ring} Ring
 * @typedef {import("./manifest.js").DecisionKey} DecisionKey @typedef {import("./manifest.js").Manifest} Manifest
 * @typedef {{ uid: string, jkt: string, keyClass: string, decision: string, jti: string, exp: number, counter: number, noteSha256: string | null }} Decision
 */

const TYP = "failgate-decision";
const SIGNATURE_TYP = "failgate-decision+jws";
const PAYLOAD_BYTES = 4096;
const DER_BYTES = 72; // the longest for P-256
const MEMBERS = ["agent", "cid", "commit", "ctx_sha256", "decision", "epoch", "exp", "iat", "jti", "policy", "typ", "v", "ws"];

/**
 * What a reviewer signs about the request of `ctx`; times are seconds since 1970. Refused, when nobody would believe it.
 * @param {Context} ctx @param {{ decision: "approve" | "deny", jti: string, iat: number, exp: number, noteSha256?: string }} said
 */
export async function decisionPayload(ctx, { decision, jti, iat, exp, noteSha256 }) {
  const payload = new Map([...(await claimsOf(ctx)), ...mapOf({ decision, exp, iat, jti, typ: TYP, v: 1 })]);
  if (noteSha256 !== undefined) payload.set("note_sha256", noteSha256);
  await checkPayload(payload, ctx, iat, "decision");
  return payload;
}

/** `payload` (of `decisionPayload`) as a compact JWS. @param {Map<string, unknown>} payload @param {import("./keys.js").SigningKey} signer */
export const signDecision = (payload, signer) => sign(octetsOf(canonical(payload)), SIGNATURE_TYP, signer);

/** The challenge that a passkey signs for `payload`. @param {Map<string, unknown>} payload */
export const challengeOf = (payload) => challenge(octetsOf(canonical(payload)));

/**
 * The decision `sent` about the request of `ctx`: a compact JWS, or the object of a passkey's assertion. `counters` holds
 * the highest count seen of each passkey, by thumbprint.
 * @param {unknown} sent @param {{ ctx: Context, manifest: Manifest, keys: Ring, now: number, counters: Map<string, number>, place?: string }} known
 * @returns {Promise<Decision>}
 */
export async function verifyDecision(sent, { ctx, manifest, keys, now, counters, place = "decision" }) {
  const { person, key, payload, counter } = await signedPayload(sent, { manifest, keys, counters, place });
  const claims = form.readObject(payload, `${place}.payload`);
  await checkPayload(claims, ctx, now, place);
  const note = claims.get("note_sha256");
  return {
    uid: person.uid,
    jkt: key.jkt,
    keyClass: key.keyClass,
    decision: String(claims.get("decision")),
    jti: String(claims.get("jti")),
    exp: Number(claims.get("exp")),
    counter,
    noteSha256: note === undefined ? null : String(note),
  };
}

/** @param {unknown} sent @param {{ manifest: Manifest, keys: Ring, counters: Map<string, number>, place: string }} known */
async function signedPayload(sent, { manifest, keys, counters, place }) {
  if (typeof sent === "string") {
    const jws = read(sent, SIGNATURE_TYP, place, PAYLOAD_BYTES);
    const { person, key } = manifest.decider(jws.kid, `${place}.header.kid`);
    if (key.keyClass === "webauthn") throw new Refused("class", place);
    await verify(named(keys, jws.kid, place), jws.signature, jws.signed, `${place}.signature`);
    return { person, key, payload: jws.payload, counter: 0 };
  }
  const found = form.members(sent, place, ["kid", "payload", "webauthn"]);
  const kid = form.digest(found.get("kid"), `${place}.kid`);
  const { person, key } = manifest.decider(kid, `${place}.kid`);
  if (key.keyClass !== "webauthn") throw new Refused("class", place);
  const payload = form.octets(found.get("payload"), `${place}.payload`, { most: PAYLOAD_BYTES });
  const known = { key, verifier: named(keys, kid, place), storedCounter: counters.get(kid) ?? 0 };
  return { person, key, payload, counter: await checkAssertion(found.get("webauthn"), payload, known, `${place}.webauthn`) };
}

/** What a decision repeats of the request that it is about. @param {Context} ctx */
async function claimsOf(ctx) {
  const { agent, cid, commit, epoch, policy, ws } = ctx;
  return mapOf({ agent, cid, commit, ctx_sha256: await contextDigest(ctx), epoch, policy, ws });
}

/** @param {unknown} value @param {Context} ctx @param {number} now @param {string} place */
async function checkPayload(value, ctx, now, place) {
  const found = form.members(value, place, MEMBERS, ["note_sha256"]);
  form.exactly(found.get("typ"), TYP, `${place}.typ`);
  form.exactly(found.get("v"), 1, `${place}.v`);
  form.shaped(found.get("decision"), `${place}.decision`, /^(?:approve|deny)$/u);
  form.word(found.get("jti"), `${place}.jti`);
  if (found.has("note_sha256")) form.digest(found.get("note_sha256"), `${place}.note_sha256`);
  for (const [name, wanted] of await claimsOf(ctx)) {
    if (found.get(name) !== wanted) throw new Refused("claims", `${place}.${name}`);
  }
  const [iat, exp] = ["iat", "exp"].map((name) => form.integer(found.get(name), `${place}.${name}`));
  if (iat < ctx.iat - form.SKEW_SECONDS || exp < iat || exp > ctx.exp) throw new Refused("lifetime", `${place}.exp`);
  form.checkNow(iat, exp, now, place);
}

/** Accepts an assertion over `payload`; returns its counter. @param {unknown} value @param {Uint8Array} payload @param {{ key: DecisionKey, verifier: import("./keys.js").VerifyingKey, storedCounter: number }} known @param {string} place */
async function checkAssertion(value, payload, { key, verifier, storedCounter }, place) {
  const found = form.members(value, place, ["authenticatorData", "clientDataJSON", "signature"]);
  const clientData = form.octets(found.get("clientDataJSON"), `${place}.clientDataJSON`, { most: CLIENT_DATA_BYTES });
  const content = form.octets(found.get("authenticatorData"), `${place}.authenticatorData`, { most: AUTHENTICATOR_DATA_BYTES });
  const signature = form.octets(found.get("signature"), `${place}.signature`, { most: DER_BYTES });
  const wanted = base64url(await challenge(payload));
  checkClientData(clientData, { challenge: wanted, origins: key.origins, place: `${place}.clientDataJSON` });
  const authenticator = readAuthenticatorData(content, `${place}.authenticatorData`);
  await checkAuthenticator(authenticator, { rp: key.rp, storedCounter, place: `${place}.authenticatorData` });
  await verifyDer(verifier, signature, joined(content, await sha256(clientData)), `${place}.signature`);
  return authenticator.counter;
}

/** @param {Uint8Array} payload */
const challenge = (payload) => sha256(joined(octetsOf("failgate-decision\n"), payload));
