// The states of a connection and the transitions between them. This class does no I/O: its caller acts on each
// transition.
//
//   dialing ──connected──▶ handshaking ──keys──▶ unproven ──the peer's first frame opens──▶ open
//   open ──close() or the peer's drain──▶ draining ──idle, and the peer drains──▶ closing ──both said close──▶ closed
//   any ──failure──▶ closed ──the socket is gone──▶ gone
//
// A side whose handshake proved the peer in this session goes from handshaking to open at once; so does protocol v1,
// which proves nothing. To drain (protocol v2), each side sends "drain", makes no new calls, answers the open ones,
// sends "close" and ends its stream. A stream that ends without "close" was cut. Protocol v1 has neither record: there
// the end of the stream is the only sign.

import type { ConnectionState } from "./peer.ts";

/** The states in the order in which a connection passes them. They are numbers, because every message compares them. */
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

/** The public name of each state. */
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
  /** Drain is a record on the wire, so the peer's drain counts, too. */
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

  /** `close` was called, in whatever state. */
  get closeWanted(): boolean {
    return this.#closeWanted;
  }

  /** The connection neither takes nor gives anything any more. */
  get isOver(): boolean {
    return this.#stage >= Stage.closed;
  }

  /** New calls of this side are accepted; they wait for the handshake if it still runs. */
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

  /** The peer sent "close". */
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

  /** The peer is proven, or the protocol proves nothing. False if it was before. */
  opened(): boolean {
    if (this.#stage !== Stage.unproven) return false;
    this.#stage = Stage.open;
    return true;
  }

  wantClose(): void {
    this.#closeWanted = true;
  }

  /** This side makes no new calls. True the first time: then the drain is to be announced. */
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

  /** No call is in flight on this side. True once, when this side's end is to be sent. */
  finish(): boolean {
    if (this.#stage !== Stage.draining || (this.#saysDrain && this.#peer === "talking")) return false;
    this.#stage = Stage.closing;
    return true;
  }

  /** False if it was over before. */
  close(): boolean {
    if (this.isOver) return false;
    this.#stage = Stage.closed;
    return true;
  }

  /** The socket is gone. False if it was before. */
  leave(): boolean {
    if (this.#stage === Stage.gone) return false;
    this.#stage = Stage.gone;
    return true;
  }
}
