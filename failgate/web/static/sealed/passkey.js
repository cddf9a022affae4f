// A passkey that decides: made by the person's authenticator, which signs each decision by itself after it verified them.
// Web Authentication Level 2, sections 5.1 and 6.

import { verifyDecision, challengeOf } from "./decision.js";
import { base64url, canonical, mapOf, octetsOf } from "./json.js";
import { P256, verifyingKey } from "./keys.js";

/**
 * @typedef {{ crv: string, kty: string, x: string, y: string }} PublicJwk
 * @typedef {{ id: Uint8Array, jkt: string, jwk: PublicJwk, rp: string, origins: string[] }} Passkey `id`: by which the
 *   authenticator knows it
 */

const ES256 = -7; // COSE, RFC 9053 section 2.1
const ASKED_MS = 120_000;

/** Whether this browser has passkeys at this address. */
export const hasPasskeys = () => globalThis.PublicKeyCredential !== undefined && globalThis.isSecureContext;

/** Why the authenticator did nothing, and the mend. @param {unknown} error @returns {Error} */
function refusal(error) {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError") return new Error("The passkey was not used: nothing was chosen, or it took too long. Nothing was signed; try again.");
  if (name === "SecurityError") return new Error("Passkeys do not work at this address. Open this server under its own name.");
  if (name === "NotSupportedError" || name === "ConstraintError") return new Error("This device makes no passkey that verifies you and signs with P-256. Use another one.");
  return error instanceof Error ? error : new Error("The browser refused.");
}

/** A new passkey for this address, called `name` on the device that keeps it. @param {string} name @returns {Promise<Passkey>} */
export async function madePasskey(name) {
  const rp = location.hostname;
  const [challenge, id] = [32, 32].map((size) => crypto.getRandomValues(new Uint8Array(size)));
  try {
    const made = /** @type {PublicKeyCredential | null} */ (await navigator.credentials.create({
      publicKey: {
        rp: { id: rp, name: "Failgate, sealed decisions" },
        user: { id, name, displayName: name }, // an id of its own: it replaces no passkey that signs in
        challenge,
        pubKeyCredParams: [{ type: "public-key", alg: ES256 }],
        authenticatorSelection: { userVerification: "required", residentKey: "discouraged" },
        attestation: "none",
        timeout: ASKED_MS,
      },
    }));
    const response = /** @type {AuthenticatorAttestationResponse} */ (made?.response);
    const spki = response?.getPublicKeyAlgorithm() === ES256 ? response.getPublicKey() : null;
    if (made === null || spki === null) throw new DOMException("no P-256", "NotSupportedError");
    const key = await crypto.subtle.importKey("spki", spki, P256, true, ["verify"]);
    const { x = "", y = "" } = await crypto.subtle.exportKey("jwk", key);
    const jwk = { crv: "P-256", kty: "EC", x, y };
    return { id: new Uint8Array(made.rawId), jkt: (await verifyingKey(mapOf(jwk))).jkt, jwk, rp, origins: [location.origin] };
  } catch (error) {
    throw refusal(error);
  }
}

/**
 * The decision `payload` (of `decisionPayload`) signed by `passkey`; verified here, as agents will.
 * @param {Map<string, unknown>} payload @param {Passkey} passkey @param {{ ctx: import("./command.js").Context, manifest: import("./manifest.js").Manifest, now: number }} known
 */
export async function signByPasskey(payload, passkey, { ctx, manifest, now }) {
  const challenge = await challengeOf(payload);
  const asked = { challenge, rpId: passkey.rp, allowCredentials: [{ type: /** @type {const} */ ("public-key"), id: passkey.id }] };
  /** @type {PublicKeyCredential | null} */
  let shown;
  try {
    shown = /** @type {PublicKeyCredential | null} */ (
      await navigator.credentials.get({ publicKey: { ...asked, userVerification: "required", timeout: ASKED_MS } }));
  } catch (error) {
    throw refusal(error);
  }
  if (shown === null) throw refusal(new DOMException("nothing", "NotAllowedError"));
  const { authenticatorData, clientDataJSON, signature } = /** @type {AuthenticatorAssertionResponse} */ (shown.response);
  const written = Object.entries({ authenticatorData, clientDataJSON, signature }).map(([name, content]) => [name, base64url(new Uint8Array(content))]);
  const sent = { kid: passkey.jkt, payload: base64url(octetsOf(canonical(payload))), webauthn: Object.fromEntries(written) };
  const read = mapOf({ ...sent, webauthn: mapOf(sent.webauthn) });
  const keys = new Map([[passkey.jkt, await verifyingKey(mapOf(passkey.jwk))]]);
  await verifyDecision(read, { ctx, manifest, keys, now, counters: new Map() });
  return sent;
}
