// Typed pairs over the sockets of the runtime under test, for the suites of typed calls.

import assert from "node:assert/strict";
import type { Client, ClientOptions, Server, ServerOptions } from "../../src/index.ts";
import {
  type Remote,
  RpcError,
  type ServeOptions,
  type StandardSchema,
  serve,
  typed,
} from "../../src/rpc.ts";
import { v2 } from "./protocols.ts";
import { startPair } from "./rpcHarness.ts";

/** A server of `api`, and what a client of it calls. */
export async function typedPair<Api extends object>(
  api: object,
  serverOptions: Partial<ServerOptions> = {},
  serveOptions: ServeOptions = {},
  clientOptions: Partial<ClientOptions> = {},
): Promise<{ server: Server; client: Client; remote: Remote<Api> }> {
  const { server, client } = await startPair(
    { ...v2.options, onMessage: serve(api, serveOptions), ...serverOptions },
    { ...v2.options, maxConnections: 1, ...clientOptions },
  );
  return { server, client, remote: typed<Api>(client) };
}

/** Asserts that it rejects with an RpcError of this code that names the method; returns it. */
export async function rejectsWithRpc(
  promise: Promise<unknown>,
  code: string,
  method: string,
): Promise<RpcError> {
  let error: unknown;
  try {
    await promise;
  } catch (caught) {
    error = caught;
  }
  assert.ok(error !== undefined, `resolved, ${code} expected`);
  assert.ok(error instanceof RpcError, `no RpcError: ${String((error as Error)?.stack ?? error)}`);
  assert.equal(error.code, code, String(error.stack));
  assert.equal(error.method, method);
  return error;
}

/** A Standard Schema without a library: a number, and twice of it. */
export const numberSchema: StandardSchema<number, number> = {
  "~standard": {
    version: 1,
    vendor: "sealwire-tests",
    validate: (value) =>
      typeof value === "number"
        ? { value: value * 2 }
        : { issues: [{ message: "no number", path: ["value", { key: 0 }] }] },
  },
};
