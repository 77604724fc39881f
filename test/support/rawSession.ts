// Sessions of both protocols over a raw socket, framed and sealed here, so that tests can send anything, also what no
// honest peer would send.

import assert from "node:assert/strict";
import { blake2b } from "../../src/core/blake2b.ts";
import { x25519, x25519KeyPair } from "../../src/core/x25519.ts";
import { aes256gcm } from "../../src/crypto.ts";
import { type NoiseOptions, noise } from "../../src/noise.ts";
import type { Role } from "../../src/protocol/handshake.ts";
import { Kind } from "../../src/protocol/wire.ts";
import { concat, type RawPeer, u32 } from "./rawPeer.ts";

/** A frame as it came, opened, or a record of a bundle. `kind` is -1 in protocol v1. */
export interface RawFrame {
  readonly sequence: number;
  readonly kind: number;
  readonly body: Uint8Array;
}

/** A message as it stands in a bundle. */
export function record(sequence: number, kind: number, body: Uint8Array): Uint8Array {
  return concat(u32(5 + body.length), u32(sequence), new Uint8Array([kind]), body);
}

/** The records of a bundle's body, of which nothing may be left over. */
export function parseRecords(bytes: Uint8Array): RawFrame[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const records: RawFrame[] = [];
  for (let at = 0; at < bytes.length; ) {
    const next = at + 4 + view.getUint32(at);
    assert.ok(next >= at + 9 && next <= bytes.length, `a record from ${at} to ${next} of ${bytes.length}`);
    records.push({ sequence: view.getUint32(at + 4), kind: bytes[at + 8]!, body: bytes.slice(at + 9, next) });
    at = next;
  }
  return records;
}

/** No request of a test has this number. */
const PING_SEQUENCE = 90_001;

/** The first frame of a direction: frames of up to 32 MiB are taken, and nothing else is raised. */
const SETTINGS = Uint8Array.of(1, 0, 4, 2, 0, 0, 0);

export class RawSession {
  readonly peer: RawPeer;
  readonly #withKind: boolean;
  readonly #sendCipher: ReturnType<typeof aes256gcm>;
  readonly #receiveCipher: ReturnType<typeof aes256gcm>;
  #sendCounter = 0;
  #receiveCounter = 0;
  /** Records of the last bundle that nobody has received yet. */
  #records: RawFrame[] = [];

  private constructor(peer: RawPeer, withKind: boolean, sendKey: Uint8Array, receiveKey: Uint8Array) {
    this.peer = peer;
    this.#withKind = withKind;
    this.#sendCipher = aes256gcm(sendKey);
    this.#receiveCipher = aes256gcm(receiveKey);
  }

  /** Protocol v1: the client writes its public key first, the server reads first. */
  static async v1(peer: RawPeer, role: Role): Promise<RawSession> {
    const { privateKey, publicKey } = x25519KeyPair();
    if (role === "client") peer.write(publicKey);
    const remote = await peer.read(32);
    if (role === "server") peer.write(publicKey);
    const key = blake2b(x25519(privateKey, remote), { length: 32 });
    return new RawSession(peer, false, key, key);
  }

  /**
   * Protocol v2 with this psk (hex or base64), with these options, or anonymous. `firstFrame` false: without the first
   * frame that proves this peer to a server.
   */
  static async v2(
    peer: RawPeer,
    role: Role,
    psk: string | NoiseOptions = {},
    firstFrame = true,
  ): Promise<RawSession> {
    const options = typeof psk === "string" ? { psk } : psk;
    const handshake = noise(options, role).create(role, { remoteAddress: "" });
    let session: RawSession;
    try {
      while (!handshake.done) {
        const out = handshake.send();
        if (out !== undefined) peer.write(out);
        else await handshake.receive(await peer.read(handshake.expects));
      }
      for (let out = handshake.send(); out !== undefined; out = handshake.send()) peer.write(out);
      const { sendKey, receiveKey } = handshake.finish();
      session = new RawSession(peer, true, sendKey, receiveKey);
    } finally {
      // Also where the other side ended it: its keys are in the module's memory, like those of the library under test.
      handshake.destroy();
    }
    if (firstFrame) peer.write(session.seal(0, SETTINGS, Kind.settings));
    return session;
  }

  /** Bytes of a plaintext before its body. */
  get headerBytes(): number {
    return this.#withKind ? 5 : 4;
  }

  /** The next frame of this direction, length prefix included. `kind` is for protocol v2. */
  seal(sequence: number, body: Uint8Array, kind = 0): Uint8Array {
    const header = this.#withKind ? concat(u32(sequence), new Uint8Array([kind])) : u32(sequence);
    return this.sealPlaintext(concat(header, body));
  }

  sealPlaintext(plaintext: Uint8Array): Uint8Array {
    const sealed = this.#sendCipher.seal(this.#nonce(this.#sendCounter++), plaintext);
    return concat(u32(sealed.length), sealed);
  }

  /** Records that share the next frame of this direction. */
  sealBundle(...records: Uint8Array[]): Uint8Array {
    return this.seal(0, concat(...records), Kind.bundle);
  }

  /** The next frame of the other side as it is on the wire. */
  async receiveFrame(): Promise<RawFrame> {
    const prefix = await this.peer.read(4);
    const sealed = await this.peer.read(new DataView(prefix.buffer).getUint32(0));
    const plaintext = this.#receiveCipher.open(this.#nonce(this.#receiveCounter++), sealed);
    const sequence = new DataView(plaintext.buffer, plaintext.byteOffset).getUint32(0);
    return {
      sequence,
      kind: this.#withKind ? plaintext[4]! : -1,
      body: plaintext.slice(this.headerBytes),
    };
  }

  /** The next message of the other side, alone in its frame or not; its settings and the credit it gives left out. */
  async receive(): Promise<RawFrame> {
    for (;;) {
      const found = await this.receiveRecord();
      if (found.kind !== Kind.settings && found.kind !== Kind.credit) return found;
    }
  }

  /** The next record of the other side, whatever it is. */
  async receiveRecord(): Promise<RawFrame> {
    const waiting = this.#records.shift();
    if (waiting !== undefined) return waiting;
    const frame = await this.receiveFrame();
    if (frame.kind !== Kind.bundle) return frame;
    this.#records = parseRecords(frame.body);
    assert.ok(this.#records.length >= 2, "a message alone has a frame of its own");
    return this.#records.shift()!;
  }

  /** Pings, and gives all records of the other side before its pong. */
  async receiveUntilPong(): Promise<RawFrame[]> {
    this.peer.write(this.seal(PING_SEQUENCE, new Uint8Array(0), Kind.ping));
    const records: RawFrame[] = [];
    for (;;) {
      const record = await this.receiveRecord();
      if (record.kind === Kind.pong) return records;
      records.push(record);
    }
  }

  /** Wipes its keys; the socket stays as it is. */
  destroy(): void {
    this.#sendCipher.destroy();
    this.#receiveCipher.destroy();
  }

  /** Protocol v1: u64be counter ‖ 00000000. Noise: 00000000 ‖ u64be counter. */
  #nonce(counter: number): Uint8Array {
    const number = concat(u32(Math.floor(counter / 2 ** 32)), u32(counter >>> 0));
    return this.#withKind ? concat(u32(0), number) : concat(number, u32(0));
  }
}
