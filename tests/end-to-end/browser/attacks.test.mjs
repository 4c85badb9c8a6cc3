// What thieves and careless applications try at the sign-in, and what they get. docs/security.md lists it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { visiting } from "./browser.mjs";
import { Client } from "./client.mjs";
import { CodePage, SignInPage, signInWithCode } from "./pages.mjs";
import { api, atIssuer, clientId, issuer, newUser, stack, unique } from "./stack.mjs";

const refused = ({ status, json }) => assert.deepEqual([status, json.error], [400, "invalid_grant"]);

test("a code that is used again is refused, and ends what it gave", () =>
  visiting(async (page) => {
    const user = await newUser();
    const client = new Client();
    const { code, refresh_token: refreshToken } = await client.signIn(page, () => signInWithCode(page, user));
    refused(await client.redeem(code));
    refused(await client.refresh(refreshToken));
  }));

test("a stolen code is worth nothing without the verifier, at another address or for another client", () =>
  visiting(async (page) => {
    const user = await newUser();
    const client = new Client();
    let { code } = await client.ask(page, {}, () => signInWithCode(page, user));
    for (const wrong of [
      { code_verifier: "x".repeat(48) }, { code_verifier: "" }, { redirect_uri: "http://localhost:8765/other" },
    ]) {
      refused(await client.redeem(code, wrong));
      refused(await client.redeem(code));
      ({ code } = await client.ask(page, {}));
    }
    const other = await client.redeem(code, { client_id: "another-client" });
    assert.deepEqual([other.status, other.json.error], [400, "invalid_client"]);
  }));

test("an access token opens nothing", () =>
  visiting(async (page) => {
    const account = unique();
    const user = await newUser({ groups: [`${account}:super-admin`, "operators"] });
    const tokens = await new Client().signIn(page, () => signInWithCode(page, user));
    for (const [method, path] of [["GET", ""], ["PUT", ""], ["GET", "/backups"], ["POST", "/backups"]]) {
      const call = [method, `/accounts/${account}${path}`, method === "GET" ? undefined : {}];
      const { status, json } = await api(tokens.access_token)(...call);
      assert.deepEqual([status, json.type?.split(":").pop()], [401, "token-unsuitable"], `${method} ${path}`);
    }
    const { status } = await api(tokens.id_token)("GET", `/accounts/${account}`);
    assert.equal(status, 404, "the ID token is the right one");
  }));

test("only an application that is known, with PKCE, gets a code", () =>
  visiting(async (page) => {
    const client = new Client();
    for (const other of [
      { redirect_uri: `${client.callback}/` }, { redirect_uri: `${client.callback}?x=1` },
      { redirect_uri: "https://evil.example/callback" }, { redirect_uri: undefined }, { client_id: "another-client" },
    ]) {
      const answer = await page.goto(client.address(other));
      assert.equal(answer.status(), 400, JSON.stringify(other));
      await page.getByRole("heading", { name: "This does not work" }).waitFor();
    }
    for (const [other, error] of [
      [{ code_challenge: undefined, code_challenge_method: undefined }, "invalid_request"],
      [{ code_challenge: client.verifier, code_challenge_method: "plain" }, "invalid_request"],
      [{ response_type: "token" }, "unsupported_response_type"],
      [{ scope: "openid email aws.cognito.signin.user.admin" }, "invalid_scope"],
      [{ identity_provider: "unknown" }, "invalid_request"],
    ]) {
      assert.equal((await client.ask(page, other)).error, error, JSON.stringify(other));
    }
    const twice = await page.goto(`${client.address()}&redirect_uri=https://evil.example/`);
    assert.equal(twice.status(), 400, "a parameter that is there twice");
  }));

test("a sign-in that another browser has begun is not completed", () =>
  visiting((victim) =>
    visiting(async (thief) => {
      await thief.goto(new Client().address());
      await new SignInPage(thief).heading.waitFor();
      const answer = await victim.goto(thief.url());
      assert.equal(answer.status(), 400);
      await victim.getByRole("heading", { name: "Please start again" }).waitFor();
    })));

test("the session of a browser is new after each sign-in, and out of reach for scripts", () =>
  visiting(async (page) => {
    const user = await newUser();
    const client = new Client();
    const session = async () => {
      const cookies = await page.context().cookies(issuer);
      return cookies.find(({ name }) => name.startsWith("session-"));
    };
    await client.signIn(page, () => signInWithCode(page, user));
    const first = await session();
    assert.deepEqual([first.httpOnly, first.sameSite], [true, "Lax"]);
    await client.signIn(page, () => signInWithCode(page, user), { prompt: "login" });
    assert.notEqual((await session()).value, first.value);
  }));

test("what is far too long is refused", () =>
  visiting(async (page) => {
    const client = new Client();
    for (const name of ["state", "nonce", "scope", "redirect_uri"]) {
      for (const length of [10_000, 100_000]) {
        const { status } = await fetch(client.address({ [name]: "x".repeat(length) }), { redirect: "manual" });
        assert.ok([413, 414].includes(status), `${name} of ${length} letters: ${status}`);
      }
    }
    const body = new URLSearchParams({ grant_type: "authorization_code", client_id: clientId, code: "x".repeat(2 << 20) });
    assert.equal((await fetch(`${issuer}/oauth2/token`, { method: "POST", body })).status, 413);
    const long = "x".repeat(500_000);
    const answer = await client.tokens({ grant_type: "authorization_code", code: long, code_verifier: long });
    assert.deepEqual([answer.status, answer.json.error], [400, "invalid_grant"]);
    const { status } = await fetch(client.address(), { headers: { cookie: `session=${"x".repeat(100_000)}` } });
    assert.ok([400, 431].includes(status), `a cookie of 100,000 letters: ${status}`);
    // The pages themselves take no more than a person types.
    await page.goto(client.address());
    const { name, password } = new SignInPage(page);
    assert.deepEqual([await name.getAttribute("maxlength"), await password.getAttribute("maxlength")], ["256", "256"]);
    assert.equal((await atIssuer("GET", "/.well-known/jwks.json")).status, 200, "it still answers");
  }));

test("pages of other origins may ask for tokens and keys, and for nothing else", () =>
  visiting(async (page) => {
    const user = await newUser();
    const client = new Client();
    const { code } = await client.ask(page, {}, () => signInWithCode(page, user));
    await page.goto(`${stack.emulatorUrl}/_ministack/health`);
    const ask = (path, form) =>
      page.evaluate(
        async ([url, body]) => {
          try {
            const init = body ? { method: "POST", body: new URLSearchParams(body) } : {};
            const answer = await fetch(url, init);
            return { status: answer.status, json: await answer.json() };
          } catch (error) {
            return { blocked: error.name };
          }
        },
        [issuer + path, form],
      );
    const { json: found } = await ask("/.well-known/openid-configuration");
    assert.equal(found.issuer, issuer);
    assert.equal((await ask(new URL(found.jwks_uri).pathname)).json.keys.length, 1);
    const form = {
      grant_type: "authorization_code", client_id: clientId, code, redirect_uri: client.callback,
      code_verifier: client.verifier,
    };
    const { json: tokens } = await ask("/oauth2/token", form);
    assert.equal(tokens.token_type, "Bearer");
    for (const path of ["/login", "/admin/users", "/sign"]) {
      assert.deepEqual(await ask(path, { email: "x" }), { blocked: "TypeError" }, path);
    }
  }));
