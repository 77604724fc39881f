// What `npm run ct` measures of sessions and handshakes: the comparison of tags where frames are opened (in place, by the
// runtime, and large ones in pieces), what is sealed of them, the check of the psk, and a whole hybrid handshake.

import { chacha20poly1305 } from "../../src/core/chaCha20Poly1305.ts";
import type { Engine } from "../../src/core/engine.ts";
import { aes256gcm } from "../../src/core/gcm.ts";
import { mlKem768EncapsulateInternal, mlKem768KeyPair } from "../../src/core/mlKem768.ts";
import { memory, RECEIVE_BUFFER } from "../../src/core/wasmModule.ts";
import { noise } from "../../src/noise.ts";
import type { CipherName, Handshake, Role } from "../../src/protocol/handshake.ts";
import { equalKeys } from "../../src/protocol/noise/keys.ts";
import { Session } from "../../src/protocol/session.ts";
import { concat, u32 } from "../support/rawPeer.ts";
import { format } from "../support/transportSessions.ts";
import { fixedOrRandom, random, type Target } from "./target.ts";

const TAG_BYTES = 16;
const KEY_BYTES = 32;
const HEADER_BYTES = 5;
const TEXT_BYTES = 1_024;
/** Long enough for the runtime's cipher, where it is taken for long frames. */
const NATIVE_TEXT_BYTES = 16_384;
const LARGE_BYTES = 60_000;
const aeads = { AESGCM: aes256gcm, ChaChaPoly: chacha20poly1305 };

function sessionOf(receiveKey: Uint8Array, cipher: CipherName, engine: Engine): Session {
  const identity = {
    protocol: "ct",
    authenticated: false,
    remoteStaticKey: undefined,
    handshakeHash: undefined,
  };
  const keys = { sendKey: random(KEY_BYTES), receiveKey: new Uint8Array(receiveKey), identity, cipher };
  return new Session(keys, format, engine);
}

/** The bytes with one of the tag's changed: its first one or its last. */
function withWrongTag(bytes: Uint8Array): (which: 0 | 1) => Uint8Array {
  return (which) => {
    const copy = new Uint8Array(bytes);
    copy[which === 0 ? copy.length - TAG_BYTES : copy.length - 1]! ^= 0xff;
    return copy;
  };
}

function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

function frameTargets(cipher: CipherName, engine: Engine): Target[] {
  const key = random(KEY_BYTES);
  const session = sessionOf(key, cipher, engine);
  const sealer = aeads[cipher](key);
  const sealed = (length: number): Uint8Array =>
    sealer.seal(new Uint8Array(12), random(HEADER_BYTES + length));
  const textBytes = engine === "auto" ? NATIVE_TEXT_BYTES : TEXT_BYTES;
  const small = sealed(textBytes);
  const frame = concat(u32(small.length), small);
  const large = sealed(LARGE_BYTES);
  const isNative = session.opensNatively(frame.length, 1);
  const title = `frames of ${cipher} (${engine}${isNative ? ", opened by the runtime" : ""})`;
  return [
    {
      name: `${title}: open, place of the first wrong byte of the tag`,
      calls: 2,
      prepare: withWrongTag(frame),
      run(input) {
        memory.set(input, RECEIVE_BUFFER);
        const isRefused = isNative
          ? session.openAlone(memory, RECEIVE_BUFFER + 4, RECEIVE_BUFFER + input.length) === undefined
          : session.open(RECEIVE_BUFFER, RECEIVE_BUFFER + input.length, 1) === 0;
        must(isRefused, "a wrong tag was taken");
      },
    },
    {
      name: `${title}: open a large one, place of the first wrong byte of the tag`,
      calls: 1,
      prepare: withWrongTag(large),
      run: (input) => must(session.openLarge([input]) === null, "a wrong tag was taken"),
    },
    {
      name: `${title}: seal, text`,
      calls: 2,
      prepare: fixedOrRandom(new Uint8Array(textBytes)),
      run(text) {
        const end = RECEIVE_BUFFER + 4 + text.length + TAG_BYTES;
        memory.set(u32(text.length + TAG_BYTES), RECEIVE_BUFFER);
        memory.set(text, RECEIVE_BUFFER + 4);
        session.seal(RECEIVE_BUFFER, end, 1);
      },
    },
  ];
}

/** Gives `to` what `from` has to say, as far as it takes it. */
function pass(from: Handshake, to: Handshake): void {
  for (let bytes = from.send(); bytes !== undefined; bytes = from.send()) {
    const message = new Uint8Array(bytes);
    for (let at = 0; at < message.length; ) {
      const { expects } = to;
      must(expects > 0 && at + expects <= message.length, "a message that nobody expects");
      to.receive(message.subarray(at, at + expects));
      at += expects;
    }
  }
}

function withHandshake(role: Role, psk: Uint8Array, use: (handshake: Handshake) => void): void {
  const factory = noise({ psk }, role);
  const handshake = factory.create(role, { remoteAddress: "" });
  try {
    use(handshake);
  } finally {
    handshake.destroy();
    factory.destroy?.();
  }
}

function firstMessage(psk: Uint8Array): Uint8Array {
  let message = new Uint8Array(0);
  withHandshake("client", psk, (client) => {
    for (let bytes = client.send(); bytes !== undefined; bytes = client.send())
      message = concat(message, bytes) as typeof message;
  });
  return message;
}

function handshakeTargets(): Target[] {
  const message = firstMessage(random(KEY_BYTES));
  const { encapsulationKey } = mlKem768KeyPair();
  const known = random(KEY_BYTES);
  const another = (which: 0 | 1): Uint8Array => {
    const copy = new Uint8Array(known);
    copy[which === 0 ? 0 : KEY_BYTES - 1]! ^= 0xff;
    return copy;
  };
  return [
    {
      name: "NNpsk0: a server's check of a first message, psk (none of which is the client's)",
      calls: 1,
      prepare: fixedOrRandom(random(KEY_BYTES)),
      run(psk) {
        let isRefused = false;
        withHandshake("server", psk, (server) => {
          try {
            for (let at = 0; at < message.length && server.expects > 0; ) {
              const { expects } = server;
              server.receive(message.subarray(at, at + expects));
              at += expects;
            }
          } catch {
            isRefused = true;
          }
        });
        must(isRefused, "a message under another psk was taken");
      },
    },
    {
      name: "NNpsk0 with ML-KEM: a whole handshake of both ends, psk",
      calls: 1,
      prepare: fixedOrRandom(random(KEY_BYTES)),
      run: (psk) =>
        withHandshake("client", psk, (client) =>
          withHandshake("server", psk, (server) => {
            pass(client, server);
            pass(server, client);
            must(client.done && server.done, "the handshake did not end");
            for (const { sendKey, receiveKey } of [client.finish(), server.finish()]) {
              sendKey.fill(0);
              receiveKey.fill(0);
            }
          }),
        ),
    },
    {
      name: "mlKem768Encapsulate, randomness",
      calls: 1,
      prepare: fixedOrRandom(new Uint8Array(KEY_BYTES)),
      run: (m) => mlKem768EncapsulateInternal(encapsulationKey, m),
    },
    {
      name: "equalKeys, place of the first difference",
      calls: 100,
      prepare: another,
      run: (key) => must(!equalKeys(key, known), "different keys are equal"),
    },
  ];
}

export function sessionTargets(): Target[] {
  return [
    ...frameTargets("AESGCM", "wasm"),
    ...frameTargets("AESGCM", "auto"),
    ...frameTargets("ChaChaPoly", "wasm"),
    ...frameTargets("ChaChaPoly", "auto"),
    ...handshakeTargets(),
  ];
}
