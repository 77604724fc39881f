// What the documents say is what the code does: options with their defaults, error codes, and the README's
// programs, which run as they are printed.
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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
const installed = runtimes();

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
  const programs = [...read("README.md").matchAll(/```js\n([\s\S]*?)```/g)].map((match) => match[1]!);

  /** Runs a printed program: the built package in place of the installed one, a free port in place of its own. */
  async function runProgram(
    name: string,
    text: string,
    runtime: (typeof installed)[number],
  ): Promise<string> {
    const folder = join(root, "build/readme");
    mkdirSync(folder, { recursive: true });
    const file = join(folder, `${name}-${runtime.id}.mjs`);
    const local = text
      .replace(/port: 700\d/, "port: 0")
      .replace(/"sealwire(\/\w+)?"/, (_, entry: string | undefined) => {
        return `"../../dist${entry ?? "/index"}.js"`;
      });
    writeFileSync(file, local);
    const env = { ...process.env, SEALWIRE_PSK: "ab".repeat(32) };
    const { stdout } = await run(runtime.path, [...runtime.args, file], {
      cwd: folder,
      env,
      timeout: 30_000,
    });
    return stdout;
  }

  for (const runtime of installed) {
    const entry = runtime.id.startsWith("node") ? "node" : runtime.id;
    for (const from of [`sealwire/${entry}`, "sealwire"]) {
      test(`its ${entry} program runs on ${runtime.label} (${runtime.version}) from "${from}"`, async () => {
        const program = programs.find((text) => text.includes(`"sealwire/${entry}"`))!;
        const text = program.replace(`"sealwire/${entry}"`, `"${from}"`);
        const show = 'console.log("answer:", new TextDecoder().decode(answer));';
        expect(await runProgram(from.replace("/", "-"), `${text}\n${show}\n`, runtime)).toContain(
          "answer: hello",
        );
      });
    }

    test(`its program with keys runs on ${runtime.label} (${runtime.version})`, async () => {
      const program = programs.find((text) => text.includes("generateKeyPair"))!;
      const file = join(root, "build/readme", `known_peers-${runtime.id}`);
      rmSync(file, { force: true });
      const text = program
        .replaceAll("port: 7001, staticKey", "port: server.port, staticKey")
        .replaceAll("port: 7001,\n  staticKey: clientKeys", "port: server.port,\n  staticKey: clientKeys")
        .replace('"known_peers"', JSON.stringify(file));
      const use = `
        for (const client of [pinned, trusting]) {
          console.log((await client.request(new Uint8Array(3))).length, (await client.connected()).authenticated);
          await client.close();
        }
        await server.close();`;
      expect(await runProgram("keys", text + use, runtime)).toBe("3 true\n3 true\n");
    });
  }
});
