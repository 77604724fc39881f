// This file decides what a failure to accept a connection means, in the runtime that reports such failures
// (Deno).

/** The process has no descriptor or no memory left, so the next attempt would fail as well. */
const exhausted = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]);
/** The peer was gone before it was accepted. Its connection has left the queue, so that a loop of accepts does not spin. */
const peerGone = new Set(["ENOTCONN", "ECONNABORTED", "ECONNRESET"]);
/** After this many unknown failures in a row, the fault may be one of this machine that stays. */
const MAX_UNKNOWN_IN_A_ROW = 64;

/** Decides when accepting has to pause. A peer can never cause a pause. */
export class AcceptFailures {
  #unknownInARow = 0;

  accepted(): void {
    this.#unknownInARow = 0;
  }

  /** Takes a failure to accept. True: without a pause the next attempt would fail as well. */
  askForPause(error: unknown): boolean {
    const { code = "" } = error as { code?: string };
    if (peerGone.has(code)) return false;
    if (!exhausted.has(code) && ++this.#unknownInARow <= MAX_UNKNOWN_IN_A_ROW) return false;
    this.#unknownInARow = 0;
    return true;
  }
}
