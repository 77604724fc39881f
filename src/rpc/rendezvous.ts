// Rendezvous hashing (Thaler and Ravishankar 1998): every server has a score for every key, and the server with the
// highest score serves the key. When a server leaves, only its own keys move; when it returns, they return. All clients
// choose the same servers without communication.

import type { EndpointMember } from "./endpointMember.ts";

/**
 * FNV-1a over UTF-16 units, with the finalizer of MurmurHash3. It does not resist adversaries: the choice of a key is a
 * choice of the server.
 */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

/**
 * The score by which a server of this weight gets its share of all keys (Schindelhauer and Schomaker 2005). Servers of
 * equal weight are ranked by their hashes.
 */
function score(value: number, weight: number): number {
  return -weight / Math.log((value + 0.5) / 2 ** 32);
}

/** The most remembered owners. Without them, each call with a thousand endpoints would hash a thousand names. */
const MOST_REMEMBERED = 1_024;
const LONGEST_REMEMBERED = 256;

/** Finds the server of a key, among servers whose names and weights do not change. */
export class KeyOwners<Server> {
  readonly #servers: readonly Server[];
  readonly #nameOf: (server: Server) => string;
  readonly #weightOf: (server: Server) => number;
  /** By key, the oldest first. */
  readonly #remembered = new Map<string, Server>();

  constructor(
    servers: readonly Server[],
    nameOf: (server: Server) => string,
    weightOf: (server: Server) => number = () => 1,
  ) {
    this.#servers = servers;
    this.#nameOf = nameOf;
    this.#weightOf = weightOf;
  }

  /** Undefined if there are no servers. */
  ownerOf(key: string): Server | undefined {
    const remembered = this.#remembered.get(key);
    if (remembered !== undefined) return remembered;
    const owner = this.#highest(key);
    if (owner !== undefined && key.length <= LONGEST_REMEMBERED) this.#remember(key, owner);
    return owner;
  }

  #highest(key: string): Server | undefined {
    let owner: Server | undefined;
    let ownersName = "";
    let highest = Number.NEGATIVE_INFINITY;
    for (const server of this.#servers) {
      const name = this.#nameOf(server);
      const own = score(hash(`${key}\0${name}`), this.#weightOf(server));
      if (own < highest || (own === highest && name > ownersName)) continue;
      owner = server;
      ownersName = name;
      highest = own;
    }
    return owner;
  }

  #remember(key: string, owner: Server): void {
    if (this.#remembered.size === MOST_REMEMBERED) {
      const [oldest] = this.#remembered.keys();
      this.#remembered.delete(oldest!);
    }
    this.#remembered.set(key, owner);
  }
}

/** The owners of keys among the members of a client. */
export function keyOwners(members: readonly EndpointMember[]): KeyOwners<EndpointMember> {
  return new KeyOwners(
    members,
    ({ target }) => target.key,
    ({ weight }) => weight,
  );
}
