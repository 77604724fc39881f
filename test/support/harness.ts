// The functions with which a suite registers its tests. A suite is a file in test/suites. runner.ts runs it in the
// runtime under test, one test after the other, alone in a process or after other suites.

/** The ids of scripts/runtimes.js: a Node has the major version that it really is. */
export type RuntimeId = `node${number}` | "bun" | "deno";

export interface TestOptions {
  /** Run in these runtimes only; elsewhere the test is reported as skipped. */
  only?: RuntimeId[];
  /** Skip everywhere, with this reason. */
  skip?: string;
  /** Fail the test after this many milliseconds (60,000). */
  timeoutMs?: number;
}

export type TestBody = () => void | Promise<void>;

export interface RegisteredTest {
  name: string;
  options: TestOptions;
  body: TestBody;
}

/** What the suite that runs now registered; the runner empties both before it loads the next one. */
export const registeredTests: RegisteredTest[] = [];
export const afterEachHooks: TestBody[] = [];
/** What modules that suites share registered, once in this process. */
export const afterEveryHooks: TestBody[] = [];

/** What the test that runs now said of the cases that it tried, if they are not all; the runner empties it before each. */
export const told: { share?: string } = {};

/** Says that the test that runs now tries a share of its cases, and which. */
export function noteShare(text: string): void {
  told.share = text;
}

/** Say what the test that runs now awaits; the runner empties it before each. */
export const awaited = new Set<() => string>();
/** Say in what state the library is. */
const stateTellers: (() => string)[] = [];

/** Awaits `work`. A test that does not finish meanwhile says that it waits for this. */
export async function named<T>(what: string | (() => string), work: Promise<T>): Promise<T> {
  const tell = () => `it waits for ${typeof what === "string" ? what : what()}`;
  awaited.add(tell);
  try {
    return await work;
  } finally {
    awaited.delete(tell);
  }
}

/** `tell` is asked for the state of what tests of this process use, when one does not finish. */
export function onUnfinishedTest(tell: () => string): void {
  stateTellers.push(tell);
}

/** What a test awaits that does not finish, and the state of what it uses. Throws nothing. */
export function describeUnfinished(): string[] {
  const lines = [...awaited, ...stateTellers].map((tell) => {
    try {
      return tell();
    } catch (error) {
      return `what can't be told: ${String(error)}`;
    }
  });
  return [...lines, `open: ${process.getActiveResourcesInfo?.().join(", ") ?? "unknown"}`].filter(Boolean);
}

/** The runtime that this process is. */
export const runtimeId: RuntimeId = detectRuntime();

/** Registers a test, in the order of calls. */
export function test(name: string, body: TestBody): void;
export function test(name: string, options: TestOptions, body: TestBody): void;
export function test(name: string, ...rest: [TestBody] | [TestOptions, TestBody]): void {
  const [options, body] = rest.length === 1 ? [{}, rest[0]] : rest;
  if (registeredTests.some((registered) => registered.name === name)) {
    throw new Error(`two tests are named "${name}"`);
  }
  registeredTests.push({ name, options, body });
}

/** Registers a check that runs after every test of this suite and fails that test by throwing. */
export function onAfterEachTest(hook: TestBody): void {
  afterEachHooks.push(hook);
}

/**
 * Registers what runs after every test of this process, before the suite's own checks: for modules that several suites
 * import, which are loaded once.
 */
export function onAfterEveryTest(hook: TestBody): void {
  afterEveryHooks.push(hook);
}

function detectRuntime(): RuntimeId {
  if (process.versions.bun !== undefined) return "bun";
  if (process.versions.deno !== undefined) return "deno";
  return `node${Number(process.versions.node.split(".")[0])}`;
}
