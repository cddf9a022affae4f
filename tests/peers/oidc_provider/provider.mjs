// A real OpenID provider (the certified package oidc-provider) on a free port of 127.0.0.1.
// usage: cd FOLDER-WITH-node_modules; node provider.mjs      prints "listening on http://127.0.0.1:PORT"
// Users alice and bob, any password.
// POST /__configure {redirect_uris, post_logout_redirect_uris, backchannel_logout_uri, auth_method}: the client "failgate";
//      {only_userinfo}: the id_token has `sub` alone
// POST /__rotate {drop}: new keys; with drop the old ones are gone
// POST /__fault {name}: spoils the next id_token (a middleware of this file, not of the package)
// POST /__user {name, claims}: changes what is said of a user
// POST /__login {name, amr, acr, seconds_ago}: what a user shows at the next logins, and how long ago they say that was
import crypto from "node:crypto";
import http from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const folder = process.cwd();
const require = createRequire(`${folder}/package.json`);
const { Provider } = await import(pathToFileURL(`${folder}/node_modules/oidc-provider/lib/index.js`));
const jose = await import(pathToFileURL(require.resolve("jose")));

const users = {
  alice: { sub: "alice", email: "alice@example.org", email_verified: true, name: "Alice", groups: ["eng", "ops"] },
  bob: { sub: "bob", email: "bob@example.org", email_verified: false, name: "Bob", groups: ["ops"] },
};
const client = {
  redirect_uris: ["http://127.0.0.1:1/sso/peer/callback"],
  post_logout_redirect_uris: ["http://127.0.0.1:1/signin"],
  backchannel_logout_uri: undefined,
  auth_method: "client_secret_basic",
  only_userinfo: false,
};
const shown = {};
let issuer = "";
let keys = [];
let fault = null;
let generation = 0;
let answer = null;

function makeKey(alg) {
  const pair =
    alg === "ES256"
      ? crypto.generateKeyPairSync("ec", { namedCurve: "P-256" })
      : crypto.generateKeyPairSync("rsa", { modulusLength: 3072 });
  generation += 1;
  return { ...pair.privateKey.export({ format: "jwk" }), use: "sig", alg, kid: `${alg}-${generation}` };
}

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

const spoilings = {
  iss: (claims) => { claims.iss = "https://evil.example"; },
  aud: (claims) => { claims.aud = "other"; },
  expired: (claims) => { claims.iat -= 7200; claims.exp = claims.iat + 60; },
  nonce: (claims) => { claims.nonce = "x"; },
  future: (claims) => { claims.iat += 86400; claims.exp += 86400; },
  sub: (claims) => { delete claims.sub; },
  at_hash: (claims) => { claims.at_hash = "AAAA"; },
  azp: (claims) => { claims.aud = ["failgate", "x"]; claims.azp = "x"; },
};

async function spoil(token, name) {
  const key = keys[0];
  const claims = jose.decodeJwt(token);
  let header = { alg: key.alg, kid: key.kid };
  let secret = await jose.importJWK(key, key.alg);
  spoilings[name]?.(claims);
  if (name === "unsigned-kid") header.kid = "nope";
  if (name === "none") return `${encode({ alg: "none" })}.${encode(claims)}.`;
  if (name === "hs256") {
    const pem = crypto.createPublicKey({ key, format: "jwk" }).export({ type: "spki", format: "pem" });
    secret = new TextEncoder().encode(pem);
    header = { alg: "HS256", kid: key.kid };
  }
  if (name === "wrongkey") secret = await jose.importJWK(makeKey(key.alg), key.alg);
  return new jose.SignJWT(claims).setProtectedHeader(header).sign(secret);
}

function build() {
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: [
      {
        client_id: "failgate",
        client_secret: "secret-secret-secret-secret-secret",
        redirect_uris: client.redirect_uris,
        post_logout_redirect_uris: client.post_logout_redirect_uris,
        grant_types: ["authorization_code"],
        response_types: ["code"],
        token_endpoint_auth_method: client.auth_method,
        backchannel_logout_uri: client.backchannel_logout_uri,
        backchannel_logout_session_required: true,
      },
    ],
    pkce: { methods: ["S256"], required: () => true },
    scopes: ["openid", "email", "profile", "groups"],
    claims: {
      openid: ["sub", "acr", "amr"],
      email: ["email", "email_verified"],
      profile: ["name"],
      groups: ["groups"],
    },
    conformIdTokenClaims: client.only_userinfo,
    features: {
      devInteractions: { enabled: true },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: { enabled: true },
    },
    findAccount: (_context, id) => (users[id] ? { accountId: id, claims: () => users[id] } : undefined),
    cookies: { keys: ["only-for-tests"] },
  });
  const finish = provider.interactionFinished.bind(provider);
  provider.interactionFinished = (request, response, result, options) => {
    const { amr, acr, seconds_ago: secondsAgo } = shown[result.login?.accountId] ?? {};
    const ts = secondsAgo === undefined ? undefined : Math.floor(Date.now() / 1000) - secondsAgo;
    const login = result.login && { ...result.login, amr, acr, ts };
    return finish(request, response, login ? { ...result, login } : result, options);
  };
  provider.use(async (context, next) => {
    await next();
    if (context.path === "/token" && fault && context.body?.id_token) {
      const name = fault;
      fault = null;
      context.body = { ...context.body, id_token: await spoil(context.body.id_token, name) };
    }
    // What was handed out, for tests that look where it went.
    if (context.path === "/token" && context.body?.access_token) console.log(`handed ${JSON.stringify(context.body)}`);
  });
  provider.on("server_error", (_context, error) => console.error(error));
  provider.on("backchannel.error", (_context, error) => console.error("backchannel", error.message));
  answer = provider.callback();
}

const controls = {
  "/__configure": (wanted) => { Object.assign(client, wanted); build(); },
  "/__rotate": ({ drop }) => {
    keys = [makeKey("RS256"), makeKey("ES256"), ...(drop ? [] : keys)];
    build();
  },
  "/__fault": ({ name }) => { fault = name ?? null; },
  "/__user": ({ name, claims }) => { users[name] = claims; },
  "/__login": ({ name, ...how }) => { shown[name] = how; },
};

const server = http.createServer((request, response) => {
  const control = request.method === "POST" && controls[request.url];
  if (!control) {
    answer(request, response);
    return;
  }
  let body = "";
  request.on("data", (piece) => { body += piece; });
  request.on("end", () => {
    control(JSON.parse(body || "{}"));
    response.end("ok");
  });
});
server.listen(0, "127.0.0.1", () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  keys = [makeKey("RS256"), makeKey("ES256")];
  build();
  console.log(`listening on ${issuer}`);
});
