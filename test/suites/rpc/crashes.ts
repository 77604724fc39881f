// Real processes that are killed, stopped and started again under load, in this runtime. The promises of the simulation
// hold: each request settles once, one-way messages arrive once and in order, nothing arrives after the end, and the
// next connection serves. `--every` runs many more rounds.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Client, Connection, Message } from "../../../src/index.ts";
import { runsEvery } from "../../support/every.ts";
import { freePort } from "../../support/freePorts.ts";
import { runtimeId, type TestOptions, test } from "../../support/harness.ts";
import { Ledger } from "../../support/ledger.ts";
import { PSK } from "../../support/protocols.ts";
import {
  checkLeaksAfterEachTest,
  sleep,
  startClient,
  startServer,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const options: TestOptions =
  process.platform === "win32" ? { skip: "no such signals" } : { timeoutMs: 600_000 };
const ROUNDS = runsEvery ? 40 : 2;
const SIGNS = { psk: PSK, heartbeatIntervalMs: 300, heartbeatTimeoutMs: 300 };
const EXPECTED =
  /^ERR_(CLOSED|CONNECTION_LOST|DIAL_FAILED|HANDSHAKE|REQUEST_TIMEOUT|READ_TIMEOUT|BACKPRESSURE)$/;

function peer(role: "client" | "server", port: number): ChildProcess {
  const script = resolve("test/support/crashPeer.js");
  const args = runtimeId === "deno" ? ["run", "-A", "--no-config", script] : [script];
  return spawn(process.execPath, [...args, JSON.stringify({ role, port, psk: PSK })], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

/** Not `child.kill`, which in Deno sends the first signal only. */
function signal({ pid }: ChildProcess, name: NodeJS.Signals): void {
  process.kill(pid!, name);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  signal(child, "SIGKILL");
  await exited;
}

/** A server in a process of its own; what its handler is given goes into the ledger. */
class ServerProcess {
  readonly child: ChildProcess;
  port = 0;
  /** Stand for its connections. */
  readonly #links = new Map<string, Connection>();
  readonly #readToEnd: Promise<unknown>;

  constructor(port: number, ledger: Ledger) {
    this.child = peer("server", port);
    const lines = createInterface({ input: this.child.stdout! });
    this.#readToEnd = once(lines, "close");
    lines.on("line", (line) => {
      const [kind, link, first, second] = line.split(" ") as [string, string, string, string];
      if (kind === "q") ledger.asked(Number(first));
      else if (kind === "m") ledger.oracle.arrived(this.#link(link), Number(first), Number(second));
      else this.port = Number(line);
    });
  }

  #link(name: string): Connection {
    const link = this.#links.get(name) ?? ({} as Connection);
    this.#links.set(name, link);
    return link;
  }

  async listening(): Promise<void> {
    await waitFor(() => this.port !== 0, "the server's process to listen");
  }

  async kill(): Promise<void> {
    await end(this.child);
    await this.#readToEnd;
  }
}

/** Asks and sends until told to stop. */
class Load {
  readonly #running: Promise<void>[];
  #stops = false;

  constructor(client: Client, ledger: Ledger) {
    this.#running = Array.from({ length: 6 }, (_, i) => this.#run(client, ledger, i));
  }

  async #run(client: Client, ledger: Ledger, worker: number): Promise<void> {
    for (let i = 0; !this.#stops; i++) {
      const open = client.connections.find(({ state }) => state === "open");
      const length = (i * 97) % 1_500;
      const code =
        worker % 3 === 0 && open !== undefined
          ? await ledger.send(open, length)
          : await ledger.ask(client, length);
      await sleep(code === undefined ? 1 : 5);
    }
  }

  async stop(): Promise<void> {
    this.#stops = true;
    await Promise.all(this.#running);
  }
}

/** The load goes on: requests are answered and messages handled. */
async function isBusy(ledger: Ledger): Promise<void> {
  const { answers, delivered } = ledger;
  const goesOn = () => ledger.answers > answers + 5 && ledger.delivered > delivered + 5;
  await waitFor(goesOn, "the load to go on");
}

/** Requests are answered again, within the time of a hang: those that fail until then are settled, too. */
async function isServedAgain(client: Client, ledger: Ledger): Promise<void> {
  for (const end = performance.now() + 30_000; performance.now() < end; ) {
    if ((await ledger.ask(client, 3)) === undefined) return;
    await sleep(20);
  }
  assert.fail(`not served again: ${JSON.stringify(ledger.failures)}`);
}

function finish(ledger: Ledger): void {
  ledger.finish(false);
  for (const code of Object.keys(ledger.failures)) assert.match(code, EXPECTED);
  assert.ok(ledger.answers > 10 && ledger.delivered > 10, `${ledger.answers}, ${ledger.delivered}`);
}

test("a server is killed under load and started again", options, async () => {
  const ledger = new Ledger();
  const port = await freePort();
  let server = new ServerProcess(port, ledger);
  try {
    await server.listening();
    const client = startClient({ ...SIGNS, port, maxConnections: 2, requestTimeoutMs: 3_000 });
    await client.connected();
    const load = new Load(client, ledger);
    for (let round = 0; round < ROUNDS; round++) {
      await isBusy(ledger);
      await sleep(13 * (round % 7));
      await server.kill();
      await sleep(10 * (round % 3));
      server = new ServerProcess(port, ledger);
      await server.listening();
      await isServedAgain(client, ledger);
    }
    await load.stop();
    await client.close();
  } finally {
    await server.kill();
  }
  finish(ledger);
});

test("a server is stopped for longer than a sign of life takes, and goes on", options, async () => {
  const ledger = new Ledger();
  const server = new ServerProcess(0, ledger);
  try {
    await server.listening();
    const client = startClient({ ...SIGNS, port: server.port, maxConnections: 2, requestTimeoutMs: 400 });
    await client.connected();
    const load = new Load(client, ledger);
    for (let round = 0; round < ROUNDS; round++) {
      await isBusy(ledger);
      signal(server.child, "SIGSTOP");
      await sleep(round % 2 === 0 ? 900 : 150);
      signal(server.child, "SIGCONT");
      await isServedAgain(client, ledger);
    }
    await load.stop();
    await client.close();
  } finally {
    await server.kill();
  }
  finish(ledger);
});

test(
  "a client is killed or stopped under load: its connections go, its handlers are told",
  options,
  async () => {
    const next = new Map<Connection, number>();
    const streams = new Map<number, Connection>();
    const wrong: string[] = [];
    let [running, told, requests, messages] = [0, 0, 0, 0];
    const onMessage = async (message: Message): Promise<void> => {
      const { body, connection } = message;
      if (message.expectsReply) {
        requests++;
        running++;
        if (requests % 5 === 0) {
          // Until its caller is gone, or has given up.
          await new Promise<void>((done) =>
            message.signal.addEventListener("abort", () => done(), { once: true }),
          );
          told++;
        }
        running--;
        message.reply(body);
        return;
      }
      messages++;
      const view = new DataView(body.buffer, body.byteOffset, body.length);
      const number = view.getUint32(4);
      if (number !== (next.get(connection) ?? 0)) wrong.push(`${number} for ${next.get(connection)}`);
      next.set(connection, number + 1);
      const carrier = streams.get(view.getUint32(0)) ?? connection;
      if (carrier !== connection) wrong.push("a stream on two connections");
      streams.set(view.getUint32(0), connection);
    };
    const server = await startServer({ ...SIGNS, maxConcurrentHandlers: 1_000, onMessage });
    for (let round = 0; round < ROUNDS; round++) {
      streams.clear();
      const child = peer("client", server.port);
      try {
        const before = requests;
        await waitFor(() => requests > before + 20 && running > 0, "requests of the client's process");
        const toldBefore = told;
        if (round % 2 === 0) await end(child);
        else signal(child, "SIGSTOP");
        await waitFor(() => server.connections.length === 0, "the connections of the client to go");
        await waitFor(() => running === 0, "the handlers to be told");
        assert.ok(told > toldBefore);
        const [requestsNow, messagesNow] = [requests, messages];
        await sleep(50);
        assert.deepEqual([requests, messages], [requestsNow, messagesNow], "nothing comes afterwards");
      } finally {
        await end(child);
      }
    }
    assert.deepEqual(wrong, []);
    assert.ok(messages > 10);
  },
);
