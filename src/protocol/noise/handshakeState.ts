// HandshakeState: Noise (revision 34) section 5.3, driven by the tokens of a pattern.
//
//             write / read turns, one per message of the pattern
//   new ──▶ [ my turn ⇄ the peer's turn ] ──▶ finished ──split()──▶ consumed
//                  └── anything fails ───────────────────────────▶ consumed (wiped)
//   any state ── destroy() ──▶ destroyed (wiped)
//
// The keys, and what each token does with them, are in handshakeTokens.ts; all are wiped when the handshake is consumed
// or destroyed.

import { invalidArgument, SealwireError } from "../../base/errors.ts";
import { checkOptionNames } from "../../base/options.ts";
import { isBytes, requireBytes, requireBytesUpTo, viewOf } from "../../core/bytes.ts";
import type { CipherState } from "./cipherState.ts";
import {
  type CheckedKeys,
  checkKeys,
  type HandshakeStateOptions,
  stateOptionNames,
} from "./handshakeStateOptions.ts";
import { HandshakeTokens } from "./handshakeTokens.ts";
import { checkedPattern, type HandshakePattern, type Token } from "./pattern.ts";
import { MAX_MESSAGE_BYTES, messageLengths, parsePattern } from "./patterns.ts";
import type { SymmetricState } from "./symmetricState.ts";

const EMPTY = new Uint8Array(0);
const MAX_PROLOGUE_BYTES = 131_072;

/** The result of `split`. */
export interface SplitCiphers {
  /** The cipher for bytes that this side sends. In a one-way pattern the responder never uses it. */
  readonly send: CipherState;
  /** The cipher for bytes that this side receives. */
  readonly receive: CipherState;
}

/** The result of `splitKeys`: 32 bytes for each direction. */
export interface SplitKeys {
  /** 32 bytes. */
  readonly sendKey: Uint8Array;
  /** 32 bytes. */
  readonly receiveKey: Uint8Array;
}

/** HandshakeState of Noise (section 5.3). */
export class HandshakeState {
  /** The pattern of this handshake. */
  readonly pattern: HandshakePattern;
  /** Whether this side writes the first message. */
  readonly initiator: boolean;
  readonly #tokens: HandshakeTokens;
  readonly #lengths: readonly number[];
  #messageIndex = 0;
  #end: "consumed" | "destroyed" | undefined;

  /**
   * Initialize.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT naming the option that is missing, superfluous or malformed
   */
  constructor(options: HandshakeStateOptions) {
    checkOptionNames(options, stateOptionNames);
    // Read once, so that the checked values are used even if the options are getters.
    const { initiator, prologue = EMPTY, s, rs, psks = [], otherPsks = [], pattern: given, cipher } = options;
    const { unsafeEphemeralForTests, unsafeKemForTests } = options;
    if (typeof initiator !== "boolean") throw invalidArgument("initiator", "true or false");
    requireBytesUpTo("prologue", prologue, MAX_PROLOGUE_BYTES);
    const pattern = typeof given === "string" ? parsePattern(given) : checkedPattern(given);
    const keys: CheckedKeys = {
      s: s === undefined || isBytes(s) ? s : { privateKey: s?.privateKey, publicKey: s?.publicKey },
      rs,
      psks: Array.isArray(psks) ? [...psks] : psks,
      otherPsks: Array.isArray(otherPsks) ? [...otherPsks] : otherPsks,
      unsafeEphemeralForTests,
      unsafeKemForTests,
    };
    checkKeys(pattern, initiator, keys);
    this.pattern = pattern;
    this.initiator = initiator;
    this.#lengths = messageLengths(pattern);
    this.#tokens = new HandshakeTokens(pattern, initiator, prologue, keys, cipher);
  }

  /** True if `writeMessage` is the next step; false if `readMessage` is, or the handshake is over. */
  get isMyTurn(): boolean {
    return this.#end === undefined && !this.isFinished && (this.#messageIndex % 2 === 0) === this.initiator;
  }

  /** True once all messages were written and read; `split` is then the next step. */
  get isFinished(): boolean {
    return this.#messageIndex === this.pattern.messages.length;
  }

  /** Bytes of the next message with an empty payload; with a payload it is longer by the payload. 0 at the end. */
  get nextMessageBytes(): number {
    return this.#lengths[this.#messageIndex] ?? 0;
  }

  /**
   * The peer's static public key (32 bytes, a copy) as soon as it is known. A finished handshake proves that the peer
   * holds its private key; if the last handshake message mixes the key in, the first transport message proves it
   * (section 7.7).
   */
  get remoteStaticKey(): Uint8Array | undefined {
    return this.#tokens.remoteStaticKey;
  }

  /** Which psk the peer has, once that is known: 0 is the one of `psks`, from 1 on those of `otherPsks`. */
  get usedPsk(): number {
    return this.#tokens.usedPsk;
  }

  /** The handshake hash (section 11.2), 64 bytes: equal on both ends and unique to this session. */
  get handshakeHash(): Uint8Array {
    if (!this.isFinished) throw new SealwireError("ERR_HANDSHAKE", "the handshake is not finished");
    return this.#tokens.symmetric.getHandshakeHash();
  }

  /**
   * WriteMessage: the next message, at most 65,535 bytes.
   *
   * @param payload encrypted as far as the pattern can at this point (section 7.7): in the first messages not
   *   at all or for anyone; empty by default
   * @throws SealwireError ERR_HANDSHAKE if it is not this side's turn; ERR_MESSAGE_TOO_LARGE;
   *   ERR_INVALID_ARGUMENT; ERR_WEAK_PUBLIC_KEY (the handshake is then consumed); ERR_CLOSED after destroy()
   */
  writeMessage(payload: Uint8Array = EMPTY): Uint8Array {
    if (!this.isMyTurn) throw this.#outOfTurn("write");
    requireBytes("payload", payload);
    const length = this.nextMessageBytes + payload.length;
    if (length > MAX_MESSAGE_BYTES) {
      throw new SealwireError("ERR_MESSAGE_TOO_LARGE", "a Noise message has at most 65,535 bytes");
    }
    return this.#orDestroy(() => {
      const message = new Uint8Array(length);
      let at = 0;
      const append = (bytes: Uint8Array): void => {
        message.set(bytes, at);
        at += bytes.length;
      };
      for (const token of this.#nextTokens()) this.#tokens.write(token, append);
      append(this.#tokens.symmetric.encryptAndHash(payload));
      this.#messageIndex += 1;
      return message;
    });
  }

  /**
   * ReadMessage: the payload of the peer's next message, in fresh memory.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT; ERR_HANDSHAKE when it is not the peer's turn; ERR_CLOSED after
   *   destroy(). ERR_HANDSHAKE when the length can't be right; ERR_DECRYPT when it does not authenticate;
   *   ERR_WEAK_PUBLIC_KEY: with these the handshake is consumed, there is no second try.
   */
  readMessage(message: Uint8Array): Uint8Array {
    if (this.#end !== undefined || this.isFinished || this.isMyTurn) throw this.#outOfTurn("read");
    requireBytes("message", message);
    return this.#orDestroy(() => {
      const messageBytes = message.length;
      if (messageBytes < this.nextMessageBytes || messageBytes > MAX_MESSAGE_BYTES) {
        throw new SealwireError(
          "ERR_HANDSHAKE",
          `a message of ${messageBytes} bytes is not what the pattern has`,
        );
      }
      let at = 0;
      const take = (length: number): Uint8Array => {
        at += length;
        return new Uint8Array(viewOf(message, at - length, at));
      };
      const tokens = this.#nextTokens();
      for (const [i, token] of tokens.entries()) {
        if (token === "psk" && i === tokens.length - 1)
          this.#tokens.choosePsk(viewOf(message, at, messageBytes));
        this.#tokens.read(token, take);
      }
      const payload = this.#tokens.symmetric.decryptAndHash(take(messageBytes - at));
      this.#messageIndex += 1;
      return payload;
    });
  }

  /**
   * Split: a cipher per direction. The handshake is consumed.
   *
   * @throws SealwireError ERR_HANDSHAKE unless it is finished and not yet split; ERR_CLOSED after destroy()
   */
  split(): SplitCiphers {
    const [send, receive] = this.#consume((symmetric) => symmetric.split());
    return { send, receive };
  }

  /**
   * Split for a transport with ciphers of its own: the keys, 32 bytes each; the caller owns and wipes them.
   * The handshake is consumed.
   *
   * @throws SealwireError ERR_HANDSHAKE unless it is finished and not yet split; ERR_CLOSED after destroy()
   */
  splitKeys(): SplitKeys {
    const [sendKey, receiveKey] = this.#consume((symmetric) => symmetric.splitKeys());
    return { sendKey, receiveKey };
  }

  /**
   * Wipes every secret; every step then throws ERR_CLOSED. The handshake hash and the peer's static key stay readable.
   * Idempotent.
   */
  destroy(): void {
    this.#finish("destroyed");
  }

  /** The two results of a split of the finished handshake: the one for sending first. */
  #consume<T>(split: (symmetric: SymmetricState) => [T, T]): [send: T, receive: T] {
    this.#requireFinished();
    const [first, second] = split(this.#tokens.symmetric);
    this.#finish("consumed");
    return this.initiator ? [first, second] : [second, first];
  }

  #finish(end: "consumed" | "destroyed"): void {
    this.#end = end;
    this.#tokens.wipe();
  }

  #nextTokens(): readonly Token[] {
    return this.pattern.messages[this.#messageIndex]!;
  }

  /** Runs one step; a failure in it ends the handshake and wipes it (section 5.3). */
  #orDestroy<T>(step: () => T): T {
    try {
      return step();
    } catch (error) {
      this.#finish("consumed");
      throw error;
    }
  }

  #requireFinished(): void {
    if (this.#end !== undefined) throw this.#ended(this.#end);
    if (!this.isFinished) throw new SealwireError("ERR_HANDSHAKE", "the handshake is not finished");
  }

  #ended(end: "consumed" | "destroyed"): SealwireError {
    return end === "destroyed"
      ? new SealwireError("ERR_CLOSED", "the handshake was destroyed")
      : new SealwireError("ERR_HANDSHAKE", "the handshake is consumed");
  }

  #outOfTurn(attempted: "write" | "read"): SealwireError {
    if (this.#end !== undefined) return this.#ended(this.#end);
    const why = this.isFinished
      ? "the handshake is finished"
      : attempted === "write"
        ? "it is the peer's turn to write"
        : "it is this side's turn to write";
    return new SealwireError("ERR_HANDSHAKE", why);
  }
}
