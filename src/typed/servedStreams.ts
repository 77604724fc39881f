// The streams of the calls that a server runs, by connection: streams of answers until the caller opens them, and
// streams that a caller announced for the arguments of its next call. Each is a call of its own, with its own credit
// and its own end.

import { whenEnded } from "../rpc/connectionEnds.ts";
import { CallbackDeadline } from "../rpc/deadline.ts";
import type { Connection, Message } from "../rpc/peer.ts";
import { timers } from "../rpc/timers.ts";
import type { Codec } from "./codec/codec.ts";
import { isOwnStream } from "./ownCalls.ts";
import type { Producer } from "./producer.ts";
import { ownError } from "./rpcError.ts";
import type { ServedScope } from "./servedScope.ts";
import { StreamReader } from "./streamReader.ts";

/**
 * How long a stream of an answer waits for its caller to open it; a caller opens it at once. A caller that gave up
 * while the answer was on its way never opens it, and nothing else reports that.
 */
const OPEN_WITHIN_MS = 10_000;
/** Streams of answers that wait to be opened, per connection. */
const MAX_OFFERED = 128;
const NO_BYTES = new Uint8Array(0);

/** Answers the calls that open streams. */
export interface StreamAnswers {
  value(message: Message, value: unknown, idempotent: boolean): void;
  error(message: Message, thrown: unknown, method: string): void;
  refuse(message: Message, error: Error): void;
}

/** A stream of an answer that its caller has not opened. */
interface Offer {
  readonly producer: Producer;
  readonly scope: ServedScope;
  readonly deadline: CallbackDeadline;
}

class ConnectionStreams {
  readonly offered = new Map<number, Offer>();
  readonly announced = new Map<number, Message>();
  nextNumber = 1;
}

export class ServedStreams {
  readonly #byConnection = new WeakMap<Connection, ConnectionStreams>();

  /**
   * Stores a stream of an answer until it is opened. Returns its number.
   *
   * @throws RpcError ERR_BAD_ANSWER when too many wait
   */
  offer(connection: Connection, producer: Producer, scope: ServedScope): number {
    const streams = this.#of(connection);
    if (streams.offered.size >= MAX_OFFERED) {
      throw ownError(
        "ERR_BAD_ANSWER",
        `${MAX_OFFERED} streams of answers wait for their caller to open them`,
      );
    }
    const number = streams.nextNumber;
    streams.nextNumber = (number + 1) >>> 0 || 1;
    const deadline = new CallbackDeadline(() => this.withdraw(connection, number));
    deadline.quiet = true;
    timers.arm(deadline, OPEN_WITHIN_MS);
    streams.offered.set(number, { producer, scope, deadline });
    return number;
  }

  /** The stream will not be opened. */
  withdraw(connection: Connection, number: number): void {
    const offer = this.#takeOffer(connection, number);
    if (offer === undefined) return;
    offer.scope.streamLeft(ownError("ERR_NO_STREAM", "the caller did not open the stream"));
    void offer.producer.leave();
  }

  /**
   * The caller opens a stream of an answer: its items leave as the caller takes them, followed by the producer's return
   * value.
   */
  open(message: Message, number: number, writer: StreamAnswers): unknown {
    const offer = message.expectsReply ? this.#takeOffer(message.connection, number) : undefined;
    if (offer === undefined) {
      return writer.refuse(message, ownError("ERR_NO_STREAM", `there is no stream ${number} to open`));
    }
    return this.#produce(message, offer, writer);
  }

  async #produce(message: Message, { producer, scope }: Offer, writer: StreamAnswers): Promise<void> {
    const { signal } = message;
    let left = false;
    const leave = (): void => {
      left = true;
      scope.streamLeft(signal.reason);
      void producer.leave();
    };
    signal.addEventListener("abort", leave);
    try {
      if (signal.aborted) leave();
      const returned = await producer.run(message);
      if (!left) writer.value(message, returned, false);
    } catch (error) {
      if (!left) writer.error(message, error, scope.method);
    } finally {
      signal.removeEventListener("abort", leave);
      if (!left) scope.streamEnded();
    }
  }

  /** The caller will stream an argument of a call that it makes next. */
  announce(message: Message, number: number): undefined {
    if (!message.expectsReply) return;
    const { announced } = this.#of(message.connection);
    // The message stays unanswered, and counts among the caller's requests, until the stream is over.
    if (announced.has(number)) message.reply(NO_BYTES);
    else {
      announced.set(number, message);
      message.signal.addEventListener("abort", () => {
        if (announced.get(number) === message) announced.delete(number);
      });
    }
  }

  /** The stream that a caller announced; undefined if it announced none, or withdrew it. */
  take(connection: Connection, number: number, codec: Codec): StreamReader | undefined {
    const { announced } = this.#of(connection);
    const message = announced.get(number);
    if (message === undefined) return undefined;
    announced.delete(number);
    const end = (): void => {
      if (message.expectsReply) message.reply(NO_BYTES);
    };
    return new StreamReader(
      {
        items: message[Symbol.asyncIterator](),
        isOwn: isOwnStream(message),
        finish: async () => end(),
        leave: end,
        explain: (error) => error,
      },
      codec,
    );
  }

  #takeOffer(connection: Connection, number: number): Offer | undefined {
    const { offered } = this.#of(connection);
    const offer = offered.get(number);
    if (offer === undefined) return undefined;
    offered.delete(number);
    timers.cancel(offer.deadline);
    return offer;
  }

  #of(connection: Connection): ConnectionStreams {
    let streams = this.#byConnection.get(connection);
    if (streams === undefined) {
      const made = new ConnectionStreams();
      streams = made;
      this.#byConnection.set(connection, made);
      whenEnded(connection, () => {
        for (const number of [...made.offered.keys()]) this.withdraw(connection, number);
      });
    }
    return streams;
  }
}
