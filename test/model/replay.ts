// Replays a way through the flow model with two real ends. Their calls, handlers and streams follow the trace, and so
// does the network between them. The model's unit is 128 KiB of message credit; one item is a chunk that takes all of a
// stream's first credit.

import { createApi } from "../../src/rpc/api.ts";
import type { RpcConnection } from "../../src/rpc/connection.ts";
import type { Call, Connection, Message, MessageHandler } from "../../src/rpc/peer.ts";
import { FIRST_STREAM_CREDIT } from "../../src/rpc/sharedWindow.ts";
import { MemoryNetwork } from "../support/memoryNetwork.ts";
import { type Deferred, deferred } from "../support/rpcHarness.ts";
import type { Action, Scenario } from "./flowModel.ts";

const UNIT = 131_072;
const MESSAGE_COST = 64;
const CHUNK_COST = 64;
const ONE_WAY = 255;
/** More turns of the event loop than any of these traces needs by far. */
const MAX_TURNS = 4_000;

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));
const item = (): Uint8Array => new Uint8Array(FIRST_STREAM_CREDIT - CHUNK_COST);

function body(first: number, cost: number): Uint8Array {
  const bytes = new Uint8Array(cost * UNIT - MESSAGE_COST);
  bytes[0] = first;
  return bytes;
}

type Items = AsyncIterator<Uint8Array, undefined>;

/** The real ends of one scenario. */
export class Replay {
  readonly #scenario: Scenario;
  readonly #network = new MemoryNetwork();
  /** 0: the client's, 1: the server's. */
  #connections!: [Connection, Connection];
  readonly #calls: (Call | undefined)[];
  readonly #items: [up: Items | undefined, down: Items | undefined][];
  readonly #aborts: AbortController[];
  readonly #mayAnswer: Deferred<void>[];
  /** Handlers of one-way messages that have begun at each end, and may go on. */
  readonly #messages: [Deferred<void>[], Deferred<void>[]] = [[], []];
  #allMayEnd = false;
  /** Everything that has to settle, by what it is. */
  readonly #open = new Map<Promise<unknown>, string>();
  readonly wrong: string[] = [];

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
    const { calls } = scenario;
    this.#calls = calls.map(() => undefined);
    this.#items = calls.map(() => [undefined, undefined]);
    this.#aborts = calls.map(() => new AbortController());
    this.#mayAnswer = calls.map(() => deferred());
  }

  /** What is wrong in the end; empty when everything settled and nothing is lost. */
  async run(trace: readonly Action[]): Promise<string[]> {
    const api = createApi(this.#network.adapter);
    const options = {
      postQuantum: false,
      messageCreditBytes: 2 * UNIT,
      maxConcurrentHandlers: this.#scenario.handlers,
      heartbeatIntervalMs: 0,
      requestTimeoutMs: 0,
      onHandlerError: (error: unknown) => void this.wrong.push(`a handler failed: ${String(error)}`),
    };
    const server = await api.listen({ ...options, port: 0, onMessage: this.#handler(1) });
    const client = api.connect({ ...options, port: 1, maxConnections: 1, onMessage: this.#handler(0) });
    const connected = client.connected();
    await this.#pump(() => client.connections[0]?.state === "open" && server.connections.length === 1);
    this.#connections = [await connected, server.connections[0]!];

    this.#start();
    for (const action of trace) await this.#act(action);
    await this.#finish();
    const closed = Promise.all([client.close(), server.close()]);
    this.#watch(closed, "close");
    await this.#pump(() => this.#open.size === 0);
    for (const what of this.#open.values()) this.wrong.push(`${what} never settles`);
    return this.wrong;
  }

  #start(): void {
    const { messages, calls } = this.#scenario;
    for (const e of [0, 1] as const) for (const cost of messages[e]) this.#send(e, cost);
    for (const [id, { madeBy }] of calls.entries()) if (madeBy === undefined) this.#make(id);
  }

  async #act([what, who, direction]: Action): Promise<void> {
    const items = this.#items[who]?.[direction];
    switch (what) {
      case "read":
        this.#network.deliver(who === 0 ? 1 : 0);
        break;
      case "settle":
        this.#mayAnswer[who]!.resolve();
        break;
      case "settleMessage":
        this.#messages[who as 0 | 1].shift()?.resolve();
        break;
      case "cancel":
        this.#aborts[who]!.abort();
        break;
      case "take":
        if (items !== undefined) this.#watch(items.next(), `item of call ${who}`);
        break;
      case "stop":
        if (items !== undefined) this.#watch(items.return!(), `leaving call ${who}`);
        break;
      default: // "write": a connection writes by itself when the turn ends
    }
    await turn();
  }

  /** Everybody goes on to the end; then all credit has to be there again. */
  async #finish(): Promise<void> {
    this.#allMayEnd = true;
    for (const gate of [...this.#mayAnswer, ...this.#messages.flat()]) gate.resolve();
    for (const items of this.#items.flat()) if (items !== undefined) this.#takeAll(items);
    await this.#pump(() => this.#open.size === 0);
    for (const what of this.#open.values()) this.wrong.push(`${what} waits for good`);
    for (const e of [0, 1] as const) for (let i = 0; i < 4; i++) this.#send(e, 2);
    const links = this.#connections.map((connection) => (connection as unknown as RpcConnection).link);
    const permitsTaken = (): boolean => links.some(({ requests }) => requests.occupied > 0);
    const creditIsHeld = (): boolean => links.some(({ arrivals }) => arrivals.credit.held !== 0);
    await this.#pump(() => this.#open.size === 0 && !permitsTaken() && !creditIsHeld());
    if (permitsTaken()) this.wrong.push("a permit is lost");
    if (creditIsHeld()) this.wrong.push("credit is lost");
  }

  #send(e: 0 | 1, cost: number): void {
    this.#watch(this.#connections[e].send(body(ONE_WAY, cost)), `message of ${e}`, true);
  }

  #make(id: number, connection = this.#connections[this.#scenario.calls[id]!.from]): void {
    const { cost, up = 0, down = 0 } = this.#scenario.calls[id]!;
    // Head and its length are part of what a call costs.
    const bytes = body(id, cost).subarray(0, cost * UNIT - MESSAGE_COST - 64);
    const call = connection.call(bytes, { signal: this.#aborts[id]!.signal, timeoutMs: 0 });
    this.#calls[id] = call;
    if (down > 0) this.#items[id]![1] = call[Symbol.asyncIterator]() as Items;
    this.#watch(call.answer, `answer of call ${id}`);
    for (let i = 0; i < up; i++) this.#watch(call.write(item()), `item to call ${id}`);
    call.end();
    if (this.#allMayEnd && down > 0) this.#takeAll(this.#items[id]![1]!);
  }

  #handler(e: 0 | 1): MessageHandler {
    return async (message: Message) => {
      const id = message.body[0]!;
      if (id === ONE_WAY) {
        const gate = deferred();
        if (this.#allMayEnd) gate.resolve();
        else this.#messages[e].push(gate);
        return gate.promise;
      }
      const { up = 0, down = 0 } = this.#scenario.calls[id]!;
      if (up > 0) {
        const items = message[Symbol.asyncIterator]();
        this.#items[id]![0] = items;
        if (this.#allMayEnd) this.#takeAll(items);
      }
      for (let i = 0; i < down; i++) this.#watch(message.write(item()), `item from call ${id}`);
      const children = this.#scenario.calls.flatMap(({ madeBy }, child) => (madeBy === id ? [child] : []));
      for (const child of children) {
        this.#make(child, message.connection);
        await this.#calls[child]!.answer.catch(() => {});
      }
      await this.#mayAnswer[id]!.promise;
      if (message.expectsReply) message.reply(new Uint8Array(1));
    };
  }

  #takeAll(items: Items): void {
    const all = async (): Promise<void> => {
      while (!(await items.next()).done);
    };
    this.#watch(all(), "a stream");
  }

  /** It has to settle; `mustSucceed`: well. */
  #watch(promise: Promise<unknown>, what: string, mustSucceed = false): void {
    this.#open.set(promise, what);
    promise.then(
      () => this.#open.delete(promise),
      (error) => {
        this.#open.delete(promise);
        if (mustSucceed) this.wrong.push(`${what}: ${String(error)}`);
      },
    );
  }

  /** Lets the network move until `done`, or until there were far too many turns. */
  async #pump(done: () => boolean): Promise<void> {
    for (let i = 0; i < MAX_TURNS && !done(); i++) {
      this.#network.deliver(0);
      this.#network.deliver(1);
      await turn();
    }
  }
}
