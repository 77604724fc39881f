// A call with streams, on its caller's side. Each stream of the arguments is announced by a call of its own before the
// call that has it. Each stream of the answer is opened by a call of its own. All go over one connection.

import { invalidArgument, SealwireError } from "../base/errors.ts";
import { integerOption, MAX_MS } from "../base/options.ts";
import { isAbortSignal } from "../core/abortSignal.ts";
import { now } from "../core/eventLoop.ts";
import type { Call, Connection } from "../rpc/peer.ts";
import { named, readAnswer } from "./answerReader.ts";
import type { Codec } from "./codec/codec.ts";
import { LinkedAbort } from "./linkedAbort.ts";
import { copyingFunctionsOf, isOwnStream, wipeAnswer } from "./ownCalls.ts";
import { leaveStreams, Producer } from "./producer.ts";
import type { RemoteOptions } from "./remote.ts";
import { receivedError } from "./rpcError.ts";
import { type ItemSource, StreamReader } from "./streamReader.ts";
import type { TypedCaller } from "./typedCaller.ts";
import {
  decodeStreamPaths,
  encodeStreamPaths,
  headOfAnswer,
  type StreamPath,
  typedHead,
  What,
} from "./typedHead.ts";
import { type FoundStream, withoutStreams, withStream } from "./valueStreams.ts";

const NO_BYTES = new Uint8Array(0);
/** Numbers of announced streams, per connection and across all `typed` objects. */
const lastNumbers = new WeakMap<Connection, number>();

function nextNumber(connection: Connection): number {
  const number = ((lastNumbers.get(connection) ?? 0) + 1) >>> 0;
  lastNumbers.set(connection, number);
  return number;
}

export class StreamingCall {
  readonly #codec: Codec;
  readonly #name: string;
  readonly #found: readonly FoundStream[];
  readonly #producers: readonly Producer[];
  readonly #options: RemoteOptions | undefined;
  readonly #endsAt: number;
  readonly #announced: AbortController[] = [];
  readonly #abort: LinkedAbort;
  #openStreams = 0;
  #over = false;
  /** The error that a stream of the arguments threw; the call fails with it. */
  failure: unknown;

  /**
   * @throws SealwireError ERR_INVALID_ARGUMENT naming the option; then the streams of the arguments have been closed
   */
  constructor(codec: Codec, name: string, found: readonly FoundStream[], options: RemoteOptions | undefined) {
    try {
      if (options !== undefined) checkLimits(options);
    } catch (error) {
      leaveStreams(found, codec);
      throw error;
    }
    this.#codec = codec;
    this.#name = name;
    this.#found = found;
    this.#options = options;
    this.#producers = found.map(({ stream }) => new Producer(stream, codec));
    this.#endsAt = now() + (options?.timeoutMs || Number.POSITIVE_INFINITY);
    this.#abort = new LinkedAbort(options?.signal);
  }

  /** Makes the call and returns its answer. */
  async make(
    caller: TypedCaller,
    encode: (args: unknown[]) => Uint8Array,
    giveBack: (body: Uint8Array) => void,
    args: unknown[],
    what: number,
  ): Promise<{ readonly call: Call; readonly body: Uint8Array }> {
    const body = encode(withoutStreams(args, this.#found) as unknown[]);
    let isKept = false;
    let call: Call;
    try {
      const connection = await this.#abort.orEarlier(connectionOf(caller, this.#options?.timeoutMs));
      const streams = encodeStreamPaths(this.#announceAll(connection));
      const { timeoutMs, traceParent } = this.#options ?? {};
      isKept = copyingFunctionsOf(connection)?.call !== connection.call;
      call = connection.call(body, {
        head: typedHead(this.#codec, what, { method: this.#name, traceParent, streams }),
        streams: false,
        timeoutMs: timeoutMs === undefined ? undefined : leftOf(this.#endsAt),
        signal: this.#abort.signal,
      });
    } finally {
      if (!isKept) giveBack(body);
    }
    return { call, body: await call.answer };
  }

  #announceAll(connection: Connection): StreamPath[] {
    return this.#found.map(({ path }, i) => ({
      number: this.#announce(connection, this.#producers[i]!),
      path,
    }));
  }

  #announce(connection: Connection, producer: Producer): number {
    const number = nextNumber(connection);
    const abort = new AbortController();
    this.#announced.push(abort);
    const stream = connection.call(NO_BYTES, {
      head: typedHead(this.#codec, What.sendStream, { number }),
      timeoutMs: leftOf(this.#endsAt),
      signal: abort.signal,
    });
    producer.run(stream).then(
      () => stream.end(),
      (error) => this.#fail(error),
    );
    // The stream's call was answered: the method reads no more of it.
    stream.answer.then(
      () => void producer.leave(),
      (error) => {
        void producer.leave();
        if (!abort.signal.aborted) this.#fail(error);
      },
    );
    return number;
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    this.failure ??= error;
    this.#abort.abort(error);
    this.end();
  }

  /** A stream of the answer is open; call `ended` when it is over. */
  streamOpened(): void {
    this.#openStreams++;
  }

  streamEnded(): void {
    this.#openStreams--;
    if (this.#openStreams === 0) this.end();
  }

  /** The call and the streams of its answer are over: no argument is streamed any more. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#abort.stopFollowing();
    for (const producer of this.#producers) void producer.leave();
    for (const abort of this.#announced) abort.abort();
  }
}

/** The options that the streams' own calls use; the core checks the others. */
function checkLimits({ signal, timeoutMs }: RemoteOptions): void {
  if (signal !== undefined && !isAbortSignal(signal)) throw invalidArgument("signal", "an AbortSignal");
  if (timeoutMs !== undefined) integerOption("timeoutMs", timeoutMs, 0, MAX_MS);
}

/** A connection for a call and its streams. */
function connectionOf(caller: TypedCaller, timeoutMs: number | undefined): Promise<Connection> | Connection {
  if (caller.connected !== undefined) return caller.connected(timeoutMs ? { timeoutMs } : {});
  if ("state" in caller) return caller as Connection;
  throw new SealwireError("ERR_UNSUPPORTED", "streams go through a client or a connection");
}

/** Milliseconds until then, in the core's form: 0 for no end. */
function leftOf(endsAt: number): number {
  return endsAt === Number.POSITIVE_INFINITY ? 0 : Math.max(Math.ceil(endsAt - now()), 1);
}

/**
 * Opens the streams of an answer and puts them into its value.
 *
 * @throws RpcError ERR_BAD_ANSWER
 */
export function openStreams(
  codec: Codec,
  name: string,
  call: Call,
  bytes: Uint8Array,
  value: unknown,
  options: RemoteOptions | undefined,
  streaming: StreamingCall | undefined,
): unknown {
  const streamPaths = decodeStreamPaths(bytes);
  const { connection } = call;
  if (streamPaths === undefined || connection === undefined) throw badStreamPaths(name);
  const readers: StreamReader[] = [];
  let whole = value;
  try {
    for (const { number, path } of streamPaths) {
      const reader = openStream(codec, name, connection, number, options, streaming);
      readers.push(reader);
      whole = withStream(whole, path, reader);
      if (whole === undefined) throw badStreamPaths(name);
    }
  } catch (error) {
    for (const reader of readers) reader.leave();
    throw error;
  }
  return whole;
}

function badStreamPaths(name: string): Error {
  return receivedError("ERR_BAD_ANSWER", "the list of the answer's streams is malformed", undefined, name);
}

function openStream(
  codec: Codec,
  name: string,
  connection: Connection,
  number: number,
  options: RemoteOptions | undefined,
  streaming: StreamingCall | undefined,
): StreamReader {
  const abort = new LinkedAbort(options?.signal);
  const stream = connection.call(NO_BYTES, {
    head: typedHead(codec, What.openStream, { number, method: name }),
    timeoutMs: options?.timeoutMs ?? 0,
    signal: abort.signal,
  });
  streaming?.streamOpened();
  const items = stream[Symbol.asyncIterator]();
  const leave = (): void => abort.abort();
  const over = (): void => {
    forgotten.unregister(leave);
    abort.stopFollowing();
    streaming?.streamEnded();
  };
  stream.answer.then(over, over);
  const finish = async (): Promise<unknown> => {
    const body = await stream.answer;
    try {
      return readAnswer(codec, name, headOfAnswer(stream), body);
    } finally {
      wipeAnswer(stream, body);
    }
  };
  const isOwn = isOwnStream(stream);
  const source = { items, isOwn, finish, leave, explain: (error: unknown) => named(error, name) };
  return leftWhenForgotten(source, codec);
}

/** Readers without any reference, which nobody will read. Each leaves, because its producer would wait for ever. */
const forgotten = new FinalizationRegistry<() => void>((leave) => leave());

/** The reader must not be reachable from its source, which the call references. */
function leftWhenForgotten(source: ItemSource, codec: Codec): StreamReader {
  const reader = new StreamReader(source, codec);
  forgotten.register(reader, source.leave, source.leave);
  return reader;
}
