// The documentation: docstrings without gaps, and the site of `npm run docs` in a real browser, in light and dark, on a
// wide and a narrow screen, with a search that finds.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runtimes } from "../scripts/runtimes.js";
import { referenceEntries } from "../scripts/site/entries.js";
import { skipTitle } from "./support/skipTitle.ts";
import { repositoryRoot } from "./support/vectors.ts";

const site = join(repositoryRoot, "build/site");
const deno = runtimes().find(({ id }) => id === "deno");

beforeAll(() => {
  execFileSync(process.execPath, ["scripts/docs.js"], { cwd: repositoryRoot });
});

test.skipIf(deno === undefined)(
  skipTitle(
    "every exported name is documented, and every type that it names is exported",
    deno === undefined ? "Deno is not here" : undefined,
  ),
  () => {
    const { status, stderr } = spawnSync(deno!.path, ["doc", "--lint", "--quiet", ...referenceEntries], {
      cwd: repositoryRoot,
      encoding: "utf8",
    });
    const errors = stderr.match(/error.*\n.*-->.*/g) ?? [];
    // Types of OpenTelemetry's own package are documented there.
    const isTheirs = (error: string): boolean =>
      /references private type '(Meter|Tracer)Provider'/.test(error);
    expect(errors.filter((error) => !isTheirs(error))).toEqual([]);
    expect(status === 0 || errors.some(isTheirs), stderr).toBe(true);
  },
);

describe("the site", () => {
  const pages = () => readdirSync(site).filter((name) => name.endsWith(".html"));

  test("links lead to pages and headings that exist", () => {
    const text = new Map(pages().map((name) => [name, readFileSync(join(site, name), "utf8")]));
    expect(text.size).toBeGreaterThan(6);
    for (const [name, html] of text) {
      for (const [, href] of html.matchAll(/href="([^"]*)"/g)) {
        if (/^https?:/.test(href!)) continue;
        const [path, fragment] = href!.split("#") as [string, string | undefined];
        const target = path === "" ? name : path;
        expect(existsSync(join(site, target)), `${name}: ${href}`).toBe(true);
        if (fragment !== undefined && text.has(target)) {
          expect(text.get(target), `${name}: ${href}`).toContain(`id="${fragment}"`);
        }
      }
    }
  });

  test("nothing in it is loaded from elsewhere", () => {
    for (const name of pages()) {
      expect(readFileSync(join(site, name), "utf8")).not.toMatch(
        /(src|rel="stylesheet" href)="(https?:)?\/\//,
      );
    }
  });
});

const browserPath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
  (path) => existsSync(path),
);
const noBrowser = browserPath === undefined ? "Chromium is not installed" : undefined;
describe.skipIf(noBrowser !== undefined)(skipTitle("in Chromium", noBrowser), () => {
  const screens = [1_280, 390].flatMap((width) =>
    (["light", "dark"] as const).map((colorScheme) => ({ width, colorScheme })),
  );
  const seen: { name: string; width: number; colorScheme: string; overflow: unknown; background: unknown }[] =
    [];
  const errors: string[] = [];
  let browser: Browser;
  afterAll(() => browser?.close());

  // Loading a page costs most of it: each is loaded once, for the wide screen, and then shown on the others.
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: browserPath!, args: ["--no-sandbox"] });
    const page = await browser.newPage();
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("requestfailed", (request) => errors.push(request.url()));
    for (const name of readdirSync(site).filter((file) => file.endsWith(".html"))) {
      for (const [i, { width, colorScheme }] of screens.entries()) {
        await page.setViewportSize({ width, height: 900 });
        await page.emulateMedia({ colorScheme });
        if (i === 0) await page.goto(pathToFileURL(join(site, name)).href);
        const overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
        const background = await page.evaluate("getComputedStyle(document.body).backgroundColor");
        seen.push({ name, width, colorScheme, overflow, background });
      }
    }
    await page.close();
  });

  test.each(screens)(
    "$width pixels, $colorScheme: no page is wider than the screen, none has an error",
    ({ width, colorScheme }) => {
      const here = seen.filter((one) => one.width === width && one.colorScheme === colorScheme);
      expect(here.length).toBeGreaterThan(10);
      for (const { name, overflow, background } of here) {
        expect(overflow, name).toBeLessThanOrEqual(0);
        expect(background, name).toBe(colorScheme === "dark" ? "rgb(20, 23, 26)" : "rgb(255, 255, 255)");
      }
      expect(errors).toEqual([]);
    },
  );

  test("the search finds, and its first result leads there", async () => {
    const page = await browser.newPage();
    await page.goto(pathToFileURL(join(site, "index.html")).href);
    await page.fill("#search", "backpressure");
    await page.click("#found a");
    expect(page.url()).toMatch(/\.html#/);
    await page.close();
  });
});
