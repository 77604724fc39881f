// The places among a server's connections: how many are taken, in all and per address.

import type { AcceptedSocket } from "./acceptedSocket.ts";

export class Places {
  taken = 0;

  /** Idempotent. */
  take(socket: AcceptedSocket): void {
    if (socket.hasPlace) return;
    socket.hasPlace = true;
    socket.share.places++;
    this.taken++;
  }

  /** Idempotent. */
  give(socket: AcceptedSocket): void {
    if (!socket.hasPlace) return;
    socket.hasPlace = false;
    socket.share.places--;
    this.taken--;
  }
}
