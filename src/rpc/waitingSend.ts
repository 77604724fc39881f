// A one-way message that waits for credit (protocol v2), and whose sender awaits its outcome. Its wait is limited,
// because a peer whose handlers are stuck still shows signs of life.

import { SealwireError } from "../base/errors.ts";
import { Deadline } from "./deadline.ts";
import type { Paid } from "./paidQueue.ts";
import { timers } from "./timers.ts";

export interface WaitingSendEvents {
  /** The message was appended. Resolves when the kernel has it. */
  handedToKernel(): Promise<void>;
  /** Its time is over: later messages may be sent before it. */
  onExpired(): void;
}

export class WaitingSend extends Deadline implements Paid {
  readonly kind: number;
  body: Uint8Array;
  readonly request = undefined;
  readonly settling: Promise<void>;
  /** No byte of it is sent. */
  expired = false;
  #resolve!: (result: Promise<void>) => void;
  #reject!: (error: SealwireError) => void;
  readonly #timeoutMs: number;
  readonly #events: WaitingSendEvents;

  /** `timeoutMs` 0: it waits as long as its connection lives. */
  constructor(kind: number, body: Uint8Array, timeoutMs: number, events: WaitingSendEvents) {
    super();
    this.kind = kind;
    this.body = body;
    this.#timeoutMs = timeoutMs;
    this.#events = events;
    this.settling = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (timeoutMs > 0) timers.arm(this, timeoutMs);
  }

  sent(): void {
    timers.cancel(this);
    this.#resolve(this.#events.handedToKernel());
  }

  failed(error: SealwireError): void {
    timers.cancel(this);
    this.#reject(error);
  }

  override expire(): void {
    this.expired = true;
    const text = `the peer gave no credit for a message within ${this.#timeoutMs} ms`;
    this.#reject(new SealwireError("ERR_REQUEST_TIMEOUT", text, { notBegun: true }));
    this.#events.onExpired();
  }
}
