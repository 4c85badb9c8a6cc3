// An application that signs users in by authorization code with PKCE, as a page does that has no server.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { after, before } from "node:test";

import { allowAddresses, clientId, issuer } from "./stack.mjs";

// Where browsers come back to. What they bring stands in the address, so there is nothing to do here.
const server = createServer((_, response) => response.end("Back at the application."));
let callback;

before(async () => {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  callback = `http://localhost:${server.address().port}/callback`;
  await allowAddresses({ callbacks: [callback] });
});

after(() => {
  server.closeAllConnections();
  server.close();
});

const random = () => randomBytes(36).toString("base64url");

export const claimsOf = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());

export class Client {
  constructor(other = {}) {
    Object.assign(this, { pages: issuer, id: clientId, callback, ...other });
  }

  // The address that begins a sign-in, with other parameters beside the usual ones or instead of them. Undefined ones
  // are left out.
  address(other = {}) {
    this.verifier = random();
    this.nonce = random();
    this.state = random();
    const parameters = {
      response_type: "code", client_id: this.id, redirect_uri: this.callback, scope: "openid email",
      state: this.state, nonce: this.nonce, code_challenge_method: "S256",
      code_challenge: createHash("sha256").update(this.verifier).digest("base64url"), ...other,
    };
    const given = Object.entries(parameters).filter(([, value]) => value !== undefined);
    return `${this.pages}/oauth2/authorize?${new URLSearchParams(given)}`;
  }

  // Sends the browser to the pages and lets `act` do what they ask for. Returns what comes back to the callback.
  async ask(page, other, act = () => {}) {
    await page.goto(this.address(other));
    await act(page);
    const isBack = (url) => url.href.startsWith(`${this.callback}?`) && url.searchParams.get("state") === this.state;
    await page.waitForURL(isBack);
    return Object.fromEntries(new URL(page.url()).searchParams);
  }

  async signIn(page, act, other = {}) {
    const answer = await this.ask(page, other, act);
    assert.equal(answer.error, undefined, answer.error_description);
    const { status, json } = await this.redeem(answer.code);
    assert.equal(status, 200, JSON.stringify(json));
    assert.equal(claimsOf(json.id_token).nonce, this.nonce);
    return { ...json, code: answer.code, claims: claimsOf(json.id_token) };
  }

  redeem(code, other = {}) {
    return this.tokens({
      grant_type: "authorization_code", code, redirect_uri: this.callback, code_verifier: this.verifier, ...other,
    });
  }

  refresh(refreshToken) {
    return this.tokens({ grant_type: "refresh_token", refresh_token: refreshToken });
  }

  async tokens(form) {
    const body = new URLSearchParams({ client_id: this.id, ...form });
    const answer = await fetch(`${this.pages}/oauth2/token`, { method: "POST", body });
    return { status: answer.status, json: await answer.json() };
  }
}
