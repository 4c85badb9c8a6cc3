// infra/sign-in.py, as somebody without a window system uses it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { once } from "node:events";

import { allowAddresses, clientId, issuer } from "./stack.mjs";

// How long the script waits for the browser, in seconds.
const PATIENCE = 60;

// A free port that no outgoing connection uses.
async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const server = createServer();
    const bound = await new Promise((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!bound) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}

// Runs the script. `browse` gets the address that it prints, if it prints one. Returns the token and what it says.
async function run(options, browse) {
  const child = spawn(
    "python3",
    ["infra/sign-in.py", "--url", issuer, "--client-id", clientId, "--no-browser", "--timeout", PATIENCE, ...options].map(String),
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  const ended = once(child, "close");
  let said = "";
  let token = "";
  child.stdout.on("data", (part) => (token += part));
  const address = new Promise((resolve) => {
    child.stderr.on("data", (part) => {
      said += part;
      const found = said.match(/^http\S+(?=\n)/m);
      if (found) resolve(found[0]);
    });
    ended.then(() => resolve(null));
  });
  try {
    const found = await address;
    if (found) await browse(found);
    const [code] = await ended;
    assert.equal(code, 0, said);
    return { token: token.trim(), said, asked: found !== null };
  } finally {
    child.kill();
  }
}

// Signs in with the script. `act` does what the pages ask for.
export async function signInWithScript(page, options = [], act = () => {}) {
  const callback = `http://localhost:${await freePort()}/callback`;
  await allowAddresses({ callbacks: [callback] });
  return run(["--callback", callback, ...options], async (address) => {
    await page.goto(address);
    await act(page);
    await page.getByText("Done. You can close this window").waitFor();
  });
}

export async function signOutWithScript(page, options = []) {
  const signedOut = `http://localhost:${await freePort()}/signed-out`;
  await allowAddresses({ signOuts: [signedOut] });
  return run(["--sign-out", "--signed-out", signedOut, ...options], async (address) => {
    await page.goto(address);
    await page.getByText("Done. You can close this window").waitFor();
  });
}
