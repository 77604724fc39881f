// Shutdowns under load, again and again: the client's, the server's, both at once, one connection's, in both protocols.
// Every request settles once. An answer that a handler gave and the connection accepted is received. A message that was
// accepted before an orderly end is handled once, in order. After each cycle nothing is held, and at the end the
// process ends by itself. `--every` runs 1,000 cycles per protocol.

import assert from "node:assert/strict";
import { expandedKeys } from "../../../src/core/cachedKey.ts";
import { slotsInUse } from "../../../src/core/slotPool.ts";
import { type Client, connect, listen, type Message, type Server } from "../../../src/index.ts";
import { timers } from "../../../src/rpc/timers.ts";
import { runsEvery } from "../../support/every.ts";
import { test } from "../../support/harness.ts";
import { Ledger } from "../../support/ledger.ts";
import { type ProtocolUnderTest, protocols } from "../../support/protocols.ts";
import { checkLeaksAfterEachTest, sleep } from "../../support/rpcHarness.ts";
import { generator } from "../../support/seeded.ts";

checkLeaksAfterEachTest();

const CYCLES = runsEvery ? 1_000 : 24;
const WORKERS = 8;
/** Longer than any cycle takes: nothing here may end by running out of time. */
const DRAIN_MS = 30_000;

/** Who ends what: each cycle takes the next one. */
const endings = ["client", "server", "both", "connection of the client", "connection of the server"] as const;
type Ending = (typeof endings)[number];

class Cycle {
  readonly ledger: Ledger;
  readonly #random: (limit: number) => number;
  readonly #server: Server;
  readonly #clients: Client[];
  #stops = false;

  private constructor(random: (limit: number) => number, server: Server, clients: Client[], ledger: Ledger) {
    this.#random = random;
    this.#server = server;
    this.#clients = clients;
    this.ledger = ledger;
  }

  static async start({ options }: ProtocolUnderTest, seed: number): Promise<Cycle> {
    const random = generator(seed);
    const ledger = new Ledger();
    const common = { ...options, drainTimeoutMs: DRAIN_MS };
    const onMessage = async (message: Message): Promise<void> => {
      if (!message.expectsReply) return ledger.arrived(message.connection, message.body);
      ledger.asked(message.body);
      const wait = random(4);
      if (wait > 0) await sleep(wait);
      ledger.answered(message.body, message.reply(message.body));
    };
    const server = await listen({ ...common, host: "127.0.0.1", port: 0, onMessage });
    const clients = [1, 2].map((maxConnections) => connect({ ...common, port: server.port, maxConnections }));
    await Promise.all(clients.map((client) => client.connected()));
    return new Cycle(random, server, clients, ledger);
  }

  async run(ending: Ending): Promise<void> {
    const load = this.#clients.flatMap((client) =>
      Array.from({ length: WORKERS }, (_, i) => (i % 4 === 0 ? this.#send(client) : this.#ask(client))),
    );
    await sleep(this.#random(8));
    await this.#end(ending);
    this.#stops = true;
    await Promise.all(this.#clients.map((client) => client.close()));
    await Promise.all(load);
    await this.#server.close();
  }

  async #end(ending: Ending): Promise<void> {
    const clients = () => this.#clients.map((client) => client.close());
    if (ending === "client") await Promise.all(clients());
    else if (ending === "server") await this.#server.close();
    else if (ending === "both") await Promise.all([...clients(), this.#server.close()]);
    else {
      const side = ending === "connection of the client" ? this.#clients[0]! : this.#server;
      await side.connections[0]?.close();
    }
  }

  async #ask(client: Client): Promise<void> {
    while (!this.#stops) {
      const code = await this.ledger.ask(client, this.#random(2_000), { timeoutMs: DRAIN_MS });
      if (code === undefined) continue;
      assert.match(code, /^ERR_(CLOSED|CONNECTION_LOST|DIAL_FAILED|HANDSHAKE)$/);
      await sleep(1);
    }
  }

  async #send(client: Client): Promise<void> {
    while (!this.#stops) {
      const open = client.connections.find(({ state }) => state === "open");
      if (open === undefined || (await this.ledger.send(open, this.#random(2_000))) !== undefined)
        await sleep(1);
    }
  }
}

for (const protocol of protocols) {
  test(`${protocol.name}: ${CYCLES} cycles of shutdown under load`, { timeoutMs: 600_000 }, async () => {
    let [answers, messages] = [0, 0];
    for (let i = 0; i < CYCLES; i++) {
      const ending = endings[i % endings.length]!;
      const cycle = await Cycle.start(protocol, i + 1);
      try {
        await cycle.run(ending);
        cycle.ledger.finish(protocol.withKinds);
        assert.equal(timers.size, 0, "deadlines are left");
        assert.equal(slotsInUse(), 0, "pool slots are left");
        assert.equal(expandedKeys(), 0, "expanded keys are left");
      } catch (error) {
        throw new Error(`cycle ${i + 1}, ended by: ${ending}`, { cause: error });
      }
      answers += cycle.ledger.answers;
      messages += cycle.ledger.delivered;
    }
    assert.ok(answers > 2 * CYCLES && messages > CYCLES, `${answers} answers, ${messages} messages`);
    if (runsEvery) console.log(`    ${answers} answers, ${messages} one-way messages`);
  });
}
