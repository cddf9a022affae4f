// Parts of the page of sealed commands, and text in them that does nothing.

import { Refused } from "./refusal.js";
import { rendered } from "./rendering.js";

/** @param {string} name @returns {HTMLElement} */
export function part(name) {
  const found = document.querySelector(`[data-${name}]`);
  if (!(found instanceof HTMLElement)) throw new TypeError(`the page lacks ${name}`);
  return found;
}

/** An element with inert text. @param {string} tag @param {string} text @param {string} [looks] */
export function element(tag, text, looks = "") {
  const made = document.createElement(tag);
  made.className = looks;
  for (const one of rendered(text)) {
    if (!one.isUnusual) {
      made.append(one.text);
      continue;
    }
    const mark = document.createElement("mark");
    mark.title = "Unusual character, written out";
    mark.textContent = one.text;
    made.append(mark);
  }
  return made;
}

let locks = 0;

/** A lock badge like those that the server draws, with what it means here. */
export function lock() {
  const drawn = /** @type {HTMLTemplateElement} */ (part("lock-template")).content;
  const made = /** @type {HTMLElement} */ (/** @type {Element} */ (drawn.firstElementChild).cloneNode(true));
  locks += 1;
  made.querySelector("[role=tooltip]")?.setAttribute("id", `lock-${locks}`);
  made.querySelector("button")?.setAttribute("aria-describedby", `lock-${locks}`);
  return made;
}

/** @param {string} sentence @param {boolean} [isBad] */
export function say(sentence, isBad = false) {
  const place = part("say");
  place.hidden = sentence === "";
  place.className = `note ${isBad ? "bad" : "ok"}`;
  place.textContent = sentence;
}

/** @param {unknown} error */
export function sayWhy(error) {
  const why = error instanceof Error ? error.message : "The browser refused.";
  say(error instanceof Refused ? `This is not believed: ${why}. Decide on nothing, and tell an administrator.` : why, true);
}

/** Does `work` at each click on `button`, one at a time, and says what went wrong. @param {HTMLElement} button @param {() => Promise<void>} work */
export function onClick(button, work) {
  button.onclick = async () => {
    if (button.ariaBusy === "true") return;
    button.ariaBusy = "true";
    await work().catch(sayWhy);
    button.ariaBusy = "false";
  };
}
