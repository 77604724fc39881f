// Protocol v2: the factory that makes the handshakes of connections. docs/PROTOCOL.md describes the wire.

import { invalidArgument, SealwireError } from "../../base/errors.ts";
import { readU32 } from "../../core/bytes.ts";
import type { HandshakeFactory, Role, TransportFormat } from "../handshake.ts";
import { LENGTH_BYTES, REKEY_AFTER_FRAMES } from "../wire.ts";
import { NoiseHandshake } from "./noiseHandshake.ts";
import {
  type AnonymousOptions,
  type NoiseOptions,
  type NoiseSettings,
  protocolsFor,
  resolveNoiseOptions,
  wipeSettings,
} from "./noiseOptions.ts";
import { protocolName } from "./patterns.ts";
import { type NoiseProtocol, protocolByFirstFrame } from "./suites.ts";

/**
 * A factory of Noise handshakes. It holds copies of psk and static key until `destroy`; then `create` throws
 * ERR_CLOSED.
 */
export interface NoiseFactory extends HandshakeFactory {
  /** Wipes the keys that the factory holds. Idempotent. */
  destroy(): void;
}

/** A factory without psk and keys: anonymous, with a type of its own. */
export interface AnonymousNoiseFactory extends NoiseFactory {
  /** The peer could be anyone. */
  readonly anonymous: true;
}

/**
 * Protocol v2, the default: Noise_<pattern>_25519+MLKEM768_AESGCM_BLAKE2b. The pattern follows from the options (see
 * docs/PROTOCOL.md): NNhfs (anonymous) without any, NNhfs+psk0 with `psk`, XXhfs with `staticKey`, IKhfs with
 * `staticKey` and one `remoteStatic` on the client, XXhfs+psk3 or IKhfs+psk2 with `psk` as well, or an explicit
 * `pattern`. `postQuantum: false` removes "hfs" and "+MLKEM768"; `cipher: "ChaChaPoly"` replaces "AESGCM".
 *
 * @param role the role to check the options for. Without it they must fit at least one role, and `create` throws for
 *   the other
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the option and what is missing
 */
export function noise(options?: NoiseOptions & AnonymousOptions, role?: Role): AnonymousNoiseFactory;
/** A factory whose options may identify the peer. */
export function noise(options: NoiseOptions, role?: Role): NoiseFactory;
export function noise(options: NoiseOptions = {}, role?: Role): NoiseFactory {
  if (role !== undefined) requireRole(role);
  const { unsafeRekeyAfterFramesForTests: rekeyAfterFrames = REKEY_AFTER_FRAMES } = options ?? {};
  if (!Number.isSafeInteger(rekeyAfterFrames) || rekeyAfterFrames < 1) {
    throw invalidArgument("unsafeRekeyAfterFramesForTests", "a positive integer");
  }
  const settings = resolveNoiseOptions(options);
  const format: TransportFormat = {
    header: "kind",
    nonceLayout: "counter-last",
    rekeyAfterFrames,
    peerMaxFrameBytes: 0,
  };
  let choices: Choices;
  try {
    choices = choose(settings, role);
  } catch (error) {
    wipeSettings(settings);
    throw error;
  }
  const named = choices[role ?? "client"] ?? choices.server!;
  let destroyed = false;
  return {
    name: named.map(({ pattern, cipher }) => protocolName(pattern, cipher)).join(" or "),
    format,
    anonymous: role === "client" ? checksNoServer(settings) : provesNothing(settings, named),
    create(handshakeRole, info) {
      if (destroyed) throw new SealwireError("ERR_CLOSED", "this handshake factory was destroyed");
      requireRole(handshakeRole);
      if (typeof info?.remoteAddress !== "string") throw invalidArgument("info.remoteAddress", "a string");
      // Chosen again, to get the error that says what this role lacks.
      const protocols = choices[handshakeRole] ?? protocolsFor(handshakeRole, settings);
      return new NoiseHandshake(handshakeRole, protocols, settings, info);
    },
    firstMessageBytes(received) {
      if (received.length < LENGTH_BYTES) return LENGTH_BYTES;
      const announced = readU32(received, 0);
      const length = announced & 0xffff;
      const protocol = protocolByFirstFrame(choices.server ?? [], announced >>> 16, length);
      return protocol === undefined ? LENGTH_BYTES : LENGTH_BYTES + length;
    },
    destroy() {
      destroyed = true;
      wipeSettings(settings);
    },
  };
}

function requireRole(role: Role): void {
  if (role !== "client" && role !== "server") throw invalidArgument("role", '"client" or "server"');
}

/** Whatever key the server has, if it has one, nothing compares it. */
function checksNoServer({ psk, remoteStatics, authorize }: NoiseSettings): boolean {
  return psk === undefined && remoteStatics.length === 0 && authorize === undefined;
}

function provesNothing({ psk }: NoiseSettings, protocols: readonly NoiseProtocol[]): boolean {
  return psk === undefined && protocols.every(({ pattern }) => /^NN(hfs)?$/.test(pattern.name));
}

type Choices = Partial<Record<Role, NoiseProtocol[]>>;

/** The protocols of the wanted role, or of every role that fits the options; throws if none fits. */
function choose(settings: NoiseSettings, role: Role | undefined): Choices {
  if (role !== undefined) return { [role]: protocolsFor(role, settings) };
  const choices: Choices = {};
  let error: unknown;
  for (const candidate of ["server", "client"] as const) {
    try {
      choices[candidate] = protocolsFor(candidate, settings);
    } catch (reason) {
      error = reason;
    }
  }
  if (choices.client === undefined && choices.server === undefined) throw error;
  return choices;
}
