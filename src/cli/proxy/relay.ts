// Connects one plain connection with the stream that carries it, in both directions, each at the pace of its receiver.
//
// The sealing side makes a call with method `sealwire.proxy` and an empty body. Items of the streams are the bytes, in
// pieces of any length. The end of the caller's stream is the plain client's end. The handler sends an empty item for
// the plain server's end, because its answer would end both directions. The (empty) answer follows when both have
// ended. Any other end of the call cuts the plain connections.

import type { PlainSocket } from "./plainSocket.ts";

export const PROXY_METHOD = "sealwire.proxy";
/** Marks the other side's end, which the stream itself can't carry. */
const END = new Uint8Array(0);

/** The stream of one side. */
export interface SealedStream {
  readonly items: AsyncIterable<Uint8Array>;
  write(item: Uint8Array): Promise<void>;
}

/** The bytes that were moved, over all connections. */
export class Moved {
  plainBytes = 0;
  sealedBytes = 0;
}

async function pump(plain: PlainSocket, stream: SealedStream, moved: Moved): Promise<void> {
  for (let piece = await plain.read(); piece !== undefined; piece = await plain.read()) {
    await stream.write(piece);
    moved.plainBytes += piece.length;
  }
}

/** Relays the plain client's connection until both ends have been sent. */
export async function relayClient(
  plain: PlainSocket,
  call: SealedStream & { end(): void; answer(): Promise<unknown> },
  moved: Moved,
): Promise<void> {
  const there = async (): Promise<void> => {
    await pump(plain, call, moved);
    call.end();
  };
  const back = async (): Promise<void> => {
    let ended = false;
    for await (const item of call.items) {
      if (ended) throw new Error("the opening side sent bytes behind its end");
      moved.sealedBytes += item.length;
      ended = item.length === 0;
      if (ended) plain.end();
      else await plain.write(item);
    }
    await call.answer();
    if (!ended) throw new Error("the opening side answered without an end");
  };
  // A call that fails ends both directions at once, also while neither the client nor the call gives anything.
  await Promise.all([there(), back(), call.answer()]);
  await plain.closed();
}

/** Relays the connection to the plain server until both ends have been sent. */
export async function relayServer(plain: PlainSocket, stream: SealedStream, moved: Moved): Promise<void> {
  const there = async (): Promise<void> => {
    for await (const item of stream.items) {
      moved.sealedBytes += item.length;
      await plain.write(item);
    }
    plain.end();
  };
  const back = async (): Promise<void> => {
    await pump(plain, stream, moved);
    await stream.write(END);
  };
  await Promise.all([there(), back()]);
  await plain.closed();
}
