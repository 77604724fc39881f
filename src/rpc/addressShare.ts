// The share that one address has of a server: its sockets by stage, and its position in the line for places.

import { Line, Position } from "./line.ts";

export class AddressShare<Socket> {
  readonly address: string;
  readonly silent = new Line<Socket>();
  readonly ready = new Line<Socket>();
  readonly handshakes = new Line<Socket>();
  /** Sockets that still have a place although their connections have ended. */
  readonly ending = new Line<Socket>();
  /** Sockets that count against the limit of connections. */
  places = 0;
  /** Sockets that are not gone. */
  sockets = 0;
  /** In the line of the addresses that have ready sockets. */
  readonly position = new Position<AddressShare<Socket>>(this);

  constructor(address: string) {
    this.address = address;
  }
}
