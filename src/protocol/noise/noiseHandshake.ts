// One run of protocol v2's handshake: Noise messages in frames (u32be length ‖ message), with empty payloads. The first
// frame also contains its suite: u16be suite ‖ u16be length ‖ message.
//
//   client: write ──▶ length ──▶ message ──▶ (write ──▶) done
//   server: length ──▶ message ──▶ write ──▶ (length ──▶ message ──▶) done
//
// A pattern allows one length for each message, which is checked on the prefix, before the message is read. As soon as
// the peer's static key is known it is checked (`remoteStatic`, then `authorize`), before anything more is written.
// Every failure ends the handshake and wipes it.

import { SealwireError } from "../../base/errors.ts";
import { requireBytes, writeU32 } from "../../core/bytes.ts";
import type { Handshake, HandshakeInfo, HandshakeResult, Role } from "../handshake.ts";
import { LENGTH_BYTES } from "../wire.ts";
import { peerStaticKnown } from "./choosePattern.ts";
import { HandshakeState } from "./handshakeState.ts";
import { readsPskLast } from "./handshakeStateOptions.ts";
import { equalKeys } from "./keys.ts";
import { type AuthorizeInfo, copySettings, type NoiseSettings, wipeSettings } from "./noiseOptions.ts";
import { isHybrid } from "./pattern.ts";
import { messageLengths, protocolName } from "./patterns.ts";
import { LaterDecisions, unauthorized } from "./peerDecision.ts";
import { type NoiseProtocol, protocolByFirstFrame, suiteDifferences, suiteOf } from "./suites.ts";

type State = "write" | "length" | "message" | "authorizing" | "done" | "consumed" | "destroyed";

export class NoiseHandshake implements Handshake {
  readonly #role: Role;
  readonly #protocols: readonly NoiseProtocol[];
  readonly #settings: NoiseSettings;
  readonly #info: HandshakeInfo;
  #noise: HandshakeState | undefined;
  /** The protocol that `#noise` runs. */
  #protocol: NoiseProtocol | undefined;
  #state: State;
  #expectedLength = 0;
  /** On a server: the protocol that the first frame announced. */
  #announced: NoiseProtocol | undefined;
  #hasSent = false;
  #checkedPeer = false;
  readonly #later = new LaterDecisions();
  /**
   * Another handshake got the same first message, and it fitted that one's keys: this one refuses every peer, and asks
   * the application about none.
   */
  superseded = false;

  /** The factory owns `settings` and may wipe them at any time, so the handshake works on copies. */
  constructor(role: Role, protocols: readonly NoiseProtocol[], settings: NoiseSettings, info: HandshakeInfo) {
    this.#role = role;
    this.#protocols = protocols;
    this.#settings = copySettings(settings);
    this.#info = info;
    this.#state = role === "client" ? "write" : "length";
    if (role === "client") this.#noise = this.#start(protocols[0]!);
  }

  send(): Uint8Array | undefined {
    if (this.#state !== "write") return undefined;
    try {
      const noise = this.#noise!;
      const isFirst = this.#role === "client" && !this.#hasSent;
      this.#hasSent = true;
      const message = noise.writeMessage();
      const frame = new Uint8Array(LENGTH_BYTES + message.length);
      // A Noise message has at most 65,535 bytes, so the upper half of a length is 0, and the suite fits there.
      const suite = isFirst ? suiteOf(this.#protocol!) : 0;
      writeU32(frame, 0, suite * 0x10000 + message.length);
      frame.set(message, LENGTH_BYTES);
      this.#state = noise.isFinished ? "done" : "length";
      return frame;
    } catch (error) {
      this.#end("consumed");
      throw new SealwireError("ERR_HANDSHAKE", "the handshake could not go on", { cause: error });
    }
  }

  get expects(): number {
    if (this.#state === "length") return LENGTH_BYTES;
    return this.#state === "message" ? this.#expectedLength : 0;
  }

  receive(bytes: Uint8Array): void | Promise<void> {
    this.#requireAlive();
    requireBytes("bytes", bytes);
    if (this.expects === 0 || bytes.length !== this.expects) {
      throw new SealwireError("ERR_HANDSHAKE", `${this.expects} bytes expected, ${bytes.length} given`);
    }
    try {
      if (this.#state === "length") return this.#receiveLength(bytes);
      return this.#receiveMessage(bytes);
    } catch (error) {
      this.#end("consumed");
      throw error;
    }
  }

  get done(): boolean {
    return this.#state === "done";
  }

  /** Which psk the peer has, once that is known: 0 is the option `psk`, from 1 on those of `otherPsks`. */
  get usedPsk(): number {
    return this.#noise?.usedPsk ?? 0;
  }

  finish(): HandshakeResult {
    this.#requireAlive();
    if (this.#state !== "done")
      throw new SealwireError("ERR_HANDSHAKE", "the handshake is not done, or consumed");
    const noise = this.#noise!;
    const handshakeHash = noise.handshakeHash;
    const remoteStaticKey = noise.remoteStaticKey;
    const keys = noise.splitKeys();
    const initiatorSpokeLast = noise.pattern.messages.length % 2 === 1;
    const confirm = this.#later.confirmation(remoteStaticKey);
    this.#end("consumed");
    return {
      ...keys,
      cipher: this.#protocol!.cipher,
      spokeLast: initiatorSpokeLast === (this.#role === "client"),
      identity: {
        protocol: this.#name(),
        authenticated: noise.pattern.pskCount > 0 || remoteStaticKey !== undefined,
        remoteStaticKey,
        handshakeHash,
      },
      ...(confirm !== undefined && { confirm }),
    };
  }

  destroy(): void {
    this.#end("destroyed");
  }

  #end(state: "consumed" | "destroyed"): void {
    if (this.#state !== "destroyed") this.#state = state;
    this.#noise?.destroy();
    wipeSettings(this.#settings);
  }

  #requireAlive(): void {
    if (this.#state === "destroyed") throw new SealwireError("ERR_CLOSED", "the handshake was destroyed");
  }

  #name(): string {
    const { pattern, cipher } = this.#protocol!;
    return protocolName(pattern, cipher);
  }

  #start(protocol: NoiseProtocol): HandshakeState {
    this.#protocol = protocol;
    const { pattern, cipher } = protocol;
    const { psk, otherPsks, s, remoteStatics, prologue, ephemeralForTests, kemForTests } = this.#settings;
    const initiator = this.#role === "client";
    try {
      return new HandshakeState({
        pattern: pattern.name,
        cipher,
        initiator,
        prologue,
        s,
        rs: peerStaticKnown(pattern, this.#role) ? remoteStatics[0] : undefined,
        psks: pattern.pskCount > 0 ? [psk!] : [],
        otherPsks: readsPskLast(pattern, initiator) ? otherPsks : [],
        unsafeEphemeralForTests: ephemeralForTests,
        unsafeKemForTests: isHybrid(pattern) ? kemForTests : undefined,
      });
    } finally {
      // The HandshakeState has copies of its own.
      wipeSettings(this.#settings);
    }
  }

  #receiveLength(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, LENGTH_BYTES);
    // Only a server can have more than one pattern, and only until its first message.
    if (this.#noise === undefined) {
      this.#expectedLength = view.getUint16(2);
      this.#announced = this.#protocolNamed(view.getUint16(0), this.#expectedLength);
    } else {
      this.#expectedLength = view.getUint32(0);
      if (this.#expectedLength !== this.#noise.nextMessageBytes) throw this.#mismatch(this.#expectedLength);
    }
    this.#state = "message";
  }

  /** The protocol that the client's first frame means. */
  #protocolNamed(suite: number, length: number): NoiseProtocol {
    const protocol = protocolByFirstFrame(this.#protocols, suite, length);
    if (protocol !== undefined) return protocol;
    const differences = suiteDifferences(this.#protocols, suite);
    if (differences === undefined) throw this.#mismatch(suite * 0x10000 + length);
    if (differences.length === 0) throw this.#mismatch(length);
    throw new SealwireError(
      "ERR_HANDSHAKE",
      `${differences.join(", and ")}, or the peer speaks another protocol`,
    );
  }

  #mismatch(length: number): SealwireError {
    return new SealwireError(
      "ERR_HANDSHAKE",
      `the peer announced a handshake message of ${length} bytes where ${this.#allowedLengths()} has none: ` +
        "it speaks another protocol, or another pattern because its options differ",
    );
  }

  #receiveMessage(message: Uint8Array): void | Promise<void> {
    this.#noise ??= this.#start(this.#announced!);
    const noise = this.#noise;
    try {
      noise.readMessage(message);
    } catch (error) {
      throw new SealwireError(
        "ERR_HANDSHAKE",
        `a handshake message of ${this.#name()} is not authentic: ` +
          "the peer has another key, psk or prologue, or the message was altered",
        { cause: error },
      );
    }
    const remoteStaticKey = noise.remoteStaticKey;
    if (this.#checkedPeer || remoteStaticKey === undefined) return this.#proceed();
    this.#checkedPeer = true;
    return this.#checkPeer(remoteStaticKey);
  }

  #proceed(): void {
    this.#state = this.#noise!.isFinished ? "done" : "write";
  }

  /** Returns if the key is pinned and authorized; otherwise throws ERR_UNAUTHORIZED, at once or in a promise. */
  #checkPeer(remoteStaticKey: Uint8Array): void | Promise<void> {
    const { remoteStatics, authorize } = this.#settings;
    let pinned = remoteStatics.length === 0;
    for (const key of remoteStatics) pinned = equalKeys(key, remoteStaticKey) || pinned;
    if (!pinned) throw unauthorized(remoteStaticKey, "is none of remoteStatic");
    if (this.superseded) throw unauthorized(remoteStaticKey, "fitted another key of this side");
    if (authorize === undefined) return this.#proceed();
    this.#state = "authorizing";
    const info: AuthorizeInfo = {
      role: this.#role,
      remoteAddress: this.#info.remoteAddress,
      protocol: this.#name(),
      ...(this.#provesLater && { whenProven: this.#later.add }),
    };
    let answer: boolean | Promise<boolean>;
    try {
      answer = authorize(new Uint8Array(remoteStaticKey), info);
    } catch (error) {
      throw unauthorized(remoteStaticKey, "could not be checked: authorize() threw", error);
    }
    if (typeof answer === "boolean") return this.#decide(remoteStaticKey, answer);
    return this.#awaitAnswer(remoteStaticKey, answer);
  }

  async #awaitAnswer(remoteStaticKey: Uint8Array, pending: Promise<boolean>): Promise<void> {
    try {
      let answer: boolean;
      try {
        answer = await pending;
      } catch (error) {
        throw unauthorized(remoteStaticKey, "could not be checked: authorize() rejected", error);
      }
      // The connection may have been closed meanwhile, for example by the handshake time-out.
      if (this.#state !== "authorizing")
        throw new SealwireError("ERR_HANDSHAKE", "the handshake is consumed");
      this.#decide(remoteStaticKey, answer);
    } catch (error) {
      this.#end("consumed");
      throw error;
    }
  }

  /**
   * The message that made the peer's static key known proves too little. A server's first message may be a recording,
   * and in IN, IX and KN the key is only named there. On a client the key is proven, but in XXpsk3 the psk is not.
   */
  get #provesLater(): boolean {
    const { isFinished, pattern } = this.#noise!;
    if (isFinished) return false;
    return this.#role === "server" || pattern.messages.at(-1)!.includes("psk");
  }

  #decide(remoteStaticKey: Uint8Array, answer: boolean): void {
    this.#later.close();
    if (answer !== true) throw unauthorized(remoteStaticKey, "was refused by authorize()");
    this.#proceed();
  }

  #allowedLengths(): string {
    const names = this.#protocols.map(
      ({ pattern }) => `${pattern.name} (${messageLengths(pattern).join(", ")})`,
    );
    // With several ciphers, each pattern is named once.
    return [...new Set(names)].join(" or ");
  }
}
