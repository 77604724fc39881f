// Sessions of protocol v2 without a handshake, for tests of the layers above.

import type { Engine } from "../../src/core/engine.ts";
import type { TransportFormat } from "../../src/protocol/handshake.ts";
import { Session } from "../../src/protocol/session.ts";

/** Frames of protocol v2 whose key never changes. */
export const format: TransportFormat = {
  header: "kind",
  nonceLayout: "counter-last",
  rekeyAfterFrames: 0,
  peerMaxFrameBytes: 0,
};

/** Its keys have these bytes throughout; the other end has them the other way round. */
export function session(sendKey: number, receiveKey: number, engine: Engine = "auto"): Session {
  const identity = {
    protocol: "test",
    authenticated: false,
    remoteStaticKey: undefined,
    handshakeHash: undefined,
  };
  const keyOf = (value: number) => new Uint8Array(32).fill(value);
  return new Session({ sendKey: keyOf(sendKey), receiveKey: keyOf(receiveKey), identity }, format, engine);
}
