// A model of flow control and call life (docs/PROTOCOL.md: requests, credit, streams) for two ends with small windows and a
// network that holds few records. Everything that may happen next is an action; search.ts tries all orders of them.
// Units are small: a message or request costs what its scenario says, a chunk costs 1.

/** Rules broken on purpose: the search must find each. */
export type Fault =
  | "stops reading under pressure"
  | "one queue for what is paid and what is free"
  | "a message must fit the window"
  | "credit is lost on cancel"
  | "an answer waits for good behind items that nobody takes"
  | "credit that was withheld is forgotten"
  | "a permit is free before the end";

export interface CallSpec {
  readonly from: 0 | 1;
  readonly cost: number;
  /** The caller may give up at any time. */
  readonly mayCancel?: boolean;
  /** Items of the caller, and of the answerer. */
  readonly up?: number;
  readonly down?: number;
  /** Receivers of items may leave. */
  readonly mayStop?: boolean;
  /** Made by the handler of that call, which waits for it. */
  readonly madeBy?: number;
}

export interface Scenario {
  readonly name: string;
  /** Costs of the one-way messages of each end. */
  readonly messages: readonly [readonly number[], readonly number[]];
  readonly calls: readonly CallSpec[];
  /** Message credit, stream credit, handlers, permits for requests, unsent records before it counts as pressure. */
  readonly window: number;
  readonly streamWindow: number;
  readonly handlers: number;
  readonly permits: number;
  readonly pressure: number;
  /** Records that the network holds in each direction. */
  readonly network: number;
}

type Rec =
  | [kind: "message" | "request", id: number, cost: number]
  | [kind: FreeKind, id: number, value: number];
type FreeKind = "end" | "cancel" | "credit" | "chunk" | "endOfStream" | "stop";

/** One direction of a stream. `fin`: 0 more may come, 1 the end is to be said, 2 nothing more is sent. */
interface Stream {
  unsent: number;
  balance: number;
  fin: 0 | 1 | 2;
  untaken: number;
  left: number;
  owed: number;
  state: "open" | "ended" | "discarding";
}

interface Call {
  caller: "unmade" | "waits" | "sent" | "over";
  settled: boolean;
  answerer: "none" | "waits" | "runs" | "answered" | "over";
  cancelled: boolean;
  /** Up, then down. */
  streams: [Stream, Stream];
}

interface End {
  balance: number;
  /** Waits for credit or a permit: calls by number, messages as -1 - cost. */
  paid: number[];
  out: Rec[];
  room: number[];
  runningMessages: number;
  left: number;
  owed: number;
}

export interface State {
  ends: [End, End];
  network: [Rec[], Rec[]];
  calls: Call[];
  fault: string;
}

/** What happens next: who, and for streams which direction (0 up, 1 down). */
export type Action = readonly [
  what: "write" | "read" | "settle" | "settleMessage" | "cancel" | "take" | "stop",
  who: number,
  direction: 0 | 1,
];

const other = (end: number): 0 | 1 => (end === 0 ? 1 : 0);

export class FlowModel {
  readonly scenario: Scenario;
  readonly #faults: ReadonlySet<Fault>;
  #s!: State;

  constructor(scenario: Scenario, ...faults: Fault[]) {
    this.scenario = scenario;
    this.#faults = new Set(faults);
  }

  start(): State {
    const { window, streamWindow, calls, messages } = this.scenario;
    const end = (): End => ({
      balance: window,
      paid: [],
      out: [],
      room: [],
      runningMessages: 0,
      left: window,
      owed: 0,
    });
    const stream = (): Stream => ({
      unsent: 0,
      balance: streamWindow,
      fin: 0,
      untaken: 0,
      left: streamWindow,
      owed: 0,
      state: "open",
    });
    this.#s = {
      ends: [end(), end()],
      network: [[], []],
      calls: calls.map(() => ({
        caller: "unmade",
        settled: false,
        answerer: "none",
        cancelled: false,
        streams: [stream(), stream()],
      })),
      fault: "",
    };
    for (const e of [0, 1] as const) for (const cost of messages[e]) this.#give(e, -1 - cost);
    for (const [id, spec] of calls.entries()) if (spec.madeBy === undefined) this.#make(id);
    return this.#s;
  }

  /** Everything that may happen next. */
  actions(state: State): Action[] {
    this.#s = state;
    const actions: Action[] = [];
    for (const e of [0, 1] as const) {
      if (state.network[e].length < this.scenario.network && this.#hasOutput(e))
        actions.push(["write", e, 0]);
      if (state.network[other(e)].length > 0 && this.#reads(e)) actions.push(["read", e, 0]);
      if (state.ends[e].runningMessages > 0) actions.push(["settleMessage", e, 0]);
    }
    for (const [id, call] of state.calls.entries()) {
      const spec = this.scenario.calls[id]!;
      if (call.answerer === "runs" && this.#mayAnswer(id)) actions.push(["settle", id, 0]);
      if (spec.mayCancel && !call.settled && call.caller !== "unmade") actions.push(["cancel", id, 0]);
      for (const direction of [0, 1] as const) {
        if (this.#receiverIsOver(id, direction)) continue;
        const { untaken, state: streamState } = call.streams[direction];
        if (untaken > 0) actions.push(["take", id, direction]);
        if (spec.mayStop && streamState === "open" && this.#items(id, direction) > 0)
          actions.push(["stop", id, direction]);
      }
    }
    return actions;
  }

  /** The state after an action; the one given is not changed. */
  after(state: State, [what, who, direction]: Action): State {
    this.#s = copyOf(state);
    switch (what) {
      case "write":
        this.#write(who as 0 | 1);
        break;
      case "read":
        this.#read(who as 0 | 1, this.#s.network[other(who)].shift()!);
        break;
      case "settle":
        this.#settle(who);
        break;
      case "settleMessage":
        this.#s.ends[who]!.runningMessages--;
        this.#relieve(who as 0 | 1);
        break;
      case "cancel":
        this.#cancel(who);
        break;
      case "take":
        this.#take(who, direction);
        break;
      default:
        this.#stop(who, direction);
    }
    return this.#s;
  }

  /** What is wrong with a state in which nothing can happen any more; empty when all is well. */
  unfinished(state: State): string {
    const { calls, ends } = state;
    const made = calls.filter((call) => call.caller !== "unmade");
    if (made.some((call) => !call.settled)) return "deadlock: a call never settles";
    if (made.some((call) => call.caller !== "over")) return "a request has no end: its permit is lost";
    if (ends.some((end) => end.paid.length > 0 || end.room.length > 0))
      return "deadlock: messages wait for good";
    if (calls.some((call) => call.answerer === "runs")) return "deadlock: a handler never ends";
    for (const e of [0, 1] as const) {
      if (ends[e].balance !== ends[other(e)].left) return "the ends disagree about credit";
      if (ends[e].balance + ends[other(e)].owed !== this.scenario.window) return "credit is lost";
    }
    return "";
  }

  // ---- Sending ------------------------------------------------------------------------------------------

  #make(id: number): void {
    const call = this.#s.calls[id]!;
    call.caller = "waits";
    call.streams[0].unsent = this.#items(id, 0);
    call.streams[0].fin = 1;
    this.#give(this.scenario.calls[id]!.from, id);
  }

  #give(e: 0 | 1, id: number): void {
    this.#s.ends[e].paid.push(id);
    this.#drainPaid(e);
  }

  /** Requests that wait for a permit let messages pass; what waits for credit waits in order. */
  #drainPaid(e: 0 | 1): void {
    const end = this.#s.ends[e];
    if (this.#faults.has("one queue for what is paid and what is free")) {
      for (const id of end.paid.splice(0)) end.out.push(this.#paidRecord(id));
      return;
    }
    for (let i = 0; i < end.paid.length; ) {
      const id = end.paid[i]!;
      if (!this.#hasCredit(e, id)) return;
      if (id >= 0 && this.#permitsTaken(e) >= this.scenario.permits) {
        i++;
        continue;
      }
      end.paid.splice(i, 1);
      this.#spend(e, id);
      end.out.push(this.#paidRecord(id));
    }
  }

  #costOf(id: number): number {
    return id < 0 ? -1 - id : this.scenario.calls[id]!.cost;
  }

  #paidRecord(id: number): Rec {
    return id < 0 ? ["message", -1, this.#costOf(id)] : ["request", id, this.#costOf(id)];
  }

  #hasCredit(e: 0 | 1, id: number): boolean {
    const least = this.#faults.has("a message must fit the window") ? this.#costOf(id) : 1;
    return this.#s.ends[e].balance >= least;
  }

  #spend(e: 0 | 1, id: number): void {
    this.#s.ends[e].balance -= this.#costOf(id);
    if (id >= 0) this.#s.calls[id]!.caller = "sent";
  }

  #permitsTaken(e: 0 | 1): number {
    const early = this.#faults.has("a permit is free before the end");
    return this.#s.calls.filter(
      (call, id) => this.scenario.calls[id]!.from === e && call.caller === "sent" && !(early && call.settled),
    ).length;
  }

  #hasOutput(e: 0 | 1): boolean {
    const [first] = this.#s.ends[e].out;
    if (first === undefined) return this.#readyStream(e) !== undefined;
    if (!this.#faults.has("one queue for what is paid and what is free")) return true;
    if (first[0] === "message") return this.#hasCredit(e, -1 - first[2]);
    if (first[0] !== "request" || this.#s.calls[first[1]]!.caller !== "waits") return true;
    return this.#hasCredit(e, first[1]) && this.#permitsTaken(e) < this.scenario.permits;
  }

  /** A stream with something to send, and credit for it. */
  #readyStream(e: 0 | 1): [id: number, direction: 0 | 1] | undefined {
    for (const [id, call] of this.#s.calls.entries()) {
      const direction = this.scenario.calls[id]!.from === e ? 0 : 1;
      const speaks =
        direction === 0 ? call.caller === "sent" : call.answerer === "runs" || call.answerer === "answered";
      const { unsent, balance, fin } = call.streams[direction];
      if (!speaks || fin === 2) continue;
      if (unsent > 0 ? balance > 0 : fin === 1 && this.#items(id, direction) > 0) return [id, direction];
    }
    return undefined;
  }

  #write(e: 0 | 1): void {
    const { out } = this.#s.ends[e];
    if (out.length === 0) this.#appendChunk(...this.#readyStream(e)!);
    const record = out.shift()!;
    const [kind, id, value] = record;
    const waited = kind === "message" || (kind === "request" && this.#s.calls[id]!.caller === "waits");
    if (waited && this.#faults.has("one queue for what is paid and what is free")) {
      this.#spend(e, kind === "message" ? -1 - value : id);
    }
    // A request that was given up while it waited in the one queue.
    if (kind !== "request" || this.#s.calls[id]!.caller !== "over") this.#s.network[e].push(record);
    // A refusal's credit goes back when it is written.
    if (kind === "end" && value > 0) this.#owe(e, value);
    if (!this.#faults.has("credit that was withheld is forgotten")) this.#relieve(e);
    else this.#beginWaiting(e);
  }

  #appendChunk(id: number, direction: 0 | 1): void {
    const call = this.#s.calls[id]!;
    const stream = call.streams[direction];
    const { from } = this.scenario.calls[id]!;
    const end = this.#s.ends[direction === 0 ? from : other(from)];
    if (stream.unsent === 0) {
      stream.fin = 2;
      end!.out.push(["endOfStream", id, direction]);
      return;
    }
    stream.unsent--;
    stream.balance--;
    end!.out.push(["chunk", id, direction]);
    if (direction === 1 && stream.unsent === 0 && call.answerer === "answered") this.#sayEnd(id, 0);
  }

  // ---- Receiving ----------------------------------------------------------------------------------------

  #pressed(e: 0 | 1): boolean {
    return this.#s.ends[e].out.length > this.scenario.pressure;
  }

  #ready(e: 0 | 1): boolean {
    const running = this.#s.calls.filter(
      (call, id) => this.scenario.calls[id]!.from !== e && call.answerer === "runs",
    ).length;
    return running + this.#s.ends[e].runningMessages < this.scenario.handlers && !this.#pressed(e);
  }

  #reads(e: 0 | 1): boolean {
    if (!this.#faults.has("stops reading under pressure")) return true;
    return this.#ready(e) && this.#s.ends[e].room.length === 0;
  }

  #read(e: 0 | 1, [kind, id, value]: Rec): void {
    const end = this.#s.ends[e];
    const call = this.#s.calls[id];
    switch (kind) {
      case "message":
      case "request":
        if (end.left <= 0) this.#s.fault = "a message without credit";
        end.left -= value;
        if (kind === "request") this.#requestArrived(e, id);
        end.room.push(kind === "request" ? id : -1 - value);
        this.#beginWaiting(e);
        this.#grant(e);
        return;
      case "cancel":
        this.#cancelArrived(e, id);
        return;
      case "end":
        this.#endArrived(e, id);
        return;
      case "credit":
        this.#creditArrived(e, id, value);
        return;
      case "chunk":
        this.#chunkArrived(id, value as 0 | 1);
        return;
      case "endOfStream":
        if (this.#receiverIsOver(id, value as 0 | 1)) return;
        if (call!.streams[value as 0 | 1].state === "open") call!.streams[value as 0 | 1].state = "ended";
        return;
      default:
        this.#stopArrived(id, value as 0 | 1);
    }
  }

  #requestArrived(e: 0 | 1, id: number): void {
    const open = this.#s.calls.filter(
      (call, i) => this.scenario.calls[i]!.from !== e && call.answerer !== "none" && call.answerer !== "over",
    ).length;
    if (open >= this.scenario.permits) this.#s.fault = "more requests than permits";
    this.#s.calls[id]!.answerer = "waits";
  }

  /** Requests and messages wait apart, each in its order; here the ones that came first are begun first. */
  #beginWaiting(e: 0 | 1): void {
    const { room } = this.#s.ends[e];
    while (room.length > 0 && this.#ready(e)) this.#begin(e, room.shift()!);
  }

  #begin(e: 0 | 1, id: number): void {
    this.#owe(e, this.#costOf(id));
    if (id < 0) {
      this.#s.ends[e].runningMessages++;
      return;
    }
    const call = this.#s.calls[id]!;
    call.answerer = "runs";
    call.streams[1].unsent = this.#items(id, 1);
    for (const [child, { madeBy }] of this.scenario.calls.entries()) if (madeBy === id) this.#make(child);
  }

  #owe(e: 0 | 1, cost: number): void {
    this.#s.ends[e].owed += cost;
    this.#grant(e);
  }

  #grant(e: 0 | 1): void {
    const end = this.#s.ends[e];
    if (end.owed === 0 || this.#pressed(e)) return;
    if (end.owed * 2 < this.scenario.window && end.left > 0) return;
    end.out.push(["credit", -1, end.owed]);
    end.left += end.owed;
    end.owed = 0;
  }

  /** Something was written, or a handler is done: what waited for that goes on. */
  #relieve(e: 0 | 1): void {
    this.#beginWaiting(e);
    this.#grant(e);
  }

  #creditArrived(e: 0 | 1, id: number, amount: number): void {
    if (id < 0) {
      this.#s.ends[e].balance += amount;
      this.#drainPaid(e);
      return;
    }
    const direction = this.scenario.calls[id]!.from === e ? 0 : 1;
    this.#s.calls[id]!.streams[direction].balance += amount;
  }

  // ---- Calls --------------------------------------------------------------------------------------------

  #mayAnswer(id: number): boolean {
    return this.scenario.calls.every(({ madeBy }, child) => madeBy !== id || this.#s.calls[child]!.settled);
  }

  #settle(id: number): void {
    const call = this.#s.calls[id]!;
    if (!call.cancelled && call.streams[1].unsent > 0) call.answerer = "answered";
    else this.#sayEnd(id, 0);
    this.#relieve(other(this.scenario.calls[id]!.from));
  }

  /** The one end of a request. `refund`: credit that goes back when it is written. */
  #sayEnd(id: number, refund: number): void {
    const call = this.#s.calls[id]!;
    if (call.answerer === "over") this.#s.fault = "a second end of a request";
    call.answerer = "over";
    this.#s.ends[other(this.scenario.calls[id]!.from)].out.push(["end", id, refund]);
  }

  #endArrived(e: 0 | 1, id: number): void {
    const call = this.#s.calls[id]!;
    if (call.caller !== "sent") this.#s.fault = "an end that nobody waits for";
    call.caller = "over";
    call.settled = true;
    this.#drainPaid(e);
  }

  #cancel(id: number): void {
    const call = this.#s.calls[id]!;
    const end = this.#s.ends[this.scenario.calls[id]!.from];
    call.settled = true;
    if (call.caller === "waits") {
      call.caller = "over";
      end.paid = end.paid.filter((waiting) => waiting !== id);
      return;
    }
    call.streams[0].unsent = 0;
    call.streams[0].fin = 2;
    end.out.push(["cancel", id, 0]);
    if (this.#faults.has("a permit is free before the end")) this.#drainPaid(this.scenario.calls[id]!.from);
  }

  #cancelArrived(e: 0 | 1, id: number): void {
    const call = this.#s.calls[id]!;
    const [up, down] = call.streams;
    if (call.answerer === "waits") {
      const end = this.#s.ends[e];
      end.room = end.room.filter((waiting) => waiting !== id);
      this.#sayEnd(id, this.#faults.has("credit is lost on cancel") ? 0 : this.#costOf(id));
    } else if (call.answerer === "runs") {
      call.cancelled = true;
      up.state = "discarding";
      down.unsent = 0;
      down.fin = 2;
    } else if (call.answerer === "answered") {
      if (this.#faults.has("an answer waits for good behind items that nobody takes")) return;
      down.unsent = 0;
      down.fin = 2;
      this.#sayEnd(id, 0);
    }
  }

  // ---- Streams ------------------------------------------------------------------------------------------

  #items(id: number, direction: 0 | 1): number {
    const spec = this.scenario.calls[id]!;
    return (direction === 0 ? spec.up : spec.down) ?? 0;
  }

  /** At the end that receives, the request has ended, has not begun, or was given up. */
  #receiverIsOver(id: number, direction: 0 | 1): boolean {
    const { caller, settled, answerer } = this.#s.calls[id]!;
    if (direction === 1) return caller !== "sent" || settled;
    return answerer !== "runs" && answerer !== "answered";
  }

  #chunkArrived(id: number, direction: 0 | 1): void {
    const call = this.#s.calls[id]!;
    const stream = call.streams[direction];
    const waits = direction === 0 && call.answerer === "waits";
    if (!waits && this.#receiverIsOver(id, direction)) return;
    if (stream.left <= 0) this.#s.fault = "a chunk without credit";
    if (stream.state === "ended") this.#s.fault = "a chunk behind its end";
    stream.left--;
    if (stream.state === "open") stream.untaken++;
    else this.#oweStream(id, direction, 1);
  }

  #take(id: number, direction: 0 | 1): void {
    this.#s.calls[id]!.streams[direction].untaken--;
    this.#oweStream(id, direction, 1);
  }

  #stop(id: number, direction: 0 | 1): void {
    const stream = this.#s.calls[id]!.streams[direction];
    const { from } = this.scenario.calls[id]!;
    stream.state = "discarding";
    this.#s.ends[direction === 1 ? from : other(from)].out.push(["stop", id, direction]);
    const { untaken } = stream;
    stream.untaken = 0;
    this.#oweStream(id, direction, untaken);
  }

  #oweStream(id: number, direction: 0 | 1, chunks: number): void {
    const stream = this.#s.calls[id]!.streams[direction];
    stream.owed += chunks;
    if (stream.owed === 0 || stream.state === "ended") return;
    if (stream.owed * 2 < this.scenario.streamWindow && stream.left > 0) return;
    const { from } = this.scenario.calls[id]!;
    this.#s.ends[direction === 1 ? from : other(from)].out.push(["credit", id, stream.owed]);
    stream.left += stream.owed;
    stream.owed = 0;
  }

  #stopArrived(id: number, direction: 0 | 1): void {
    const call = this.#s.calls[id]!;
    const stream = call.streams[direction];
    const { from } = this.scenario.calls[id]!;
    const speaks =
      direction === 0 ? call.caller === "sent" : call.answerer === "runs" || call.answerer === "answered";
    if (!speaks || stream.fin === 2) return;
    stream.unsent = 0;
    stream.fin = 2;
    this.#s.ends[direction === 0 ? from : other(from)].out.push(["endOfStream", id, direction]);
    if (direction === 1 && call.answerer === "answered") this.#sayEnd(id, 0);
  }
}

/** A copy that shares nothing that changes: records and their numbers never do. */
function copyOf({ ends, network, calls, fault }: State): State {
  return {
    ends: [copyOfEnd(ends[0]), copyOfEnd(ends[1])],
    network: [network[0].slice(), network[1].slice()],
    calls: calls.map((call) => ({ ...call, streams: [{ ...call.streams[0] }, { ...call.streams[1] }] })),
    fault,
  };
}

function copyOfEnd(end: End): End {
  return { ...end, paid: end.paid.slice(), out: end.out.slice(), room: end.room.slice() };
}

const KINDS: readonly Rec[0][] = [
  "message",
  "request",
  "end",
  "cancel",
  "credit",
  "chunk",
  "endOfStream",
  "stop",
];
const CALLERS: readonly Call["caller"][] = ["unmade", "waits", "sent", "over"];
const ANSWERERS: readonly Call["answerer"][] = ["none", "waits", "runs", "answered", "over"];
const STREAM_STATES: readonly Stream["state"][] = ["open", "ended", "discarding"];
/** Numbers of the model are small, and some are negative: what a call costs is the most. */
const OFFSET = 1_024;

/** The same text for the same state, and for no other: a character for each number, lists with their lengths. */
export function keyOf({ ends, network, calls, fault }: State): string {
  const numbers: number[] = [];
  const addRecords = (records: readonly Rec[]): void => {
    numbers.push(records.length + OFFSET);
    for (const [kind, id, value] of records) numbers.push(KINDS.indexOf(kind), id + OFFSET, value + OFFSET);
  };
  const addAll = (list: readonly number[]): void => {
    numbers.push(list.length + OFFSET);
    for (const number of list) numbers.push(number + OFFSET);
  };
  for (const end of ends) {
    numbers.push(end.balance + OFFSET, end.left + OFFSET, end.owed + OFFSET, end.runningMessages);
    addAll(end.paid);
    addAll(end.room);
    addRecords(end.out);
  }
  for (const records of network) addRecords(records);
  for (const { caller, answerer, settled, cancelled, streams } of calls) {
    numbers.push(
      CALLERS.indexOf(caller) * 8 + ANSWERERS.indexOf(answerer),
      (settled ? 2 : 0) + (cancelled ? 1 : 0),
    );
    for (const { unsent, balance, fin, untaken, left, owed, state } of streams) {
      numbers.push(
        unsent,
        balance + OFFSET,
        untaken,
        left + OFFSET,
        owed,
        fin * 4 + STREAM_STATES.indexOf(state),
      );
    }
  }
  return String.fromCharCode(...numbers) + fault;
}
