// The streams of one connection: it finds the stream of each received chunk, and decides which stream sends next. A
// stream belongs to a request; its two directions end separately.
//
// Streams take turns: when no other message waits, each stream with items and credit sends one chunk, until a segment
// is full. So no stream delays a message by more than one segment.

import type { SealwireError } from "../base/errors.ts";
import type { Controls } from "../protocol/controls.ts";
import { Kind } from "../protocol/wire.ts";
import type { Sender } from "./sender.ts";
import { SharedWindow } from "./sharedWindow.ts";

/** The operations on a stream that the peer sends. Errors are ERR_PROTOCOL. */
export interface StreamReceiver {
  receive(bytes: Uint8Array, start: number, end: number): void;
  blocked(): void;
  end(): void;
  fail(error: SealwireError): void;
  /** The credit that its sender gets now. */
  takeCredit(): { readonly sequence: number; readonly bytes: number };
}

/** The operations on a stream that this side sends. */
export interface StreamSender {
  /** It waits for its turn. */
  queued: boolean;
  /** There is an item to send, and credit for it. */
  readonly hasSomething: boolean;
  /** Sends one chunk; returns its cost. */
  sendOne(): number;
  addCredit(bytes: number): void;
  stop(): void;
  fail(error: SealwireError): void;
}

/** Both directions of one request's streams. */
export interface StreamPair {
  readonly incoming: StreamReceiver | undefined;
  readonly outgoing: StreamSender | undefined;
}

/** Bytes of chunks that the sender gets at a time: about a segment. */
const TURN_BYTES = 49_152;
export class Streams {
  readonly #sender: Sender;
  readonly controls: Controls;
  readonly #pairs = new Map<number, StreamPair>();
  /** Streams with items and credit, which take turns. */
  #ready: StreamSender[] = [];
  /** Streams whose senders are owed credit: one record for each, with the next write. */
  readonly #owed = new Set<StreamReceiver>();
  readonly windows = new SharedWindow();

  constructor(sender: Sender, controls: Controls) {
    this.#sender = sender;
    this.controls = controls;
    sender.pull = this.#pull;
    sender.collect = this.#giveCredit;
  }

  get size(): number {
    return this.#pairs.size;
  }

  add(sequence: number, pair: StreamPair): void {
    this.#pairs.set(sequence, pair);
  }

  get(sequence: number): StreamPair | undefined {
    return this.#pairs.get(sequence);
  }

  /** The request is over: unsent items are dropped. */
  remove(sequence: number): void {
    this.#pairs.delete(sequence);
  }

  /** The connection is over. */
  endAll(error: SealwireError): void {
    const pairs = [...this.#pairs.values()];
    this.#pairs.clear();
    this.#ready = [];
    this.#owed.clear();
    for (const { incoming, outgoing } of pairs) {
      incoming?.fail(error);
      outgoing?.fail(error);
    }
  }

  /** Within the process's limit of unsent bytes, this connection may take items before they are sent. */
  get takesAhead(): boolean {
    return !this.#sender.bytes.overBudget;
  }

  /** An item waits here; below 0: it was sent, or won't be. */
  hold(bytes: number): void {
    this.#sender.hold(bytes);
  }

  /** This stream has an item to send. */
  wake(stream: StreamSender): void {
    if (stream.queued) return;
    stream.queued = true;
    this.#ready.push(stream);
    this.#sender.wake();
  }

  /** Appends one chunk of a stream; the running flush, or the next one, sends it. */
  sendChunk(sequence: number, body: Uint8Array): void {
    this.#sender.append(sequence, Kind.chunk, body);
  }

  /** This stream's sender is owed credit. For a peer that does not read, at most one such record waits. */
  oweCredit(stream: StreamReceiver): void {
    this.#owed.add(stream);
    this.#sender.owe();
  }

  readonly #giveCredit = (): void => {
    for (const stream of this.#owed) {
      this.#owed.delete(stream);
      const { sequence, bytes } = stream.takeCredit();
      if (bytes > 0) this.controls.credit(sequence, bytes);
    }
  };

  readonly #pull = (): boolean => {
    // An unanswered call may still have items after the connection has sent its close.
    if (this.controls.closed) return false;
    let sent = 0;
    while (sent < TURN_BYTES && this.#ready.length > 0) {
      const stream = this.#ready.shift()!;
      stream.queued = false;
      sent += stream.sendOne();
      if (stream.hasSomething) {
        stream.queued = true;
        this.#ready.push(stream);
      }
    }
    return sent > 0;
  };
}
