// Requests, calls, chunks, ends, stops, cancels and credit in any order, sent by a raw client that keeps to the rules,
// and compared with a small model of the rules. The library sends nothing without credit, gives every request exactly
// one end with nothing after it, and nobody waits for ever.

import assert from "node:assert/strict";
import fc from "fast-check";
import type { Message, Server } from "../../../src/index.ts";
import { Origin } from "../../../src/protocol/errorBody.ts";
import { u32Value } from "../../../src/protocol/fields.ts";
import { encodeWithHead } from "../../../src/protocol/head.ts";
import { Kind } from "../../../src/protocol/wire.ts";
import { sharedCount } from "../../support/every.ts";
import { test } from "../../support/harness.ts";
import { v2 } from "../../support/protocols.ts";
import { concat, RawPeer } from "../../support/rawPeer.ts";
import type { RawFrame, RawSession } from "../../support/rawSession.ts";
import {
  checkLeaksAfterEachTest,
  fromText,
  patternBytes,
  startServer,
  text,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const EMPTY = new Uint8Array(0);
const WINDOW = 262_144;
const MESSAGE_COST = 64;
const CHUNK_COST = 64;
const STREAM_WINDOW = 16_384;
const GIVEN_ITEMS = 6;
const GIVEN_BYTES = 9_000;

const jobs = ["echo", "hold", "throw", "count", "give", "back"] as const;
type Job = (typeof jobs)[number];

/** Does what the body says. */
async function handle(message: Message): Promise<void> {
  const job = fromText(message.body);
  if (!message.expectsReply) return;
  let count = 0;
  switch (job) {
    case "hold":
      await new Promise<void>((resolve) => {
        if (message.signal.aborted) resolve();
        message.signal.addEventListener("abort", () => resolve());
      });
      return;
    case "throw":
      throw new Error("thrown");
    case "count":
      for await (const _ of message) count++;
      break;
    case "give":
      for (; count < GIVEN_ITEMS; count++) await message.write(patternBytes(GIVEN_BYTES, count));
      break;
    case "back":
      for await (const item of message) {
        await message.write(item);
        count++;
      }
      break;
    default:
  }
  message.reply(text(String(count)));
}

interface Request {
  readonly number: number;
  readonly job: Job;
  readonly isCall: boolean;
  /** What this side may send, and the server. */
  mine: number;
  theirs: number;
  /** Items sent, items received. */
  sent: number;
  got: number;
  ended: boolean;
  stopped: boolean;
  /** The server asked for no more, or ended its direction. */
  stopHeard: boolean;
  endHeard: boolean;
  cancelled: boolean;
  end: RawFrame | undefined;
}

class Model {
  readonly #session: RawSession;
  readonly requests: Request[] = [];
  #credit = WINDOW;
  #spent = 0;
  #next = 1;
  pongs = 0;
  oneWay = 0;
  fault: unknown;

  constructor(session: RawSession) {
    this.#session = session;
    void this.#listen();
  }

  get open(): Request[] {
    return this.requests.filter(({ end }) => end === undefined);
  }

  #say(number: number, kind: number, body: Uint8Array = EMPTY): void {
    this.#session.peer.write(this.#session.seal(number, body, kind));
  }

  #spend(bytes: number): void {
    this.#credit -= bytes + MESSAGE_COST;
    this.#spent += bytes + MESSAGE_COST;
  }

  send(bytes: number): void {
    if (this.#credit <= 0) return;
    this.#spend(bytes);
    this.oneWay++;
    this.#say(0, Kind.message, patternBytes(bytes));
  }

  request(job: Job, isCall: boolean): void {
    if (this.#credit <= 0 || this.open.length >= 120) return;
    const body = isCall
      ? encodeWithHead({ streams: true, streamCredit: STREAM_WINDOW, deadlineMs: 600_000 }, text(job))
      : text(job);
    const number = this.#next;
    this.#next += 2;
    this.#spend(body.length);
    this.requests.push({
      number,
      job,
      isCall,
      mine: STREAM_WINDOW,
      theirs: STREAM_WINDOW,
      sent: 0,
      got: 0,
      ended: false,
      stopped: false,
      stopHeard: false,
      endHeard: false,
      cancelled: false,
      end: undefined,
    });
    this.#say(number, isCall ? Kind.call : Kind.message, body);
  }

  chunk(request: Request, bytes: number): boolean {
    if (!request.isCall || request.ended || request.cancelled || request.mine <= 0) return false;
    request.mine -= bytes + CHUNK_COST;
    request.sent++;
    this.#say(request.number, Kind.chunk, concat(Uint8Array.of(0), patternBytes(bytes)));
    return true;
  }

  end(request: Request): void {
    if (!request.isCall || request.ended || request.cancelled) return;
    request.ended = true;
    this.#say(request.number, Kind.end);
  }

  stop(request: Request): void {
    if (!request.isCall || request.cancelled) return;
    request.stopped = true;
    this.#say(request.number, Kind.stop);
  }

  credit(request: Request, bytes: number): void {
    if (!request.isCall || request.cancelled || request.theirs + bytes > 0x3fffffff) return;
    request.theirs += bytes;
    this.#say(request.number, Kind.credit, u32Value(bytes));
  }

  blocked(request: Request): void {
    if (request.isCall) this.#say(request.number, Kind.blocked);
  }

  cancel(request: Request): void {
    request.cancelled = true;
    this.#say(request.number, Kind.cancel);
  }

  async sync(): Promise<void> {
    const pongs = this.pongs + 1;
    this.#say(0, Kind.ping);
    await waitFor(() => this.pongs >= pongs || this.fault !== undefined, "a pong");
    if (this.fault !== undefined) throw this.fault;
  }

  async #listen(): Promise<void> {
    try {
      for (;;) this.#take(await this.#session.receiveRecord());
    } catch (error) {
      this.fault ??= error;
    }
  }

  #take(frame: RawFrame): void {
    const { kind, sequence, body } = frame;
    if (kind === Kind.pong) this.pongs++;
    if (kind === Kind.pong || kind === Kind.settings) return;
    if (sequence === 0) {
      assert.equal(kind, Kind.credit, `kind ${kind} of nothing`);
      const bytes = new DataView(body.buffer, body.byteOffset).getUint32(0);
      this.#credit += bytes;
      this.#spent -= bytes;
      assert.ok(bytes > 0 && this.#spent >= 0, "more credit than was spent");
      return;
    }
    const request = this.requests.find(({ number }) => number === sequence);
    assert.ok(request !== undefined, `kind ${kind} of a request that never was`);
    assert.equal(request.end, undefined, `kind ${kind} behind the end of ${request.job} ${sequence}`);
    switch (kind) {
      case Kind.reply:
      case Kind.error:
        request.end = frame;
        return;
      case Kind.chunk:
        assert.ok(request.theirs > 0, "a chunk without credit");
        assert.equal(request.endHeard, false, "a chunk behind an end");
        request.theirs -= body.length - 1 + CHUNK_COST;
        if (body[0] === 0) request.got++;
        return;
      case Kind.credit:
        request.mine += new DataView(body.buffer, body.byteOffset).getUint32(0);
        return;
      case Kind.stop:
        request.stopHeard = true;
        return;
      case Kind.end:
        assert.equal(request.endHeard, false, "two ends");
        assert.ok(request.stopped, "an end that nobody asked for");
        request.endHeard = true;
        return;
      default:
        assert.equal(kind, Kind.blocked, `kind ${kind}`);
    }
  }

  /** Takes everything and ends everything, cancels what only that ends, and waits for the ends. */
  async finish(): Promise<void> {
    for (const request of this.open) {
      this.credit(request, 1_000_000);
      this.end(request);
      if (request.job === "hold" && !request.cancelled) this.cancel(request);
    }
    await waitFor(
      () => this.open.length === 0 || this.fault !== undefined,
      `ends of ${this.open.map(({ job, number }) => `${job} ${number}`)}`,
    );
    if (this.fault !== undefined) throw this.fault;
    for (const request of this.requests) this.#checkEnd(request);
    await this.sync();
    await this.sync();
    assert.ok(this.#spent <= WINDOW / 2 + 20_000, `${this.#spent} bytes of credit are lost`);
  }

  #checkEnd({ job, end, cancelled, isCall, sent, got, stopped }: Request): void {
    const { kind, body } = end!;
    if (cancelled) return void assert.ok(kind === Kind.reply || kind === Kind.error);
    if (job === "throw") return void assert.deepEqual([kind, body[0]], [Kind.error, Origin.handler]);
    // A request has no stream; a stream that this side stops fails the handler's write.
    if (job === "give" && (!isCall || stopped)) return;
    if (job === "back" && stopped) return;
    assert.equal(kind, Kind.reply, `${job}: ${fromText(body)}`);
    if (job === "give") assert.deepEqual([fromText(body), got], [String(GIVEN_ITEMS), GIVEN_ITEMS]);
    if (job === "count") assert.equal(fromText(body), String(isCall ? sent : 0));
    if (job === "back")
      assert.deepEqual([fromText(body), got], [String(isCall ? sent : 0), isCall ? sent : 0]);
  }
}

type Step = (model: Model) => void | Promise<void>;
const pick = (model: Model, at: number): Request | undefined =>
  model.open[at % Math.max(model.open.length, 1)];
const onOne = (act: (model: Model, request: Request) => void) =>
  fc.nat(1_000).map(
    (at): Step =>
      (model) => {
        const request = pick(model, at);
        if (request !== undefined) act(model, request);
      },
  );
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.nat(20_000).map(
      (bytes): Step =>
        (model) =>
          model.send(bytes),
    ),
  },
  {
    weight: 8,
    arbitrary: fc.tuple(fc.constantFrom(...jobs), fc.boolean()).map(
      ([job, isCall]): Step =>
        (model) =>
          model.request(job, isCall),
    ),
  },
  {
    weight: 10,
    arbitrary: fc.tuple(fc.nat(1_000), fc.nat(12_000)).map(
      ([at, bytes]): Step =>
        (model) => {
          const request = pick(model, at);
          if (request !== undefined) model.chunk(request, bytes);
        },
    ),
  },
  { weight: 2, arbitrary: onOne((model, request) => model.end(request)) },
  { weight: 1, arbitrary: onOne((model, request) => model.stop(request)) },
  { weight: 2, arbitrary: onOne((model, request) => model.cancel(request)) },
  {
    weight: 4,
    arbitrary: onOne((model, request) => model.credit(request, 1 + ((request.number * 997) % 30_000))),
  },
  { weight: 2, arbitrary: onOne((model, request) => model.blocked(request)) },
  { weight: 3, arbitrary: fc.constant((model: Model) => model.sync()) },
);

for (const maxConcurrentHandlers of [1, 1_024]) {
  test(`any order of what a client may say, with ${maxConcurrentHandlers} handlers at once`, {
    timeoutMs: 240_000,
  }, async () => {
    const server: Server = await startServer({
      ...v2.options,
      messageCreditBytes: WINDOW,
      maxConcurrentHandlers,
      maxRequests: 128,
      onHandlerError: () => {},
      onMessage: handle,
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60, size: "max" }), async (steps) => {
        const session = await v2.rawSession(await RawPeer.connect(server.port), "client");
        const model = new Model(session);
        try {
          for (const each of steps) await each(model);
          await model.finish();
        } finally {
          session.destroy();
          await session.peer.destroy();
        }
      }),
      { numRuns: sharedCount(60), endOnFailure: false },
    );
  });
}
