// What is published: pack the package, install the tarball into an empty folder without network, import every
// entry point in every runtime, and compile a TypeScript program against the declarations.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runtimes } from "../scripts/runtimes.js";
import { installPackage } from "./support/installedPackage.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const installed = installPackage();
const { folder: consumer, files: packedFiles } = installed;
afterAll(() => installed.remove());

/** The entry point that asks for an optional peer. */
const PEER_ENTRY = "./otel";
const PEER = "@opentelemetry/api";

/** Entry points that are JavaScript and ask for no peer, as a program names them. */
const modules = Object.keys(manifest.exports)
  .filter((path) => !path.endsWith(".wasm") && !path.endsWith(".json") && path !== PEER_ENTRY)
  .map((path) => path.replace(/^\./, manifest.name));

/** Every file that package.json's exports name, through all conditions. */
function exportedFiles(target: unknown): string[] {
  return typeof target === "string" ? [target] : Object.values(target as object).flatMap(exportedFiles);
}

test("has no runtime dependencies", () => {
  expect(manifest.dependencies).toBeUndefined();
  expect(manifest.optionalDependencies).toBeUndefined();
  // Only for those who pass the library to msgpackCodec, or import sealwire/otel; npm installs none of them by itself.
  expect(manifest.peerDependencies).toEqual({ "@msgpack/msgpack": "^3.1.3", "@opentelemetry/api": "^1.9.0" });
  const optional = { optional: true };
  expect(manifest.peerDependenciesMeta).toEqual({
    "@msgpack/msgpack": optional,
    "@opentelemetry/api": optional,
  });
});

test("nothing runs when it is installed, or would: npm warns of packages with such scripts", () => {
  const { scripts } = JSON.parse(
    readFileSync(join(consumer, "node_modules", manifest.name, "package.json"), "utf8"),
  );
  for (const name of [
    "preinstall",
    "install",
    "postinstall",
    "preprepare",
    "prepare",
    "postprepare",
    "prepublish",
  ])
    expect(scripts[name], name).toBeUndefined();
});

test("no peer is installed by itself", () => {
  for (const scope of ["@msgpack", "@opentelemetry"])
    expect(existsSync(join(consumer, "node_modules", scope))).toBe(false);
});

test("the lock file names the platform packages of every system, or npm ci refuses it", () => {
  execFileSync(process.execPath, [join(root, "scripts/completeLock.js"), "--check"]);
});

test("the tarball holds what is exported, the licence, the documents and the sources that maps point to, and no tests", () => {
  for (const file of exportedFiles(manifest.exports))
    expect(packedFiles).toContain(file.replace(/^\.\//, ""));
  for (const file of ["package.json", "README.md", "LICENSE", "CHANGELOG.md"])
    expect(packedFiles).toContain(file);
  const unexpected = packedFiles.filter(
    (file) => !/^(dist|docs|src)\/|^[A-Za-z]+\.(md|json)$|^LICENSE$/.test(file),
  );
  expect(unexpected).toEqual([]);
});

test("deno and bun are asked before node, types before all", () => {
  expect(Object.keys(manifest.exports["."])).toEqual(["types", "deno", "bun", "node", "default"]);
});

test("the modules import nothing but the runtime's own modules", () => {
  const scripts = packedFiles.filter((file) => file.startsWith("dist/") && file.endsWith(".js"));
  expect(scripts.length).toBeGreaterThan(0);
  for (const file of scripts) {
    const text = readFileSync(join(consumer, "node_modules", manifest.name, file), "utf8");
    for (const [, specifier] of text.matchAll(/^(?:import|export)\s[^;"']*?["']([^"']+)["']/gm)) {
      if (file === "dist/otel.js" && specifier === PEER) continue;
      expect(specifier, file).toMatch(/^(\.|node:)/);
    }
  }
});

describe.each(runtimes())("installed, in $label ($version)", (runtime) => {
  // Deno finds packages through the consumer's package.json.
  const args = runtime.id === "deno" ? ["run", "-A"] : runtime.args;

  test("every entry point can be imported", () => {
    const program = `
      const names = {};
      for (const name of ${JSON.stringify(modules)}) names[name] = Object.keys(await import(name)).sort();
      console.log(JSON.stringify(names));
    `;
    writeFileSync(join(consumer, "import.js"), program);
    const output = execFileSync(runtime.path, [...args, "import.js"], { cwd: consumer, encoding: "utf8" });
    const names = JSON.parse(output);
    for (const name of modules) expect(names[name].length, name).toBeGreaterThan(0);
    expect(names.sealwire).toEqual(expect.arrayContaining(["connect", "listen", "SealwireError"]));
    for (const name of ["sealwire/node", "sealwire/bun", "sealwire/deno"]) {
      expect(names[name], name).toEqual(names.sealwire);
    }
    expect(names["sealwire/crypto"]).toEqual(expect.arrayContaining(["x25519", "blake2b", "aes256gcm"]));
  });

  test("what asks for a peer says which one is missing", () => {
    const program = `await import("sealwire/otel").catch((error) => console.log(error.message));`;
    writeFileSync(join(consumer, "peer.js"), program);
    const output = execFileSync(runtime.path, [...args, "peer.js"], { cwd: consumer, encoding: "utf8" });
    expect(output).toContain(PEER);
  });

  test("a server and a client talk", () => {
    const program = `
      import { connect, listen } from "sealwire";
      const server = await listen({ host: "127.0.0.1", port: 0, psk: "5e".repeat(32), onMessage: (message) => message.reply(message.body) });
      const client = connect({ host: "127.0.0.1", port: server.port, psk: "5e".repeat(32) });
      console.log(new TextDecoder().decode(await client.request(new TextEncoder().encode("hello"))));
      await client.close();
      await server.close();
    `;
    writeFileSync(join(consumer, "talk.js"), program);
    const output = execFileSync(runtime.path, [...args, "talk.js"], { cwd: consumer, encoding: "utf8" });
    expect(output.trim()).toBe("hello");
  });

  test("the raw modules are valid and import their memory alone", () => {
    const program = `
      import { readFileSync } from "node:fs";
      const load = (name) => new WebAssembly.Module(readFileSync(new URL(import.meta.resolve(name))));
      const plain = load("sealwire/sealwire.wasm");
      console.log(JSON.stringify(WebAssembly.Module.imports(plain).map(({ kind }) => kind)));
      console.log(WebAssembly.Module.exports(plain).length > 0);
      const { usePrecompiledModule, wasmBuild } = await import("sealwire/wasm");
      usePrecompiledModule(plain);
      console.log(wasmBuild());
    `;
    writeFileSync(join(consumer, "raw.js"), program);
    const output = execFileSync(runtime.path, [...args, "raw.js"], { cwd: consumer, encoding: "utf8" });
    expect(output.trim()).toBe('["memory"]\ntrue\nprecompiled');
  });
});

/** What a program's own declarations may or may not hold beside the language. */
const environments: Record<string, { lib: string[]; types: string[] }> = {
  "nothing else": { lib: ["ES2022"], types: [] },
  "the DOM library": { lib: ["ES2022", "DOM"], types: [] },
  "@types/node": { lib: ["ES2022"], types: ["node"] },
  "the DOM library and @types/node": { lib: ["ES2022", "DOM"], types: ["node"] },
};

/** Programs that use what an environment declares: compiled with the common one, since a compiler takes long to start. */
const ofEnvironment: Record<string, string> = {
  // The signals and modules that the DOM library knows.
  "the DOM library": `
  import { listen, connect } from "sealwire";
  import { blake2b } from "sealwire/crypto";
  import { usePrecompiledModule } from "sealwire/wasm";
  const client = connect({ port: 1 });
  void client.request(new Uint8Array(1), { signal: AbortSignal.timeout(5) });
  void listen({ port: 0, onMessage: async (message) => { await fetch("", { signal: message.signal }); } });
  usePrecompiledModule(new WebAssembly.Module(new Uint8Array(8)));
  void crypto.subtle.digest("SHA-256", blake2b(new Uint8Array(1)));
  `,
  // The signals that @types/node knows.
  "@types/node": `
  import { once } from "node:events";
  import { listen, connect } from "sealwire";
  const client = connect({ port: 1 });
  void client.request(new Uint8Array(1), { signal: AbortSignal.timeout(5) });
  void listen({ port: 0, onMessage: async (message) => { await once(process, "x", { signal: message.signal }); } });
  `,
};

/** What every environment compiles. */
const program = `
  import { connect, listen, SealwireError, type ErrorCode } from "sealwire";
  import { connect as connectNode } from "sealwire/node";
  import { connect as connectBun } from "sealwire/bun";
  import { connect as connectDeno } from "sealwire/deno";
  import { aes256gcm, blake2b, hkdfBlake2b, x25519, x25519KeyPair } from "sealwire/crypto";
  import * as noise from "sealwire/noise";
  import { type Codec, jsonCodec, method, type Remote, RpcError, serve, type StandardSchema, typed } from "sealwire/rpc";
  import { type LinkedPair, linkedPair, memoryNetwork } from "sealwire/testing";
  import { usePrecompiledModule, wasmBuild } from "sealwire/wasm";
  const pair: LinkedPair = await linkedPair({ server: { onMessage: (message) => message.reply(message.body) } });
  const api = { find: (id: number) => ({ id, data: new Uint8Array(1) }) };
  const codec: Codec = jsonCodec({ maxDepth: 10 });
  const remote = typed<typeof api>(pair.client, { codec });
  void linkedPair({ server: { onMessage: serve(api, { codec }) } });
  const found: Uint8Array = (await remote.find(1)).data;
  // @ts-expect-error an id is a number
  void remote.find("1");
  const cut: number = await memoryNetwork({ latencyMs: 1 }).cut();
  // @ts-expect-error a pair has its own address
  void linkedPair({ client: { port: 1 } });
  declare const schema: StandardSchema<{ id: string }, { id: number }>;
  const service = {
    echo: (text: string) => text,
    bytes: async (parts: AsyncIterable<Uint8Array>) => parts,
    find: method(schema, async ({ id }, context) => { if (id > 1) throw new RpcError("NO", "no", { id }); return { id, key: context.peerKey }; }),
    count: async function* () { yield 1; },
  };
  const same: (typeof connect)[] = [connectNode, connectBun, connectDeno];
  const server = await listen({ port: 0, psk: new Uint8Array(32), onMessage: (message) => message.reply(message.body) });
  const client = same[0]!({ host: "127.0.0.1", port: server.port, psk: new Uint8Array(32) });
  const answer: Uint8Array = await client.request(new Uint8Array(1));
  const accepted: boolean = client.sendNoWait(answer);
  const sent: Promise<void> = client.send(answer);
  const build: "plain" | "relaxed" | "precompiled" = wasmBuild();
  const far: Remote<typeof service> = typed<typeof service>(client);
  const id: number = (await far.find({ id: "1" }, { timeoutMs: 5 })).id;
  for await (const n of await far.count()) { const one: number = n; void one; }
  void listen({ port: 0, psk: new Uint8Array(32), onMessage: serve(service, { use: [(call, next) => call.method === "find" ? next() : 1] }) });
  // @ts-expect-error the schema takes a text
  void far.find({ id: 1 });
  const code: ErrorCode = new SealwireError("ERR_CLOSED", "closed").code;
  const digest: Uint8Array = blake2b(hkdfBlake2b(new Uint8Array(64), answer, 2)[0]!);
  const sealed: Uint8Array = aes256gcm(new Uint8Array(32)).seal(new Uint8Array(12), digest);
  usePrecompiledModule({});
  // @ts-expect-error a port is a number
  void listen({ port: "7000" });
  // @ts-expect-error bodies are bytes
  void client.request("text");
  // @ts-expect-error a signal has listeners
  void client.request(answer, { signal: { aborted: false } });
  // @ts-expect-error a module is an object
  usePrecompiledModule("module");
  export { id, accepted, build, code, cut, found, pair, noise, sealed, sent, x25519, x25519KeyPair };
`;

const require = createRequire(import.meta.url);
const folderOf = (name: string): string => dirname(require.resolve(`${name}/package.json`));

/** Writes the programs and the configuration of an environment, and returns the path of the latter. */
function project(name: string, { lib, types }: { lib: string[]; types: string[] }): string {
  const folder = join(consumer, name.replaceAll(/\W+/g, "-"));
  mkdirSync(folder, { recursive: true });
  const more = ofEnvironment[name];
  const files = { "program.ts": program, ...(more === undefined ? {} : { "environment.ts": more }) };
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
  const config = {
    compilerOptions: {
      target: "ES2022",
      module: "NodeNext",
      moduleResolution: "NodeNext",
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      lib,
      types,
      typeRoots: [join(root, "node_modules/@types")],
      // All declarations are checked but those that come with the compiler.
      skipLibCheck: false,
      skipDefaultLibCheck: true,
    },
    files: Object.keys(files),
  };
  const path = join(folder, "tsconfig.json");
  writeFileSync(path, JSON.stringify(config));
  return path;
}

/** What each compiler finds wrong with a project; the one that has an API takes all of them in one process. */
const compilers: Record<string, (configs: string[]) => string[]> = {
  typescript: (configs) =>
    configs.map((config) => {
      const args = [join(folderOf("typescript"), "bin/tsc"), "-p", config];
      const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
      return status === 0 ? "" : stdout + stderr;
    }),
  "typescript-5.4": (configs) => {
    const args = [join(root, "test/support/compileEach.js"), folderOf("typescript-5.4"), ...configs];
    return JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" }));
  },
};

describe.each(Object.entries(compilers))("a program compiles with %s", (_, compileEach) => {
  const names = Object.keys(environments);
  let wrong: string[] = [];
  beforeAll(() => {
    wrong = compileEach(names.map((name) => project(name, environments[name]!)));
    expect(wrong).toHaveLength(names.length);
  }, 480_000);

  test.each(names)("and %s", (name) => {
    expect(wrong[names.indexOf(name)]).toBe("");
  });

  test("and what does not compile is told", () => {
    const config = project("a mistake", environments["nothing else"]!);
    writeFileSync(
      join(dirname(config), "program.ts"),
      'import "sealwire"; export const port: string = 7000;',
    );
    expect(compileEach([config])).toEqual([expect.stringContaining("TS2322")]);
  });
});
