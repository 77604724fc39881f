// One connection of an attacker at a live server.

import { RawPeer } from "../support/rawPeer.ts";

/**
 * Connects and lets `attack` send; returns how many inputs it counted. The server may end the connection at any of them, and
 * the attacker leaves it at once (`destroys`), or when what it sent has left.
 */
export async function rawAttacker(
  port: number,
  destroys: boolean,
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
    if (destroys) peer.socket.destroy();
    else peer.socket.end();
    setTimeout(() => peer.socket.destroy(), 50).unref();
  }
}
