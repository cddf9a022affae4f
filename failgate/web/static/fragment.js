// Pieces of our own pages, fetched and parsed: the only place where text becomes elements.

import { moveOn } from "./leaving.js";

/** @type {{ createHTML: (text: string) => unknown }} */
const policy = globalThis.trustedTypes?.createPolicy("failgate", { createHTML: (/** @type {string} */ text) => text }) ?? {
  createHTML: (text) => text,
};

/**
 * Fetch the page at `path` without its frame. Only an answer of our own server is parsed; scripts in it never run.
 * @param {string} path
 * @returns {Promise<Document | null>} null when there was no such answer
 */
export async function fetchFragment(path) {
  const url = new URL(path, location.origin);
  if (url.origin !== location.origin) return null;
  url.searchParams.set("part", "panes");
  const answer = await fetch(url, { headers: { accept: "text/html" }, credentials: "same-origin", cache: "no-store" });
  if (answer.redirected) {
    moveOn(() => location.assign(answer.url));
    return null;
  }
  if (!answer.ok) return null;
  const markup = /** @type {string} */ (policy.createHTML(await answer.text()));
  return new DOMParser().parseFromString(markup, "text/html");
}
