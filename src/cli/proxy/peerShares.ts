// The places of proxy --open that each peer has, so that no peer takes those of the others. A peer is known by its static
// key, or without one, because all have the same psk, by its address, in the groups of the limits per address.

import { type Connection, encodeKey } from "../../index.ts";
import { addressGroup } from "../../rpc/addressGroup.ts";

export class PeerShares {
  readonly #most: number;
  readonly #taken = new Map<string, number>();

  constructor(most: number) {
    this.#most = most;
  }

  /** Takes a place for the peer, and returns what gives it back; undefined if the peer has all that it may have. */
  take({ remoteStaticKey, remoteAddress }: Connection): (() => void) | undefined {
    const peer = remoteStaticKey === undefined ? addressGroup(remoteAddress) : encodeKey(remoteStaticKey);
    // Peers on a Unix socket have no address, so nobody knows which of them is one.
    if (peer === "") return () => {};
    const taken = this.#taken.get(peer) ?? 0;
    if (taken >= this.#most) return undefined;
    this.#taken.set(peer, taken + 1);
    return () => {
      const left = this.#taken.get(peer)! - 1;
      if (left === 0) this.#taken.delete(peer);
      else this.#taken.set(peer, left);
    };
  }
}
