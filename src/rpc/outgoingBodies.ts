// Checks the length of the application's bodies, and puts the head of a call or an answer in front of a body.

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
  /** The longest body by this side's own limit, the longest that the peer takes, and the longest that may be sent now. */
  readonly #longestOwn: number;
  #longest: number;
  #longestNow: number;

  constructor(framing: Framing) {
    const { withKind, maxFrameBytes } = framing;
    this.#framing = framing;
    this.#longestOwn = longestBody(framing, maxFrameBytes);
    this.#longest = this.#longestOwn;
    this.#longestNow = withKind ? longestBody(framing, BASE_SETTINGS.maxFrameBytes) : this.#longest;
  }

  /**
   * The longest body that may be sent now. Until the peer's settings arrive, it is the length that every peer accepts.
   */
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
   * False if the peer's own limit is the only reason not to send the body. The same message may go to others, and none of
   * them must get an exception for what another one takes.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE
   */
  isTaken(body: Uint8Array): boolean {
    requireBytes("body", body);
    if (body.length <= this.#longest) return true;
    if (body.length > this.#longestOwn) throw this.tooLarge(body.length);
    return false;
  }

  /**
   * Head and body in one array, which the caller wipes. `deadlineMs` 0: no deadline. `mayLend`: the bytes are sent or
   * copied before any other code runs, so they may be in memory that the next message reuses.
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

  /** The same for a head that the caller did not ask for. Undefined if the body fits only without it. */
  withHeadIfItFits(body: Uint8Array, head: CallHead): Uint8Array | undefined {
    const encoded = encodeWithHead(head, body);
    if (encoded.length <= this.#longestNow) return encoded;
    wipe(encoded);
    return undefined;
  }

  tooLarge(bodyBytes: number): SealwireError {
    const sealedBytes = plaintextBytes(this.#framing, bodyBytes) + TAG_BYTES;
    const limit = plaintextBytes(this.#framing, this.#longest) + TAG_BYTES;
    const text = `a body of ${bodyBytes} bytes makes a frame of ${sealedBytes} bytes, maxFrameBytes is ${limit}`;
    return new SealwireError("ERR_MESSAGE_TOO_LARGE", text);
  }
}
