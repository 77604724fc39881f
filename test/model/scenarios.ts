// The actions of the two ends of the flow model, few enough to try all orders; `large` is for `npm run model`.

import type { Fault, Scenario } from "./flowModel.ts";

const small = { window: 2, streamWindow: 1, handlers: 1, permits: 2, pressure: 1, network: 1 } as const;

export const scenarios: readonly Scenario[] = [
  {
    ...small,
    name: "busy both ways",
    messages: [
      [1, 1, 1],
      [1, 1, 1],
    ],
    calls: [
      { from: 0, cost: 1 },
      { from: 1, cost: 1 },
    ],
  },
  {
    ...small,
    name: "a call back at the limit of handlers",
    messages: [[1], [1, 1]],
    calls: [
      { from: 0, cost: 1 },
      { from: 1, cost: 1, madeBy: 0 },
    ],
  },
  {
    ...small,
    name: "a call back while requests wait for credit",
    window: 1,
    permits: 3,
    messages: [[], []],
    calls: [
      { from: 0, cost: 1 },
      { from: 1, cost: 1, madeBy: 0 },
      { from: 0, cost: 1 },
      { from: 0, cost: 1 },
    ],
  },
  {
    ...small,
    name: "refusals under pressure",
    window: 1,
    permits: 3,
    pressure: 0,
    messages: [[], [1, 1]],
    calls: [
      { from: 0, cost: 1 },
      { from: 0, cost: 1, mayCancel: true },
      { from: 0, cost: 1 },
    ],
  },
  {
    ...small,
    name: "cancels behind a pause",
    messages: [[1, 1], []],
    calls: [
      { from: 0, cost: 1, mayCancel: true },
      { from: 0, cost: 1, mayCancel: true },
      { from: 0, cost: 1 },
    ],
  },
  {
    ...small,
    name: "longer than the window",
    messages: [[3, 1], [3]],
    calls: [{ from: 1, cost: 5, mayCancel: true }],
  },
  {
    ...small,
    name: "more requests than permits",
    permits: 1,
    messages: [[1], []],
    calls: [
      { from: 0, cost: 1, mayCancel: true },
      { from: 0, cost: 1, mayCancel: true },
      { from: 1, cost: 1 },
    ],
  },
  {
    ...small,
    name: "answers under pressure",
    handlers: 2,
    pressure: 0,
    messages: [[1], [1]],
    calls: [
      { from: 0, cost: 2 },
      { from: 0, cost: 1 },
      { from: 1, cost: 1 },
    ],
  },
  {
    ...small,
    name: "streams both ways, left and cancelled",
    messages: [[], []],
    calls: [{ from: 0, cost: 1, up: 2, down: 2, mayStop: true, mayCancel: true }],
  },
  {
    ...small,
    name: "two streams and a message",
    handlers: 2,
    messages: [[1], []],
    calls: [
      { from: 0, cost: 1, down: 2 },
      { from: 1, cost: 1, up: 1 },
    ],
  },
];

/** Each fault, and the scenario that shows it. */
export const plantedFaults: readonly [fault: Fault, scenario: string, finding: RegExp][] = [
  ["stops reading under pressure", "a call back at the limit of handlers", /deadlock/],
  ["one queue for what is paid and what is free", "a call back while requests wait for credit", /deadlock/],
  ["a message must fit the window", "longer than the window", /deadlock/],
  ["credit is lost on cancel", "cancels behind a pause", /deadlock|credit is lost/],
  [
    "an answer waits for good behind items that nobody takes",
    "streams both ways, left and cancelled",
    /permit is lost/,
  ],
  ["credit that was withheld is forgotten", "refusals under pressure", /deadlock/],
  ["a permit is free before the end", "more requests than permits", /more requests than permits/],
];

/** Deeper: more of everything. */
export function enlarged(scenario: Scenario): Scenario {
  return {
    ...scenario,
    name: `${scenario.name}, larger`,
    network: scenario.network + 1,
    messages: [
      [...scenario.messages[0], 1],
      [...scenario.messages[1], 2],
    ],
    calls: [...scenario.calls, { from: 1, cost: 1, mayCancel: true }],
  };
}
