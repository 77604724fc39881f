// The protocols that the RPC suites run over.

import { type CommonOptions, monteV1 } from "../../src/index.ts";

export interface ProtocolUnderTest {
  readonly name: string;
  /** Options of both ends. */
  readonly options: Pick<CommonOptions, "handshake" | "psk">;
  /** True for protocol v2: kinds, error replies, cancel, drain. */
  readonly withKinds: boolean;
}

export const v1: ProtocolUnderTest = { name: "v1", options: { handshake: monteV1() }, withKinds: false };

export const v2: ProtocolUnderTest = { name: "v2", options: { psk: "5e".repeat(32) }, withKinds: true };

export const protocols: readonly ProtocolUnderTest[] = [v1, v2];
