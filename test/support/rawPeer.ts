// A peer that is not sealwire: a socket of node:net, without a protocol (rawSession.ts adds the protocols).

import assert from "node:assert/strict";
import * as net from "node:net";
import { named } from "./harness.ts";
import { Patience } from "./patience.ts";

const WAIT_MS = 20_000;

/** A bare socket with reads of exact length. */
export class RawPeer {
  readonly socket: net.Socket;
  /** What has arrived stands in it from #start to #end. It doubles, so that a long backlog is not copied for each chunk. */
  #buffer = new Uint8Array(65_536);
  #start = 0;
  #end = 0;
  #ended = false;
  #wake: (() => void)[] = [];

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Uint8Array) => {
      this.#makeRoom(chunk.length);
      this.#buffer.set(chunk, this.#end);
      this.#end += chunk.length;
      this.#wakeAll();
    });
    for (const event of ["end", "close", "error"]) {
      socket.on(event, () => {
        this.#ended = true;
        this.#wakeAll();
      });
    }
  }

  /** `localAddress`: from which address of this machine; left out: the system's choice. */
  static async connect(port: number, localAddress?: string): Promise<RawPeer> {
    const socket = net.connect({ host: "127.0.0.1", port, localAddress });
    const connected = new Promise<void>((resolve, reject) => {
      socket.once("connect", () => resolve());
      socket.once("error", reject);
    });
    await named("the raw peer's dial", connected);
    return new RawPeer(socket);
  }

  write(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** Exactly `length` bytes; rejects when the stream ends before. */
  async read(length: number): Promise<Uint8Array> {
    await this.#until(() => this.#unread >= length || this.#ended, `${length} bytes`);
    assert.ok(this.#unread >= length, `the stream ended after ${this.#unread} of ${length} bytes`);
    const bytes = this.#buffer.slice(this.#start, this.#start + length);
    this.#start += length;
    return bytes;
  }

  /** What has arrived and nobody has read yet; it counts as read. */
  takeReceived(): Uint8Array {
    const bytes = this.#buffer.slice(this.#start, this.#end);
    this.#start = this.#end;
    return bytes;
  }

  /** Waits until something has arrived, or the other end closed. */
  async answered(): Promise<void> {
    await this.#until(() => this.#unread > 0 || this.#ended, "an answer");
  }

  /** Waits until the other end closed or half-closed; returns what it sent before that and nobody has read. */
  async ended(): Promise<Uint8Array> {
    await this.#until(() => this.#ended, "the end of the stream");
    return this.#buffer.slice(this.#start, this.#end);
  }

  get #unread(): number {
    return this.#end - this.#start;
  }

  #makeRoom(length: number): void {
    if (this.#end + length <= this.#buffer.length) return;
    const unread = this.#buffer.subarray(this.#start, this.#end);
    if (unread.length + length > this.#buffer.length / 2) {
      this.#buffer = new Uint8Array(2 * (unread.length + length));
      this.#buffer.set(unread);
    } else {
      this.#buffer.copyWithin(0, this.#start, this.#end);
    }
    this.#end = unread.length;
    this.#start = 0;
  }

  async destroy(): Promise<void> {
    if (this.socket.closed) return;
    const closed = new Promise<void>((resolve) => this.socket.once("close", () => resolve()));
    this.socket.destroy();
    await named("the raw peer's socket to close", closed);
  }

  async #until(ready: () => boolean, what: string): Promise<void> {
    if (!ready()) await named(`${what} that the raw peer is to receive`, this.#waitUntil(ready, what));
  }

  async #waitUntil(ready: () => boolean, what: string): Promise<void> {
    const patience = new Patience(WAIT_MS);
    while (!ready()) {
      const nextMs = patience.look();
      if (nextMs === 0) throw new Error(`the raw peer waited ${WAIT_MS} ms for ${what}`);
      let timer: ReturnType<typeof setTimeout> | undefined;
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve);
        timer = setTimeout(resolve, Math.ceil(nextMs));
      });
      clearTimeout(timer);
    }
  }

  #wakeAll(): void {
    for (const resolve of this.#wake.splice(0)) resolve();
  }
}

/** A bare listener on 127.0.0.1. */
export class RawListener {
  readonly #server: net.Server;
  readonly #peers: RawPeer[] = [];
  #taken = 0;
  #wake: (() => void)[] = [];

  private constructor(server: net.Server) {
    this.#server = server;
    server.on("connection", (socket) => {
      this.#peers.push(new RawPeer(socket));
      for (const resolve of this.#wake.splice(0)) resolve();
    });
  }

  static async listen(): Promise<RawListener> {
    const server = net.createServer();
    const listener = new RawListener(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
    return listener;
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  /** The next connection. */
  async accept(): Promise<RawPeer> {
    while (this.#peers.length <= this.#taken) {
      const woken = new Promise<void>((resolve) => this.#wake.push(resolve));
      await named("a dial of the raw listener", woken);
    }
    return this.#peers[this.#taken++]!;
  }

  /** Takes no more connections; those that it has stay. */
  stopListening(): void {
    this.#server.close();
  }

  async close(): Promise<void> {
    for (const peer of this.#peers) await peer.destroy();
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** u32be. */
export function u32(value: number): Uint8Array {
  return new Uint8Array([value >>> 24, value >>> 16, value >>> 8, value]);
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
