// What leaves a connection: checks what the application gives, decides whether it is taken now, and says what the
// protocol has to say beside it.

import { SealwireError } from "../base/errors.ts";
import type { ResolvedLimits } from "../base/options.ts";
import { requireBytes } from "../core/bytes.ts";
import { type Controls, controlsFor } from "../protocol/controls.ts";
import type { TransportFormat } from "../protocol/handshake.ts";
import { longestBody } from "../protocol/segment.ts";
import { Kind, TAG_BYTES } from "../protocol/wire.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { Sender, type SenderEvents } from "./sender.ts";
import type { TurnQueue } from "./turnQueue.ts";
import type { Writer } from "./writer.ts";

export class Outbox {
  readonly #limits: ResolvedLimits;
  readonly #lifecycle: Lifecycle;
  readonly #maxSendBytes: number;
  /** What fits into #maxSendBytes. */
  readonly #longestBody: number;
  readonly sender: Sender;
  readonly controls: Controls;

  constructor(
    limits: ResolvedLimits,
    format: TransportFormat,
    lifecycle: Lifecycle,
    flushes: TurnQueue,
    writer: Writer,
    events: SenderEvents,
  ) {
    const withKind = format.header === "kind";
    this.#limits = limits;
    this.#lifecycle = lifecycle;
    this.#maxSendBytes = format.peerMaxFrameBytes || limits.maxFrameBytes;
    const options = {
      withKind,
      padding: withKind ? limits.padding : 0,
      maxFrameBytes: this.#maxSendBytes,
      bundleBytes: limits.bundleBytes,
      lowWaterMarkBytes: limits.highWaterMarkBytes >>> 1,
    };
    this.#longestBody = longestBody(options, this.#maxSendBytes);
    this.sender = new Sender(flushes, writer, options, events);
    this.controls = controlsFor(withKind, this.sender, this.#longestBody);
  }

  /** So many unsent bytes wait that nothing should be handled that may add to them. */
  get blocked(): boolean {
    const { sender } = this;
    return sender.pendingBytes > this.#limits.maxPendingBytes || sender.overBudget;
  }

  /** `sendNoWait` takes nothing now. */
  get aboveHighWater(): boolean {
    const { sender } = this;
    return sender.pendingBytes >= this.#limits.highWaterMarkBytes || sender.overBudget;
  }

  /** @throws SealwireError ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE */
  checkBody(body: Uint8Array): void {
    requireBytes("body", body);
    if (body.length <= this.#longestBody) return;
    const sealedBytes = this.sender.plaintextBytes(body.length) + TAG_BYTES;
    const text = `a body of ${body.length} bytes makes a frame of ${sealedBytes} bytes, limit ${this.#maxSendBytes}`;
    throw new SealwireError("ERR_MESSAGE_TOO_LARGE", text);
  }

  /** Why a call can't be taken now, if it can't. */
  refusal(bodyBytes: number): SealwireError | undefined {
    if (!this.#lifecycle.takesCalls) {
      return new SealwireError("ERR_CLOSED", "the connection is closing or closed");
    }
    const pending = this.sender.pendingBytes;
    if (pending === 0) return undefined;
    if (pending + bodyBytes <= this.#limits.maxPendingBytes && !this.sender.overBudget) return undefined;
    return new SealwireError("ERR_BACKPRESSURE", `${pending} bytes wait for the peer to take them`);
  }

  /**
   * Sends an answer. False when the connection takes none any more.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE
   */
  reply(sequence: number, body: Uint8Array): boolean {
    this.checkBody(body);
    if (!this.#lifecycle.maySend) return false;
    this.sender.append(sequence, Kind.reply, body);
    return true;
  }
}
