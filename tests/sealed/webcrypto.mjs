// An independent implementation for the tests: Web Crypto, and nothing of ours. Reads one object, prints one.
// `seal`: opens `sealed`, verifies the agent's signature inside, seals the same content anew.
// `sign`: verifies `tokens` by `keys`, signs `payload` with a new key.

const { subtle } = globalThis.crypto;
const OAEP = { name: "RSA-OAEP", hash: "SHA-256" };
const ECDSA = { name: "ECDSA", namedCurve: "P-256" };
const SHA256 = { name: "ECDSA", hash: "SHA-256" };
const octets = (text) => Buffer.from(text, "base64url");
const spelled = (content) => Buffer.from(content).toString("base64url");
const ascii = (text) => Buffer.from(text, "ascii");

function verified(token, jwk) {
  const [header, payload, signature] = token.split(".");
  return subtle
    .importKey("jwk", jwk, ECDSA, false, ["verify"])
    .then((key) => subtle.verify(SHA256, key, octets(signature), ascii(`${header}.${payload}`)))
    .then((holds) => {
      if (!holds) throw new Error("the signature does not hold");
      return { header: JSON.parse(octets(header)), payload: JSON.parse(octets(payload)) };
    });
}

async function seal({ sealed, opener, agent, readers }) {
  const { kid, ...jwk } = opener;
  const mine = sealed.recipients.find((one) => one.header.kid === kid);
  const key = await subtle.importKey("jwk", { ...jwk, alg: "RSA-OAEP-256" }, OAEP, false, ["decrypt"]);
  const secret = await subtle.decrypt(OAEP, key, octets(mine.encrypted_key));
  const additionalData = ascii(`${sealed.protected}.${sealed.aad}`);
  const cek = await subtle.importKey("raw", secret, "AES-GCM", false, ["decrypt"]);
  const gcm = { name: "AES-GCM", iv: octets(sealed.iv), additionalData, tagLength: 128 };
  const content = await subtle.decrypt(gcm, cek, Buffer.concat([octets(sealed.ciphertext), octets(sealed.tag)]));
  const { payload } = await verified(Buffer.from(content).toString("ascii").replace(/\.=*$/, ""), agent);

  const fresh = await subtle.generateKey({ name: "AES-GCM", length: 256 }, true, ["encrypt"]);
  const iv = globalThis.crypto.getRandomValues(new Uint8Array(12));
  const out = Buffer.from(await subtle.encrypt({ ...gcm, iv }, fresh, content));
  const raw = await subtle.exportKey("raw", fresh);
  const recipients = [];
  for (const { kid: of, ...reader } of readers) {
    const wrapping = await subtle.importKey("jwk", reader, OAEP, false, ["encrypt"]);
    const wrapped = await subtle.encrypt(OAEP, wrapping, raw);
    recipients.push({ header: { alg: "RSA-OAEP-256", kid: of }, encrypted_key: spelled(wrapped) });
  }
  const resealed = { ...sealed, iv: spelled(iv), ciphertext: spelled(out.subarray(0, -16)), tag: spelled(out.subarray(-16)), recipients };
  return { payload, resealed };
}

async function sign({ tokens, keys, payload, typ }) {
  const read = await Promise.all(tokens.map((token, place) => verified(token, keys[place])));
  const pair = await subtle.generateKey(ECDSA, true, ["sign", "verify"]);
  const { crv, kty, x, y } = await subtle.exportKey("jwk", pair.publicKey);
  const jkt = spelled(await subtle.digest("SHA-256", ascii(`{"crv":"${crv}","kty":"${kty}","x":"${x}","y":"${y}"}`)));
  const signed = `${spelled(`{"alg":"ES256","kid":"${jkt}","typ":"${typ}"}`)}.${payload}`;
  const signature = await subtle.sign(SHA256, pair.privateKey, ascii(signed));
  return { read, jwk: { crv, kty, x, y }, jkt, token: `${signed}.${spelled(signature)}` };
}

let text = "";
for await (const chunk of process.stdin) text += chunk;
const answer = await { seal, sign }[process.argv[2]](JSON.parse(text));
process.stdout.write(JSON.stringify(answer));
