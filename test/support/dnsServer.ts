// A small DNS server (RFC 1035) on 127.0.0.1 whose answers a test changes: A, AAAA and SRV records (RFC 2782), or a failure.

import { createSocket, type Socket } from "node:dgram";
import { Resolver } from "node:dns/promises";
import type { ResolveName, ResolveService, ServiceRecord } from "../../src/index.ts";

const TYPE_A = 1;
const TYPE_AAAA = 28;
const TYPE_SRV = 33;
const CLASS_IN = 1;
const SERVFAIL = 2;
const NXDOMAIN = 3;
const HEADER_BYTES = 12;
const NAME_POINTER = 0xc000 | HEADER_BYTES;

export class DnsServer {
  readonly #socket: Socket;
  /** Addresses by name, in lower case. */
  readonly records = new Map<string, readonly string[]>();
  /** SRV records by name, in lower case. */
  readonly services = new Map<string, readonly ServiceRecord[]>();
  /** Names whose questions get SERVFAIL. */
  readonly failingNames = new Set<string>();
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

  /** Options of `connect` that ask this server. */
  get resolvers(): { resolve: ResolveName; resolveSrv: ResolveService } {
    const resolver = new Resolver({ timeout: 1_000, tries: 1 });
    resolver.setServers([`127.0.0.1:${this.port}`]);
    return {
      resolve: async (host) => {
        const found = await Promise.allSettled([resolver.resolve6(host), resolver.resolve4(host)]);
        const addresses = found.flatMap((outcome) => (outcome.status === "fulfilled" ? outcome.value : []));
        if (addresses.length === 0)
          throw (found[1] as PromiseRejectedResult).reason ?? new Error("no address");
        return addresses;
      },
      resolveSrv: (name) => resolver.resolveSrv(name),
    };
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
    const name = labels.join(".").toLowerCase();
    const [known, services] = [this.records.get(name), this.services.get(name)];
    const wanted = (known ?? []).filter((address) => (address.includes(":") ? TYPE_AAAA : TYPE_A) === type);
    const data =
      type === TYPE_SRV
        ? (services ?? []).map(serviceBytes)
        : wanted.map((address) => (type === TYPE_A ? address.split(".").map(Number) : ipv6Bytes(address)));
    const isUnknown = known === undefined && services === undefined;
    const code = this.failing || this.failingNames.has(name) ? SERVFAIL : isUnknown ? NXDOMAIN : 0;
    const answers = code === 0 ? data.flatMap((bytes) => record(type, bytes)) : [];
    const count = code === 0 ? data.length : 0;
    const head = [query[0]!, query[1]!, 0x84 | (query[2]! & 1), 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0];
    return Uint8Array.from([...head, ...query.subarray(HEADER_BYTES, end), ...answers]);
  }
}

function record(type: number, data: readonly number[]): number[] {
  return [NAME_POINTER >>> 8, NAME_POINTER & 0xff, 0, type, 0, CLASS_IN, 0, 0, 0, 0, 0, data.length, ...data];
}

function serviceBytes({ name, port, priority, weight }: ServiceRecord): number[] {
  const labels = name.split(".").filter((label) => label !== "");
  const target = labels.flatMap((label) => [label.length, ...Buffer.from(label)]);
  return [priority, weight, port].flatMap((value) => [value >>> 8, value & 0xff]).concat(target, 0);
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
