// The auditor's page: takes a bundle from the disk and shows the verdict. What is in it is shown as text, never as markup.

import { compareHeads, isLogOfLogs, toldBy } from "./proof/heads.js";
import { verifyBundle } from "./proof/log.js";
import { Verdict, hexOf } from "./proof/notes.js";

/** @typedef {Awaited<ReturnType<typeof verifyBundle>>} Proven */

const TITLES = new Map([
  ["intact", "Intact"],
  ["tampered", "Tampered"],
  ["unusable", "Not a bundle that can be read"],
  ["incomplete", "Incomplete"],
]);
const ADVICE = new Map([
  ["intact", "Keep the checkpoint of this bundle, for the next time: it is the file named checkpoint in the archive."],
  ["tampered", "Keep the bundle as it is, and ask for it again from another place. A checkpoint with a good signature is evidence."],
  ["unusable", "Look at what you were given."],
  ["incomplete", "Nothing is wrong with what is there, and something that the proof needs is missing. Ask for the whole log."],
]);

/** @param {string} text so that no character of it plays tricks @returns {string} */
const shown = (text) => text.replace(/[^\x20-\x7e]/gu, (one) => `\\u{${one.codePointAt(0)?.toString(16)}}`);

/** @param {Proven} proven @returns {[string, string][]} */
function factsOf({ head, key, isKeyGiven, manifest, kept, bodies }) {
  const isWhole = manifest.first === 0 && manifest.last === head.size - 1;
  const period = isWhole ? "the whole log" : `${manifest.begin ?? "the beginning"} to ${manifest.end ?? "the end"}; the others as hashes`;
  return [
    ["Log", head.origin],
    ["Records", `${manifest.first} to ${manifest.last}, ${period}`],
    ["Head", `${head.size} records`],
    ["Root", hexOf(head.root)],
    ["Key", `${key.vkey} ${isKeyGiven ? "(as given)" : "(the bundle's own: compare it with what you were told)"}`],
    ...(bodies ? /** @type {[string, string][]} */ ([["Bodies", `${bodies.count} are what their records commit to, ${bodies.absent} are not carried`]]) : []),
    ...(kept ? /** @type {[string, string][]} */ ([["Kept", "the log begins with what was signed then"]]) : []),
  ];
}

/** What the log of logs records of others, where there is nothing to compare it with. @param {Proven} proven @returns {Promise<[string, string][]>} */
async function recordedIn(proven) {
  if (!isLogOfLogs(proven)) return [];
  try {
    const told = await toldBy(proven);
    return [...told].map(([log, heads]) => ["Recorded", `${heads.length} heads of the log ${log}, the last of ${heads[heads.length - 1].size} records; add its bundle to compare them`]);
  } catch (error) {
    return [["Recorded", error instanceof Error ? error.message : ""]];
  }
}

/** @param {Awaited<ReturnType<typeof compareHeads>>} compared @returns {[string, string][]} */
const comparedIn = (compared) =>
  compared.map(({ proven, heads }) => ["Compared", `${proven.head.origin}, ${proven.head.size} records: ${heads} recorded heads, each of them was one`]);

/** @param {HTMLFormElement} form @param {HTMLElement} place */
function start(form, place) {
  const bundle = form.querySelector("#bundle");
  const vkey = form.querySelector("#vkey");
  const kept = form.querySelector("#kept");
  const others = form.querySelector("#others");
  const bar = form.querySelector("progress");
  const button = form.querySelector("button");
  const drop = form.querySelector("[data-drop]");
  if (!(bundle instanceof HTMLInputElement && vkey instanceof HTMLInputElement && kept instanceof HTMLInputElement && others instanceof HTMLInputElement)) return;
  if (bar === null || button === null || !(drop instanceof HTMLElement)) return;

  /** @param {string} state @param {string} sentence @param {number | null} firstBad @param {[string, string][]} facts */
  const show = (state, sentence, firstBad, facts) => {
    place.dataset.state = state;
    place.dataset.firstBad = firstBad === null ? "" : String(firstBad);
    /** @param {string} name @param {string} text */
    const say = (name, text) => {
      const one = place.querySelector(`[data-${name}]`);
      if (one !== null) one.textContent = text;
    };
    const where = state === "tampered" ? `: first bad record ${firstBad ?? "unknown"}` : "";
    say("title", (TITLES.get(state) ?? "") + where);
    say("sentence", shown(sentence));
    say("advice", ADVICE.get(state) ?? "");
    const list = facts.flatMap(([name, text]) => {
      const [term, value] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = name;
      value.textContent = shown(text);
      return [term, value];
    });
    const facts_ = place.querySelector("[data-facts]");
    if (facts_ instanceof HTMLElement) {
      facts_.replaceChildren(...list);
      facts_.hidden = !list.length;
    }
    place.hidden = false;
    place.focus();
  };

  const verify = async () => {
    const file = bundle.files?.[0];
    if (!file) return;
    place.hidden = true;
    delete place.dataset.state;
    button.disabled = true;
    bar.value = 0;
    bar.hidden = false;
    try {
      const notes = await Promise.all([...(kept.files ?? [])].map(async (one) => ({
        name: one.name,
        note: new Uint8Array(await one.slice(0, 64 * 1024 + 1).arrayBuffer()),
      })));
      const tell = (/** @type {number} */ done) => {
        bar.value = done;
      };
      const proven = await verifyBundle(file, vkey.value.trim(), notes, tell);
      const beside = [...(others.files ?? [])].map((blob) => ({ name: blob.name, blob }));
      const more = beside.length ? comparedIn(await compareHeads(proven, beside, tell)) : await recordedIn(proven);
      show("intact", "Every byte of every record leads to the root that is signed.", null, [...factsOf(proven), ...more]);
    } catch (error) {
      if (error instanceof Verdict) show(error.state, error.message, error.firstBad, []);
      else show("unusable", error instanceof Error ? error.message : "The file cannot be read.", null, []);
    }
    bar.hidden = true;
    button.disabled = false;
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void verify();
  });
  for (const kind of ["dragover", "dragenter"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.dataset.over = "";
    });
  }
  drop.addEventListener("dragleave", () => delete drop.dataset.over);
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    delete drop.dataset.over;
    if (event.dataTransfer?.files.length) bundle.files = event.dataTransfer.files;
  });
  form.hidden = false;
}

const form = document.querySelector("[data-verifier]");
const place = document.querySelector("[data-verdict]");
if (form instanceof HTMLFormElement && place instanceof HTMLElement) {
  if (globalThis.crypto?.subtle === undefined) {
    form.replaceChildren("This page needs https: without it the browser lends no page its signatures.");
    form.hidden = false;
  } else {
    start(form, place);
  }
}
