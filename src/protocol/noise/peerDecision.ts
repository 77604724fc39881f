// What the application decides about a peer's static key: at once, or again when the peer is proven. A key can be known
// before its holder has proven anything in this session: on a server after a first message, which may be a recording,
// and on a client of XXpsk3 before the server has shown that it has the psk.

import { invalidArgument, isSealwireError, SealwireError } from "../../base/errors.ts";
import { encodeKey } from "./keys.ts";

/** True accepts the peer. */
export type Decide = () => boolean | Promise<boolean>;

/** The decisions that an `authorize` puts off. */
export class LaterDecisions {
  readonly #decisions: Decide[] = [];
  #answered = false;

  /** `AuthorizeInfo.whenProven`. */
  readonly add = (decide: Decide): void => {
    if (typeof decide !== "function") throw invalidArgument("decide", "a function");
    if (this.#answered) throw new SealwireError("ERR_CLOSED", "authorize has answered already");
    this.#decisions.push(decide);
  };

  /** `authorize` has answered: a decision that is added now would be missed. */
  close(): void {
    this.#answered = true;
  }

  /** For `HandshakeResult.confirm`: rejects with ERR_UNAUTHORIZED unless all accept. Undefined if there are none. */
  confirmation(remoteStaticKey: Uint8Array | undefined): (() => Promise<void>) | undefined {
    if (this.#decisions.length === 0) return undefined;
    return async () => {
      for (const decide of this.#decisions) await confirm(decide, remoteStaticKey!);
    };
  }
}

async function confirm(decide: Decide, remoteStaticKey: Uint8Array): Promise<void> {
  let answer: boolean;
  try {
    answer = await decide();
  } catch (error) {
    throw unauthorized(remoteStaticKey, "could not be checked once it was proven", error);
  }
  if (answer !== true) throw unauthorized(remoteStaticKey, "was refused once it was proven");
}

export function unauthorized(remoteStaticKey: Uint8Array, why: string, cause?: unknown): SealwireError {
  // The reason of an authorize() that explains its refusal, such as that of knownPeers, is quoted.
  if (isSealwireError(cause) && cause.code === "ERR_UNAUTHORIZED") return cause;
  return new SealwireError("ERR_UNAUTHORIZED", `the peer's static key ${encodeKey(remoteStaticKey)} ${why}`, {
    cause,
  });
}
