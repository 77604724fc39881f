// A server under attack. It answers a well-behaved client all the time, and records how every other connection ended
// and what reached its handler.

import assert from "node:assert/strict";
import type { Client, SealwireError, Server } from "../../src/index.ts";
import type { ServerOptions } from "../../src/rpc/api.ts";
import type { ProtocolUnderTest } from "./protocols.ts";
import { RawPeer } from "./rawPeer.ts";
import { fromText, startClient, startServer, text, waitFor } from "./rpcHarness.ts";

const GOOD = "from the well-behaved client ";

export class Victim {
  readonly server: Server;
  readonly #client: Client;
  readonly #reasons: (SealwireError | undefined)[];
  readonly #handled: Uint8Array[];
  #calls = 0;
  #dropped = 0;

  private constructor(
    server: Server,
    client: Client,
    reasons: (SealwireError | undefined)[],
    handled: Uint8Array[],
  ) {
    this.server = server;
    this.#client = client;
    this.#reasons = reasons;
    this.#handled = handled;
  }

  static async start(protocol: ProtocolUnderTest, options: ServerOptions = {}): Promise<Victim> {
    const reasons: (SealwireError | undefined)[] = [];
    const handled: Uint8Array[] = [];
    const server = await startServer({
      ...protocol.options,
      onMessage: (message) => {
        if (!fromText(message.body).startsWith(GOOD)) handled.push(message.body);
        if (message.expectsReply) message.reply(message.body);
      },
      onConnectionState: (_connection, state, error) => {
        if (state === "closed") reasons.push(error);
      },
      ...options,
    });
    const client = startClient({ ...protocol.options, port: server.port, maxConnections: 1 });
    const victim = new Victim(server, client, reasons, handled);
    await victim.checkServing();
    return victim;
  }

  /** The well-behaved client is served, on the connection that it has had from the beginning. */
  async checkServing(): Promise<void> {
    const call = `${GOOD}${this.#calls++}`;
    const before = this.#client.connections[0];
    assert.equal(fromText(await this.#client.request(text(call))), call);
    if (before !== undefined)
      assert.equal(this.#client.connections[0], before, "the good connection was lost");
  }

  connect(): Promise<RawPeer> {
    return RawPeer.connect(this.server.port);
  }

  /** Bodies that reached the handler from anybody but the well-behaved client, since the last call. */
  takeHandled(): Uint8Array[] {
    return this.#handled.splice(0);
  }

  /**
   * The attacked connection ends: its socket closes, and the server's own side is told a typed reason. Undefined
   * where the connection ended in good order.
   */
  async closed(peer: RawPeer): Promise<SealwireError | undefined> {
    await peer.ended();
    await waitFor(() => this.#reasons.length > 0, "the server to note the end");
    assert.equal(this.#reasons.length, 1, "one connection was attacked, several ended");
    await peer.destroy();
    const [reason] = this.#reasons.splice(0);
    if (reason !== undefined) assert.equal(reason.name, "SealwireError");
    return reason;
  }

  /**
   * The attacked socket ends before it was a connection: its first message is not complete. It is counted, the
   * server's own side is told nothing, and the server serves on.
   */
  async expectDropped(peer: RawPeer, what: string): Promise<void> {
    await peer.ended();
    this.#dropped++;
    await waitFor(() => this.server.droppedSockets === this.#dropped, `the server to count it: ${what}`);
    assert.deepEqual(this.#reasons, [], what);
    await peer.destroy();
    await this.checkServing();
  }

  /**
   * The attacked socket ends, whether it was a connection or not. A socket whose first message is complete waits for a
   * turn of the handshakes on a busy server. Who ends it meanwhile, or sends too much, leaves as one that was silent.
   * Returns the reason of a connection.
   */
  async gone(peer: RawPeer, what: string): Promise<SealwireError | "dropped" | undefined> {
    await peer.ended();
    const isDropped = () => this.server.droppedSockets === this.#dropped + 1;
    await waitFor(() => isDropped() || this.#reasons.length > 0, `the server to note the end: ${what}`);
    if (!isDropped()) return this.closed(peer);
    await this.expectDropped(peer, what);
    return "dropped";
  }

  /** The connection ends for this reason, and the server serves on. */
  async expectClosed(peer: RawPeer, code: string, what: string): Promise<SealwireError> {
    const reason = await this.closed(peer);
    assert.equal(reason?.code, code, `${what}: ${String(reason?.stack)}`);
    await this.checkServing();
    return reason!;
  }
}
