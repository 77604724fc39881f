// An attacker between client and server: a TCP proxy that gives every frame, or every byte, of both directions to a
// script. The script decides what is forwarded. It can do only what anyone on the way can do.

import { createServer, connect as dial, type Server, type Socket } from "node:net";

export type Direction = "toServer" | "toClient";

export interface Attack {
  /** Bytes before the first frame of each direction: 32 for protocol v1's public keys, 0 for v2. */
  preambleBytes?: number;
  /**
   * A frame arrived, number `index` of its direction, length prefix included; with a preamble that is number 0.
   * Default: passed on.
   */
  onFrame?(link: Link, direction: Direction, index: number, frame: Uint8Array): void;
  /** Instead of `onFrame`: bytes as they come, `offset` being their place in their direction. */
  onBytes?(link: Link, direction: Direction, offset: number, bytes: Uint8Array): void;
  /** A side has ended its stream. Default: passed on. */
  onEnd?(link: Link, direction: Direction): void;
}

/** One client's connection and the one to the server that belongs to it. */
export interface Link {
  /** Counts from 0 in the order of accepting. */
  readonly id: number;
  send(direction: Direction, bytes: Uint8Array): void;
  /** Ends the stream in this direction, in good order as far as TCP knows. */
  end(direction: Direction): void;
  /** Cuts both sides. */
  cut(): void;
  /** Cuts both sides with a reset, where the runtime can. */
  reset(): void;
}

/** Clients and servers of these tests give up on each other long before. */
const END_WAIT_MS = 5_000;

const other = { toServer: "toClient", toClient: "toServer" } as const;

class ProxyLink implements Link {
  readonly id: number;
  readonly #attack: Attack;
  readonly #ends: Record<Direction, Socket>;
  readonly #buffered: Record<Direction, Buffer> = { toServer: Buffer.alloc(0), toClient: Buffer.alloc(0) };
  readonly #frames: Record<Direction, number> = { toServer: 0, toClient: 0 };
  readonly #bytes: Record<Direction, number> = { toServer: 0, toClient: 0 };

  constructor(id: number, attack: Attack, client: Socket, server: Socket) {
    this.id = id;
    this.#attack = attack;
    this.#ends = { toServer: server, toClient: client };
    for (const direction of ["toServer", "toClient"] as const) {
      const from = this.#ends[other[direction]];
      from.setNoDelay(true);
      from.on("data", (chunk: Buffer) => this.#take(direction, chunk));
      from.on("end", () =>
        attack.onEnd === undefined ? this.end(direction) : attack.onEnd(this, direction),
      );
      from.on("error", () => this.cut());
      from.on("close", () => this.end(direction));
    }
  }

  send(direction: Direction, bytes: Uint8Array): void {
    const to = this.#ends[direction];
    if (to.writable) to.write(bytes);
  }

  end(direction: Direction): void {
    if (this.#buffered[direction].length > 0) this.send(direction, this.#buffered[direction]);
    this.#buffered[direction] = Buffer.alloc(0);
    this.#ends[direction].end();
  }

  cut(): void {
    this.#ends.toServer.destroy();
    this.#ends.toClient.destroy();
  }

  reset(): void {
    for (const socket of [this.#ends.toServer, this.#ends.toClient]) {
      if (typeof socket.resetAndDestroy === "function") socket.resetAndDestroy();
      else socket.destroy();
    }
  }

  #take(direction: Direction, chunk: Buffer): void {
    if (this.#attack.onBytes !== undefined) {
      const offset = this.#bytes[direction];
      this.#bytes[direction] += chunk.length;
      this.#attack.onBytes(this, direction, offset, new Uint8Array(chunk));
      return;
    }
    let bytes = Buffer.concat([this.#buffered[direction], chunk]);
    for (let length = this.#frameBytes(direction, bytes); length <= bytes.length; ) {
      const frame = new Uint8Array(bytes.subarray(0, length));
      bytes = bytes.subarray(length);
      // Before the script, which may end the stream.
      this.#buffered[direction] = bytes;
      const index = this.#frames[direction]++;
      if (this.#attack.onFrame === undefined) this.send(direction, frame);
      else this.#attack.onFrame(this, direction, index, frame);
      length = this.#frameBytes(direction, bytes);
    }
    this.#buffered[direction] = bytes;
  }

  /** The length of the next frame with its prefix; infinite while the prefix is incomplete. */
  #frameBytes(direction: Direction, bytes: Buffer): number {
    const { preambleBytes = 0 } = this.#attack;
    if (preambleBytes > 0 && this.#frames[direction] === 0) return preambleBytes;
    if (bytes.length < 4) return Number.POSITIVE_INFINITY;
    // Before the length of a handshake's first frame stands its suite.
    if (preambleBytes === 0 && this.#frames[direction] === 0) return 4 + bytes.readUInt16BE(2);
    return 4 + bytes.readUInt32BE(0);
  }
}

export interface AttackProxy {
  readonly port: number;
  /** Lets what is on its way arrive and the links end, for a few seconds at most, then cuts what is left. */
  close(): Promise<void>;
}

/** Listens on a free port of 127.0.0.1 and connects every client to `serverPort` through the attack. */
export async function attackProxy(serverPort: number, attack: Attack): Promise<AttackProxy> {
  const sockets = new Set<Socket>();
  let links = 0;
  const track = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    return socket;
  };
  const server: Server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = dial({ host: "127.0.0.1", port: serverPort, allowHalfOpen: true });
    new ProxyLink(links++, attack, track(client), track(upstream));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    port,
    async close() {
      for (let waitedMs = 0; sockets.size > 0 && waitedMs < END_WAIT_MS; waitedMs += 5) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      });
    },
  };
}
