// The protocols that the RPC suites run over.

import { randomBytes } from "node:crypto";
import { type CommonOptions, monteV1 } from "../../src/index.ts";
import type { Role } from "../../src/protocol/handshake.ts";
import type { RawPeer } from "./rawPeer.ts";
import { RawSession } from "./rawSession.ts";

export interface ProtocolUnderTest {
  readonly name: string;
  /** Options of both ends. */
  readonly options: Pick<CommonOptions, "handshake" | "psk" | "postQuantum">;
  /** True for protocol v2: kinds, error replies, cancel, drain. */
  readonly withKinds: boolean;
  /** Bytes of a plaintext before its body. */
  readonly headerBytes: number;
  /** The same protocol on a bare socket. */
  rawSession(peer: RawPeer, role: Role): Promise<RawSession>;
}

/**
 * Of this process alone: a client of another test run that dials on to a port which this one was given meanwhile proves
 * nothing here, and is no connection.
 */
export const PSK = randomBytes(32).toString("hex");

export const v1: ProtocolUnderTest = {
  name: "v1",
  options: { handshake: monteV1() },
  withKinds: false,
  headerBytes: 4,
  rawSession: (peer, role) => RawSession.v1(peer, role),
};

export const v2: ProtocolUnderTest = {
  name: "v2",
  options: { psk: PSK },
  withKinds: true,
  headerBytes: 5,
  rawSession: (peer, role) => RawSession.v2(peer, role, PSK),
};

export const protocols: readonly ProtocolUnderTest[] = [v1, v2];
