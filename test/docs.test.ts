// What the documents say is what the code does: options with their defaults, error codes, and the README's
// programs, which run as they are printed.
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { runtimes } from "../scripts/runtimes.js";
import { defaultLimits } from "../src/options.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string) => readFileSync(join(root, path), "utf8");
const api = read("docs/API.md");
const run = promisify(execFile);

describe("docs/API.md", () => {
  test("lists every error code, and none that does not exist", () => {
    const declared = [...read("src/errors.ts").matchAll(/^ {2}\| "(ERR_\w+)"/gm)].map((match) => match[1]);
    const documented = [...api.slice(api.indexOf("## Errors")).matchAll(/`(ERR_\w+)`/g)].map(
      (match) => match[1],
    );
    expect(declared.length).toBeGreaterThan(20);
    expect([...new Set(documented)].sort()).toEqual([...declared].sort());
  });

  test("every declared code is used", () => {
    const declared = [...read("src/errors.ts").matchAll(/^ {2}\| "(ERR_\w+)"/gm)].map((match) => match[1]!);
    const sources = [
      "core/frameCipher.ts",
      "core/gcm.ts",
      "core/wasm.ts",
      "core/x25519.ts",
      "errors.ts",
      "protocol/frame.ts",
      "protocol/noise/noiseHandshake.ts",
      "protocol/message.ts",
      "rpc/client.ts",
      "rpc/connection.ts",
      "rpc/message.ts",
      "rpc/requests.ts",
      "rpc/server.ts",
    ].map((path) => read(`src/${path}`).replace(/^ {2}\| "ERR_.*$/gm, ""));
    const unused = declared.filter((code) => !sources.some((text) => text.includes(`"${code}"`)));
    expect(unused).toEqual([]);
  });

  test("gives every limit with its real default", () => {
    for (const [name, value] of Object.entries(defaultLimits)) {
      expect(api).toContain(`| \`${name}\` | ${value} |`);
    }
  });

  test("names every option that connect and listen take", () => {
    const source = read("src/rpc/api.ts");
    const declared = [...source.matchAll(/^ {2}(\w+)\?: /gm)].map((match) => match[1]!);
    expect(declared.length).toBeGreaterThan(10);
    for (const name of declared) expect(api, name).toContain(`\`${name}`);
  });
});

describe("README.md", () => {
  const programs = [...read("README.md").matchAll(/```(?:js|ts)\n([\s\S]*?)```/g)].map((match) => match[1]!);
  const [program] = programs;

  for (const runtime of runtimes()) {
    test(`its first program runs on ${runtime.label} (${runtime.version})`, { timeout: 60_000 }, async () => {
      const folder = join(root, "build/readme");
      mkdirSync(folder, { recursive: true });
      const file = join(folder, `${runtime.id}.mjs`);
      // The published package by its own name; a free port instead of the printed one.
      const text = program!.replace(/port: 7000/, "port: 0").replace(/"sealwire"/, '"../../dist/index.js"');
      writeFileSync(file, `${text}\nconsole.log("answer:", new TextDecoder().decode(answer));\n`);
      const env = { ...process.env, SEALWIRE_PSK: "ab".repeat(32) };
      const { stdout } = await run(runtime.path, [...runtime.args, file], {
        cwd: folder,
        env,
        timeout: 30_000,
      });
      expect(stdout).toContain("answer: hello");
    });
  }
});
