// Passkeys: asks the browser for one and sends its answer with the form that it belongs to.

/** @typedef {Record<string, any>} Options what the server asks for, with base64url in place of bytes */

/** @param {string} text base64url @returns {Uint8Array} */
function bytes(text) {
  const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
}

/** @param {ArrayBuffer | null | undefined} buffer @returns {string | undefined} base64url */
function text(buffer) {
  if (!buffer) return undefined;
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/** @param {Options[]} [list] @returns {Options[]} */
const described = (list = []) => list.map((one) => ({ ...one, id: bytes(one.id) }));

/** @param {Options} options @returns {Promise<Credential | null>} */
function make(options) {
  const user = { ...options.user, id: bytes(options.user.id) };
  const publicKey = { ...options, user, challenge: bytes(options.challenge), excludeCredentials: described(options.excludeCredentials) };
  return navigator.credentials.create({ publicKey: /** @type {any} */ (publicKey) });
}

/** @param {Options} options @returns {Promise<Credential | null>} */
function show(options) {
  const publicKey = { ...options, challenge: bytes(options.challenge), allowCredentials: described(options.allowCredentials) };
  return navigator.credentials.get({ publicKey: /** @type {any} */ (publicKey) });
}

/** @param {any} credential @returns {string} its JSON form (Web Authentication Level 3, section 5.1) */
function written(credential) {
  const response = credential.response;
  return JSON.stringify({
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    response: {
      clientDataJSON: text(response.clientDataJSON),
      attestationObject: text(response.attestationObject),
      authenticatorData: response.signature ? text(response.authenticatorData) : undefined,
      signature: text(response.signature),
      userHandle: text(response.userHandle),
      transports: response.getTransports?.() ?? [],
    },
  });
}

/** @param {unknown} error @returns {string} */
function sentence(error) {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError") return "Nothing was chosen, or it took too long. Try again.";
  if (name === "InvalidStateError") return "This device holds a passkey of your account already.";
  if (name === "SecurityError") return "Passkeys do not work at this address. Open this server under its own name.";
  if (name === "NotSupportedError") return "This device cannot make such a passkey.";
  return error instanceof Error && error.message ? error.message : "The browser refused.";
}

/** @param {HTMLFormElement} form @returns {Promise<Options | null>} null when the browser goes elsewhere */
async function ask(form) {
  const fields = new URLSearchParams();
  for (const [name, value] of new FormData(form)) fields.append(name, String(value));
  const answer = await fetch(form.dataset.options ?? "", {
    method: "POST",
    body: fields,
    headers: { accept: "application/json" },
    credentials: "same-origin",
    cache: "no-store",
  });
  if (answer.redirected) {
    location.assign(answer.url);
    return null;
  }
  const isJson = answer.headers.get("content-type")?.includes("json");
  const said = isJson ? await answer.json() : {};
  if (!answer.ok) throw new Error([said.detail, said.hint].filter(Boolean).join(" ") || "This page is too old. Reload it.");
  return said;
}

/** @param {HTMLFormElement} form */
async function begin(form) {
  const say = form.querySelector("[data-passkey-say]");
  const button = form.querySelector("button");
  const field = /** @type {HTMLInputElement} */ (form.querySelector("[name=credential]"));
  if (say) say.textContent = "Waiting for your device…";
  if (button) button.disabled = true;
  try {
    if (!globalThis.PublicKeyCredential) throw new Error("This browser has no passkeys here: they need https, or localhost.");
    const options = await ask(form);
    if (!options) return;
    const credential = await (form.dataset.passkey === "create" ? make(options) : show(options));
    field.value = written(credential);
    form.submit();
  } catch (error) {
    field.value = "";
    if (say) say.textContent = sentence(error);
    if (button) button.disabled = false;
  }
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (form instanceof HTMLFormElement) void begin(form);
  });
}
