// Servers in processes of their own, in every runtime: several on one port, one that inherits its socket, one that a
// signal closes. Needs dist/.

import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Server as NetServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { connect } from "../dist/index.js";
import { runtimes } from "../scripts/runtimes.js";
import type { Client } from "../src/index.ts";
import { JsonProcess, until } from "./support/childProcess.ts";
import { freePorts } from "./support/freePorts.ts";

const psk = "5e".repeat(32);
const multiCore = fileURLToPath(new URL("../examples/multiCore.js", import.meta.url));
const echoServer = fileURLToPath(new URL("support/echoServer.js", import.meta.url));
const restrictedListen = fileURLToPath(new URL("support/restrictedListen.js", import.meta.url));
const givenPipe = fileURLToPath(new URL("support/givenPipe.js", import.meta.url));
const body = new Uint8Array(1);

const clients: Client[] = [];
const processes: JsonProcess[] = [];
const supervised = new Set<number>();

function client(port: number): Client {
  const made = connect({ port, psk, maxConnections: 1 });
  clients.push(made);
  return made;
}

function started(process: JsonProcess): JsonProcess {
  processes.push(process);
  return process;
}

afterEach(async () => {
  await Promise.all(clients.splice(0).map((each) => each.close()));
  await Promise.all(processes.splice(0).map((each) => each.stop()));
  for (const pid of supervised) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It is gone, as it should be.
    }
  }
  supervised.clear();
});

const ask = async (from: Client): Promise<number> =>
  Number(new TextDecoder().decode(await from.request(body)));

interface Visit {
  readonly servedBy?: number;
  readonly error?: string;
  /** How many workers had been told to have exited when it began. */
  readonly exitedBefore: number;
}

/** So many clients at once that come, ask and go, one after the other, without end. */
class Visitors {
  static readonly AT_ONCE = 8;
  readonly visits: Visit[] = [];
  begun = 0;
  #running = true;
  readonly #all: Promise<unknown>;

  constructor(port: number, exited: () => number) {
    const come = async (): Promise<void> => {
      while (this.#running) {
        const exitedBefore = exited();
        this.begun++;
        // One of node:cluster's may have nobody who answers; a worker that starts on a busy machine takes seconds.
        const one = connect({ port, psk, maxConnections: 1, handshakeTimeoutMs: 8_000 });
        const visit = await ask(one).then(
          (servedBy) => ({ servedBy, exitedBefore }),
          (error) => ({ error: error.code as string, exitedBefore }),
        );
        this.visits.push(visit);
        await one.close();
      }
    };
    this.#all = Promise.all(Array.from({ length: Visitors.AT_ONCE }, come));
  }

  servedBy(pid: number): number {
    return this.visits.filter((visit) => visit.servedBy === pid).length;
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#all;
  }
}

async function listening(): Promise<NetServer> {
  const server = createServer();
  await new Promise<void>((done) => server.listen({ port: 0, host: "127.0.0.1", backlog: 64 }, done));
  return server;
}

const close = (server: NetServer) => new Promise<void>((done) => server.close(() => done()));

for (const runtime of runtimes()) {
  describe(`${runtime.label} (${runtime.version})`, () => {
    test("two workers share a port: one is killed while clients come, nothing else notices, and it is replaced", async () => {
      const [port] = (await freePorts(1)) as [number];
      const supervisor = started(
        new JsonProcess(runtime, multiCore, ["2"], { env: { PORT: `${port}`, PSK: psk } }),
      );
      await until(() => {
        for (const { worker } of supervisor.all("worker")) supervised.add(worker as number);
        return supervised.size === 2;
      }, `two workers; ${supervisor.errors}`);
      const [{ sharing }] = supervisor.all("sharing") as [{ sharing: string }];
      expect(sharing).toBe(runtime.id === "node20" ? "node:cluster" : "reusePort");

      // The system spreads by chance: 32 connections all on one worker are one case in 2³¹.
      const all = Array.from({ length: 32 }, () => client(port));
      const servedBy = new Map(await Promise.all(all.map(async (each) => [each, await ask(each)] as const)));
      expect([...new Set(servedBy.values())].sort()).toEqual([...supervised].sort());

      const [killed] = supervised as unknown as Iterable<number>;
      // Others come without end, and are being accepted whenever it is that the worker dies.
      const visitors = new Visitors(port, () => supervisor.all("exited").length);
      await until(() => visitors.servedBy(killed!) >= 8, "visitors of the worker that is killed");
      const lost = all.filter((each) => servedBy.get(each) === killed);
      const kept = all.filter((each) => servedBy.get(each) !== killed);
      process.kill(killed!, "SIGKILL");
      const outcomes = await Promise.all(kept.map(ask));
      expect(outcomes).toEqual(kept.map((each) => servedBy.get(each)));
      await supervisor.entryWith("exited");
      const goneAt = visitors.visits.length;
      for (const outcome of await Promise.allSettled(lost.map(ask))) {
        if (outcome.status === "rejected")
          expect(outcome.reason.code).toMatch(/^ERR_(CONNECTION_LOST|HANDSHAKE|DIAL_FAILED)$/);
        else expect([...supervised]).toContain(outcome.value);
      }
      await until(() => supervisor.all("worker").length === 3, "the third worker");
      const third = supervisor.all("worker")[2]!.worker as number;
      supervised.add(third);
      // Those whose worker was killed dial again, and the new one has its part.
      await until(async () => {
        const fresh = await Promise.all(Array.from({ length: 8 }, () => ask(client(port)).catch(() => 0)));
        return fresh.includes(third);
      }, "the new worker to be given connections");
      await until(() => visitors.servedBy(third) >= 8, "visitors of the new worker");
      expect(await Promise.all(kept.map(ask)), "the others go on").toEqual(outcomes);
      await visitors.stop();
      expect(visitors.visits, "every visit settles").toHaveLength(visitors.begun);
      const failed = visitors.visits.filter(({ error }) => error !== undefined);
      // Only those can have met the dying worker that came before it was gone: one in each place, and one more at most.
      for (const { error, exitedBefore } of failed) {
        expect(error).toMatch(/^ERR_(CONNECTION_LOST|HANDSHAKE|HANDSHAKE_TIMEOUT|DIAL_FAILED)$/);
        expect(exitedBefore, error).toBe(0);
      }
      // A connection that node:cluster hands to a worker that dies before it has taken it stays with nobody.
      const unanswered = failed.filter(({ error }) => error === "ERR_HANDSHAKE_TIMEOUT");
      expect(unanswered.length).toBeLessThanOrEqual(sharing === "node:cluster" ? 1 : 0);
      expect(failed.length).toBeLessThanOrEqual(2 * Visitors.AT_ONCE);
      expect(visitors.visits.slice(goneAt).map((visit) => visit.servedBy)).toContain(
        [...supervised].find((pid) => pid !== killed && pid !== third),
      );
      supervisor.kill("SIGTERM");
      await supervisor.exited;
      expect(supervisor.all("exited")).toHaveLength(3);
    });

    test("a server listens on the socket that it inherited", async () => {
      const socket = await listening();
      const { port } = socket.address() as AddressInfo;
      const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
      const server = started(
        new JsonProcess(runtime, echoServer, [JSON.stringify({ fd: 3, psk })], { inherit: fd }),
      );
      expect((await server.entryWith("port")).port).toBe(port);
      await close(socket);
      expect(await ask(client(port))).toBe(server.child.pid);
      server.kill("SIGTERM");
      expect(await server.exited).toBe(0);
    });

    test.skipIf(process.platform === "win32")(
      "a pipe that it inherited is refused, and stays open",
      async () => {
        const folder = mkdtempSync(join(tmpdir(), "sealwire-pipe-"));
        execFileSync("mkfifo", [join(folder, "pipe")]);
        const fd = openSync(join(folder, "pipe"), constants.O_RDWR | constants.O_NONBLOCK);
        try {
          const server = started(new JsonProcess(runtime, givenPipe, [], { inherit: fd }));
          expect(await server.entryWith("code")).toEqual({
            code: "ERR_LISTEN_FAILED",
            wasOpen: true,
            isOpen: true,
          });
        } finally {
          closeSync(fd);
          rmSync(folder, { recursive: true });
        }
      },
    );

    // Node has such permissions from version 25 on, and Bun has none.
    if (runtime.id === "deno" || Number(runtime.id.slice("node".length)) >= 25) {
      test("where a process may not listen, listening fails, and the process goes on", async () => {
        const [port] = (await freePorts(1)) as [number];
        const own = { host: "127.0.0.1", port };
        const isDeno = runtime.id === "deno";
        const args = isDeno
          ? [
              "run",
              "--no-config",
              "--no-prompt",
              "--allow-read",
              "--allow-env",
              `--allow-net=127.0.0.1:${port}`,
            ]
          : ["--permission", "--allow-fs-read=*"];
        const forbidden = [
          { port: 0 },
          { host: "localhost", port: 0 },
          { host: "::1", port: 0, reusePort: true },
          { port: 0, reusePort: true },
          { host: "localhost", port: 0, reusePort: true },
          { ...own, health: { port: 0 } },
        ];
        const cases = [...forbidden, own, { ...own, reusePort: true }];
        const process = started(
          new JsonProcess({ path: runtime.path, args }, restrictedListen, [JSON.stringify(cases)]),
        );
        const { outcomes } = await process.entryWith("outcomes");
        const ofOwn = isDeno ? "listened" : "ERR_LISTEN_FAILED";
        expect(outcomes).toEqual([...forbidden.map(() => "ERR_LISTEN_FAILED"), ofOwn, ofOwn]);
        expect(await process.exited).toBe(0);
      });
    }

    if (runtime.id === "deno") {
      test("access to port 0 is none to the port that the system gives: shared ports are not tried", async () => {
        const args = ["run", "--no-config", "--no-prompt", "--allow-read", "--allow-env"];
        const process = started(
          new JsonProcess(
            { path: runtime.path, args: [...args, "--allow-net=127.0.0.1:0"] },
            restrictedListen,
            [JSON.stringify([{ port: 0, reusePort: true }])],
          ),
        );
        expect(await process.entryWith("outcomes")).toEqual({ outcomes: ["listened"] });
        expect(await process.exited).toBe(0);
      });
    }

    test("a signal: draining, calls in flight answered, stopped, and the process ends with 0", async () => {
      const options = { port: 0, psk, health: { port: 0 } };
      const server = started(
        new JsonProcess(runtime, echoServer, [JSON.stringify(options)], { env: { GRACE_MS: "2000" } }),
      );
      const { port, healthPort } = (await server.entryWith("port")) as { port: number; healthPort: number };
      const probe = async () => (await fetch(`http://127.0.0.1:${healthPort}/readyz`)).status;
      expect(await probe()).toBe(200);
      const one = client(port);
      await ask(one);
      const inFlight = one.request(new Uint8Array(4));
      server.kill("SIGTERM");
      await until(() => server.all("health").length > 1, "draining");
      expect(await probe()).toBe(503);
      expect(await ask(client(port)), "new connections are served in the grace").toBe(server.child.pid);
      expect(Number(new TextDecoder().decode(await inFlight))).toBe(server.child.pid);
      expect(await server.exited).toBe(0);
      expect(server.all("health").map(({ health }) => health)).toEqual(["ready", "draining", "stopped"]);
      expect(server.errors.replaceAll(/.*(ExperimentalWarning|trace-warnings).*\n/g, "")).toBe("");
    });
  });
}
