// What failures to accept a connection mean, where the runtime tells of them (Deno).

/** No descriptor, no memory: the same would happen again at once. */
const exhausted = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]);
/** The peer was gone before it was accepted. Its connection has left the queue, so that a loop of accepts does not spin. */
const peerGone = new Set(["ENOTCONN", "ECONNABORTED", "ECONNRESET"]);
/** So many failures in a row that neither list knows may be a fault of this machine that stays. */
const MAX_UNKNOWN_IN_A_ROW = 64;

/** Decides when accepting has to pause: never because of what peers do. */
export class AcceptFailures {
  #unknownInARow = 0;

  accepted(): void {
    this.#unknownInARow = 0;
  }

  /** Accepting failed. True: without a pause it would go on failing. */
  askForPause(error: unknown): boolean {
    const { code = "" } = error as { code?: string };
    if (peerGone.has(code)) return false;
    if (!exhausted.has(code) && ++this.#unknownInARow <= MAX_UNKNOWN_IN_A_ROW) return false;
    this.#unknownInARow = 0;
    return true;
  }
}
