// Code that few programs need is loaded when it is needed (src/base/loadPart.ts). A part that is missing fails what needs
// it, with a typed error that names it; everything else works, and the process ends.
import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { runtimes } from "../scripts/runtimes.js";
import { repositoryRoot } from "./support/vectors.ts";

const run = promisify(execFile);
const scratch = mkdtempSync(join(tmpdir(), "sealwire-parts-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A copy of the package without these parts. */
function packageWithout(parts: readonly string[]): string {
  const folder = mkdtempSync(join(scratch, "package-"));
  const isMissing = (path: string): boolean => parts.includes(basename(path).split("-")[0]!);
  cpSync(join(repositoryRoot, "dist"), join(folder, "dist"), {
    recursive: true,
    filter: (path) => !isMissing(path) && !path.endsWith(".map") && !path.endsWith("types"),
  });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  return folder;
}

/** Each use of a part: what it gives or fails with, and the cause. */
const PROGRAM = `
  import { connect, knownPeers, listen } from "./dist/ENTRY.js";
  const psk = "5e".repeat(32);
  const onMessage = (message) => message.reply(message.body);
  const told = {};
  const outcome = (error) => [error.code, typeof error.cause, error.message].join(" ");
  const note = async (name, make) => {
    try { told[name] = await make(); } catch (error) { told[name] = outcome(error); }
  };
  const listening = async (options) => { const server = await listen({ port: 0, psk, onMessage, ...options }); await server.close(); return "done"; };
  await note("listen", () => listening({}));
  await note("listen again", () => listening({}));
  await note("health", () => listening({ health: { port: 0 } }));
  await note("shared ports", () => listening({ reusePort: true }));
  await note("proxies", () => listening({ proxyProtocol: { trusted: ["127.0.0.1"] } }));
  const several = connect({ endpoints: [{ port: 9 }], psk, keepConnected: true });
  const body = new Uint8Array(1);
  told.sendNoWait = several.sendNoWait(body);
  await Promise.all([
    note("request", () => several.request(body)),
    note("send", () => several.send(body)),
    note("call", () => several.call(body).answer),
    note("sticky", () => several.sticky("key").request(body)),
    note("connected", () => several.connected()),
  ]);
  told.lookupError = several.stats.lookupError?.code;
  await several.close();
  await note("closed", () => several.request(body));
  const peers = knownPeers("peers");
  await note("list", () => peers.list());
  await note("add", () => peers.add("a:1", new Uint8Array(32).fill(9)));
  await note("authorize", () => peers.authorize(new Uint8Array(32).fill(9), { role: "client", remoteAddress: "a:1" }));
  console.log(JSON.stringify(told));
`;

async function told(
  runtime: { path: string; args: readonly string[] },
  entry: string,
  missing: readonly string[],
): Promise<Record<string, unknown>> {
  const cwd = packageWithout(missing);
  writeFileSync(join(cwd, "program.js"), PROGRAM.replace("ENTRY", entry));
  const { stdout } = await run(runtime.path, [...runtime.args, "program.js"], { cwd, timeout: 60_000 });
  return JSON.parse(stdout);
}

const missing = (part: string): unknown =>
  expect.stringMatching(
    new RegExp(`^ERR_UNSUPPORTED object the part of sealwire for ${part} could not be loaded`),
  );

test("every part that is imported late stands in this test", () => {
  const parts = new Set<string>();
  for (const name of readdirSync(join(repositoryRoot, "dist/chunks")).filter((file) => file.endsWith(".js")))
    for (const [, part] of readFileSync(join(repositoryRoot, "dist/chunks", name), "utf8").matchAll(
      /\bimport\(['"]\.\/(\w+)-[\w-]+\.js['"]\)/g,
    ))
      parts.add(part!);
  // Sockets of one runtime are late for another one, which its own programs never ask for.
  expect([...parts].sort()).toEqual([
    "denoSockets",
    "endpointsClient",
    "healthProbes",
    "knownPeersRecords",
    "listenAddress",
    "proxyReader",
    "serverStart",
  ]);
});

describe.each(runtimes())("in $label ($version)", (runtime) => {
  const entry = runtime.id.startsWith("node") ? "node" : runtime.id;

  test("without servers, several endpoints and known peers", async () => {
    const outcomes = await told(runtime, entry, ["serverStart", "endpointsClient", "knownPeersRecords"]);
    const endpoints = missing("several endpoints");
    expect(outcomes).toEqual({
      listen: missing("servers"),
      "listen again": missing("servers"),
      health: missing("servers"),
      "shared ports": missing("servers"),
      proxies: missing("servers"),
      sendNoWait: false,
      request: endpoints,
      send: endpoints,
      call: endpoints,
      sticky: endpoints,
      connected: endpoints,
      lookupError: "ERR_UNSUPPORTED",
      closed: "ERR_CLOSED undefined the client is closed",
      list: missing("known peers"),
      add: missing("known peers"),
      authorize: missing("known peers"),
    });
  });

  test("without what answers health probes, shares ports and reads headers of proxies", async () => {
    const outcomes = await told(runtime, entry, ["healthProbes", "listenAddress", "proxyReader"]);
    expect(outcomes).toMatchObject({
      listen: "done",
      health: missing("health probes"),
      "shared ports": missing("checks of addresses"),
      proxies: missing("headers of proxies"),
    });
  });
});
