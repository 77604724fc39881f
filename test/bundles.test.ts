// The package inside of other programs: bundles that run in another runtime than they were made for, require(), worker
// threads, clusters, test runners with realms of their own, single executables; and its size there.
import { execFile, execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { build as esbuild } from "esbuild";
import { rollup } from "rollup";
import { build as vite } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import webpack from "webpack";
import { type Runtime, runtimes } from "../scripts/runtimes.js";
import { isInTurn, SHARES } from "../scripts/shares.js";
import { installPackage } from "./support/installedPackage.ts";
import { skipTitle } from "./support/skipTitle.ts";
import { testsInTurn } from "./support/testsInTurn.ts";
import { repositoryRoot } from "./support/vectors.ts";

const run = promisify(execFile);
const require = createRequire(import.meta.url);
const installed = runtimes();
const nodes = installed.filter(({ id }) => id.startsWith("node"));
const consumer = installPackage();
afterAll(() => consumer.remove());

/**
 * Bytes of minified JavaScript that an import loads, both wasm builds included: everything of sealwire/node, and what
 * calls need alone. Servers, several endpoints and known peers are loaded when they are first used.
 */
const budgets: Record<string, { program: string; bytes: number }> = {
  "everything of sealwire/node": { program: 'export * from "sealwire/node";', bytes: 233_150 },
  "connect and listen": { program: 'export { connect, listen } from "sealwire/node";', bytes: 228_600 },
};
/** connect and listen in one file, which carries what is loaded late elsewhere. */
const ONE_FILE_BUDGET_BYTES = 281_300;
/** All that a process has loaded after it did this, its own few lines included. */
const processBudgets = { client: 229_000, server: 248_550 };
/**
 * What typed calls with both codecs add to it. Their own reader and writer of short JSON are 3.5 kB of it, what reads answers
 * where they lie and wipes bodies 2 kB; what ends with a call, and checks of options, 0.7 kB.
 */
const TYPED_BUDGET_BYTES = 59_650;
/** Files of dist/ that an import of sealwire/node reads: each costs more than its contents. */
const MOST_FILES = 5;
/** The wasm builds' part of it. */
const WASM_BUDGET_BYTES = 26_300;

const TALK = `
  async function talk() {
    const psk = "5e".repeat(32);
    const onMessage = (message) => message.reply(message.body);
    const server = await listen({ port: 0, psk, onMessage });
    const client = connect({ port: server.port, psk });
    const answer = await client.request(new TextEncoder().encode("hello"));
    await client.close();
    await server.close();
    return new TextDecoder().decode(answer);
  }
`;
const MAIN = `${TALK}\n talk().then((text) => console.log(text), (error) => { console.error(error); process.exit(1); });`;
/** Known peers are files, which the runtime's modules keep: bundlers treat those in many ways. */
const PEERS = (entry: string): string => `
  import { knownPeers } from "${entry}";
  async function rememberPeer(answer) {
    const peers = knownPeers(${JSON.stringify(join(consumer.folder, "peers/known"))});
    await peers.add("a:1", new Uint8Array(32).fill(9));
    return \`\${answer}, \${(await peers.list()).length} peer\`;
  }
`;
const importing = (entry: string): string => `import { connect, listen } from "${entry}";\n`;
const esm = (entry: string): string => importing(entry) + MAIN;

async function output(runtime: Pick<Runtime, "path" | "args">, file: string): Promise<string> {
  const { stdout } = await run(runtime.path, [...runtime.args, file], {
    cwd: consumer.folder,
    timeout: 60_000,
  });
  return stdout.trim();
}

describe.each(installed.filter(({ id }) => id !== "deno"))("require() in $label ($version)", (runtime) => {
  test.each(["sealwire", "sealwire/node", "sealwire/bun", "sealwire/deno"])("of %s", async (entry) => {
    const file = consumer.write("required.cjs", `const { connect, listen } = require("${entry}");\n${MAIN}`);
    expect(await output(runtime, file)).toBe("hello");
  });
});

const entries = ["sealwire", "sealwire/node", "sealwire/bun", "sealwire/deno"];
const nameOf = (entry: string): string => entry.replace("/", "-");

/** One bundle of a program in one file: its path. */
const bundlers: Record<string, (program: string, out: string) => Promise<string>> = {
  "esbuild (ESM)": async (program, out) => {
    const outfile = `${out}.mjs`;
    await esbuild({ entryPoints: [program], outfile, bundle: true, platform: "node", format: "esm" });
    return outfile;
  },
  "esbuild (CJS, minified)": async (program, out) => {
    const outfile = `${out}.cjs`;
    await esbuild({
      entryPoints: [program],
      outfile,
      bundle: true,
      minify: true,
      platform: "node",
      format: "cjs",
    });
    return outfile;
  },
  "esbuild for Bun": async (program, out) => {
    const outfile = `${out}-bun.mjs`;
    const conditions = ["bun"];
    await esbuild({
      entryPoints: [program],
      outfile,
      bundle: true,
      platform: "node",
      format: "esm",
      conditions,
    });
    return outfile;
  },
  "esbuild for Deno": async (program, out) => {
    const outfile = `${out}-deno.mjs`;
    const conditions = ["deno"];
    await esbuild({
      entryPoints: [program],
      outfile,
      bundle: true,
      platform: "node",
      format: "esm",
      conditions,
    });
    return outfile;
  },
  "rollup (default condition)": async (program, out) => {
    const file = `${out}-rollup.mjs`;
    const exported = JSON.parse(readFileSync(join(repositoryRoot, "package.json"), "utf8")).exports;
    const bundle = await rollup({
      input: program,
      external: /^node:/,
      plugins: [
        {
          name: "resolve",
          resolveId: (id) =>
            id.startsWith("sealwire")
              ? join(consumer.folder, "node_modules/sealwire", exported[id.replace("sealwire", ".")].default)
              : null,
        },
      ],
    });
    await bundle.write({ file, format: "es", inlineDynamicImports: true });
    return file;
  },
  "vite (SSR)": async (program, out) => {
    const outDir = `${out}-vite`;
    await vite({
      root: consumer.folder,
      configFile: false,
      logLevel: "error",
      ssr: { noExternal: true },
      build: { ssr: program, outDir, rollupOptions: { output: { entryFileNames: "main.mjs" } } },
    });
    return join(outDir, "main.mjs");
  },
};

/** webpack's bundles of programs, `<out>/<name>.cjs`. */
function runWebpack(entry: Record<string, string>, out: string, shares: boolean): Promise<void> {
  const options: webpack.Configuration = {
    mode: "production",
    target: "node20",
    entry,
    output: { path: out, filename: "[name].cjs" },
    optimization: shares ? { minimize: false, splitChunks: { chunks: "all" } } : {},
  };
  return new Promise((resolve, reject) => {
    webpack(options, (error, stats) => {
      if (error) reject(error);
      else if (stats?.hasErrors()) reject(new Error(stats.toString("errors-only")));
      else resolve();
    });
  });
}

/** webpack minifies for ten seconds: `sealwire` becomes one file, minified, the other entries a bundle that shares its chunks. */
async function bundledByWebpack(programs: Record<string, string>): Promise<Record<string, string>> {
  const named = (chosen: string[]) =>
    Object.fromEntries(chosen.map((entry) => [nameOf(entry), programs[entry]!]));
  const [first, ...others] = Object.keys(programs);
  const out = { [first!]: join(consumer.folder, "out/webpack") };
  for (const entry of others) out[entry] = join(consumer.folder, "out/webpack-shared");
  await runWebpack(named([first!]), out[first!]!, false);
  await runWebpack(named(others), out[others[0]!]!, true);
  return Object.fromEntries(
    Object.entries(out).map(([entry, path]) => [entry, join(path, `${nameOf(entry)}.cjs`)]),
  );
}

/** A bundler takes seconds, so each commit tries one in four. */
const everyBundler = [...Object.keys(bundlers), "webpack"];
const left = everyBundler.filter((_, place) => !isInTurn(place, SHARES));
for (const bundler of left)
  test.skip(skipTitle(`bundled by ${bundler}`, `1 in ${SHARES} of the bundlers, the commit decides which`));

describe.each(everyBundler.filter((bundler) => !left.includes(bundler)))("bundled by %s", (bundler) => {
  /** What the bundle of each entry answered in each runtime. */
  const answers = new Map<string, Record<string, string>>();

  // The start of a runtime costs most of it: one process runs the bundles of the four entries, one after another.
  beforeAll(async () => {
    const programs: Record<string, string> = {};
    const files: Record<string, string> = {};
    for (const entry of entries) {
      const text = `${importing(entry)}${PEERS(entry)}${TALK}\n globalThis.talking = talk().then(rememberPeer);`;
      programs[entry] = consumer.write(`${nameOf(entry)}.js`, text);
      const out = join(consumer.folder, `out/${nameOf(entry)}`);
      if (bundler !== "webpack") files[entry] = await bundlers[bundler]!(programs[entry], out);
    }
    if (bundler === "webpack") Object.assign(files, await bundledByWebpack(programs));
    const main = consumer.write(
      "bundles.mjs",
      `const answers = {};
      for (const [entry, file] of Object.entries(${JSON.stringify(files)})) {
        await import(file);
        answers[entry] = await globalThis.talking;
        delete globalThis.talking;
      }
      console.log(JSON.stringify(answers));`,
    );
    for (const runtime of installed) answers.set(runtime.id, JSON.parse(await output(runtime, main)));
  }, 480_000);

  test.each(entries)("%s runs in every runtime", (entry) => {
    for (const { id, label } of installed) expect(answers.get(id)![entry], label).toBe("hello, 1 peer");
  });
});

describe.each(installed)("in $label ($version)", (runtime) => {
  // Deno finds packages through the consumer's package.json.
  const asInstalled = { ...runtime, args: runtime.id === "deno" ? ["run", "-A"] : runtime.args };

  test("worker threads each have a core of their own", async () => {
    const file = consumer.write(
      "threads.js",
      `
      import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
      import { connect, listen } from "sealwire";
      const psk = "5e".repeat(32);
      if (isMainThread) {
        const server = await listen({ port: 0, psk, onMessage: (message) => message.reply(message.body) });
        const answers = await Promise.all([1, 2, 3].map((length) => new Promise((resolve, reject) => {
          const worker = new Worker(new URL(import.meta.url), { workerData: { port: server.port, length } });
          worker.once("message", resolve);
          worker.once("error", reject);
        })));
        console.log(answers.join());
        await server.close();
      } else {
        const client = connect({ port: workerData.port, psk });
        const answer = await client.request(new Uint8Array(workerData.length));
        await client.close();
        parentPort.postMessage(answer.length);
      }
    `,
    );
    expect(await output(asInstalled, file)).toBe("1,2,3");
  });
});

describe.each(installed)("stacks in $label ($version)", (runtime) => {
  const nope =
    'import { connect } from "sealwire"; try { connect({ nope: 1 }); } catch ({ stack }) { console.log(stack); }';

  /** The stack of a caller's mistake, in a runtime with these arguments besides its own. */
  async function stackOf(...more: string[]): Promise<string> {
    const args = runtime.id === "deno" ? ["run", "-A"] : runtime.args;
    const file = consumer.write("stack.mjs", nope);
    const { stdout, stderr } = await run(runtime.path, [...args, ...more, file], { cwd: consumer.folder });
    expect(stderr).toBe("");
    return stdout;
  }

  test("functions have their names", async () => {
    expect(await stackOf()).toMatch(/ unknownOption .* checkOptionNames .* connect /s);
  });

  // Deno reads no maps of packages.
  if (runtime.id !== "deno")
    test("lines are those of the sources, told by maps that Bun always reads", async () => {
      const stack = await stackOf(...(runtime.id === "bun" ? [] : ["--enable-source-maps"]));
      const [, line] = /checkOptionNames \(.*sealwire\/src\/base\/options\.ts:(\d+):\d+\)/.exec(stack)!;
      const source = readFileSync(join(repositoryRoot, "src/base/options.ts"), "utf8").split("\n");
      expect(source[Number(line) - 1]).toContain("throw unknownOption(");
    });
});

describe.each(nodes)("node:cluster in $label ($version)", (runtime) => {
  test("workers share a port", async () => {
    const file = consumer.write(
      "cluster.js",
      `
      import cluster from "node:cluster";
      import { connect, listen } from "sealwire";
      const psk = "5e".repeat(32);
      if (cluster.isPrimary) {
        const ports = await Promise.all([1, 2].map(() => new Promise((resolve) => cluster.fork().once("message", resolve))));
        const answers = [];
        for (let i = 0; i < 4; i++) {
          const client = connect({ port: ports[0], psk });
          answers.push(new TextDecoder().decode(await client.request(new Uint8Array(1))));
          await client.close();
        }
        console.log(ports[0] === ports[1], new Set(answers).size);
        for (const worker of Object.values(cluster.workers)) worker.kill();
      } else {
        const text = new TextEncoder().encode(String(process.pid));
        const server = await listen({ port: 0, psk, onMessage: (message) => message.reply(text) });
        process.send(server.port);
      }
    `,
    );
    expect(await output(runtime, file)).toBe("true 2");
  });
});

/** Makes a package of this repository's node_modules visible to the consumer. */
function lend(name: string): void {
  const place = join(consumer.folder, "node_modules", name);
  if (!existsSync(place)) symlinkSync(join(repositoryRoot, "node_modules", name), place);
}

const REALM_TEST = `
  test("a call inside the runner's realm", async () => {
    expect(await talk()).toBe("hello");
  });
  test("bytes of the realm and of the outer one are bytes", async () => {
    expect(blake2b(new Uint8Array(1)).length).toBe(64);
    expect(blake2b(Buffer.from([0]))).toEqual(blake2b(new Uint8Array(1)));
    expect(blake2b(structuredClone(new Uint8Array(1)))).toEqual(blake2b(new Uint8Array(1)));
  });
`;

test("Jest, with a realm per test file", async () => {
  const imports = `import { connect, listen } from "sealwire";\nimport { blake2b } from "sealwire/crypto";\n`;
  consumer.write("jest/realm.test.js", imports + TALK + REALM_TEST);
  consumer.write(
    "jest/package.json",
    JSON.stringify({ type: "module", jest: { transform: {}, rootDir: "." } }),
  );
  const jest = join(dirname(require.resolve("jest/package.json")), "bin/jest.js");
  const args = [
    "--experimental-vm-modules",
    jest,
    "--ci",
    "--watchman=false",
    "--cacheDirectory",
    join(consumer.folder, "jest-cache"),
  ];
  const { stderr } = await run(process.execPath, args, {
    cwd: join(consumer.folder, "jest"),
    timeout: 100_000,
  });
  expect(stderr).toMatch(/Tests: +2 passed, 2 total/);
});

test.each(["forks", "threads", "vmThreads", "vmForks"])("vitest with pool %s", async (pool) => {
  lend("vitest");
  const imports = `import { expect, test } from "vitest";\nimport { connect, listen } from "sealwire";\nimport { blake2b } from "sealwire/crypto";\n`;
  consumer.write("vitest/realm.test.js", imports + TALK + REALM_TEST);
  consumer.write("vitest/vitest.config.js", "export default {};");
  const args = [
    join(repositoryRoot, "node_modules/vitest/vitest.mjs"),
    "run",
    "--root",
    join(consumer.folder, "vitest"),
    "--pool",
    pool,
    "--reporter=json",
  ];
  const { stdout } = await run(process.execPath, args, {
    cwd: join(consumer.folder, "vitest"),
    env: { ...process.env, VITEST: undefined, NODE_ENV: undefined },
    timeout: 100_000,
  });
  expect(JSON.parse(stdout.slice(stdout.indexOf("{")))).toMatchObject({ success: true, numPassedTests: 2 });
});

describe("single executables", () => {
  const bun = installed.find(({ id }) => id === "bun");
  const noBun = bun === undefined ? "Bun is not here" : undefined;
  test.skipIf(noBun !== undefined)(skipTitle("bun build --compile", noBun), async () => {
    const program = consumer.write("compiled.js", esm("sealwire"));
    const outfile = join(consumer.folder, "compiled-by-bun");
    await run(bun!.path, ["build", "--compile", program, "--outfile", outfile], {
      cwd: consumer.folder,
      timeout: 100_000,
    });
    expect(await output({ path: outfile, args: [] }, "")).toBe("hello");
  });

  /** `deno compile` puts programs into a runtime that it fetches once: asked for only where it is here already. */
  const deno = installed.find(({ id }) => id === "deno");
  const hasRuntime = (): boolean => {
    if (process.env.DENORT_BIN !== undefined) return true;
    const { denoDir } = JSON.parse(execFileSync(deno!.path, ["info", "--json"], { encoding: "utf8" }));
    return existsSync(join(denoDir, "dl/release", `v${deno!.version}`));
  };
  const compiles = deno !== undefined && hasRuntime();
  test.skipIf(!compiles)(
    skipTitle("deno compile", compiles ? undefined : "its runtime would have to be fetched"),
    async () => {
      consumer.write("compiledByDeno.js", esm("sealwire"));
      const outfile = join(consumer.folder, "compiled-by-deno");
      await run(deno!.path, ["compile", "-A", "--output", outfile, "compiledByDeno.js"], {
        cwd: consumer.folder,
        timeout: 100_000,
      });
      expect(await output({ path: outfile, args: [] }, "")).toBe("hello");
    },
  );

  const seaNode = nodes.find(({ path }) =>
    execFileSync(path, ["--help"], { encoding: "utf8" }).includes("--build-sea"),
  );
  // It writes the whole of Node several times.
  const inTurn = testsInTurn((place) => isInTurn(place, SHARES), `1 in ${SHARES} commits tries it`);
  const noSea = seaNode === undefined ? "no Node here has --build-sea" : undefined;
  inTurn(
    skipTitle("Node's (--build-sea, from Node 25.5 on)", noSea),
    { skip: noSea !== undefined },
    async () => {
      const program = consumer.write("sea.js", esm("sealwire"));
      const main = await bundlers["esbuild (CJS, minified)"]!(program, join(consumer.folder, "out/sea"));
      const made = join(consumer.folder, "compiled-by-node");
      const config = consumer.write(
        "sea.json",
        JSON.stringify({ main, output: made, disableExperimentalSEAWarning: true }),
      );
      await run(seaNode!.path, ["--build-sea", config], { cwd: consumer.folder, timeout: 100_000 });
      expect(await output({ path: made, args: [] }, "")).toBe("hello");
    },
  );
});

describe("size", () => {
  test.each(Object.entries(budgets))("%s", async (name, { program, bytes }) => {
    const file = consumer.write("size.js", program);
    const { metafile } = await esbuild({
      entryPoints: [file],
      bundle: true,
      minify: true,
      platform: "node",
      format: "esm",
      write: false,
      splitting: true,
      metafile: true,
      outdir: join(consumer.folder, "out/size"),
    });
    const { outputs } = metafile;
    const entry = Object.keys(outputs).find((path) => outputs[path]!.entryPoint?.endsWith("size.js"))!;
    // What is imported when it is needed, and only then, is loaded by nobody else.
    const loaded = new Set<string>();
    const load = (path: string): void => {
      if (loaded.has(path) || outputs[path] === undefined) return;
      loaded.add(path);
      for (const { path: other, kind } of outputs[path].imports) if (kind === "import-statement") load(other);
    };
    load(entry);
    const total = [...loaded].reduce((sum, path) => sum + outputs[path]!.bytes, 0);
    console.log(`${name}: ${total} bytes minified`);
    expect(total).toBeLessThan(bytes);
    const inputs = [...loaded].flatMap((path) => Object.keys(outputs[path]!.inputs));
    const late =
      /denoSockets|serverStart|admission\.|acceptedSocket|endpoint(sClient|Set|Lookup)|rendezvous|healthProbes|proxyReader|knownPeers(Records|File)/;
    expect(inputs.filter((path) => late.test(path))).toEqual([]);
  });

  test("one file with all of connect and listen", async () => {
    const file = consumer.write("sizeOne.js", budgets["connect and listen"]!.program);
    const { outputFiles } = await esbuild({
      entryPoints: [file],
      bundle: true,
      minify: true,
      platform: "node",
      format: "esm",
      write: false,
    });
    console.log(`one file: ${outputFiles[0]!.contents.length} bytes minified`);
    expect(outputFiles[0]!.contents.length).toBeLessThan(ONE_FILE_BUDGET_BYTES);
  });

  test("what a client and a server load in all, as V8 tells it", async () => {
    const out = join(consumer.folder, "out/processes");
    const server = consumer.write(
      "sizeServer.js",
      `import { listen } from "sealwire/node";
      const onMessage = (message) => message.reply(message.body);
      const server = await listen({ port: 0, psk: "5e".repeat(32), onMessage });
      process.once("disconnect", () => server.close());
      process.send(server.port);`,
    );
    const client = consumer.write(
      "sizeClient.js",
      `import { fork } from "node:child_process";
      import { connect } from "sealwire/node";
      const env = { ...process.env, NODE_V8_COVERAGE: process.argv[2] };
      const server = fork(new URL("./sizeServer.js", import.meta.url), [], { env });
      server.once("message", async (port) => {
        const client = connect({ port, psk: "5e".repeat(32) });
        console.log((await client.request(new Uint8Array(7))).length);
        await client.close();
        server.disconnect();
      });`,
    );
    await esbuild({
      entryPoints: [server, client],
      bundle: true,
      minify: true,
      platform: "node",
      format: "esm",
      splitting: true,
      outdir: out,
    });
    const env = { ...process.env, NODE_V8_COVERAGE: join(out, "client") };
    const args = [join(out, "sizeClient.js"), join(out, "server")];
    const { stdout } = await run(process.execPath, args, { cwd: out, env, timeout: 60_000 });
    expect(stdout.trim()).toBe("7");
    for (const [role, most] of Object.entries(processBudgets)) {
      const scripts = readdirSync(join(out, role)).flatMap(
        (file) => JSON.parse(readFileSync(join(out, role, file), "utf8")).result as { url: string }[],
      );
      const own = scripts.map(({ url }) => url).filter((url) => url.includes("/out/processes/"));
      const total = own.reduce((sum, url) => sum + statSync(new URL(url)).size, 0);
      console.log(`a ${role}: ${total} bytes minified in ${own.length} files`);
      expect(total).toBeGreaterThan(100_000);
      expect(total).toBeLessThan(most);
    }
  });

  test(`sealwire/rpc adds at most ${TYPED_BUDGET_BYTES / 1_000} kB to it, minified`, async () => {
    const sizeOf = async (program: string): Promise<number> => {
      const file = consumer.write("sizeTyped.js", program);
      const result = await esbuild({
        entryPoints: [file],
        bundle: true,
        minify: true,
        platform: "node",
        format: "esm",
        write: false,
        outdir: consumer.folder,
      });
      return result.outputFiles[0]!.contents.length;
    };
    const node = 'export * from "sealwire/node";';
    const before = await sizeOf(node);
    const all = await sizeOf(`${node} export * from "sealwire/rpc";`);
    const usual = await sizeOf(`${node} export { method, RpcError, serve, typed } from "sealwire/rpc";`);
    console.log(
      `sealwire/rpc adds ${all - before} bytes minified, without MessagePack and retry ${usual - before}`,
    );
    expect(all - before).toBeGreaterThan(0);
    expect(all - before).toBeLessThan(TYPED_BUDGET_BYTES);
    expect(usual).toBeLessThan(all);
    // What API.md says of it.
    const said = readFileSync(join(repositoryRoot, "docs/API.md"), "utf8");
    expect(said).toContain(`keeps it below ${TYPED_BUDGET_BYTES / 1_000} kB`);
    expect(said).toContain(`adds about ${Math.round((usual - before) / 1_000)} kB`);
    expect(said).toContain(`and ${Math.round((all - before) / 1_000)} kB with MessagePack`);
  });

  test(`sealwire/node is ${MOST_FILES} files at most when it is imported`, () => {
    const loaded = new Set<string>();
    const load = (path: string): void => {
      if (loaded.has(path)) return;
      loaded.add(path);
      const text = readFileSync(path, "utf8");
      for (const [, from] of text.matchAll(/^(?:import|export)\b[^;]*?["'](\.[^"']+)["'];?$/gm))
        load(join(dirname(path), from!));
    };
    load(join(repositoryRoot, "dist/node.js"));
    expect(loaded.size).toBeGreaterThan(1);
    expect(loaded.size).toBeLessThanOrEqual(MOST_FILES);
  });

  test("both wasm builds are in it once, and small", () => {
    const generated = readFileSync(join(repositoryRoot, "src/core/wasmBinary.ts"), "utf8");
    // Without the numbers of the memory map, which are constants of the code.
    const binary = generated.replace(/^export const [A-Z\d_]+: number = \d+;\n/gm, "");
    expect(binary.length).toBeLessThan(WASM_BUDGET_BYTES);
  });
});

describe.each(installed.filter(({ id }) => id === "deno"))(
  "without npm, in $label ($version)",
  ({ path }) => {
    test("the unpacked package is installed by a file: dependency and runs with two permissions", async () => {
      const cwd = dirname(
        consumer.write(
          "withoutNpm/package.json",
          JSON.stringify({ dependencies: { sealwire: "file:./package" } }),
        ),
      );
      const program = consumer.write("withoutNpm/app.mjs", esm("sealwire"));
      await run("tar", ["xf", consumer.tarball, "-C", cwd], { timeout: 60_000 });
      await run(path, ["install", "--quiet"], { cwd, timeout: 60_000 });
      const { stdout } = await run(path, ["run", "--allow-net", "--allow-env", program], {
        cwd,
        timeout: 60_000,
      });
      expect(stdout.trim()).toBe("hello");
    });
  },
);

describe.each(nodes)("an import in $label ($version)", ({ path, args }) => {
  /**
   * The collections of more than young garbage while a program runs. V8 sets the limit of its old objects by what its
   * first collections found, and so by how soon it had optimized code: its schedule is fixed, so that a busy machine
   * changes nothing. How much memory outside of its heap makes it collect stays as it is.
   */
  async function collections(program: string): Promise<string[]> {
    const traced = { path, args: ["--trace-gc", "--predictable-gc-schedule", ...args] };
    const lines = (await output(traced, program)).split("\n");
    expect(lines).toContain("32");
    return lines.filter((line) => line.includes("Mark-Compact"));
  }
  const imports = 'import { blake2b } from "sealwire/crypto"; import "sealwire";';
  const uses = "console.log(blake2b(new Uint8Array(1), { length: 32 }).length);";

  test("makes V8 collect nothing but young garbage: the module's memory is no pressure", async () => {
    expect(await collections(consumer.write("imported.mjs", `${imports}\n${uses}`))).toEqual([]);
  });

  test("three MiB more would make it collect, and this test sees that", async () => {
    const more = "globalThis.more = new WebAssembly.Memory({ initial: 48 });";
    const work = "let sum = 0; for (let i = 0; i < 1e6; i++) sum += [i].length;";
    const program = consumer.write("pressed.mjs", `${imports}\n${more}\n${work}\n${uses}`);
    expect((await collections(program)).length).toBeGreaterThan(0);
  });
});

describe("what registries check", () => {
  const bin = (name: string, file: string): string => join(repositoryRoot, "node_modules", name, file);

  test("publint finds nothing", async () => {
    const args = [bin("publint", "src/cli.js"), "--strict", consumer.tarball];
    const { stdout } = await run(process.execPath, args, { cwd: repositoryRoot, timeout: 60_000 });
    expect(stdout).toContain("All good!");
  });

  test("attw finds nothing in the modules", async () => {
    const files = ["./sealwire.wasm", "./sealwire.relaxed.wasm"];
    const options = ["--profile", "esm-only", "--exclude-entrypoints", ...files, "--no-definitely-typed"];
    const args = [bin("@arethetypeswrong/cli", "dist/index.js"), consumer.tarball, ...options];
    const { stdout } = await run(process.execPath, args, { cwd: repositoryRoot, timeout: 60_000 });
    const resolutions = stdout.split("\n").filter((line) => /^(node16|bundler)/.test(line));
    expect(resolutions.length).toBeGreaterThan(20);
    // Nothing of CommonJS is promised: programs that use require() get the module all the same.
    expect(resolutions.filter((line) => !line.includes("(ignored)") && !line.includes("🟢"))).toEqual([]);
  });

  test("JSR takes the sources", async () => {
    const deno = installed.find(({ id }) => id === "deno");
    if (deno === undefined) return;
    // Whether JSR can tell all public types without inference is always checked. The types themselves are checked by
    // `npm run typecheck`, and by Deno's TypeScript, which takes 10 s of a processor, in `npm run test:every`.
    const types = process.env.SEALWIRE_EVERY === "1" ? [] : ["--no-check"];
    const args = ["publish", "--dry-run", "--allow-dirty", "--config", "jsr.json", ...types];
    const { stderr } = await run(deno.path, args, { cwd: repositoryRoot, timeout: 100_000 });
    expect(stderr).toContain("Dry run complete");
    expect(stderr).not.toMatch(/warning/i);
  });

  test("jsr.json has the version and the entries of package.json", () => {
    const json = (name: string) => JSON.parse(readFileSync(join(repositoryRoot, name), "utf8"));
    const [npm, jsr] = [json("package.json"), json("jsr.json")];
    expect([jsr.version, jsr.license]).toEqual([npm.version, npm.license]);
    // What imports a package of npm by its bare name stays out.
    const modules = Object.keys(npm.exports).filter((path) => !/\.(wasm|json)$|^\.\/otel$/.test(path));
    expect(Object.keys(jsr.exports)).toEqual(modules);
  });

  test("maps of modules and declarations lead to sources that ship", () => {
    const maps = consumer.files.filter((path) => path.endsWith(".map"));
    expect(maps.length).toBeGreaterThan(50);
    for (const path of maps) {
      const { sources } = JSON.parse(readFileSync(join(repositoryRoot, path), "utf8"));
      for (const source of sources) expect(consumer.files, path).toContain(join(dirname(path), source));
    }
  });
});
