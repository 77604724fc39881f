// The other end of a connection that is fuzzed: a socket in memory, the keys of the session, and a witness that checks
// the library's records by the rules of PROTOCOL.md. This end itself may send anything.

import assert from "node:assert/strict";
import { aes256gcm } from "../../src/crypto.ts";
import { messageCost } from "../../src/protocol/credit.ts";
import type { Handshake, HandshakeFactory, Role } from "../../src/protocol/handshake.ts";
import { decodeHead } from "../../src/protocol/head.ts";
import { noise } from "../../src/protocol/noise/noiseFactory.ts";
import { BASE_SETTINGS } from "../../src/protocol/settings.ts";
import { Kind } from "../../src/protocol/wire.ts";
import { chunkCost } from "../../src/rpc/outgoingStream.ts";
import type { Transport, TransportEvents } from "../../src/rpc/transport.ts";
import { loop } from "../simulation/virtualLoop.ts";
import { joined } from "./level.ts";

const KEYS = { client: new Uint8Array(32).fill(1), server: new Uint8Array(32).fill(2) };
const identity = {
  protocol: "given",
  authenticated: true,
  remoteStaticKey: undefined,
  handshakeHash: undefined,
};
/** What a caller may stream before it gets credit. */
export const FIRST_STREAM_CREDIT = 16_384;
const otherOf = (role: Role): Role => (role === "client" ? "server" : "client");
export const u32 = (value: number): Uint8Array<ArrayBuffer> =>
  Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);

/** Both ends have their keys after one byte of the client's. */
class GivenKeys implements Handshake {
  readonly #role: Role;
  done = false;

  constructor(role: Role) {
    this.#role = role;
  }

  get expects(): number {
    return this.#role === "server" && !this.done ? 1 : 0;
  }

  send(): Uint8Array | undefined {
    if (this.#role === "server" || this.done) return undefined;
    this.done = true;
    return Uint8Array.of(1);
  }

  receive(): void {
    this.done = true;
  }

  finish() {
    const role = this.#role;
    const [sendKey, receiveKey] = [KEYS[role].slice(), KEYS[otherOf(role)].slice()];
    return { sendKey, receiveKey, identity, spokeLast: role === "server" };
  }

  destroy(): void {}
}

/** The transport of protocol v2 behind a handshake that costs nothing. */
export const givenKeys: HandshakeFactory = {
  name: "given",
  format: noise({}, "client").format,
  anonymous: false,
  create: (role) => new GivenKeys(role),
};

/** A request of this end that has no end yet. */
export interface OpenCall {
  /** What the library may still stream to it. */
  streamCredit: number;
  /** What this end may still stream; undefined where it opened no stream, or has ended it. */
  credit: number | undefined;
  /** The last chunk said that its item goes on. */
  insideItem: boolean;
}

/** A request of the library that has no end yet. */
export interface TheirCall {
  /** It is a call, and takes a stream: what this end may still send of it. */
  credit: number | undefined;
  insideItem: boolean;
}

export class ScriptedPeer implements Transport {
  readonly remoteAddress = "10.0.0.1";
  events!: TransportEvents;
  /** What this end asked, and what has no end yet. */
  readonly mine = new Map<number, OpenCall>();
  /** What the library asked, and has no end from here. */
  readonly theirs = new Map<number, TheirCall>();
  readonly #seenNumbers = new Set<number>();
  /** Numbers that this end has used. */
  readonly everAsked = new Set<number>();
  readonly #streamCredit = new Map<number, number>();
  /** Message credit that the library has, as its rules count it. */
  balance = BASE_SETTINGS.messageCredit;
  /** Message credit that this end has, without what the library's settings raise. */
  ownBalance = BASE_SETTINGS.messageCredit;
  maxRequests = BASE_SETTINGS.maxRequests;
  pings = 0;
  /** Nothing that the library writes is taken. */
  stalled = false;
  gone = false;
  /** The library ended its stream. */
  ended = false;
  #endSaid = false;
  saidClose = false;
  #pending: Uint8Array | undefined;
  #settingsSeen = false;
  #unread: Uint8Array;
  #handshakeBytes: number;
  readonly #role: Role;
  readonly #seal = new Map<Role, ReturnType<typeof aes256gcm>>();
  readonly #counters = { client: 0, server: 0 };

  /** `role`: the library's. */
  constructor(role: Role) {
    this.#role = role;
    this.#unread = new Uint8Array(0);
    this.#handshakeBytes = role === "client" ? 1 : 0;
    for (const one of ["client", "server"] as const) this.#seal.set(one, aes256gcm(KEYS[one], "wasm"));
  }

  // ---- What this end says -------------------------------------------------------------------------------

  frame(plaintext: Uint8Array): Uint8Array {
    const mine = otherOf(this.#role);
    const sealed = this.#seal.get(mine)!.seal(nonce(this.#counters[mine]++), plaintext);
    return joined(u32(sealed.length), sealed);
  }

  deliver(bytes: Uint8Array): void {
    if (!this.gone && !this.#endSaid) this.events.onData(bytes);
  }

  endStream(): void {
    if (this.gone || this.#endSaid) return;
    this.#endSaid = true;
    this.events.onEnd();
    this.#closeIfDone();
  }

  reset(): void {
    this.#close(new Error("reset"));
  }

  takeAgain(): void {
    this.stalled = false;
    const pending = this.#pending;
    if (pending === undefined || this.gone) return;
    this.#pending = undefined;
    this.#read(pending);
    this.events.onWritten();
  }

  /** Frees what it holds. */
  destroyKeys(): void {
    for (const cipher of this.#seal.values()) cipher.destroy();
  }

  // ---- Transport ----------------------------------------------------------------------------------------

  write(bytes: Uint8Array): boolean {
    if (this.#pending !== undefined) this.violation ??= new Error("two writes at a time");
    if (this.ended) this.violation ??= new Error("a write after the end");
    if (this.gone) return false;
    if (this.stalled) {
      this.#pending = bytes;
      return false;
    }
    this.#read(bytes);
    return true;
  }

  unwrittenBytes(): number {
    return this.#pending?.length ?? 0;
  }

  pause(): void {}
  resume(): void {}

  end(): void {
    this.ended = true;
    this.#closeIfDone();
  }

  destroy(): void {
    this.#close(undefined);
  }

  #closeIfDone(): void {
    if (this.ended && this.#endSaid) this.#close(undefined);
  }

  #close(error: Error | undefined): void {
    if (this.gone) return;
    this.gone = true;
    this.#pending = undefined;
    loop.after(0, () => this.events.onClose(error));
  }

  // ---- What the library says ----------------------------------------------------------------------------

  /** The first rule that the library broke. Nothing is thrown into it: that would be a fault of the socket. */
  violation: unknown;

  #read(bytes: Uint8Array): void {
    try {
      this.#readFrames(bytes);
    } catch (error) {
      this.violation ??= error;
    }
  }

  #readFrames(bytes: Uint8Array): void {
    this.#unread = joined(this.#unread, bytes);
    let at = this.#handshakeBytes;
    this.#handshakeBytes = 0;
    const view = new DataView(this.#unread.buffer);
    while (at + 4 <= this.#unread.length && at + 4 + view.getUint32(at) <= this.#unread.length) {
      const next = at + 4 + view.getUint32(at);
      const cipher = this.#seal.get(this.#role)!;
      const plaintext = cipher.open(nonce(this.#counters[this.#role]++), this.#unread.subarray(at + 4, next));
      this.#frame(plaintext);
      at = next;
    }
    this.#unread = this.#unread.slice(at);
  }

  #frame(plaintext: Uint8Array): void {
    const view = new DataView(plaintext.buffer, plaintext.byteOffset, plaintext.length);
    let kind = plaintext[4]!;
    let end = plaintext.length;
    if (kind >= 0x80) {
      kind -= 0x80;
      const pad = view.getUint16(end - 2);
      end -= pad;
      assert.ok(pad >= 2 && end >= 5, "padding that is none");
    }
    if (kind !== Kind.bundle) return this.#record(view.getUint32(0), kind, plaintext.subarray(5, end));
    let count = 0;
    for (let at = 5; at < end; count++) {
      const next = at + 4 + view.getUint32(at);
      assert.ok(next >= at + 9 && next <= end, "a bundle whose records do not fill it");
      this.#record(view.getUint32(at + 4), plaintext[at + 8]!, plaintext.subarray(at + 9, next));
      at = next;
    }
    assert.ok(count >= 2, "a bundle of less than two");
  }

  #record(sequence: number, kind: number, body: Uint8Array): void {
    assert.ok(!this.saidClose, `a record of kind ${kind} after close`);
    if (!this.#settingsSeen) {
      assert.equal(kind, Kind.settings, "the first frame has no settings");
      this.#settingsSeen = true;
      return;
    }
    switch (kind) {
      case Kind.message:
      case Kind.call:
        return this.#paid(sequence, kind, body);
      case Kind.reply:
      case Kind.answer:
      case Kind.error:
        assert.ok(this.mine.delete(sequence), `an end of request ${sequence}, which waits for none`);
        return;
      case Kind.cancel:
        assert.ok(this.#seenNumbers.has(sequence), "a cancel of a request that was never made");
        return;
      case Kind.ping:
        return;
      case Kind.pong:
        if (sequence !== 0) assert.ok(this.pings-- > 0, "more pongs than pings");
        return;
      case Kind.chunk:
        return this.#chunk(sequence, body);
      case Kind.end:
      case Kind.stop:
      case Kind.credit:
      case Kind.blocked:
        this.#known(sequence, kind);
        if (kind === Kind.credit) this.#credit(sequence, body);
        return;
      case Kind.drain:
        return;
      case Kind.close:
        this.saidClose = true;
        return;
      default:
        assert.fail(`a record of kind ${kind}`);
    }
  }

  #paid(sequence: number, kind: number, body: Uint8Array): void {
    assert.ok(this.balance > 0, "a message without credit");
    this.balance -= messageCost(body.length);
    if (sequence === 0) return;
    assert.equal(sequence & 1, this.#role === "client" ? 1 : 0, "a number of the other's parity");
    assert.ok(!this.#seenNumbers.has(sequence), `request ${sequence} was made twice`);
    this.#seenNumbers.add(sequence);
    const credit = kind === Kind.call ? decodeHead(body, 0, body.length).head.streamCredit : undefined;
    this.theirs.set(sequence, { credit, insideItem: false });
    assert.ok(this.theirs.size <= this.maxRequests, "more requests than this end takes");
  }

  #credit(sequence: number, body: Uint8Array): void {
    assert.equal(body.length, 4, "credit that is no number");
    const bytes = new DataView(body.buffer, body.byteOffset).getUint32(0);
    assert.ok(bytes > 0, "credit of 0");
    const call = sequence === 0 ? undefined : (this.mine.get(sequence) ?? this.theirs.get(sequence));
    if (sequence === 0) this.ownBalance += bytes;
    else if (call?.credit !== undefined) call.credit += bytes;
  }

  #chunk(sequence: number, body: Uint8Array): void {
    this.#known(sequence, Kind.chunk);
    const call = this.mine.get(sequence);
    const credit = call?.streamCredit ?? this.#streamCredit.get(sequence) ?? FIRST_STREAM_CREDIT;
    assert.ok(credit > 0, `a chunk of ${sequence} without credit`);
    const left = credit - chunkCost(body.length - 1);
    if (call !== undefined) call.streamCredit = left;
    else this.#streamCredit.set(sequence, left);
  }

  #known(sequence: number, kind: number): void {
    if (sequence === 0) {
      assert.ok(kind === Kind.credit || kind === Kind.blocked, `kind ${kind} of no stream`);
      return;
    }
    const known = this.mine.has(sequence) || this.everAsked.has(sequence) || this.#seenNumbers.has(sequence);
    assert.ok(known, `kind ${kind} of request ${sequence}, which was never made`);
  }

  /** This end gives credit, which the library knows once it has read it. */
  giveCredit(sequence: number, bytes: number): void {
    if (sequence === 0) this.balance += bytes;
    else {
      const call = this.mine.get(sequence);
      if (call !== undefined) call.streamCredit += bytes;
      else {
        const earlier = this.#streamCredit.get(sequence) ?? FIRST_STREAM_CREDIT;
        this.#streamCredit.set(sequence, earlier + bytes);
      }
    }
  }
}

const nonce = (counter: number): Uint8Array<ArrayBuffer> => joined(new Uint8Array(8), u32(counter));
