// Confirming a restore asks for a new sign-in, and takes it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { visiting } from "./browser.mjs";
import { claimsOf } from "./client.mjs";
import { signInWithCode } from "./pages.mjs";
import { signInWithScript } from "./script.mjs";
import { age, newUser, plannedRestore } from "./stack.mjs";

test("an old sign-in is challenged, a fresh one confirms the restore", () =>
  visiting(async (page) => {
    const { account, confirm, completed } = await plannedRestore();
    const user = await newUser({ groups: [`${account}:super-admin`] });
    await signInWithScript(page, [], () => signInWithCode(page, user));
    await age(user, 600);

    const old = await signInWithScript(page);
    assert.match(old.said, /This sign-in is 10 minutes old/);
    const challenged = await confirm(old.token);
    assert.equal(challenged.status, 401, challenged.text);
    assert.match(challenged.headers.get("www-authenticate"), /insufficient_user_authentication.*max_age="300"/);

    const fresh = await signInWithScript(page, ["--fresh"], () => signInWithCode(page, user));
    assert.ok(claimsOf(fresh.token).auth_time > claimsOf(old.token).auth_time + 500);
    const confirmed = await confirm(fresh.token);
    assert.equal(confirmed.status, 202, confirmed.text);
    await completed();
  }));
