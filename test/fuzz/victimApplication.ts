// The application above a connection that is fuzzed: handlers and calls that do anything that an application may do, in
// any order, and the promises that the library owes them.

import { type Connection, type Message, SealwireError } from "../../src/index.ts";
import type { Random } from "../simulation/random.ts";
import { loop } from "../simulation/virtualLoop.ts";
import { someBytes } from "./level.ts";

/** No body shows what a fault is better than a short one. */
const BODY_BYTES = [0, 20, 300, 20_000];

export class VictimApplication {
  readonly #random: Random;
  connection: Connection | undefined;
  /** Why the connection is over; null: in good order. */
  endedWith: SealwireError | null | undefined;
  depth = 0;
  /** Handlers that ran inside a call or a handler. */
  nested = 0;
  running = 0;
  mostRunning = 0;
  /** Promises of the library that have not settled, and what they are. */
  readonly owed = new Map<object, string>();
  readonly #signals: { signal: AbortSignal; over: boolean }[] = [];
  handled = 0;
  /** Something that was rejected with, and is no error of the library. */
  strange: unknown;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Handlers that wait for a signal which has not fired. */
  get hanging(): number {
    return this.#signals.filter(({ signal, over }) => !over && !signal.aborted).length;
  }

  onMessage = (message: Message): unknown => {
    if (this.depth > 0) this.nested++;
    this.handled++;
    return this.#inside(() => this.#handle(message));
  };

  onConnectionState = (connection: Connection, state: string, error: SealwireError | undefined): void => {
    this.connection = connection;
    if (state === "closed") this.endedWith = error ?? null;
  };

  /** Something that an application does of its own. */
  act(): void {
    const { connection } = this;
    if (connection !== undefined) this.#inside(() => this.#use(connection));
  }

  #inside<T>(run: () => T): T {
    this.depth++;
    try {
      return run();
    } finally {
      this.depth--;
    }
  }

  #body(): Uint8Array {
    return someBytes(this.#random, this.#random.pick(BODY_BYTES));
  }

  #handle(message: Message): unknown {
    const random = this.#random;
    const body = message.body.slice();
    switch (random.between(0, 15)) {
      case 0:
      case 1:
      case 2:
        return void message.reply(body);
      case 3:
        throw new Error("on purpose");
      case 4:
        return Promise.reject(new Error("on purpose"));
      case 5:
        return this.#work(message, random.between(0, 50), () => message.reply(body));
      case 6:
        return this.#untilAborted(message);
      case 7:
        return this.#readStream(message);
      case 8:
        return this.#writeStream(message);
      case 9:
        this.#use(message.connection);
        return void message.reply(body);
      case 10:
        this.#watch(message);
        return undefined;
      case 11:
        message.reply(body);
        return this.#untilAborted(message);
      case 12:
        if (random.chance(0.1)) this.#owes("close", message.connection.close());
        return this.#work(message, 1, () => message.reply(body));
      case 13:
        this.#watch(message);
        if (random.chance(0.1)) this.#owes("close", message.connection.close());
        return this.#untilAborted(message);
      default:
        return undefined;
    }
  }

  #use(connection: Connection): void {
    const random = this.#random;
    const timeoutMs = random.pick([0, 1, 100, undefined]);
    switch (random.between(0, 9)) {
      case 0:
      case 1:
        return this.#owes("send", connection.send(this.#body()));
      case 2:
        for (let i = random.between(1, 30); i > 0; i--) connection.sendNoWait(this.#body());
        return;
      case 3:
      case 4:
        return this.#owes("request", connection.request(this.#body(), { timeoutMs }));
      case 5: {
        const abort = new AbortController();
        this.#owes("request", connection.request(this.#body(), { timeoutMs, signal: abort.signal }));
        loop.after(random.pick([0, 10]), () => this.#inside(() => abort.abort()));
        return;
      }
      case 6:
      case 7:
        return this.#call(connection, timeoutMs);
      case 8:
        if (random.chance(0.05)) this.#owes("close", connection.close());
        return;
      default:
        this.#owes("into", connection.request(this.#body(), { timeoutMs, into: new Uint8Array(64) }));
    }
  }

  #call(connection: Connection, timeoutMs: number | undefined): void {
    const random = this.#random;
    const call = connection.call(this.#body(), { timeoutMs, head: { method: "m" } });
    this.#owes("call", call.answer);
    for (let i = random.between(0, 5); i > 0; i--) this.#owes("write", call.write(this.#body()));
    if (random.chance(0.5)) call.end();
    if (random.chance(0.5)) this.#owes("items", this.#items(call, random.between(1, 10)));
  }

  async #items(from: AsyncIterable<Uint8Array>, most: number): Promise<void> {
    let count = 0;
    for await (const item of from) if (item.length > 1e9 || ++count === most) break;
  }

  async #readStream(message: Message): Promise<void> {
    await this.#run(async () => {
      await this.#items(message, this.#random.between(1, 10));
      if (message.expectsReply) message.reply(new Uint8Array(3));
    });
  }

  async #writeStream(message: Message): Promise<void> {
    await this.#run(async () => {
      for (let i = this.#random.between(1, 5); i > 0; i--) {
        const written = message.write(this.#body());
        if (this.#random.chance(0.5)) await written;
        else written.catch(() => {});
      }
      if (message.expectsReply) message.reply(new Uint8Array(3));
    });
  }

  #work(message: Message, ms: number, then: () => void): Promise<void> {
    return this.#run(async () => {
      await loop.sleep(ms);
      if (message.expectsReply) this.#inside(then);
    });
  }

  #untilAborted(message: Message): Promise<void> {
    return this.#run(async () => {
      const watched = this.#watch(message);
      if (watched.signal.aborted) return;
      await new Promise<void>((resolve) => watched.signal.addEventListener("abort", () => resolve()));
    });
  }

  async #run(work: () => Promise<void>): Promise<void> {
    this.mostRunning = Math.max(this.mostRunning, ++this.running);
    try {
      await work();
    } finally {
      this.running--;
    }
  }

  #watch(message: Message): { signal: AbortSignal; over: boolean } {
    // A one-way message has a signal as long as its handler runs.
    const watched = { signal: message.signal, over: !message.expectsReply };
    this.#signals.push(watched);
    return watched;
  }

  #owes(what: string, promise: Promise<unknown>): void {
    const key = {};
    this.owed.set(key, what);
    const settled = (): void => void this.owed.delete(key);
    promise.then(settled, (error: unknown) => {
      settled();
      if (!(error instanceof SealwireError)) this.strange ??= error;
    });
  }
}
