// One headless Chromium for all tests of a file, and a new profile for each visit.

import { after, before } from "node:test";

const { chromium } = await import(`${process.env.PLAYWRIGHT_CORE}/index.mjs`);

// How long a page may take, in milliseconds, on a machine that does much else.
const PATIENCE = 20_000;

// The narrowest phone that the pages are made for.
const PHONE = { viewport: { width: 360, height: 740 } };

let browser;

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-proxy-server"] });
});

after(() => browser?.close());

// Gives `visit` a page of a browser that has been nowhere yet. A failure says what the page shows.
export async function visiting(visit, { onPhone = false } = {}) {
  const context = await browser.newContext(onPhone ? PHONE : {});
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  try {
    return await visit(page);
  } catch (error) {
    const shown = await page.locator("body").innerText({ timeout: 1_000 }).catch(() => "nothing");
    error.message += `\nThe page at ${page.url().split("?")[0]} shows:\n${shown}`;
    throw error;
  } finally {
    await context.close();
  }
}
