// Checks how long a body of the application may be, and puts the head of a call or an answer in front of it.

import { SealwireError } from "../base/errors.ts";
import { requireBytes } from "../core/bytes.ts";
import { wipe } from "../core/wipe.ts";
import { type CallHead, encodeWithHead, type Head } from "../protocol/head.ts";
import { plaintextBytes } from "../protocol/loneFrame.ts";
import { encodePrepared, PreparedHead } from "../protocol/preparedHead.ts";
import { type Framing, longestBody } from "../protocol/segment.ts";
import { BASE_SETTINGS } from "../protocol/settings.ts";
import { TAG_BYTES } from "../protocol/wire.ts";

export class OutgoingBodies {
  readonly #framing: Framing;
  /** The longest body that is taken from the application, and that may be sent now. */
  #longest: number;
  #longestNow: number;

  constructor(framing: Framing) {
    const { withKind, maxFrameBytes } = framing;
    this.#framing = framing;
    this.#longest = longestBody(framing, maxFrameBytes);
    this.#longestNow = withKind ? longestBody(framing, BASE_SETTINGS.maxFrameBytes) : this.#longest;
  }

  /** The longest that may be sent now: before the peer's settings arrive, what everybody takes. */
  get longestNow(): number {
    return this.#longestNow;
  }

  /** The peer's settings arrived. */
  peerTakes(maxFrameBytes: number): void {
    this.#longest = longestBody(this.#framing, maxFrameBytes);
    this.#longestNow = this.#longest;
  }

  /** @throws SealwireError ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE */
  check(body: Uint8Array): void {
    requireBytes("body", body);
    if (body.length > this.#longest) throw this.tooLarge(body.length);
  }

  /**
   * Head and body as they are sent, for the caller to wipe. `deadlineMs` 0: no deadline. `mayLend`: they are sent, or
   * copied, before anything else runs, so they may lie in memory that the next message uses again.
   *
   * @throws SealwireError ERR_MESSAGE_TOO_LARGE
   */
  withHead(
    body: Uint8Array,
    head: CallHead,
    deadlineMs: number,
    mayLend: boolean,
    streams?: Head,
  ): Uint8Array {
    let encoded: Uint8Array;
    if (streams === undefined && head instanceof PreparedHead)
      encoded = encodePrepared(head, deadlineMs, body, mayLend);
    else {
      const deadline = deadlineMs > 0 ? { deadlineMs } : {};
      const { method, traceParent, contentType, fields } = head;
      encoded = encodeWithHead({ method, traceParent, contentType, fields, ...deadline, ...streams }, body);
    }
    if (encoded.length > this.#longest) {
      wipe(encoded);
      throw this.tooLarge(encoded.length);
    }
    return encoded;
  }

  /**
   * The same for a head that is no part of what the caller asked for. Undefined where it would make a body too long that
   * fits without it.
   */
  withHeadIfItFits(body: Uint8Array, head: CallHead): Uint8Array | undefined {
    const encoded = encodeWithHead(head, body);
    if (encoded.length <= this.#longestNow) return encoded;
    wipe(encoded);
    return undefined;
  }

  tooLarge(bodyBytes: number): SealwireError {
    const sealedBytes = plaintextBytes(this.#framing, bodyBytes) + TAG_BYTES;
    const limit = plaintextBytes(this.#framing, this.#longest) + TAG_BYTES;
    const text = `a body of ${bodyBytes} bytes makes a frame of ${sealedBytes} bytes, limit ${limit}`;
    return new SealwireError("ERR_MESSAGE_TOO_LARGE", text);
  }
}
