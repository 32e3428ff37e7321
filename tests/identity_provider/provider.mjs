// An OpenID provider for the tests: oidc-provider, which is certified by the OpenID Foundation.
//
// Its arguments: a port, and where people are sent back to. Commands on standard input, one a line, each answered by one line:
//   rotate   sign with a new key from now on, and publish the old ones, too
//   forget   publish the newest key alone

import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { exportJWK, generateKeyPair } from "jose";
import Provider from "oidc-provider";

const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const keys = [];
let provider;

const resources = {
  "https://kiban.example": { audience: "kiban", accessTokenTTL: 600 },
  "https://kiban.example/brief": { audience: "kiban", accessTokenTTL: 1 },
  "https://payroll.example": { audience: "payroll", accessTokenTTL: 600 },
};

async function rotate() {
  const { privateKey } = await generateKeyPair("RS256", { extractable: true });
  keys.unshift({ ...(await exportJWK(privateKey)), kid: `key-${Date.now()}`, alg: "RS256", use: "sig" });
  start();
}

function start() {
  provider = new Provider(issuer, {
    jwks: { keys },
    clients: [
      { client_id: "wiki", client_secret: "wiki-secret", grant_types: ["client_credentials"], redirect_uris: [], response_types: [] },
      {
        client_id: "kiban-page",
        token_endpoint_auth_method: "none",
        redirect_uris: [process.argv[3]],
      },
    ],
    claims: { openid: ["sub"], profile: ["preferred_username"], email: ["email", "email_verified"] },
    conformIdTokenClaims: false, // the ID token carries what the scopes name
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, preferred_username: id, email: `${id}@nichirin.example`, email_verified: id !== "eve" }),
    }),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true }, // a login page that takes any password
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({ scope: "", accessTokenFormat: "jwt", ...resources[resource] }),
      },
    },
    pkce: { required: () => true },
    cookies: { keys: ["not a secret"] },
    ttl: { ClientCredentials: (_, token) => token.resourceServer.accessTokenTTL, Interaction: 600, Session: 600, Grant: 600, IdToken: 600, AccessToken: 600 },
  });
}

await rotate();
createServer((request, response) => provider.callback()(request, response)).listen(port, "127.0.0.1", () => console.log("ready"));

const commands = createInterface({ input: process.stdin });
commands.on("line", async (command) => {
  if (command === "rotate") await rotate();
  if (command === "forget") { keys.length = 1; start(); }
  console.log(keys[0].kid);
});
commands.on("close", () => process.exit());
