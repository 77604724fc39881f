// The states of a connection and what moves between them. This class does no I/O: its caller acts on each transition.
//
//   dialing ──connected──▶ handshaking ──keys──▶ unproven ──the peer's first frame opens──▶ open
//   open ──close() or the peer's drain──▶ draining ──idle, and the peer drains──▶ closing ──both said close──▶ closed
//   any ──failure──▶ closed ──the socket is gone──▶ gone
//
// A side whose handshake proved the peer in this session goes from handshaking to open at once; so does protocol v1,
// which proves nothing. Draining (protocol v2): each side says "drain" (nothing new from me), answers what it still
// has, says "close" and ends its stream. A stream that ends without "close" was cut. Protocol v1 knows neither: there
// the end of the stream is all that is said.

import type { ConnectionState } from "./peer.ts";

/** The states in the order in which a connection goes through them; comparing numbers is what every message costs. */
const Stage = {
  dialing: 0,
  handshaking: 1,
  unproven: 2,
  open: 3,
  draining: 4,
  closing: 5,
  closed: 6,
  gone: 7,
} as const;

type StageNumber = (typeof Stage)[keyof typeof Stage];
export type State = keyof typeof Stage;

const stateNames = Object.keys(Stage) as State[];

/** What applications see of each state. */
const publicStates: Record<State, ConnectionState> = {
  dialing: "dialing",
  handshaking: "handshaking",
  unproven: "handshaking",
  open: "open",
  draining: "draining",
  closing: "draining",
  closed: "closed",
  gone: "closed",
};

export class Lifecycle {
  #stage: StageNumber = Stage.dialing;
  /** Draining is said on the wire, so the peer's counts, too. */
  readonly #saysDrain: boolean;
  #closeWanted = false;
  #peer: "talking" | "drained" | "closed" = "talking";
  #streamEnded = false;

  /** `saysDrain`: the protocol has messages for drain and close (v2). */
  constructor(saysDrain: boolean) {
    this.#saysDrain = saysDrain;
  }

  get state(): State {
    return stateNames[this.#stage]!;
  }

  get publicState(): ConnectionState {
    return publicStates[this.state];
  }

  /** New calls are sent at once. */
  get isOpen(): boolean {
    return this.#stage === Stage.open;
  }

  /** `close` was called, however far the connection is. */
  get closeWanted(): boolean {
    return this.#closeWanted;
  }

  /** Takes and gives nothing any more. */
  get isOver(): boolean {
    return this.#stage >= Stage.closed;
  }

  /** New calls of this side are taken: they wait for the handshake, if need be. */
  get takesCalls(): boolean {
    return this.#stage <= Stage.open && !this.#closeWanted;
  }

  /** Answers and control messages of this side may still be sent. */
  get maySend(): boolean {
    return this.#stage < Stage.closing;
  }

  /** The session is established and the peer proven, and neither side's end has been sent. */
  get isEstablished(): boolean {
    return this.#stage >= Stage.open && this.#stage <= Stage.closing;
  }

  /** The peer said that nothing follows. */
  get peerClosed(): boolean {
    return this.#peer === "closed";
  }

  /** The peer's stream has ended. */
  get streamEnded(): boolean {
    return this.#streamEnded;
  }

  connected(): void {
    this.#stage = Stage.handshaking;
  }

  /** The keys are there. */
  keyed(): void {
    this.#stage = Stage.unproven;
  }

  /** The peer is proven, or the protocol proves nothing. False when it was before. */
  opened(): boolean {
    if (this.#stage !== Stage.unproven) return false;
    this.#stage = Stage.open;
    return true;
  }

  wantClose(): void {
    this.#closeWanted = true;
  }

  /** Nothing new from this side. True the first time: then it is to be said. */
  drain(): boolean {
    if (this.#stage !== Stage.open) return false;
    this.#stage = Stage.draining;
    return true;
  }

  peerDrained(): void {
    if (this.#peer === "talking") this.#peer = "drained";
  }

  peerSaidClose(): void {
    this.#peer = "closed";
  }

  peerStreamEnded(): void {
    this.#streamEnded = true;
  }

  /** Nothing is in flight on this side. True once, when this side's end is to be sent. */
  finish(): boolean {
    if (this.#stage !== Stage.draining || (this.#saysDrain && this.#peer === "talking")) return false;
    this.#stage = Stage.closing;
    return true;
  }

  /** False when it was over before. */
  close(): boolean {
    if (this.isOver) return false;
    this.#stage = Stage.closed;
    return true;
  }

  /** The socket is gone. False when it was before. */
  leave(): boolean {
    if (this.#stage === Stage.gone) return false;
    this.#stage = Stage.gone;
    return true;
  }
}
