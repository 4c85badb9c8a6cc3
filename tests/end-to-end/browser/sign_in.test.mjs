// How users sign in at the issuer's pages, and how that ends.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { Authenticator } from "./authenticator.mjs";
import { visiting } from "./browser.mjs";
import { Client, claimsOf } from "./client.mjs";
import { CodePage, EnrolmentPage, NewPasswordPage, ProviderPage, SignInPage, signInWithCode } from "./pages.mjs";
import { signInWithScript, signOutWithScript } from "./script.mjs";
import { age, api, clientId, newProviderUser, newUser, stack, unique } from "./stack.mjs";

const provider = stack.oidc.federatedProvider;

// The API knows the right of the token's groups: the account is not there, and anybody else would get 403.
async function assertSuperAdmin(token, account) {
  const { status, json } = await api(token)("GET", `/accounts/${account}`);
  assert.equal(status, 404, JSON.stringify(json));
}

const signInPageShows = (page) => new SignInPage(page).heading.waitFor();

test("an invited user chooses a password and connects an app, on a phone", () =>
  visiting(async (page) => {
    const account = unique();
    const user = await newUser({ groups: [`${account}:super-admin`], isInvited: true });
    const fits = async () => {
      const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
      assert.ok(content <= window, `${content} pixels on a screen of ${window}`);
    };
    const { token, said } = await signInWithScript(page, [], async () => {
      await fits();
      await new SignInPage(page).signIn(user);
      const choice = new NewPasswordPage(page);
      await fits();
      await choice.choose("Another-horse-43-staple", "Another-horse-44-staple");
      await choice.alert.filter({ hasText: "differ" }).waitFor();
      await choice.choose("too short");
      await choice.alert.filter({ hasText: "Choose another password" }).waitFor();
      await choice.choose("Another-horse-43-staple");
      const enrolment = new EnrolmentPage(page);
      const secret = await enrolment.secret.inputValue();
      await fits();
      assert.match(await enrolment.link.getAttribute("href"), new RegExp(`^otpauth://totp/.*secret=${secret}`));
      const app = new Authenticator(secret);
      await enrolment.connect(app.wrongCode());
      await enrolment.alert.filter({ hasText: "The code is wrong" }).waitFor();
      assert.equal(await enrolment.secret.inputValue(), secret, "the app keeps its key");
      await enrolment.connect(await app.nextCode());
    });
    assert.match(said, new RegExp(`Signed in as ${user.email}`));
    const claims = claimsOf(token);
    assert.deepEqual([claims.aud, claims.amr, claims.email_verified], [clientId, ["pwd", "otp", "mfa"], true]);
    assert.equal(claims.exp - claims.iat, 900, "15 minutes");
    await assertSuperAdmin(token, account);
  }, { onPhone: true }));

test("wrong passwords and codes are told, and several lock the user", () =>
  visiting(async (page) => {
    const user = await newUser();
    await page.goto(new Client().address());
    const first = new SignInPage(page);
    for (const wrong of [{ ...user, password: "Wrong-horse-42-staple" }, { ...user, email: `nobody-${unique()}@example.com` }]) {
      await first.signIn(wrong);
      await first.alert.filter({ hasText: "The e-mail address or the password is wrong." }).waitFor();
    }
    await first.signIn(user);
    const second = new CodePage(page);
    for (let tries = 0; tries < 4; tries += 1) {
      await second.confirm(user.authenticator.wrongCode());
      await second.alert.filter({ hasText: "The code is wrong" }).waitFor();
    }
    const locked = { hasText: "There were too many tries" };
    await second.confirm(await user.authenticator.nextCode());
    await second.alert.filter(locked).waitFor();
    await page.goto(new Client().address());
    await first.signIn(user);
    await first.alert.filter(locked).waitFor();
  }));

test("a code of the app works once", () =>
  visiting(async (page) => {
    const user = await newUser();
    const client = new Client();
    const code = await user.authenticator.nextCode();
    await client.signIn(page, async () => {
      await new SignInPage(page).signIn(user);
      await new CodePage(page).confirm(code);
    });
    await page.goto(client.address({ prompt: "login" }));
    await new SignInPage(page).signIn(user);
    await new CodePage(page).confirm(code);
    await new CodePage(page).alert.filter({ hasText: "The code is wrong" }).waitFor();
  }));

test("the session of a browser signs in again without asking, for an hour", () =>
  visiting(async (page) => {
    const user = await newUser();
    const client = new Client();
    const first = await client.signIn(page, () => signInWithCode(page, user));
    await age(user, 3_500);
    const again = await client.signIn(page);
    assert.equal(again.claims.auth_time, first.claims.auth_time - 3_500, "the time of the sign-in, not of this answer");
    assert.equal((await client.ask(page, { prompt: "none" })).error, undefined);

    // Whoever asks for a younger sign-in gets one.
    await page.goto(client.address({ max_age: "300" }));
    await signInPageShows(page);

    await age(user, 100);
    assert.equal((await client.ask(page, { prompt: "none" })).error, "login_required");
    const late = await client.signIn(page, () => signInWithCode(page, user));
    assert.ok(late.claims.auth_time > again.claims.auth_time + 3_500, "a new sign-in");
  }));

test("refresh tokens are exchanged, work once, and end ten hours after the sign-in", () =>
  visiting(async (page) => {
    const user = await newUser();
    const client = new Client();
    const first = await client.signIn(page, () => signInWithCode(page, user));
    const second = await client.refresh(first.refresh_token);
    assert.equal(second.status, 200);
    assert.equal(claimsOf(second.json.id_token).auth_time, first.claims.auth_time);
    assert.deepEqual(claimsOf(second.json.id_token).amr, first.claims.amr);
    const old = await client.refresh(first.refresh_token);
    assert.deepEqual([old.status, old.json.error], [400, "invalid_grant"]);
    await age(user, 36_000);
    const late = await client.refresh(second.json.refresh_token);
    assert.deepEqual([late.status, late.json.error], [400, "invalid_grant"]);
  }));

test("signing out ends the session of the browser and of the file", () =>
  visiting(async (page) => {
    const user = await newUser();
    const folder = await mkdtemp(join(tmpdir(), "sign-in-"));
    const file = join(folder, "session.json");
    try {
      await signInWithScript(page, ["--session", file], () => signInWithCode(page, user));
      const { asked, token } = await signInWithScript(page, ["--session", file]);
      assert.equal(asked, false, "the file is enough");
      assert.equal(claimsOf(token).email, user.email);
      const { refreshToken } = JSON.parse(await readFile(file, "utf8"));

      const { said } = await signOutWithScript(page, ["--session", file]);
      assert.match(said, /Signed out\./);
      await assert.rejects(stat(file), { code: "ENOENT" });
      assert.equal((await new Client().refresh(refreshToken)).json.error, "invalid_grant");
      await page.goto(new Client().address());
      await signInPageShows(page);
    } finally {
      await rm(folder, { recursive: true });
    }
  }));

test("a user of a company's provider signs in there once, with single sign-on", () =>
  visiting(async (page) => {
    const account = unique();
    const user = await newProviderUser([`${account}:super-admin`]);
    const client = new Client();
    const { claims, id_token: token } = await client.signIn(page, async () => {
      await new SignInPage(page).provider(provider).click();
      await new ProviderPage(page).continueAs(user.id);
    });
    assert.equal(claims.sub, user.subject);
    assert.equal(claims["cognito:username"], `${provider}_${user.id}`);
    assert.deepEqual([claims.identities[0].providerName, claims.amr], [provider, undefined]);
    await assertSuperAdmin(token, account);

    // The session here ends, and the one at the provider does not.
    await signOutWithScript(page);
    const { said } = await signInWithScript(page, ["--provider", provider]);
    assert.match(said, new RegExp(`Signed in as ${user.id}@`));

    await page.goto(client.address({ identity_provider: provider, prompt: "login" }));
    await new ProviderPage(page).name.waitFor();
  }));
