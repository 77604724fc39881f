// Decides how many bytes the streams of one connection may have on their way to this side, all together and each.
//
// The path holds some bytes. All further ones wait in the buffers of the two kernels, and delay every other record of
// the peer. So the receiver measures the time from giving credit to the first chunk that needed it (the round trip),
// and stores the shortest such time (that of the path alone). The bytes on their way are the rate times the round trip
// (Little's law). While the round trip stays near the shortest one, more credit means more throughput. Credit that
// makes the round trip longer only fills the buffers. Delay-based congestion control does the same at a sender (TCP
// Vegas, LEDBAT).
//
// A peer that delays its chunks can get more credit than the path needs, up to the same bounds as any peer.

/** The first credit of every stream, which it always keeps. */
export const FIRST_STREAM_CREDIT = 16_384;
/** The largest window of one stream. A path of 50 ms uses 4 MiB of it if Linux gives the socket that much to send. */
const MAX_STREAM_WINDOW = 8_388_608;
/** The credit of all streams of a connection together, in addition to their first credit. */
const SHARED_WINDOW_BYTES = 8_388_608;
/**
 * The least credit of all streams together, also before a measurement: four segments, of which one is sealed, one is
 * opened, and one waits at each end. A small request waits behind all of it.
 */
const FIRST_WANTED_BYTES = 262_144;
/**
 * A round trip may be twice the path's own, or longer by this time, because turns of event loops make shorter ones
 * uncertain.
 */
const MAX_QUEUE_MS = 1;
/** Up to this ratio no bytes wait, and more credit may be wanted at once. */
const NO_QUEUE = 1.5;
/** Growth in a round trip: until a queue showed for the first time, and afterwards. */
const FIRST_GROWTH = 4;
const LATER_GROWTH = 1.5;
const MAX_SHRINKAGE = 0.5;
/**
 * The shortest round trip is valid for this time. Then less is wanted for a moment, so that no queue hides a new one.
 */
const SHORTEST_LIFE_MS = 10_000;
const PART_TO_MEASURE = 0.25;

export class SharedWindow {
  #free = SHARED_WINDOW_BYTES;
  /** Unfinished streams that wanted more than their first credit. */
  #sharers = 0;
  /** The bytes that all of them together should have on their way. */
  #wantedBytes = FIRST_WANTED_BYTES;
  #shortestMs = Number.POSITIVE_INFINITY;
  #shortestSince = Number.NEGATIVE_INFINITY;
  #growth = FIRST_GROWTH;
  /** During a new measurement: when the queue is gone, and the wanted bytes per millisecond of a round trip. */
  #drainedAt: number | undefined;
  #wantedPerMs = 0;

  /** The bytes that each stream with a wish for more should have on its way. */
  get share(): number {
    const share = Math.floor(this.#wantedBytes / Math.max(this.#sharers, 1));
    return Math.min(Math.max(share, FIRST_STREAM_CREDIT), MAX_STREAM_WINDOW);
  }

  /** The bytes that all streams with a wish for more may have on their way now. */
  get total(): number {
    return SHARED_WINDOW_BYTES - this.#free + this.#sharers * FIRST_STREAM_CREDIT;
  }

  /** The longest acceptable round trip: a queue as long as the path, or some milliseconds. */
  get #longestMs(): number {
    return Math.max(2 * this.#shortestMs, this.#shortestMs + MAX_QUEUE_MS);
  }

  join(): void {
    this.#sharers++;
  }

  leave(): void {
    this.#sharers--;
  }

  /** Credit for a stream whose consumer keeps up: at most half of the rest, so that the next stream gets some, too. */
  take(bytes: number): number {
    const taken = Math.min(bytes, Math.floor(this.#free / 2));
    this.#free -= taken;
    return taken;
  }

  giveBack(bytes: number): void {
    this.#free += bytes;
  }

  /**
   * A sender waited for credit, which was given at `from`, and used it at `to` (both in ms), while all streams together
   * had `total` bytes of window.
   */
  measured(from: number, to: number, total: number): void {
    const roundTripMs = to - from;
    if (to - this.#shortestSince > SHORTEST_LIFE_MS) this.#measureAnew(roundTripMs, to);
    this.#shortestMs = Math.min(this.#shortestMs, roundTripMs);
    if (this.#drainedAt !== undefined) this.#measuredAnew(from);
    else if (roundTripMs <= NO_QUEUE * this.#shortestMs) {
      this.#want(Math.max(this.#wantedBytes, total * this.#growth));
    } else {
      this.#growth = LATER_GROWTH;
      this.#want(total * Math.min(Math.max(this.#longestMs / roundTripMs, MAX_SHRINKAGE), LATER_GROWTH));
    }
  }

  #measureAnew(roundTripMs: number, at: number): void {
    const before = this.#longestMs;
    this.#shortestSince = at;
    this.#shortestMs = roundTripMs;
    if (before === Number.POSITIVE_INFINITY) return;
    this.#wantedPerMs = this.#wantedBytes / before;
    this.#drainedAt = at + roundTripMs;
    this.#want(this.#wantedBytes * PART_TO_MEASURE);
  }

  /** Sets the same rate as before, now that the path's own round trip is known again. */
  #measuredAnew(from: number): void {
    if (from < this.#drainedAt!) return;
    this.#drainedAt = undefined;
    this.#want(this.#wantedPerMs * this.#longestMs);
  }

  #want(bytes: number): void {
    const most = MAX_STREAM_WINDOW * Math.max(this.#sharers, 1);
    this.#wantedBytes = Math.min(Math.max(bytes, FIRST_WANTED_BYTES), most);
  }
}
