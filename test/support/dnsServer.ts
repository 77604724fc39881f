// A small DNS server (RFC 1035) on 127.0.0.1 whose answers a test changes: A and AAAA records, or a failure.

import { createSocket, type Socket } from "node:dgram";

const TYPE_A = 1;
const TYPE_AAAA = 28;
const CLASS_IN = 1;
const SERVFAIL = 2;
const NXDOMAIN = 3;
const HEADER_BYTES = 12;
const NAME_POINTER = 0xc000 | HEADER_BYTES;

export class DnsServer {
  readonly #socket: Socket;
  /** Addresses by name, in lower case. */
  readonly records = new Map<string, readonly string[]>();
  /** Every question gets SERVFAIL. */
  failing = false;
  /** Questions since it was started. */
  queries = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("message", (query, from) => {
      this.queries++;
      const answer = this.#answer(query);
      if (answer !== undefined) socket.send(answer, from.port, from.address);
    });
  }

  static async start(): Promise<DnsServer> {
    const socket = createSocket("udp4");
    await new Promise<void>((bound) => socket.bind(0, "127.0.0.1", () => bound()));
    return new DnsServer(socket);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  close(): Promise<void> {
    return new Promise((closed) => this.#socket.close(() => closed()));
  }

  #answer(query: Uint8Array): Uint8Array | undefined {
    const labels: string[] = [];
    let at = HEADER_BYTES;
    for (let length = query[at]; length !== undefined && length > 0; length = query[at]) {
      labels.push(String.fromCharCode(...query.subarray(at + 1, at + 1 + length)));
      at += 1 + length;
    }
    const end = at + 5;
    if (query.length < end) return undefined;
    const type = query[at + 1]! * 256 + query[at + 2]!;
    const known = this.records.get(labels.join(".").toLowerCase());
    const wanted = (known ?? []).filter((address) => (address.includes(":") ? TYPE_AAAA : TYPE_A) === type);
    const code = this.failing ? SERVFAIL : known === undefined ? NXDOMAIN : 0;
    const answers = code === 0 ? wanted.flatMap((address) => record(type, address)) : [];
    const count = code === 0 ? wanted.length : 0;
    const head = [query[0]!, query[1]!, 0x84 | (query[2]! & 1), 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0];
    return Uint8Array.from([...head, ...query.subarray(HEADER_BYTES, end), ...answers]);
  }
}

function record(type: number, address: string): number[] {
  const data = type === TYPE_A ? address.split(".").map(Number) : ipv6Bytes(address);
  return [NAME_POINTER >>> 8, NAME_POINTER & 0xff, 0, type, 0, CLASS_IN, 0, 0, 0, 0, 0, data.length, ...data];
}

function ipv6Bytes(address: string): number[] {
  const [head, tail] = address.split("::").map((half) => (half === "" ? [] : half.split(":")));
  const zeros = new Array<string>(8 - head!.length - (tail?.length ?? 0)).fill("0");
  const groups = [...head!, ...(tail === undefined ? [] : zeros), ...(tail ?? [])];
  return groups.flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >>> 8, value & 0xff];
  });
}
