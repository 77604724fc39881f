// The targets that the transport was built against, and the result of a run for each. A ratio compares two rows of one
// run. A target without its rows is "not measured", never reached.
import { shareOfLimit } from "./limit.js";
import { all, find } from "./query.js";
import { typedBeyond, typedResult } from "./typedTables.js";

const ALL = ["node20", "node26", "bun", "deno"];

const row = (run, contender, runtime, name, pinned = false) =>
  find(run, { section: "rows", row: name, contender, client: runtime, server: runtime, pinned });
const swept = (run, contender, runtime, name, size) =>
  find(run, { section: "sweep", row: name, contender, client: runtime, server: runtime, size });

/** Of the TLS rows that a runtime has (two in Deno), the faster one. */
function fastestTls(pick) {
  const candidates = ["tls", "tls-node"].map(pick).filter((result) => result !== undefined);
  return candidates.sort((a, b) => a.ns.median - b.ns.median)[0];
}

/** How many times less time `ours` takes than `theirs`. */
function speedup(ours, theirs) {
  return ours && theirs && theirs.ns.median / ours.ns.median;
}

// The contenders that targets are about: the defaults, and views beside them where bodies arrive.
const DEFAULTS = "sealwire";
const VIEWS = "sealwire-views";

function bytesPerOp(run, runtime, name) {
  return find(run, { section: "heap", row: name, contender: DEFAULTS, client: runtime })?.clientBytesPerOp;
}

function growth(values) {
  return values.length > 1 ? Math.max(...values) / Math.min(...values) : undefined;
}

function scaled(run, runtime, name, value, contender = DEFAULTS) {
  return growth(all(run, { section: "scaling", row: name, contender, client: runtime }).map(value));
}

/** Connections opened per second, one at a time. */
function opened(run, contender, runtime, variant) {
  const fields = { section: "handshakes", row: "one at a time", contender, client: runtime };
  return find(run, variant === undefined ? fields : { ...fields, variant })?.perSecond.median;
}

const atLeast = (limit) => ({ limit, sign: "≥", reached: (value) => value >= limit });
const atMost = (limit) => ({ limit, sign: "≤", reached: (value) => value <= limit });

const CHACHA = "sealwire-chacha";

const againstTls = (ours, pick) =>
  speedup(
    pick(ours),
    fastestTls((tls) => pick(tls)),
  );

/** The same target for the default cipher and, in Deno, for ChaChaPoly, which is the one to choose there. */
function withChaCha({ chacha, ...definition }) {
  const { name, measure } = definition;
  return [
    definition,
    {
      ...definition,
      name: `${name}, ChaChaPoly`,
      receives: false,
      goals: { deno: chacha },
      measure: (run, id) => measure(run, id, CHACHA),
    },
  ];
}

// `receives`: bodies arrive at sealwire's handlers, so that copies and views differ.
const definitions = [
  ...withChaCha({
    name: "one-way 1,400 B, share of the limit",
    receives: true,
    unit: "%",
    goals: { node20: atLeast(80), node26: atLeast(85), bun: atLeast(90), deno: atLeast(75) },
    chacha: atLeast(80),
    measure: (run, id, ours) =>
      shareOfLimit(run, id, ours, 1_400, (contender) => row(run, contender, id, "SendNoWait")),
  }),
  ...withChaCha({
    name: "one-way 1,400 B, against TLS with the same framing",
    receives: true,
    unit: "×",
    goals: { node20: atLeast(1), node26: atLeast(1.05), bun: atLeast(1.2) },
    chacha: atLeast(0.85),
    measure: (run, id, ours) => againstTls(ours, (contender) => row(run, contender, id, "SendNoWait")),
  }),
  ...[
    ["64 KiB", 65_536],
    ["1 MiB", 1_048_576],
  ].flatMap(([title, size]) =>
    withChaCha({
      name: `one-way ${title}, against TLS`,
      receives: true,
      unit: "×",
      goals: { node20: atLeast(0.95), node26: atLeast(1.2), bun: atLeast(1.2) },
      chacha: atLeast(0.95),
      measure: (run, id, ours) => againstTls(ours, (contender) => swept(run, contender, id, "one-way", size)),
    }),
  ),
  {
    name: "64 requests outstanding, both ends on one core, against TLS",
    receives: true,
    unit: "×",
    goals: { node20: atLeast(1.3), node26: atLeast(1.3), bun: atLeast(1.05), deno: atLeast(1) },
    measure: (run, id, ours) =>
      againstTls(ours, (contender) => row(run, contender, id, "ParallelRequest", true)),
  },
  {
    name: "one request outstanding, both ends on one core: time against raw TCP",
    receives: true,
    unit: "×",
    goals: { node20: atMost(1.25), node26: atMost(1.2), bun: atMost(1.35), deno: atMost(1.4) },
    measure: (run, id, ours) =>
      speedup(row(run, "raw", id, "Request", true), row(run, ours, id, "Request", true)),
  },
  {
    name: "64-byte one-way messages per second, against raw TCP",
    receives: true,
    unit: "×",
    goals: { node20: atLeast(0.5), node26: atLeast(0.55), bun: atLeast(0.65), deno: atLeast(0.4) },
    measure: (run, id, ours) =>
      speedup(swept(run, ours, id, "one-way", 64), swept(run, "raw", id, "one-way", 64)),
  },
  {
    name: "what importing adds to the start of a program",
    unit: "ms",
    goals: { node20: atMost(15), node26: atMost(15), bun: atMost(15) },
    measure: (run, id) => find(run, { section: "imports", client: id })?.addedMs,
  },
  {
    name: "heap per sendNoWait, sending side",
    unit: "B/op",
    goals: { node20: atMost(16), node26: atMost(16), bun: atMost(16), deno: atMost(32) },
    measure: (run, id) => bytesPerOp(run, id, "SendNoWait"),
  },
  {
    name: "heap per request, asking side, 64 outstanding",
    unit: "B/op",
    goals: { node20: atMost(400), node26: atMost(400), deno: atMost(400) },
    measure: (run, id) => bytesPerOp(run, id, "ParallelRequest"),
  },
  ...[
    ["the same JSON by hand", "by-hand"],
    ["a request with bytes", "raw"],
  ].map(([what, contender]) => ({
    name: `typed call of a small JSON object, 64 outstanding, beyond ${what}`,
    unit: "µs of both ends",
    goals: Object.fromEntries(ALL.map((id) => [id, atMost(2)])),
    measure: (run, id) => typedBeyond(run, contender, id),
  })),
  {
    name: "typed call of a small JSON object, 64 outstanding, against the fastest of grpc-js, capnweb and tRPC",
    unit: "×",
    goals: Object.fromEntries(ALL.map((id) => [id, atLeast(1)])),
    measure: (run, id) => {
      const [ours, ...others] = ["typed", "grpc", "capnweb", "trpc"].map((name) =>
        typedResult(run, name, id),
      );
      const times = others.filter((other) => other !== undefined).map(({ manyUs }) => manyUs.median);
      return ours && times.length > 0 ? Math.min(...times) / ours.manyUs.median : undefined;
    },
  },
  {
    name: "connections opened per second, hybrid XX (both ends prove a key), against TLS 1.3",
    unit: "×",
    goals: { node20: atLeast(2), node26: atLeast(2) },
    measure: (run, id) => {
      const [ours, theirs] = [opened(run, "sealwire", id, "XXhfs"), opened(run, "tls", id)];
      return ours && theirs && ours / theirs;
    },
  },
  {
    name: "time per message, most to least, over the number of messages",
    unit: "×",
    goals: Object.fromEntries(ALL.map((id) => [id, atMost(1.5)])), // ± 20 % around the middle
    measure: (run, id) => scaled(run, id, "messages", ({ nsPerMessage }) => nsPerMessage),
  },
  {
    name: "time per message, most to least, over 1 to 1,000 busy connections, against what raw TCP's grows",
    unit: "×",
    goals: { node20: atMost(1.3), node26: atMost(1.3), bun: atMost(1.3), deno: atMost(1.6) },
    measure: (run, id) => {
      const [ours, raw] = [DEFAULTS, "raw"].map((contender) =>
        scaled(run, id, "connections", ({ ns }) => ns.median, contender),
      );
      return ours && raw && ours / raw;
    },
  },
  {
    name: "resident memory after the longest run against the shortest, larger end",
    unit: "×",
    goals: Object.fromEntries(ALL.map((id) => [id, atMost(1.2)])),
    measure: (run, id) => {
      const steps = all(run, { section: "scaling", row: "messages", contender: DEFAULTS, client: id });
      if (steps.length < 2) return undefined;
      const [first, last] = [steps[0], steps[steps.length - 1]];
      return Math.max(last.serverRss / first.serverRss, last.clientRss / first.clientRss);
    },
  },
];

/** Each target with the contender that it is held against: those about received bodies come twice. */
function held(run) {
  const hasViews = run.contenders.some(({ id }) => id === VIEWS);
  return definitions.flatMap((definition) => {
    const { name, receives, measure } = definition;
    const withDefaults = { ...definition, measure: (of, id) => measure(of, id, DEFAULTS) };
    if (!receives || !hasViews) return [withDefaults];
    const withViews = { name: `${name}, with views`, measure: (of, id) => measure(of, id, VIEWS) };
    return [withDefaults, { ...definition, ...withViews }];
  });
}

/**
 * @returns {{ name: string, unit: string, cells: { runtime: string, goal: string, value?: number, reached?: boolean }[] }[]}
 */
export function evaluateTargets(run) {
  return held(run).map(({ name, unit, goals, measure }) => ({
    name,
    unit,
    cells: run.machine.runtimes
      .filter(({ id }) => goals[id] !== undefined)
      .map(({ id }) => {
        const goal = goals[id];
        const value = measure(run, id);
        return {
          runtime: id,
          goal: `${goal.sign} ${goal.limit}`,
          value,
          reached: value === undefined ? undefined : goal.reached(value),
        };
      }),
  }));
}
