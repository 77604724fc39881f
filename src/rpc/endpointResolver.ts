// From endpoints to addresses, and when they are looked up again: for a call that comes 30 s after the last answer, and
// after failures, but never more often than the floor allows. Nothing is looked up while nobody calls.
//
//   fresh ──30 s, or a failure and the floor──▶ stale ──a call──▶ looking up ──▶ fresh
//                                                                    └──failed──▶ stale after a pause that grows
//
// What was found stays in use while it is looked up again, and when that fails.

import { SealwireError } from "../base/errors.ts";
import { encodeKey } from "../protocol/noise/keys.ts";
import { addressGroups } from "./addressRange.ts";
import {
  type CheckedEndpoint,
  type FindChecked,
  MOST_ENDPOINTS,
  type ResolveName,
} from "./endpointOptions.ts";
import { CallbackDeadline, timers } from "./timers.ts";
import type { Address } from "./transport.ts";

const FRESH_MS = 30_000;
/** Between two lookups at least, plus as much again by chance. */
const FLOOR_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** Names that are looked up at once: a resolver takes them as a burst. */
const MOST_LOOKUPS = 16;

/** Of what the names of one lookup resolve to, so much is looked at: answers without end must not keep the event loop. */
const MOST_LISTED = 16 * MOST_ENDPOINTS;
/** An IPv6 address with a zone. */
const MOST_ADDRESS_CHARACTERS = 80;

/** One address of one endpoint. */
export interface Target {
  /** Tells targets apart. */
  readonly key: string;
  readonly address: Address;
  readonly endpoint: CheckedEndpoint;
  /** 6 or 4; 0 for a Unix socket. */
  readonly family: 0 | 4 | 6;
}

export class EndpointResolver {
  readonly #find: FindChecked;
  readonly #resolve: ResolveName;
  readonly #timeoutMs: number;
  readonly #onTargets: (targets: readonly Target[]) => void;
  readonly #random: () => number;
  #underWay: Promise<void> | undefined;
  #abort: AbortController | undefined;
  #closed = false;
  #staleAt = Number.NEGATIVE_INFINITY;
  #notBefore = Number.NEGATIVE_INFINITY;
  #failuresInARow = 0;
  /** Of MOST_LISTED, in the lookup under way. */
  #listedLeft = 0;
  #endPause: (() => void) | undefined;
  readonly #pauseOver = new CallbackDeadline(() => this.#endPause?.());
  /** Why the last lookup failed; undefined when it did not. */
  error: unknown;
  /** Lookups since the client was made. */
  lookups = 0;

  /**
   * @param timeoutMs for one lookup in all
   * @param onTargets told what was found, never nothing
   */
  constructor(
    find: FindChecked,
    resolve: ResolveName,
    timeoutMs: number,
    onTargets: (targets: readonly Target[]) => void,
    random: () => number = Math.random,
  ) {
    this.#find = find;
    this.#resolve = resolve;
    this.#timeoutMs = timeoutMs;
    this.#onTargets = onTargets;
    this.#random = random;
  }

  /** A lookup is under way: settles, without an error, when it is over. */
  get underWay(): Promise<void> | undefined {
    return this.#underWay;
  }

  /** Somebody calls: looks up again if that is due. */
  refreshIfStale(): void {
    const now = performance.now();
    if (this.#closed || this.#underWay !== undefined) return;
    if (now < this.#staleAt || now < this.#notBefore) return;
    this.#underWay = this.#lookUp().finally(() => {
      this.#underWay = undefined;
    });
  }

  /**
   * Everything that was found failed: looks up again as soon as the floor allows it, if that is soon. Settles, without
   * an error, when that is over, or at once.
   */
  async refreshSoon(): Promise<void> {
    const waitMs = this.#notBefore - performance.now();
    if (this.#closed || performance.now() < this.#staleAt || waitMs > 2 * FLOOR_MS) return;
    if (waitMs > 0) {
      await new Promise<void>((resolve) => {
        this.#endPause = resolve;
        timers.arm(this.#pauseOver, waitMs);
      });
    }
    this.refreshIfStale();
    await this.#underWay;
  }

  /** A server failed or goes: what was found may be old. */
  invalidate(): void {
    this.#staleAt = Number.NEGATIVE_INFINITY;
  }

  /** Whether the pause before a lookup keeps the process alive. */
  keepAlive(on: boolean): void {
    timers.setQuiet(this.#pauseOver, !on);
  }

  close(): void {
    this.#closed = true;
    timers.cancel(this.#pauseOver);
    this.#endPause?.();
    this.#abort?.abort(new SealwireError("ERR_CLOSED", "the client is closed"));
  }

  async #lookUp(): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    this.lookups++;
    const text = `the endpoints were not found within ${this.#timeoutMs} ms`;
    const deadline = new CallbackDeadline(() => abort.abort(new SealwireError("ERR_DIAL_TIMEOUT", text)));
    timers.arm(deadline, this.#timeoutMs);
    try {
      const targets = await orAborted(this.#findTargets(abort.signal), abort.signal);
      if (this.#closed) return;
      this.error = undefined;
      this.#failuresInARow = 0;
      this.#staleAt = performance.now() + FRESH_MS;
      this.#pause(FLOOR_MS);
      this.#onTargets(targets);
    } catch (error) {
      this.error = error;
      this.#pause(Math.min(FLOOR_MS * 2 ** this.#failuresInARow++, LONGEST_PAUSE_MS / 2));
    } finally {
      timers.cancel(deadline);
      timers.rest();
    }
  }

  #pause(ms: number): void {
    this.#notBefore = performance.now() + ms + this.#random() * ms;
  }

  async #findTargets(signal: AbortSignal): Promise<Target[]> {
    const endpoints = await this.#find(signal);
    const found = new Map<string, Target>();
    let firstError: unknown;
    this.#listedLeft = MOST_LISTED;
    const queue = [...endpoints];
    const work = async (): Promise<void> => {
      while (found.size < MOST_ENDPOINTS && !signal.aborted) {
        const next = queue.shift();
        if (next === undefined) return;
        try {
          for (const target of await this.#targetsOf(next, signal)) {
            if (found.size < MOST_ENDPOINTS && !found.has(target.key)) found.set(target.key, target);
          }
        } catch (error) {
          firstError ??= error;
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(MOST_LOOKUPS, queue.length) }, work));
    if (found.size === 0) throw firstError ?? new Error("the endpoints have no address");
    return [...found.values()];
  }

  async #targetsOf(endpoint: CheckedEndpoint, signal: AbortSignal): Promise<Target[]> {
    const { address } = endpoint;
    if (address.path !== undefined)
      return [{ key: address.path + keysText(endpoint), address, endpoint, family: 0 }];
    const { host, port } = address;
    const isAddress = addressGroups(host) !== undefined;
    const found = isAddress ? [host] : await this.#resolve(host, signal);
    if (!Array.isArray(found)) throw new TypeError("resolve() gave no list");
    const valid = new Set<string>();
    const listed = found.slice(0, this.#listedLeft);
    this.#listedLeft -= listed.length;
    for (const text of listed) if (isAddressText(text)) valid.add(text);
    if (valid.size === 0) throw new Error(`${host} has no address`);
    return [...valid].slice(0, MOST_ENDPOINTS).map((text) => ({
      // The name and the keys belong to it: two names may have other keys behind one address, and keys change.
      key: `${text} ${port} ${endpoint.name}${keysText(endpoint)}`,
      address: { host: text, port },
      endpoint,
      family: text.includes(":") ? 6 : 4,
    }));
  }
}

function isAddressText(text: unknown): text is string {
  return (
    typeof text === "string" && text.length <= MOST_ADDRESS_CHARACTERS && addressGroups(text) !== undefined
  );
}

function keysText({ remoteStatic = [] }: CheckedEndpoint): string {
  return remoteStatic.map((key) => ` ${encodeKey(key)}`).join("");
}

/** What `work` gives, or the signal's reason when that comes first: what ignores the signal keeps nobody waiting. */
function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(signal.reason);
    signal.addEventListener("abort", aborted, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", aborted));
  });
}

/**
 * The order of attempts (RFC 8305 section 4): the families in turn, the one of the first target in front; within a
 * family by chance, so that clients spread over the servers.
 */
export function interleave(targets: readonly Target[], random: () => number = Math.random): Target[] {
  const families = new Map<number, Target[]>();
  for (const target of targets) {
    const sameFamily = families.get(target.family);
    if (sameFamily === undefined) families.set(target.family, [target]);
    else sameFamily.splice(Math.floor(random() * (sameFamily.length + 1)), 0, target);
  }
  const ordered: Target[] = [];
  for (let i = 0; ordered.length < targets.length; i++) {
    for (const family of families.values()) {
      const next = family[i];
      if (next !== undefined) ordered.push(next);
    }
  }
  return ordered;
}
