// One connection of an attacker at a live server.

import type { Random } from "../simulation/random.ts";
import { RawPeer } from "../support/rawPeer.ts";

/**
 * Connects and lets `attack` send; returns how many inputs it counted. The server may end the connection at any of them, and
 * the attacker leaves it in one way or another.
 */
export async function rawAttacker(
  random: Random,
  port: number,
  attack: (peer: RawPeer, sent: { inputs: number }) => Promise<void>,
): Promise<number> {
  const peer = await RawPeer.connect(port);
  const sent = { inputs: 0 };
  try {
    await attack(peer, sent);
    return sent.inputs;
  } catch {
    // The server ended it meanwhile: that is its right.
    return Math.max(sent.inputs, 1);
  } finally {
    if (random.chance(0.5)) peer.socket.destroy();
    else peer.socket.end();
    setTimeout(() => peer.socket.destroy(), 50).unref();
  }
}
