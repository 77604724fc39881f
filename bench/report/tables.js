// The tables of a run as data: a title, column heads, rows of text. The terminal, the Markdown summary and
// the HTML report print the same ones.
import { machineNote } from "../matrix/machine.js";
import { readable } from "../matrix/statistics.js";
import { limitTables } from "./limit.js";
import { all, contendersOf, find, runtimesOf } from "./query.js";
import { streamTables } from "./streamTables.js";
import { evaluateTargets } from "./targets.js";
import { typedTables } from "./typedTables.js";

const spread = ({ median, min, max }) => `${readable(median)} (${readable(min)}–${readable(max)})`;
const kib = (bytes) => `${readable(bytes / 1_024)} KiB`;
const mib = (bytes) => `${readable(bytes / 1_048_576)} MiB`;

export function sizeLabel(bytes) {
  if (bytes >= 1_048_576) return `${bytes / 1_048_576} MiB`;
  return bytes >= 1_024 && bytes % 1_024 === 0
    ? `${bytes / 1_024} KiB`
    : `${bytes.toLocaleString("en-US")} B`;
}

function targetsTable(run) {
  const runtimes = run.machine.runtimes;
  const rows = evaluateTargets(run).map(({ name, unit, cells }) => [
    `${name} (${unit})`,
    ...runtimes.map(({ id }) => {
      const cell = cells.find(({ runtime }) => runtime === id);
      if (cell === undefined) return "";
      if (cell.value === undefined) return `not measured (${cell.goal})`;
      return `${cell.reached ? "✓" : "✗"} ${readable(cell.value)} (${cell.goal})`;
    }),
  ]);
  return { title: "Targets", head: ["target", ...runtimes.map(({ label }) => label)], rows };
}

function rowTables(run) {
  const results = all(run, { section: "rows" });
  return runtimesOf(run, results).map((runtime) => {
    const rows = results
      .filter(({ client }) => client === runtime.id)
      .map((result) => {
        const heap = find(run, {
          section: "heap",
          row: result.row,
          contender: result.contender,
          client: runtime.id,
        });
        return [
          `${result.row}${result.pinned ? " [s]" : ""}`,
          run.contenders.find(({ id }) => id === result.contender).label,
          spread(result.ns),
          readable(result.mbPerS),
          `${readable(result.clientCpuNs?.median)} / ${readable(result.serverCpuNs?.median)}`,
          result.p50Us ? readable(result.p50Us.median) : "",
          result.p99Us ? readable(result.p99Us.median) : "",
          heap && !result.pinned
            ? `${readable(heap.clientBytesPerOp)} / ${readable(heap.serverBytesPerOp)}`
            : "",
        ];
      });
    return {
      title: `${runtime.label}: 1,400-byte payloads, one connection, delivered`,
      head: [
        "row",
        "contender",
        "ns/op (min–max)",
        "MB/s",
        "CPU ns/op client / server",
        "p50 µs",
        "p99 µs",
        "B/op client / server",
      ],
      rows,
    };
  });
}

function heapTable(run) {
  const results = all(run, { section: "heap" });
  const methods = new Set(results.map(({ method }) => method));
  return {
    title: `Bytes allocated per operation, 1,400-byte payloads (${[...methods].join("; ")}; V8 counts objects, not the memory behind array buffers, where copied bodies lie)`,
    head: ["runtime", "contender", "row", "client B/op", "server B/op"],
    rows: results.map((r) => [
      run.machine.runtimes.find(({ id }) => id === r.client).label,
      run.contenders.find(({ id }) => id === r.contender).label,
      r.row,
      readable(r.clientBytesPerOp),
      readable(r.serverBytesPerOp),
    ]),
  };
}

function sweepTables(run) {
  return ["one-way", "request"].flatMap((row) => {
    const results = all(run, { section: "sweep", row });
    return runtimesOf(run, results).map((runtime) => {
      const here = results.filter(({ client }) => client === runtime.id);
      const contenders = contendersOf(run, here);
      const sizes = [...new Set(here.map(({ size }) => size))].sort((a, b) => a - b);
      return {
        title: `${runtime.label}: MB/s by payload size, ${row === "request" ? "pipelined requests, one direction counted" : "one-way, delivered"}`,
        head: ["payload", ...contenders.map(({ label }) => label)],
        rows: sizes.map((size) => [
          sizeLabel(size),
          ...contenders.map(({ id }) =>
            readable(here.find((r) => r.size === size && r.contender === id)?.mbPerS),
          ),
        ]),
      };
    });
  });
}

function pairTables(run) {
  return [
    {
      row: "one-way",
      title: "sealwire between runtimes, defaults: one-way MB/s, 1,400 bytes",
      value: (r) => r.mbPerS,
    },
    {
      row: "request",
      title: "sealwire between runtimes, defaults: requests per second, 64 outstanding",
      value: (r) => 1e9 / r.ns.median,
    },
  ].flatMap(({ row, title, value }) => {
    const results = all(run, { section: "pairs", row });
    if (results.length === 0) return [];
    const runtimes = runtimesOf(run, results);
    const cell = (client, server) => {
      const result = results.find((r) => r.client === client.id && r.server === server.id);
      return result === undefined ? "–" : readable(value(result));
    };
    return {
      title,
      head: ["client ↓ server →", ...runtimes.map(({ label }) => label)],
      rows: runtimes.map((client) => [client.label, ...runtimes.map((server) => cell(client, server))]),
    };
  });
}

function handshakeTable(run) {
  const results = all(run, { section: "handshakes" });
  const runtimes = runtimesOf(run, results);
  const kinds = [...new Map(results.map((r) => [`${r.contender} ${r.variant} ${r.row}`, r])).values()];
  const rows = kinds.map((kind) => [
    `${run.contenders.find(({ id }) => id === kind.contender).label}${kind.variant ? ` ${kind.variant}` : ""}`,
    kind.row,
    ...runtimes.map(({ id }) => {
      const same = results.find(
        (r) =>
          r.client === id &&
          r.contender === kind.contender &&
          r.variant === kind.variant &&
          r.row === kind.row,
      );
      return same === undefined ? "–" : spread(same.perSecond);
    }),
  ]);
  const head = ["connections opened per second", "how", ...runtimes.map(({ label }) => label)];
  return { title: "Handshakes per second: dial, handshake, one request, close", head, rows };
}

function startUpTable(run) {
  const results = all(run, { section: "imports" });
  const rows = results.map(({ client, bareMs, addedMs, addedCpuMs }) => [
    run.machine.runtimes.find(({ id }) => id === client).label,
    readable(bareMs),
    readable(addedMs),
    readable(addedCpuMs),
  ]);
  const head = ["runtime", "a program without imports, ms", "sealwire adds, ms", "of processor time, ms"];
  return { title: "Start-up", head, rows };
}

function idleTable(run) {
  const results = all(run, { section: "idle" });
  const rows = results.map((r) => [
    run.machine.runtimes.find(({ id }) => id === r.client).label,
    run.contenders.find(({ id }) => id === r.contender).label,
    r.connections.toLocaleString("en-US"),
    kib(r.serverBytesPerConnection),
    kib(r.clientBytesPerConnection),
    readable(r.openedPerSecond),
  ]);
  const head = [
    "runtime",
    "contender",
    "connections",
    "server RSS each",
    "client RSS each",
    "opened per second",
  ];
  return { title: "Idle connections", head, rows };
}

function scalingTables(run) {
  const of = (row) => all(run, { section: "scaling", row });
  const label = (r) => run.machine.runtimes.find(({ id }) => id === r.client).label;
  const contender = (r) => run.contenders.find(({ id }) => id === r.contender).label;
  return [
    {
      title: "Growth: 64-byte one-way messages on one connection",
      head: ["runtime", "contender", "messages", "ns per message", "server RSS", "client RSS"],
      rows: of("messages").map((r) => [
        label(r),
        contender(r),
        r.messages.toLocaleString("en-US"),
        readable(r.nsPerMessage),
        mib(r.serverRss),
        mib(r.clientRss),
      ]),
    },
    {
      title: "Growth: 1,400-byte one-way messages over busy connections",
      head: ["runtime", "contender", "connections", "ns per message (min–max)"],
      rows: of("connections").map((r) => [
        label(r),
        contender(r),
        r.connections.toLocaleString("en-US"),
        spread(r.ns),
      ]),
    },
    {
      title: "Growth: sealwire with its defaults, 1,400-byte requests in flight",
      head: ["runtime", "in flight", "ns per request (min–max)", "p50 µs", "p99 µs"],
      rows: of("in flight").map((r) => [
        label(r),
        r.inFlight.toLocaleString("en-US"),
        spread(r.ns),
        readable(r.p50Us?.median),
        readable(r.p99Us?.median),
      ]),
    },
  ];
}

/** Every table that has at least one row. */
export function tablesOf(run) {
  return [
    targetsTable(run),
    ...rowTables(run),
    ...sweepTables(run),
    ...pairTables(run),
    heapTable(run),
    handshakeTable(run),
    idleTable(run),
    ...limitTables(run),
    startUpTable(run),
    ...scalingTables(run),
    ...streamTables(run),
    ...typedTables(run),
  ].filter(({ rows }) => rows.length > 0);
}

/** What stands above every table: machine, versions, how it was measured. */
export function notesOf(run) {
  const { machine, ciphers, settings, failures } = run;
  const label = (id) => machine.runtimes.find((runtime) => runtime.id === id)?.label ?? id;
  return [
    `sealwire ${machine.sealwire}${machine.commit ? ` (${machine.commit})` : ""}, ${machine.date.slice(0, 16).replace("T", " ")} UTC, ${Math.round(machine.durationMs / 1_000)} s`,
    machineNote(machine),
    `${machine.runtimes.map((r) => `${r.label} ${r.version}`).join(", ")}; ${Object.entries(machine.packages)
      .map(([name, version]) => `${name} ${version}`)
      .join(", ")}`,
    `Medians of ${settings.rounds} rounds with min and max; rounds interleave all rows. Client and server are separate processes on loopback.`,
    machine.pinning
      ? "[s]: both ends pinned to one core with taskset, which takes the wake-up of another core out of the latency."
      : "No taskset on this machine, so there are no rows with both ends on one core.",
    ...run.contenders
      .filter(({ id }) => id.startsWith("sealwire"))
      .map((contender) => `${contender.label}: ${contender.note}.`),
    ...Object.entries(ciphers).map(([id, suite]) => `TLS in ${label(id)} ran ${suite}.`),
    ...failures.map(({ what, reason }) => `No row for ${what}: ${reason.split("\n")[0]}`),
  ];
}
