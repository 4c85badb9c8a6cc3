// The same sign-in once at MiniStack's own pages, which play Cognito's. What they lack is asserted too: a newer
// MiniStack may have it, and docs/local-stack.md says so then.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { visiting } from "./browser.mjs";
import { Client, claimsOf } from "./client.mjs";
import { EmulatorPage } from "./pages.mjs";
import { api, stack } from "./stack.mjs";

const user = stack.superAdmin;

// The one address that the template's client may return to.
const PORT = 8765;

const newClient = () =>
  new Client({ pages: stack.emulatorUrl, id: stack.users.clientId, callback: `http://localhost:${PORT}/callback` });

const server = createServer((_, response) => response.end("Back at the application."));

before(() =>
  new Promise((resolve, reject) => {
    // Whatever listens there answers the browser as well.
    server.once("error", (error) => (error.code === "EADDRINUSE" ? resolve() : reject(error)));
    server.listen(PORT, "127.0.0.1", resolve);
  }));

after(() => {
  server.closeAllConnections();
  server.close();
});

const signIn = (page) => new EmulatorPage(page).signIn(user);

async function ofCognito(action, request) {
  const headers = {
    "content-type": "application/x-amz-json-1.1", "x-amz-target": `AWSCognitoIdentityProviderService.${action}`,
  };
  const answer = await fetch(stack.emulatorUrl, { method: "POST", headers, body: JSON.stringify(request) });
  return { status: answer.status, json: await answer.json() };
}

test("a code with PKCE gives tokens that the API takes, once", () =>
  visiting(async (page) => {
    const client = newClient();
    const tokens = await client.signIn(page, signIn);
    assert.equal(tokens.claims.aud, stack.users.clientId);
    assert.equal(tokens.claims.email, user.email);
    assert.deepEqual(tokens.claims["cognito:groups"], [`${stack.accountId}:super-admin`]);
    const shown = await api(tokens.id_token, { ofUserPool: true })("GET", `/accounts/${stack.accountId}`);
    assert.equal(shown.status, 200, shown.text);
    const stolen = await api(tokens.access_token, { ofUserPool: true })("GET", `/accounts/${stack.accountId}`);
    assert.deepEqual([stolen.status, stolen.json.type?.split(":").pop()], [401, "token-unsuitable"]);
    const again = await client.redeem(tokens.code);
    assert.deepEqual([again.status, again.json.error], [400, "invalid_grant"]);
  }));

test("a code is worth nothing without its verifier", () =>
  visiting(async (page) => {
    const client = newClient();
    const { code } = await client.ask(page, {}, signIn);
    const answer = await client.redeem(code, { code_verifier: "x".repeat(48) });
    assert.deepEqual([answer.status, answer.json.error], [400, "invalid_grant"]);
  }));

test("a stolen access token changes nothing about its user", () =>
  visiting(async (page) => {
    const { access_token: AccessToken } = await newClient().signIn(page, signIn);
    assert.equal(claimsOf(AccessToken).scope, "openid email");
    for (const [action, more] of [
      ["UpdateUserAttributes", { UserAttributes: [{ Name: "email", Value: "thief@example.com" }] }],
      ["ChangePassword", { PreviousPassword: user.password, ProposedPassword: "Another-horse-43-staple" }],
      ["AssociateSoftwareToken", {}],
      ["SetUserMFAPreference", { SoftwareTokenMfaSettings: { Enabled: false } }],
      ["GetUser", {}],
    ]) {
      const { status, json } = await ofCognito(action, { AccessToken, ...more });
      assert.deepEqual([status, json.__type], [400, "NotAuthorizedException"], action);
    }
  }));

test("its pages ask for no second factor and remember nobody, and a refreshed token seems fresh and has no groups", () =>
  visiting(async (page) => {
    const client = newClient();
    const first = await client.signIn(page, signIn);
    assert.equal(first.claims.amr, undefined);
    await page.goto(client.address({ prompt: "none" }));
    await new EmulatorPage(page).name.waitFor();
    const before = first.claims.auth_time;
    const deadline = Date.now() + 10_000;
    let refreshed = first;
    while (claimsOf(refreshed.id_token).auth_time === before && Date.now() < deadline) {
      const { status, json } = await client.refresh(first.refresh_token);
      assert.equal(status, 200, JSON.stringify(json));
      refreshed = json;
    }
    const claims = claimsOf(refreshed.id_token);
    assert.ok(claims.auth_time > before, "MiniStack keeps auth_time now: say so in docs/local-stack.md");
    assert.deepEqual([claims["cognito:groups"], refreshed.refresh_token], [undefined, undefined]);
  }));
