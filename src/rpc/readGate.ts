// Decides whether a connection reads. Reading pauses while records wait for room, or while too many bytes are unsent.
// It continues at the end of a later turn. When the turn of a connection is over, the rest of its read waits, and its
// socket is not read. Both continue after the connections before it in the line have had another turn.

import { endSharing } from "../protocol/bodies.ts";
import { BodyMemory, beginSharing } from "../protocol/bodyMemory.ts";
import { enterRead, leaveRead } from "../protocol/receiveMemory.ts";
import type { HandlerBudget, HandlerWaiter } from "./handlerBudget.ts";
import { nameOfWorker, type RoundRobin, type RoundRobinTask } from "./roundRobin.ts";
import type { TurnQueue, TurnTask } from "./turnQueue.ts";

/** The reader that the gate controls. */
export interface GatedReader {
  readonly stopped: boolean;
  /** No record waits for room. */
  readonly nothingWaits: boolean;
  /** A record would be handled at once. */
  readonly ready: boolean;
  /** Handlers have used the time of this turn: the event loop should run before further handlers. */
  readonly turnIsOver: boolean;
  /** A turn of `turnMs` milliseconds begins. `at`: the time now. */
  beginTurn(turnMs: number, at: number | undefined): void;
  /** The milliseconds that the turn has taken so far. `at`: the time now. */
  turnTaken(at: number | undefined): number;
  readonly outputBlocked: boolean;
  pauseSocket(): void;
  resumeSocket(): void;
  /** The turn is over: with either protocol, the socket is not read until `releaseSocket`. */
  holdSocket(): void;
  releaseSocket(): void;
  /** Handles waiting records, as far as there is room. */
  handleWaiting(): void;
  /** Everything that is sent between these two calls leaves in one flush. */
  corkOutput(): void;
  /** Returns the time now, if it was needed. */
  uncorkOutput(): number | undefined;
  /** Asks for `onRelief` when fewer bytes are unsent. */
  wantRelief(): void;
  /** Reading continues. */
  resumed(): void;
  failed(error: unknown): void;
}

export class ReadGate implements TurnTask, HandlerWaiter, RoundRobinTask {
  readonly #reader: GatedReader;
  readonly #resumptions: TurnQueue;
  readonly #rounds: RoundRobin;
  readonly #handlerBudget: HandlerBudget;
  readonly #bodies = new BodyMemory();
  readonly #name = nameOfWorker();
  /** The work of all connections until the end of this one's last read of its socket. */
  #workedMs = 0;
  #paused = false;
  #scheduled = false;
  /** It has used up this turn, and waits in line behind the others, whatever happens until then. */
  #inLine = false;

  constructor(reader: GatedReader, resumptions: TurnQueue, rounds: RoundRobin, handlerBudget: HandlerBudget) {
    this.#reader = reader;
    this.#resumptions = resumptions;
    this.#rounds = rounds;
    this.#handlerBudget = handlerBudget;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Its turn is over: no record is handled before the next one. */
  get inLine(): boolean {
    return this.#inLine;
  }

  /**
   * Handles a read, or what waits of earlier ones. Only `read` may run handlers meanwhile; their answers leave when it ends.
   * `at`: the time now, for a read of the socket. `polled`: see `TransportEvents.onData`.
   */
  handle(read: () => void, at?: number, polled?: boolean): void {
    const reader = this.#reader;
    if (polled) this.#rounds.pollSeen(this.#workedMs);
    reader.corkOutput();
    // While this connection waits in line, a read only stores its messages, which wait, too.
    if (!this.#inLine) reader.beginTurn(this.#rounds.turnMs, at);
    try {
      enterRead();
      beginSharing(this.#bodies);
      try {
        read();
      } finally {
        leaveRead();
        endSharing();
      }
    } catch (error) {
      reader.failed(error);
    }
    const end = reader.uncorkOutput();
    if (!this.#inLine) this.#rounds.spend(reader.turnTaken(end), this.#name);
    if (at !== undefined) this.#workedMs = this.#rounds.workedMs;
    this.#pauseIfFull();
  }

  /** There may be room now. */
  schedule(): void {
    if (this.#scheduled || this.#inLine || !this.#paused || this.#reader.stopped) return;
    this.#scheduled = true;
    this.#resumptions.add(this);
  }

  /** HandlerWaiter: other connections' handlers are done. */
  roomForHandlers(): void {
    this.#scheduled = true;
    this.#resumptions.add(this);
  }

  endOfTurn(): void {
    this.#scheduled = false;
    if (!this.#inLine && this.#paused && !this.#reader.stopped) this.#handleWaiting();
    this.#handlerBudget.passOn();
  }

  endOfTurnFailed(error: unknown): void {
    this.#reader.failed(error);
  }

  /** RoundRobinTask */
  goOn(): void {
    this.#inLine = false;
    try {
      this.endOfTurn();
      if (!this.#inLine && !this.#reader.stopped) this.#reader.releaseSocket();
    } catch (error) {
      this.#reader.failed(error);
    }
  }

  /** The connection is over. */
  close(): void {
    this.#handlerBudget.forget(this);
    this.#bodies.close();
  }

  #handleWaiting(): void {
    const reader = this.#reader;
    if (reader.ready || reader.turnIsOver) this.handle(() => reader.handleWaiting());
    if (reader.stopped) return;
    if (!reader.nothingWaits || !reader.ready) {
      this.#awaitRoom();
      return;
    }
    this.#paused = false;
    reader.resumeSocket();
    reader.resumed();
  }

  #pauseIfFull(): void {
    const reader = this.#reader;
    if (reader.stopped) return;
    if (this.#paused) {
      // Other connections may have made room in the budget of the process, which is told later.
      if (reader.turnIsOver) this.#joinLine();
      else if (reader.ready) this.schedule();
      return;
    }
    if (reader.nothingWaits && reader.ready) return;
    this.#paused = true;
    reader.pauseSocket();
    this.#awaitRoom();
  }

  #joinLine(): void {
    if (this.#inLine) return;
    this.#inLine = true;
    this.#reader.holdSocket();
    this.#rounds.join(this);
  }

  /** The reason of the pause may be over by now: never wait for an event that has already happened. */
  #awaitRoom(): void {
    const reader = this.#reader;
    if (reader.outputBlocked) reader.wantRelief();
    if (this.#handlerBudget.full) this.#handlerBudget.waitForRoom(this);
    if (reader.turnIsOver) this.#joinLine();
    else if (reader.ready) this.schedule();
  }
}
