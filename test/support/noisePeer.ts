// One end of test/noisePairs.test.ts. `server` listens once per credentials, prints the ports as JSON and runs until
// its standard input ends. `client <ports>` talks to each of them with all credentials that fit and with some that
// don't, and prints the results as JSON.

import process from "node:process";
import { x25519PublicKey } from "../../src/core/x25519.ts";
import {
  type ClientOptions,
  connect,
  listen,
  type SealwireError,
  type ServerOptions,
} from "../../src/index.ts";
import { toHex } from "./vectors.ts";

const clientKey = new Uint8Array(32).fill(0x11);
const serverKey = new Uint8Array(32).fill(0x22);
const strangerKey = new Uint8Array(32).fill(0x33);
const psk = new Uint8Array(32).fill(0x44);
const wrongPsk = new Uint8Array(32).fill(0x55);
const serverPublic = x25519PublicKey(serverKey);
const clientPublic = x25519PublicKey(clientKey);

const authorize = async (key: Uint8Array): Promise<boolean> =>
  toHex(key) !== toHex(x25519PublicKey(strangerKey));
const kk = { pattern: "KK" };

const servers: Record<string, ServerOptions> = {
  open: {},
  psk: { psk },
  key: { staticKey: serverKey, authorize },
  keyAndPsk: { staticKey: serverKey, psk, authorize },
  both: { psk, postQuantum: "accept" },
  classicalKey: { staticKey: serverKey, postQuantum: false },
  knownKey: { ...kk, staticKey: serverKey, remoteStatic: clientPublic },
  knownKeyAndPsk: { ...kk, staticKey: serverKey, remoteStatic: clientPublic, psk },
};

interface Case {
  server: keyof typeof servers;
  client: ClientOptions;
  /** The protocol's pattern, or the code of the error that the client sees. */
  expected: string;
}

const own = { staticKey: clientKey };
const known = { ...own, remoteStatic: serverPublic };
export const cases: Record<string, Case> = {
  NN: { server: "open", client: {}, expected: "NNhfs" },
  NNpsk0: { server: "psk", client: { psk }, expected: "NNhfs+psk0" },
  XX: { server: "key", client: { ...own, authorize: () => true }, expected: "XXhfs" },
  XXpsk3: { server: "keyAndPsk", client: { ...own, psk }, expected: "XXhfs+psk3" },
  IK: { server: "key", client: known, expected: "IKhfs" },
  IKpsk2: { server: "keyAndPsk", client: { ...known, psk }, expected: "IKhfs+psk2" },
  KK: { server: "knownKey", client: { ...kk, ...known }, expected: "KKhfs" },
  KKpsk0: { server: "knownKeyAndPsk", client: { ...kk, ...known, psk }, expected: "KKhfs+psk0" },
  "hybrid where both are accepted": { server: "both", client: { psk }, expected: "NNhfs+psk0" },
  "classical where both are accepted": {
    server: "both",
    client: { psk, postQuantum: false },
    expected: "NNpsk0",
  },
  "classical XX": { server: "classicalKey", client: { ...own, postQuantum: false }, expected: "XX" },
  "classical IK": { server: "classicalKey", client: { ...known, postQuantum: false }, expected: "IK" },
  "classical against hybrid": {
    server: "psk",
    client: { psk, postQuantum: false },
    expected: "ERR_HANDSHAKE",
  },
  "hybrid against classical": { server: "classicalKey", client: known, expected: "ERR_HANDSHAKE" },
  "wrong psk": { server: "psk", client: { psk: wrongPsk }, expected: "ERR_HANDSHAKE" },
  "wrong psk at the end of XXpsk3": {
    server: "keyAndPsk",
    client: { ...own, psk: wrongPsk },
    expected: "ERR_HANDSHAKE",
  },
  "wrong pinned key": {
    server: "key",
    client: { ...own, remoteStatic: [clientPublic, x25519PublicKey(strangerKey)] },
    expected: "ERR_UNAUTHORIZED",
  },
  "wrong known key": {
    server: "key",
    client: { ...own, remoteStatic: clientPublic },
    expected: "ERR_HANDSHAKE",
  },
  "refused by authorize": { server: "key", client: { staticKey: strangerKey }, expected: "ERR_HANDSHAKE" },
  "wrong prologue": { server: "open", client: { prologue: "other" }, expected: "ERR_HANDSHAKE" },
  "another pattern": { server: "key", client: { psk }, expected: "ERR_HANDSHAKE" },
};

export interface CaseResult {
  /** The pattern that ran, or the error's code. */
  outcome: string;
  /** Echoed both ways, and both ends see the same handshake hash and each other's keys. */
  agreed: boolean;
}

/** What the server tells a client about their connection. */
interface ServersView {
  handshakeHash: string;
  remoteStaticKey: string;
  authenticated: boolean;
  /** The client's answer to the server's own request. */
  echo: string;
}

const HANDSHAKE_TIMEOUT_MS = 20_000;
const hex = (bytes: Uint8Array | undefined): string => (bytes === undefined ? "" : toHex(bytes));
const encoder = new TextEncoder();
const decoder = new TextDecoder();

async function serve(): Promise<void> {
  const running = await Promise.all(
    Object.entries(servers).map(async ([name, options]) => {
      const server = await listen({
        port: 0,
        handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
        ...options,
        async onMessage(message) {
          const { handshakeHash, remoteStaticKey, authenticated } = message.connection;
          const echo = decoder.decode(await message.connection.request(encoder.encode("and you?")));
          const view: ServersView = {
            handshakeHash: hex(handshakeHash),
            remoteStaticKey: hex(remoteStaticKey),
            authenticated,
            echo,
          };
          message.reply(encoder.encode(JSON.stringify(view)));
        },
      });
      return [name, server] as const;
    }),
  );
  console.log(JSON.stringify(Object.fromEntries(running.map(([name, server]) => [name, server.port]))));
  process.stdin.resume();
  await new Promise((resolve) => process.stdin.once("end", resolve));
  await Promise.all(running.map(([, server]) => server.close()));
}

async function runCase(
  { server, client: options }: Case,
  ports: Record<string, number>,
): Promise<CaseResult> {
  const client = connect({
    port: ports[server]!,
    handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
    ...options,
    onMessage: (message) => message.reply(message.body),
  });
  try {
    const connection = await client.connected();
    const answer = await connection.request(encoder.encode("who am I?"));
    const view = JSON.parse(decoder.decode(answer)) as ServersView;
    const { handshakeHash, remoteStaticKey, identity } = connection;
    const hasKey = options.staticKey !== undefined;
    return {
      outcome: identity!.protocol.split("_")[1]!,
      agreed:
        view.handshakeHash === hex(handshakeHash) &&
        view.handshakeHash.length === 128 &&
        view.remoteStaticKey === (hasKey ? toHex(clientPublic) : "") &&
        hex(remoteStaticKey) === (hasKey ? toHex(serverPublic) : "") &&
        view.authenticated === identity!.authenticated &&
        view.echo === "and you?",
    };
  } catch (error) {
    return { outcome: (error as SealwireError).code ?? String(error), agreed: false };
  } finally {
    await client.close();
  }
}

async function call(ports: Record<string, number>): Promise<void> {
  const results: Record<string, CaseResult> = {};
  for (const [name, test] of Object.entries(cases)) results[name] = await runCase(test, ports);
  console.log(JSON.stringify(results));
}

const [role, ports] = process.argv.slice(2);
if (role === "server") await serve();
else if (role === "client") await call(JSON.parse(ports!) as Record<string, number>);
