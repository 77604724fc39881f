// Explicit-state search: it tries all orders of a model's actions and visits each state once.

import { type Action, type FlowModel, keyOf, type State } from "./flowModel.ts";

export interface Finding {
  readonly what: string;
  /** The actions that lead there. */
  readonly trace: Action[];
}

export interface Result {
  readonly states: number;
  /** States in which nothing can happen any more. */
  readonly ends: number;
  /** The first thing that is wrong. */
  readonly finding: Finding | undefined;
  /** Whether all states were seen. */
  readonly complete: boolean;
  /** Ways to some of the ends, for whoever wants to go them again. */
  readonly traces: Action[][];
}

interface Visit {
  readonly parent: number;
  readonly action: Action | undefined;
}

/** Searches depth first, up to `maxStates`. Keeps the ways to at most `maxTraces` ends. */
export function search(model: FlowModel, maxStates: number, maxTraces = 0): Result {
  const seen = new Set<string>();
  const visits: Visit[] = [];
  const stack: [state: State, visit: number][] = [];
  const traces: Action[][] = [];
  let ends = 0;

  const traceOf = (visit: number): Action[] => {
    const trace: Action[] = [];
    for (let at = visit; at >= 0; at = visits[at]!.parent) {
      const { action } = visits[at]!;
      if (action !== undefined) trace.unshift(action);
    }
    return trace;
  };
  const result = (complete: boolean, finding?: Finding): Result => ({
    states: seen.size,
    ends,
    finding,
    complete,
    traces,
  });
  const push = (state: State, parent: number, action: Action | undefined): void => {
    const key = keyOf(state);
    if (seen.has(key)) return;
    seen.add(key);
    visits.push({ parent, action });
    stack.push([state, visits.length - 1]);
  };

  push(model.start(), -1, undefined);
  while (stack.length > 0) {
    const [state, visit] = stack.pop()!;
    if (state.fault !== "") return result(false, { what: state.fault, trace: traceOf(visit) });
    const actions = model.actions(state);
    if (actions.length === 0) {
      ends++;
      const what = model.unfinished(state);
      if (what !== "") return result(false, { what, trace: traceOf(visit) });
      if (traces.length < maxTraces) traces.push(traceOf(visit));
    }
    if (seen.size > maxStates) return result(false);
    for (const action of actions) push(model.after(state, action), visit, action);
  }
  return result(true);
}

/** One way to an end, by chance: the same `seed` goes the same way. */
export function walk(model: FlowModel, seed: number): Action[] {
  const trace: Action[] = [];
  let random = seed >>> 0 || 1;
  let state = model.start();
  for (;;) {
    const actions = model.actions(state);
    if (actions.length === 0) return trace;
    random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
    const action = actions[(random >>> 8) % actions.length]!;
    trace.push(action);
    state = model.after(state, action);
  }
}
