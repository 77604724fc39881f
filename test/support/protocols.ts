// The protocols that the RPC suites run over.

import { type HandshakeFactory, monteV1 } from "../../src/index.ts";

export interface ProtocolUnderTest {
  readonly name: string;
  /** Options of both ends. */
  readonly options: { handshake: HandshakeFactory };
  /** True for protocol v2: kinds, error replies, cancel, drain. */
  readonly withKinds: boolean;
}

export const v1: ProtocolUnderTest = { name: "v1", options: { handshake: monteV1() }, withKinds: false };

export const protocols: readonly ProtocolUnderTest[] = [v1];
