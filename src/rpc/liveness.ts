// Watches whether the peer is alive: when it last sent something, when it is pinged, and when it is given up.

import type { ResolvedLimits } from "../base/options.ts";
import { now } from "../core/eventLoop.ts";
import { CallbackDeadline } from "./deadline.ts";
import { timers } from "./timers.ts";

export interface LivenessEvents {
  /** This side does not read now, so it notices nothing of the peer. */
  readingPaused(): boolean;
  /**
   * A write is in flight. A ping would wait behind it, so no answer can be expected; the write time-out decides whether
   * the peer lives.
   */
  writing(): boolean;
  /** Asks the peer for a sign of life. */
  ping(): void;
  /** Sends the peer a sign of life that it did not ask for. */
  pong(): void;
  /** The peer is given up. */
  onSilence(text: string): void;
}

/** How many parts the time of a silence has. */
const CHECKS_PER_SILENCE = 4;

/**
 * Whether a silence has lasted long enough. A process that stood still finds all of that time gone at once, and its peer
 * may have stood still on the same machine. So the time has parts with a check behind each, and whatever passes between
 * two checks counts as one part: the peer then has the others left to speak.
 */
class Silence {
  #since = -1;
  #checks = 0;

  /** The milliseconds until the next check; 0: it has lasted `limitMs`, in time that this process has run. */
  check(since: number, limitMs: number, time: number): number {
    if (since !== this.#since) {
      this.#since = since;
      this.#checks = 0;
    }
    this.#checks++;
    const leftMs = since + limitMs - time;
    if (leftMs <= 0 && this.#checks >= CHECKS_PER_SILENCE) return 0;
    const partMs = limitMs / CHECKS_PER_SILENCE;
    return leftMs > 0 ? Math.min(leftMs, partMs) : partMs;
  }
}

export class Liveness {
  readonly #limits: ResolvedLimits;
  readonly #events: LivenessEvents;
  #lastHeardAt = 0;
  /** The time of the ping that has no answer yet; 0: there is none. */
  #pingedAt = 0;
  readonly #readSilence = new Silence();
  readonly #pingSilence = new Silence();
  readonly #readDeadline = new CallbackDeadline(() => this.#checkRead());
  readonly #heartbeat = new CallbackDeadline(() => this.#checkHeartbeat());

  constructor(limits: ResolvedLimits, events: LivenessEvents) {
    this.#limits = limits;
    this.#events = events;
  }

  /** The connection is open. `pings`: the protocol has pings (v2). */
  start(pings: boolean): void {
    const { readTimeoutMs, heartbeatIntervalMs } = this.#limits;
    this.heard();
    if (readTimeoutMs > 0) timers.arm(this.#readDeadline, readTimeoutMs / CHECKS_PER_SILENCE);
    if (pings && heartbeatIntervalMs > 0) timers.arm(this.#heartbeat, heartbeatIntervalMs);
  }

  /** Bytes of the peer arrived `at` this time. */
  heard(at = now()): void {
    this.#lastHeardAt = at;
  }

  /** Whether waiting for the peer keeps the process alive. */
  keepAlive(on: boolean): void {
    timers.setQuiet(this.#readDeadline, !on);
    timers.setQuiet(this.#heartbeat, !on);
  }

  stop(): void {
    timers.cancel(this.#readDeadline);
    timers.cancel(this.#heartbeat);
  }

  #checkRead(): void {
    const { readTimeoutMs } = this.#limits;
    const waitMs = this.#readSilence.check(this.#lastHeardAt, readTimeoutMs, now());
    if (this.#events.readingPaused()) timers.arm(this.#readDeadline, readTimeoutMs);
    else if (waitMs > 0) timers.arm(this.#readDeadline, waitMs);
    else this.#events.onSilence(`nothing arrived for ${readTimeoutMs} ms`);
  }

  #checkHeartbeat(): void {
    const { heartbeatIntervalMs, heartbeatTimeoutMs } = this.#limits;
    const time = now();
    const idleMs = time - this.#lastHeardAt;
    if (this.#lastHeardAt >= this.#pingedAt) this.#pingedAt = 0;
    const waitMs = this.#pingedAt && this.#pingSilence.check(this.#pingedAt, heartbeatTimeoutMs, time);
    if (waitMs > 0) {
      timers.arm(this.#heartbeat, waitMs);
      return;
    }
    if (this.#events.readingPaused()) {
      // This side does not read now, so it can't see pings either. An unasked pong shows that it lives.
      this.#pingedAt = 0;
      this.#events.pong();
      timers.arm(this.#heartbeat, heartbeatIntervalMs);
    } else if (this.#events.writing()) {
      this.#pingedAt = 0;
      timers.arm(this.#heartbeat, heartbeatIntervalMs);
    } else if (this.#pingedAt !== 0) {
      this.#events.onSilence(`no sign of life for ${Math.round(idleMs)} ms`);
    } else if (idleMs < heartbeatIntervalMs) {
      timers.arm(this.#heartbeat, heartbeatIntervalMs - idleMs);
    } else {
      this.#pingedAt = time;
      this.#events.ping();
      timers.arm(this.#heartbeat, heartbeatTimeoutMs / CHECKS_PER_SILENCE);
    }
  }
}
