// The limit of an encrypted transport in a runtime: raw TCP's processor time, and that of the cheapest AEAD of the
// runtime's own API over the same bytes, measured in the same run. TLS is held against it as well: what TLS has of it
// says how many times faster than TLS anything can be.
import { readable } from "../matrix/statistics.js";
import { all, find, runtimesOf } from "./query.js";

const cpu = ({ clientCpuNs, serverCpuNs }) => clientCpuNs.median + serverCpuNs.median;

/** `pick`: the result of a contender. `bytes`: what one operation encrypts. Per cent. */
export function shareOfLimit(run, id, ours, bytes, pick) {
  const [own, raw] = [pick(ours), pick("raw")];
  const ciphers = all(run, { section: "aead", client: id });
  if (own === undefined || raw === undefined || ciphers.length === 0) return undefined;
  const perByte = Math.min(...ciphers.map((cipher) => cipher.ns / cipher.bytes));
  return (100 * (cpu(raw) + perByte * bytes)) / cpu(own);
}

/** A request and its answer are encrypted. */
const operations = [
  ["one-way, 64 B", 64, { section: "sweep", row: "one-way", size: 64 }],
  ["one-way, 1,400 B", 1_400, { section: "rows", row: "SendNoWait" }],
  ["one-way, 64 KiB", 65_536, { section: "sweep", row: "one-way", size: 65_536 }],
  ["one-way, 1 MiB", 1_048_576, { section: "sweep", row: "one-way", size: 1_048_576 }],
  ["64 requests, 1,400 B [s]", 2_800, { section: "rows", row: "ParallelRequest", pinned: true }],
  ["one request, 1,400 B [s]", 2_800, { section: "rows", row: "Request", pinned: true }],
];
const contenders = ["sealwire", "sealwire-views", "sealwire-chacha", "tls", "tls-node"];

function shareTable(run) {
  const runtimes = runtimesOf(run, all(run, { section: "aead" }));
  const rows = operations.flatMap(([name, bytes, fields]) =>
    contenders.flatMap((contender) => {
      const shares = runtimes.map(({ id }) =>
        shareOfLimit(run, id, contender, bytes, (of) =>
          find(run, { pinned: false, ...fields, contender: of, client: id, server: id }),
        ),
      );
      if (shares.every((share) => share === undefined)) return [];
      const { label } = run.contenders.find(({ id }) => id === contender);
      return [[name, label, ...shares.map(readable)]];
    }),
  );
  const head = ["operation", "contender", ...runtimes.map(({ label }) => label)];
  return { title: "Share of the limit, by processor time of both ends (%)", head, rows };
}

function cipherTable(run) {
  const ciphers = all(run, { section: "aead" });
  const names = [...new Set(ciphers.map(({ cipher }) => cipher))];
  const runtimes = runtimesOf(run, ciphers);
  const rows = names.map((name) => [
    name,
    ...runtimes.map(({ id }) => {
      const found = ciphers.find(({ cipher, client }) => cipher === name && client === id);
      return found === undefined ? "–" : readable((1_000 * found.ns) / found.bytes);
    }),
  ]);
  const head = ["sealing and opening, CPU ns per 1,000 B", ...runtimes.map(({ label }) => label)];
  return { title: "The runtimes' own ciphers: with raw TCP's processor time, the limit", head, rows };
}

export function limitTables(run) {
  return [cipherTable(run), shareTable(run)];
}
