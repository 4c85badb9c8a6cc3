// The running stack, its two APIs, and users of its issuer.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

import { Authenticator } from "./authenticator.mjs";

export const stack = JSON.parse(readFileSync(process.env.STACK_FILE, "utf8"));
export const issuer = stack.oidc.issuer;
export const clientId = stack.oidc.audience;

const PASSWORD = "Correct-horse-42-staple";

// How long a backup or a restore of a few records may take, in milliseconds.
const PATIENCE = 180_000;

let last = 0;

// A number that no other test has or had; tests run in several processes.
export function unique() {
  last = Math.max(Date.now() * 1_000 + (process.pid % 1_000), last + 1_000);
  return String(last);
}

async function sent(method, url, body, token) {
  const headers = { ...(token && { authorization: `Bearer ${token}` }), ...(body && { "content-type": "application/json" }) };
  const answer = await fetch(url, { method, headers, body: body && JSON.stringify(body), redirect: "manual" });
  const text = await answer.text();
  let json = null;
  try {
    json = JSON.parse(text);
  } catch {
    // Some answers have another form.
  }
  return { status: answer.status, headers: answer.headers, text, json };
}

async function expected(status, answer) {
  const { status: got, text, json } = await answer;
  assert.equal(got, status, text);
  return json;
}

// Calls of the API whose users sign in at the issuer, and of the one of the user pool.
export function api(token, { ofUserPool = false } = {}) {
  const base = ofUserPool ? stack.apiUrl : stack.oidc.apiUrl;
  return (method, path, body) => sent(method, base + path, body, token);
}

// A call of the issuer.
export const atIssuer = (method, path, body) => sent(method, issuer + path, body);

// A user of the issuer with a password: with an authenticator app, or invited and with a first password.
export async function newUser({ groups = [], isInvited = false, isVerified = true } = {}) {
  const email = `user-${unique()}@example.com`;
  const wish = { email, password: PASSWORD, groups, isInvited, isVerified };
  const { subject, totpSecret } = await expected(201, atIssuer("POST", "/admin/users", wish));
  return { email, password: PASSWORD, subject, authenticator: totpSecret && new Authenticator(totpSecret) };
}

// A user of the provider for single sign-on.
export async function newProviderUser(groups) {
  const id = `grace-${unique()}`;
  const provider = stack.oidc.federatedProvider;
  const { subject } = await expected(201, atIssuer("POST", "/admin/users", { provider, id, groups }));
  return { id, subject };
}

// Lets all sign-ins of a user be so many seconds older.
export async function age(user, seconds) {
  const { signIns } = await expected(200, atIssuer("POST", "/admin/age", { subject: user.subject, seconds }));
  assert.ok(signIns > 0, "the user has not signed in");
}

// Lets applications return to more addresses.
export const allowAddresses = (addresses) => expected(200, atIssuer("POST", "/admin/addresses", addresses));

// A token of the issuer for a user who has just signed in.
export async function token(claims) {
  const now = Math.floor(Date.now() / 1_000);
  const usual = { iss: issuer, aud: clientId, auth_time: now, iat: now, exp: now + 3_600 };
  return (await expected(200, atIssuer("POST", "/sign", { ...usual, ...claims }))).token;
}

// An account with a restore of one value that waits for being confirmed. Returns the account, and a function that
// confirms it.
export async function plannedRestore() {
  const account = unique();
  const operator = api(await token({ sub: "operator", "cognito:groups": ["operators"] }));
  const admin = api(await token({ sub: "planner", "cognito:groups": [`${account}:super-admin`] }));
  const path = `/accounts/${account}`;
  await expected(201, operator("PUT", path, {}));
  const control = `${stack.sandboxUrl}/_sandbox`;
  const config = {
    seed: 1, propertySet: "tiny", records: { contacts: 5 }, customObjects: [], archivedPerMille: 0, mergedPerMille: 0,
    token: `pat-journey-${account}`,
  };
  const portal = await expected(201, sent("POST", `${control}/portals`, config));
  const connection = { baseUrl: stack.sandboxUrl, token: portal.token, apiVersion: "2026-09" };
  await expected(200, admin("PUT", path, { crmConnection: connection }));
  const { backupId } = await expected(202, admin("POST", `${path}/backups`, {}));
  await until("completed", () => admin("GET", `${path}/backups/${backupId}`));
  const records = `${control}/portals/${portal.portalId}/objects/contacts/records`;
  const { text } = await sent("GET", records);
  const { id } = JSON.parse(text.split("\n")[0]);
  await expected(200, sent("POST", records, { update: { [id]: { firstname: "Somebody" } } }));
  const wish = { backupId, objectType: "contacts", properties: ["firstname"] };
  const { restoreId } = await expected(202, admin("POST", `${path}/restores`, wish));
  const restore = `${path}/restores/${restoreId}`;
  await until("planned", () => admin("GET", restore));
  const acknowledgements = { dataChanges: true, cannotBeUndoneInCrm: true };
  return {
    account,
    confirm: (idToken) => api(idToken)("POST", `${restore}/confirm`, { acknowledgements }),
    completed: () => until("completed", () => admin("GET", restore)),
  };
}

async function until(state, look) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const shown = await expected(200, look());
    if (shown.state === state) return;
    const isOver = ["failed", "cancelled", "stopped"].includes(shown.state) || Date.now() > deadline;
    assert.ok(!isOver, `it is ${shown.state} instead of ${state}: ${JSON.stringify(shown.failure)}`);
    await setTimeout(300);
  }
}
