// The worked vectors of docs/PROTOCOL.md after the handshake: records of protocol v2, alone, in frames and in whole
// sessions. This file is written from the document, as protocolVectors.ts is, and shares no code with src/.

import { gcm } from "@noble/ciphers/aes.js";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { concatBytes } from "@noble/hashes/utils.js";
import {
  ascii,
  type Cipher,
  EMPTY,
  encrypt,
  frame,
  noiseTranscript,
  u32be,
  type VectorBlock,
  type VectorLine,
} from "./protocolVectors.ts";

const kinds = {
  message: 0,
  reply: 1,
  error: 2,
  cancel: 3,
  ping: 4,
  pong: 5,
  drain: 6,
  close: 7,
  bundle: 8,
  settings: 9,
  call: 10,
  answer: 11,
  chunk: 12,
  end: 13,
  stop: 14,
  credit: 15,
  blocked: 16,
  reserved: 100,
};

const u16be = (value: number): Uint8Array => u32be(value).slice(2);

function plaintextV2(sequence: number, kind: keyof typeof kinds, body: Uint8Array, padding = 0): Uint8Array {
  const bare = concatBytes(u32be(sequence), Uint8Array.of(kinds[kind]), body);
  if (padding === 0) return bare;
  const total = Math.ceil((bare.length + 2) / padding) * padding;
  const padBytes = total - bare.length;
  const padded = concatBytes(bare, new Uint8Array(padBytes - 2), u16be(padBytes));
  padded[4]! |= 0x80;
  return padded;
}

function bundleV2(plaintexts: Uint8Array[], padding = 0): Uint8Array {
  const entries = plaintexts.flatMap((plaintext) => [u32be(plaintext.length), plaintext]);
  return plaintextV2(0, "bundle", concatBytes(...entries), padding);
}

const sealV2 = (key: Uint8Array, n: number, plaintext: Uint8Array, cipher: Cipher = "AESGCM"): Uint8Array =>
  frame(encrypt(cipher, key, n, EMPTY, plaintext));

/** A list of fields, written in the order given. */
const fields = (...list: [tag: number, value: Uint8Array][]): Uint8Array =>
  concatBytes(...list.flatMap(([tag, value]) => [Uint8Array.of(tag), u16be(value.length), value]));

const withHead = (head: Uint8Array, body: Uint8Array): Uint8Array =>
  concatBytes(u16be(head.length), head, body);

const errorBody = (origin: number, code: string, text: string, data: Uint8Array = EMPTY): Uint8Array =>
  concatBytes(Uint8Array.of(origin, code.length), ascii(code), u16be(ascii(text).length), ascii(text), data);

/** What this package says with its default options: frames of 1 MiB, 1,024 requests, 1 MiB of messages. */
const defaultSettings = (padding = 0): Uint8Array =>
  plaintextV2(0, "settings", fields([1, u32be(0x100000)], [2, u32be(1_024)], [4, u32be(0x100000)]), padding);
const settings: [string, Uint8Array] = ["settings", defaultSettings()];
const drain = plaintextV2(0, "drain", EMPTY);
const close = (lastBegun: number): Uint8Array => plaintextV2(0, "close", fields([3, u32be(lastBegun)]));
const bundleOfEnd = (lastBegun: number): [string, Uint8Array] => [
  "bundle of drain and close",
  bundleV2([drain, close(lastBegun)]),
];

interface SessionBlocks {
  client: VectorBlock;
  server: VectorBlock;
}

/** Each frame of each direction, in order, after the handshake of a pattern. */
function sessionBlocks(
  pattern: string,
  client: [string, Uint8Array][],
  server: [string, Uint8Array][],
  cipher: Cipher = "AESGCM",
): SessionBlocks {
  const [clientKey, serverKey] = noiseTranscript(pattern, false, cipher).keys;
  const lines = (key: Uint8Array, frames: [string, Uint8Array][]): VectorBlock =>
    frames.flatMap(([what, plaintext], n): VectorLine[] => [
      [`plaintext ${n}, ${what}`, plaintext],
      [`frame ${n}`, sealV2(key, n, plaintext, cipher)],
    ]);
  return { client: lines(clientKey, client), server: lines(serverKey, server) };
}

/** A session of messages and requests, after the NNpsk0 handshake. */
export function transportBlocks(): SessionBlocks {
  return sessionBlocks(
    "NNpsk0",
    [
      settings,
      ["one-way message", plaintextV2(0, "message", ascii("hello"))],
      ["request 1", plaintextV2(1, "message", ascii("What time is it?"))],
      ["request 3", plaintextV2(3, "message", ascii("Who are you?"))],
      ["drain", drain],
      ["close", close(0)],
    ],
    [
      settings,
      ["reply to request 1", plaintextV2(1, "reply", ascii("noon"))],
      ["error for request 3", plaintextV2(3, "error", errorBody(0, "ERR_SECRET", "I won't tell"))],
      bundleOfEnd(3),
    ],
  );
}

/** A shorter one. */
const shortSession = (pattern: string, cipher?: Cipher): SessionBlocks =>
  sessionBlocks(
    pattern,
    [
      settings,
      ["request 1", plaintextV2(1, "message", ascii("hello"))],
      ["drain", drain],
      ["close", close(0)],
    ],
    [settings, ["reply to request 1", plaintextV2(1, "reply", ascii("hello"))], bundleOfEnd(1)],
    cipher,
  );

/** After the hybrid handshake. */
export const hybridBlocks = (): SessionBlocks => shortSession("NNhfs+psk0");
/** After a handshake with ChaChaPoly, and with it. */
export const chaChaBlocks = (): SessionBlocks => shortSession("NNpsk0", "ChaChaPoly");

export const callVectors = {
  timeoutMs: 30_000,
  method: "sum",
  traceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  contentType: 1,
  ownTag: 128,
  ownValue: ascii("mine"),
};

const FIRST_STREAM_CREDIT = u32be(16_384);
const bothStreams: [tag: number, value: Uint8Array][] = [
  [5, EMPTY],
  [6, FIRST_STREAM_CREDIT],
];

function fullCall(): Uint8Array {
  const { timeoutMs, method, traceParent, contentType, ownTag, ownValue } = callVectors;
  const head = fields(
    [1, u32be(timeoutMs)],
    [2, ascii(method)],
    [3, ascii(traceParent)],
    [4, Uint8Array.of(contentType)],
    ...bothStreams,
    [ownTag, ownValue],
  );
  return withHead(head, ascii("[]"));
}

/** A session of calls: streams both ways, one that is stopped, and a request that is cancelled. */
export function callBlocks(): SessionBlocks {
  return sessionBlocks(
    "NNpsk0",
    [
      settings,
      ["call 1", plaintextV2(1, "call", fullCall())],
      ["chunk of call 1", plaintextV2(1, "chunk", ascii("\0forty"))],
      ["end of call 1", plaintextV2(1, "end", EMPTY)],
      ["call 3", plaintextV2(3, "call", withHead(fields(...bothStreams), ascii("count")))],
      ["stop of call 3", plaintextV2(3, "stop", EMPTY)],
      ["request 5", plaintextV2(5, "message", ascii("wait"))],
      ["cancel of request 5", plaintextV2(5, "cancel", EMPTY)],
      ["drain", drain],
      ["close", close(0)],
    ],
    [
      settings,
      ["chunk of call 1", plaintextV2(1, "chunk", ascii("\0ready"))],
      ["chunk of call 1", plaintextV2(1, "chunk", ascii("\0FORTY"))],
      ["answer to call 1", plaintextV2(1, "answer", withHead(fields([4, Uint8Array.of(1)]), ascii("40")))],
      ["chunk of call 3", plaintextV2(3, "chunk", ascii("\0one"))],
      ["end of call 3", plaintextV2(3, "end", EMPTY)],
      ["reply to call 3", plaintextV2(3, "reply", ascii("stopped"))],
      ["error for request 5", plaintextV2(5, "error", errorBody(2, "ERR_ABORTED", ""))],
      bundleOfEnd(5),
    ],
  );
}

/** Records that the sessions above don't have: their plaintexts. */
export function recordsBlock(): VectorBlock {
  return [
    [
      "settings, all",
      plaintextV2(
        0,
        "settings",
        fields(
          [1, u32be(33_554_432)],
          [2, u32be(1_024)],
          [3, u32be(256)],
          [4, u32be(0x7fffffff)],
          [5, Uint8Array.of(64, 100)],
        ),
      ),
    ],
    ["settings, none", plaintextV2(0, "settings", EMPTY)],
    ["call 7, an empty head", plaintextV2(7, "call", withHead(EMPTY, ascii("body")))],
    [
      "call 7, too late, with an unknown field to skip",
      plaintextV2(7, "call", withHead(fields([1, u32be(0)], [63, ascii("?")]), ascii("body"))),
    ],
    [
      "call 7, with an unknown critical field",
      plaintextV2(7, "call", withHead(fields([64, ascii("!")]), ascii("body"))),
    ],
    [
      "error for call 7, not begun",
      plaintextV2(7, "error", errorBody(1, "ERR_UNSUPPORTED", "a head with the critical field 64")),
    ],
    [
      "error for call 7, of the handler, with data",
      plaintextV2(7, "error", errorBody(0, "E", "é", ascii("data"))),
    ],
    ["chunk of call 7, the item goes on", plaintextV2(7, "chunk", Uint8Array.of(1, 0x61, 0x62))],
    ["chunk of call 7, the rest of it", plaintextV2(7, "chunk", Uint8Array.of(0, 0x63))],
    ["chunk of call 7, an empty item", plaintextV2(7, "chunk", Uint8Array.of(0))],
    ["credit of 131,072 for messages", plaintextV2(0, "credit", u32be(131_072))],
    ["credit of 8,192 for call 7", plaintextV2(7, "credit", u32be(8_192))],
    ["blocked, messages", plaintextV2(0, "blocked", EMPTY)],
    ["blocked, call 7", plaintextV2(7, "blocked", EMPTY)],
    [
      "cancel of call 7, with a reason",
      plaintextV2(7, "cancel", fields([1, ascii("ERR_ABORTED")], [2, ascii("no longer")])),
    ],
    ["ping 9", plaintextV2(9, "ping", EMPTY)],
    ["pong 9", plaintextV2(9, "pong", EMPTY)],
    [
      "drain, come back after 5 s",
      plaintextV2(0, "drain", fields([2, ascii("restart")], [3, u32be(6)], [4, u32be(5_000)])),
    ],
    [
      "close, with a reason",
      plaintextV2(0, "close", fields([1, ascii("ERR_PROTOCOL")], [2, ascii("why")], [3, u32be(6)])),
    ],
    ["reserved kind 100, to be ignored", plaintextV2(0, "reserved", ascii("new"))],
  ];
}

/** The client's frame behind its settings when two messages leave together, without padding and with `padding: 64`. */
export function bundleBlock(): VectorBlock {
  const [clientKey] = noiseTranscript("NNpsk0", false).keys;
  const messages = [
    plaintextV2(0, "message", ascii("hello")),
    plaintextV2(1, "message", ascii("What time is it?")),
  ];
  const plaintext = bundleV2(messages);
  const padded = bundleV2(messages, 64);
  return [
    ["plaintext", plaintext],
    ["frame 1", sealV2(clientKey, 1, plaintext)],
    ["plaintext, padded", padded],
    ["frame 1, padded", sealV2(clientKey, 1, padded)],
  ];
}

/** The first frames of the client with `padding: 64`. */
export function paddingBlock(): VectorBlock {
  const [clientKey] = noiseTranscript("NNpsk0", false).keys;
  const first = defaultSettings(64);
  const plaintext = plaintextV2(0, "message", ascii("hello"), 64);
  return [
    ["plaintext 0, settings", first],
    ["frame 0", sealV2(clientKey, 0, first)],
    ["plaintext 1, one-way message", plaintext],
    ["frame 1", sealV2(clientKey, 1, plaintext)],
  ];
}

/** The client's keys after the first two changes, and a frame under each. */
export function rekeyBlock(cipher: Cipher = "AESGCM"): VectorBlock {
  const [clientKey] = noiseTranscript("NNpsk0", false, cipher).keys;
  // n = 2^64 - 1 is the same in either order of bytes.
  const nonce = concatBytes(u32be(0), u32be(0xffffffff), u32be(0xffffffff));
  const aead = cipher === "AESGCM" ? gcm : chacha20poly1305;
  const next = (key: Uint8Array): Uint8Array => aead(key, nonce).encrypt(new Uint8Array(32)).slice(0, 32);
  const second = next(clientKey);
  const third = next(second);
  const plaintext = plaintextV2(0, "message", ascii("hello"));
  return [
    ["key of frames 0 to 65,535", clientKey],
    ["key of frames 65,536 to 131,071", second],
    ["key of frames 131,072 to 196,607", third],
    ["plaintext", plaintext],
    ["frame 65,536", sealV2(second, 65_536, plaintext, cipher)],
    ["frame 131,072", sealV2(third, 131_072, plaintext, cipher)],
  ];
}
