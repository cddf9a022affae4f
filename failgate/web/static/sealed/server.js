// What the pages of sealed commands ask of the server, by the doors that terminals use too.

import * as form from "./form.js";
import { readJson } from "./json.js";

/** Asks below the workspace `slug`; throws Error with the server's own sentence. @param {string} slug */
export function callerOf(slug) {
  /** @param {string} path @param {{ method?: string, body?: object }} [more] @returns {Promise<Map<string, unknown>>} */
  return async (path, { body, method = body === undefined ? "GET" : "POST" } = {}) => {
    const token = document.querySelector('meta[name="csrf-token"]')?.getAttribute("content") ?? "";
    const answer = await fetch(`/api/v1/workspaces/${encodeURIComponent(slug)}/${path}`, {
      method,
      credentials: "same-origin",
      cache: "no-store",
      headers: {
        accept: "application/json",
        ...(method !== "GET" && { "x-csrf-token": token }),
        ...(body && { "content-type": "application/json" }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    if (answer.status === 204) return new Map();
    const found = form.anObject(readJson(await answer.text()), "answer");
    if (answer.ok) return found;
    throw new Error([found.get("detail"), found.get("hint")].filter(Boolean).join(" ") || `The server answered ${answer.status}.`);
  };
}

/** The objects that `answer` lists. @param {Map<string, unknown>} answer */
export const itemsOf = (answer) => form.aList(answer.get("items"), "items", { most: 65_536 }).map((one) => form.anObject(one, "items"));
