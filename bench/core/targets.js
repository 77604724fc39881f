// The targets of the core, as ratios of minima within one run, per runtime id of scripts/runtimes.js.

const GCM = { primitive: "AES-256-GCM", operation: "seal" };
const ENGINES = ["wasm", "keystream", "native", "auto"];

const ratio = (control, own) => (control === undefined || own === undefined ? undefined : control / own);

/** The fastest engine of ours for a batch. */
function best(find, bytes, batch) {
  const times = ENGINES.map((engine) =>
    find({ ...GCM, implementation: `sealwire, ${engine}`, bytes, batch }),
  );
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

const own = (find, engine, bytes, batch) =>
  find({ ...GCM, implementation: `sealwire, ${engine}`, bytes, batch });
const control = (find, implementation, bytes) => find({ ...GCM, implementation, bytes, batch: 1 });

const x25519 = (find, operation, implementation) => find({ primitive: "X25519", operation, implementation });
const x25519Ratio = (find, operation, implementation) =>
  ratio(x25519(find, operation, implementation), x25519(find, operation, "sealwire"));

/** The hash alone, in linear memory, as the handshake uses it. */
const blake2b = (find, implementation, bytes) =>
  find({ primitive: "BLAKE2b-512", operation: "hash", implementation, bytes });
const blake2bRatio = (find, implementation, bytes) =>
  ratio(blake2b(find, implementation, bytes), blake2b(find, "sealwire, in linear memory", bytes));

export const targets = [
  {
    title: "best engine against node:crypto, 64 B, batch of 16",
    unit: "×",
    wanted: { node20: 15, node26: 15, bun: 5, deno: 15 },
    value: (find) => ratio(control(find, "node:crypto", 64), best(find, 64, 16)),
  },
  {
    title: "best engine against node:crypto, 1,404 B, batch of 46",
    unit: "×",
    wanted: { node20: 2.2, node26: 3, bun: 1, deno: 6 },
    value: (find) => ratio(control(find, "node:crypto", 1404), best(find, 1404, 46)),
  },
  {
    title: "automatic choice against the best engine, 1,404 B, batch of 46",
    unit: "×",
    wanted: { node20: 0.9, node26: 0.9, bun: 0.9, deno: 0.9 },
    value: (find) => ratio(best(find, 1404, 46), own(find, "auto", 1404, 46)),
  },
  {
    title: "pure wasm against node:crypto, 64 B",
    unit: "×",
    wanted: { node20: 6, node26: 8, bun: 1.5, deno: 9 },
    value: (find) => ratio(control(find, "node:crypto", 64), own(find, "wasm", 64, 1)),
  },
  {
    title: "pure wasm, 64 KiB",
    unit: " MB/s",
    wanted: { node20: 380, node26: 520, bun: 470, deno: 520 },
    value: (find) => ratio(65536 * 1000, own(find, "wasm", 65536, 1)),
  },
  {
    title: "pure wasm against @noble/ciphers, 1,404 B",
    unit: "×",
    wanted: { node20: 8, node26: 8, bun: 8, deno: 8 },
    value: (find) => ratio(control(find, "@noble/ciphers", 1404), own(find, "wasm", 1404, 1)),
  },
  {
    title: "key set-up",
    unit: " µs",
    atMost: true,
    wanted: { node20: 2, node26: 2, bun: 3, deno: 2 },
    value: (find) => {
      const ns = find({ primitive: "AES-256-GCM", operation: "key set-up" });
      return ns === undefined ? undefined : ns / 1000;
    },
  },
  {
    title: "X25519 from raw bytes",
    unit: " µs",
    atMost: true,
    wanted: { node20: 52, node26: 48, bun: 78, deno: 52 },
    value: (find) => ratio(x25519(find, "shared secret", "sealwire"), 1000),
  },
  {
    title: "X25519 against libsodium-wrappers",
    unit: "×",
    wanted: { node20: 1.25, node26: 1.25, bun: 1.2, deno: 1.25 },
    value: (find) => x25519Ratio(find, "shared secret", "libsodium-wrappers"),
  },
  {
    title: "X25519 against @noble/curves",
    unit: "×",
    wanted: { node20: 14, node26: 12, bun: 3.5, deno: 5 },
    value: (find) => x25519Ratio(find, "shared secret", "@noble/curves"),
  },
  {
    title: "key generation (fixed base) against libsodium-wrappers",
    unit: "×",
    wanted: { node20: 1.6, node26: 1.7, bun: 1.5, deno: 1.7 },
    value: (find) => x25519Ratio(find, "public key", "libsodium-wrappers"),
  },
  ...[
    ["key pair", 40],
    ["encapsulate", 45],
    ["decapsulate", 55],
  ].map(([operation, microseconds]) => ({
    title: `ML-KEM-768, ${operation}`,
    unit: " µs",
    atMost: true,
    wanted: { node20: microseconds, node26: microseconds, bun: microseconds, deno: microseconds },
    value: (find) => ratio(find({ primitive: "ML-KEM-768", operation, implementation: "sealwire" }), 1000),
  })),
  {
    title: "BLAKE2b against node:crypto, 64 B",
    unit: "×",
    wanted: { node20: 3, node26: 3, bun: 3, deno: 2 },
    value: (find) => blake2bRatio(find, "node:crypto", 64),
  },
  {
    title: "BLAKE2b against @noble/hashes, 64 B",
    unit: "×",
    wanted: { node20: 12, node26: 12, bun: 12, deno: 7 },
    value: (find) => blake2bRatio(find, "@noble/hashes", 64),
  },
  {
    title: "BLAKE2b against @noble/hashes, 64 KiB",
    unit: "×",
    wanted: { node20: 18, node26: 18, bun: 18, deno: 18 },
    value: (find) => blake2bRatio(find, "@noble/hashes", 65536),
  },
];
