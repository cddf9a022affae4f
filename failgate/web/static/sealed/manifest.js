// The manifest of keys: who reviews with which keys, under which policies; signed by the roots of the one before too.
// Who keeps the last accepted one refuses whatever is older, forked or expired; the server can withhold and nothing more.

import * as form from "./form.js";
import { digestOf, octetsOf } from "./json.js";
import { named, ringOf, verify } from "./keys.js";
import { aClass } from "./policy.js";
import { Refused } from "./refusal.js";
import { readHeader, readSignature } from "./signing.js";

/**
 * @typedef {import("./keys.js").Ring} Ring @typedef {import("./policy.js").Policy} Policy
 * @typedef {{ jkt: string, keyClass: string, rp: string, origins: string[] }} DecisionKey
 * @typedef {{ uid: string, enc: string, roles: string[], keys: DecisionKey[] }} Person
 */

const TYP = "failgate-keys";
const SIGNATURE_TYP = "failgate-keys+jws";
const LONGEST_LIFE_SECONDS = 7 * 86_400;
const NOTHING_BEFORE = "A".repeat(43); // 32 zero bytes: `prev` of the first one
const MOST_BYTES = 512 * 1024;
export const MOST_PEOPLE = 256; // so many recipients a command has at most
const MOST_AGENTS = 8192;
const MOST_CHAIN = 4096;
const MOST_ROOTS = 64;
const MOST_OF_ONE = 32; // keys, roles or origins of one person
const MEMBERS = ["e2ee", "epoch", "exp", "iat", "members", "policies", "prev", "roots", "typ", "v", "ws"];

/** A well-formed manifest. Times are seconds since 1970; `agents` is null where it lists none. */
export class Manifest {
  /** @param {{ ws: string, epoch: number, prev: string, iat: number, exp: number, roots: string[], threshold: number, people: Person[], policies: Map<string, string>, agents: string[] | null, digest: string }} content */
  constructor(content) {
    this.content = content;
    this.ws = content.ws;
    this.epoch = content.epoch;
    this.prev = content.prev;
    this.iat = content.iat;
    this.exp = content.exp;
    this.roots = content.roots;
    this.threshold = content.threshold;
    this.people = content.people;
    this.policies = content.policies;
    this.agents = content.agents;
    this.digest = content.digest;
  }

  /** @param {string} ws */
  of(ws) {
    return new Manifest({ ...this.content, ws });
  }

  /** @param {number} now */
  checkInForce(now) {
    form.checkNow(this.iat, this.exp, now, "manifest");
  }

  /** To whom each command is sealed, in order. */
  recipients() {
    return this.people.filter(isReviewer).map((one) => one.enc).sort();
  }

  /** The reviewer whose decision key `jkt` is. @param {string} jkt @param {string} place */
  decider(jkt, place) {
    for (const person of this.people) {
      const key = person.keys.find((one) => one.jkt === jkt);
      if (key === undefined) continue;
      if (!isReviewer(person)) throw new Refused("role", place);
      return { person, key };
    }
    throw new Refused("unknown-key", place);
  }

  /** @param {Policy} policy @param {string} [place] */
  checkPolicy(policy, place = "policy") {
    if (this.policies.get(policy.id) !== policy.digest) throw new Refused("policy", place);
  }
}

/** @param {Person} person */
const isReviewer = (person) => person.roles.includes("reviewer");

/** The manifest whose payload is `value`; who signed it is another question. @param {unknown} value @param {string} [place] */
export async function readPayload(value, place = "manifest") {
  const found = form.members(value, place, MEMBERS, ["agents"]);
  form.exactly(found.get("typ"), TYP, `${place}.typ`);
  form.exactly(found.get("v"), 1, `${place}.v`);
  form.exactly(found.get("e2ee"), "required", `${place}.e2ee`);
  const [iat, exp] = ["iat", "exp"].map((name) => form.integer(found.get(name), `${place}.${name}`));
  if (exp <= iat || exp - iat > LONGEST_LIFE_SECONDS) throw new Refused("lifetime", `${place}.exp`);
  const { roots, threshold } = readRoots(found.get("roots"), `${place}.roots`);
  const people = readPeople(found.get("members"), `${place}.members`);
  const agents = found.has("agents") ? form.sortedDigests(found.get("agents"), `${place}.agents`, { most: MOST_AGENTS }) : null;
  checkAgents(agents ?? [], people, roots, `${place}.agents`);
  return new Manifest({
    ws: form.uuid(found.get("ws"), `${place}.ws`),
    epoch: form.integer(found.get("epoch"), `${place}.epoch`, { least: 1 }),
    prev: form.digest(found.get("prev"), `${place}.prev`),
    iat, exp, roots, threshold, people,
    policies: readPolicies(found.get("policies"), `${place}.policies`),
    agents,
    digest: await digestOf(found),
  });
}

/** The manifest in `signed`, which was accepted before. @param {unknown} signed */
export async function payloadOf(signed) {
  const payload = form.octets(form.anObject(signed, "manifest").get("payload"), "manifest.payload", { most: MOST_BYTES });
  return await readPayload(form.readObject(payload, "manifest.payload"));
}

/**
 * The first manifest of a workspace: its payload has the digest `pin` and is signed by its own roots. It may have expired
 * since: `acceptChain` leads on from it, and each use asks `checkInForce`.
 * @param {unknown} signed @param {{ pin: string, keys: Ring, now: number }} known
 */
export async function firstManifest(signed, { pin, keys, now }) {
  const { manifest, signers } = await verified(signed, keys, "manifest");
  if (manifest.digest !== pin) throw new Refused("pin", "manifest");
  if (manifest.epoch !== 1 || manifest.prev !== NOTHING_BEFORE) throw new Refused("chain", "manifest.prev");
  checkSigners(signers, [manifest], "manifest.signatures");
  checkNotAhead(manifest, now, "manifest");
  return manifest;
}

/**
 * The newest manifest of `chain`, whose first one follows `last`, the last that was accepted; on a refusal `last` stays in
 * force until it expires. One in the middle may have expired, the newest may not.
 * @param {unknown} chain @param {{ last: Manifest, keys: Ring, now: number }} known
 */
export async function acceptChain(chain, { last, keys, now }) {
  let newest = last;
  for (const [number, signed] of form.aList(chain, "chain", { least: 1, most: MOST_CHAIN }).entries()) {
    const place = `chain[${number}]`;
    const { manifest, signers } = await verified(signed, keys, place);
    if (manifest.ws !== newest.ws) throw new Refused("workspace", `${place}.ws`);
    if (manifest.epoch !== newest.epoch + 1) throw new Refused("epoch", `${place}.epoch`);
    if (manifest.prev !== newest.digest) throw new Refused("chain", `${place}.prev`);
    checkSigners(signers, [newest, manifest], `${place}.signatures`);
    checkNotAhead(manifest, now, place);
    newest = manifest;
  }
  newest.checkInForce(now);
  return newest;
}

/** The manifest and who signed it: every signature holds. @param {unknown} signed @param {Ring} known @param {string} place */
async function verified(signed, known, place) {
  const found = form.members(signed, place, ["payload", "signatures"], ["keys"]);
  const payload = form.octets(found.get("payload"), `${place}.payload`, { most: MOST_BYTES });
  const manifest = await readPayload(form.readObject(payload, `${place}.payload`), place);
  const most = MOST_ROOTS * 2;
  // Whose the keys are is said by the thumbprints that the manifests list.
  const sent = found.has("keys") ? form.aList(found.get("keys"), `${place}.keys`, { most }) : [];
  const keys = new Map([...known, ...(await ringOf(sent, `${place}.keys`))]);
  /** @type {string[]} */
  const signers = [];
  const where = `${place}.signatures`;
  for (const [number, one] of form.aList(found.get("signatures"), where, { least: 1, most }).entries()) {
    const here = `${where}[${number}]`;
    const signature = form.members(one, here, ["protected", "signature"]);
    const kid = readHeader(signature.get("protected"), SIGNATURE_TYP, `${here}.protected`);
    if (signers.includes(kid)) throw new Refused("signer-twice", here);
    const content = readSignature(signature.get("signature"), `${here}.signature`);
    await verify(named(keys, kid, here), content, octetsOf(`${signature.get("protected")}.${found.get("payload")}`), here);
    signers.push(kid);
  }
  return { manifest, signers };
}

/** Accepts signers who are roots of one of `deciding`, and enough of them of each. @param {string[]} signers @param {Manifest[]} deciding @param {string} place */
function checkSigners(signers, deciding, place) {
  if (!signers.every((one) => deciding.some((manifest) => manifest.roots.includes(one)))) throw new Refused("unknown-key", place);
  for (const { roots, threshold } of deciding) {
    if (signers.filter((one) => roots.includes(one)).length < threshold) throw new Refused("threshold", place);
  }
}

/** @param {Manifest} manifest @param {number} now @param {string} place */
function checkNotAhead(manifest, now, place) {
  if (manifest.iat > now + form.SKEW_SECONDS) throw new Refused("ahead", `${place}.iat`);
}

/** @param {unknown} value @param {string} place */
function readRoots(value, place) {
  const found = form.members(value, place, ["keys", "m"]);
  const roots = form.sortedDigests(found.get("keys"), `${place}.keys`, { least: 1, most: MOST_ROOTS });
  const least = roots.length === 1 ? 1 : 2; // one admin alone decides only where there is no other
  return { roots, threshold: form.integer(found.get("m"), `${place}.m`, { least, most: roots.length }) };
}

/** @param {unknown} value @param {string} place @returns {Person[]} */
function readPeople(value, place) {
  const listed = form.aList(value, place, { least: 1, most: MOST_PEOPLE });
  const people = listed.map((one, number) => readPerson(one, `${place}[${number}]`));
  if (hasTwice(people.map((one) => one.uid))) throw new Refused("person-twice", place);
  if (hasTwice(people.flatMap((one) => [one.enc, ...one.keys.map((key) => key.jkt)]))) throw new Refused("key-twice", place);
  return people;
}

/** @param {string[]} names */
const hasTwice = (names) => new Set(names).size !== names.length;

/** @param {unknown} value @param {string} place @returns {Person} */
function readPerson(value, place) {
  const found = form.members(value, place, ["enc", "roles", "sig", "uid"]);
  const bounds = { least: 1, most: MOST_OF_ONE };
  const roles = form.aList(found.get("roles"), `${place}.roles`, bounds).map((one) => form.word(one, `${place}.roles`));
  if (hasTwice(roles)) throw new Refused("value", `${place}.roles`);
  const listed = form.aList(found.get("sig"), `${place}.sig`, bounds);
  const keys = listed.map((one, number) => readDecisionKey(one, `${place}.sig[${number}]`));
  return { uid: form.word(found.get("uid"), `${place}.uid`), enc: form.digest(found.get("enc"), `${place}.enc`), roles, keys };
}

/** @param {unknown} value @param {string} place @returns {DecisionKey} */
function readDecisionKey(value, place) {
  const keyClass = aClass(form.anObject(value, place).get("class"), `${place}.class`);
  const isPasskey = keyClass === "webauthn";
  const found = form.members(value, place, ["class", "jkt", ...(isPasskey ? ["rp", "origins"] : [])]);
  const jkt = form.digest(found.get("jkt"), `${place}.jkt`);
  if (!isPasskey) return { jkt, keyClass, rp: "", origins: [] };
  const listed = form.aList(found.get("origins"), `${place}.origins`, { least: 1, most: MOST_OF_ONE });
  const origins = listed.map((one) => form.word(one, `${place}.origins`));
  return { jkt, keyClass, rp: form.word(found.get("rp"), `${place}.rp`), origins };
}

/** @param {unknown} value @param {string} place @returns {Map<string, string>} */
function readPolicies(value, place) {
  return new Map([...form.anObject(value, place)].map(([name, one]) => [form.word(name, place), form.digest(one, place)]));
}

/** Refuses an agent whose key decides or signs manifests: it would approve its own commands. @param {string[]} agents @param {Person[]} people @param {string[]} roots @param {string} place */
function checkAgents(agents, people, roots, place) {
  const others = new Set([...roots, ...people.flatMap((one) => one.keys.map((key) => key.jkt))]);
  if (agents.some((one) => others.has(one))) throw new Refused("key-twice", place);
}
