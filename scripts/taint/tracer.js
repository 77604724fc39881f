// Runs an instrumented module: marks bytes as secret, calls exports and collects the places where secrets leaked.
//
// If no branch, address, length or division depended on a secret in one run, none can in any other run with the same
// public arguments (lengths, addresses, public bytes), because that run executes the same instructions on the same
// addresses. One run per shape is therefore enough, whatever the secrets are.

import { instrument, TRACED_PAGES } from "./instrument.js";
import { SHADOW } from "./rules.js";

export class Tracer {
  #sites;
  #exports;
  #memory;
  /** Numbers of the sites that leaked since `trace` began. */
  #leaked = new Set();
  /** Ranges that become public whenever a function is entered. */
  #declassified = [];

  /** @param {Uint8Array} bytes a build of the module */
  constructor(bytes) {
    const { module, sites } = instrument(bytes);
    this.#sites = sites;
    const taint = {
      leak: (site) => this.#leaked.add(site),
      enter: () => {
        for (const [start, end] of this.#declassified) this.#memory.fill(0, start + SHADOW, end + SHADOW);
      },
    };
    const memory = new WebAssembly.Memory({ initial: TRACED_PAGES, maximum: TRACED_PAGES });
    const imports = { taint, env: { memory } };
    this.#exports = new WebAssembly.Instance(new WebAssembly.Module(module), imports).exports;
    this.#memory = new Uint8Array(memory.buffer);
  }

  /** The module's memory, without the taint behind it. */
  get memory() {
    return this.#memory.subarray(0, SHADOW);
  }

  /** The sites that are looked at. */
  get sites() {
    return this.#sites;
  }

  /** The value of an exported global. */
  region(name) {
    return this.#exports[name].value;
  }

  /** Calls an export without looking. */
  call(name, ...args) {
    return this.#exports[name](...args);
  }

  /** Writes bytes and marks them as secret, or as public. */
  put(address, bytes, secret) {
    this.#memory.set(bytes, address);
    this.mark(address, bytes.length, secret);
  }

  mark(address, length, secret) {
    this.#memory.fill(secret ? 0xff : 0, address + SHADOW, address + SHADOW + length);
  }

  /** How many of these bytes depend on secrets. */
  taintedBytes(address, length) {
    return this.#memory.subarray(address + SHADOW, address + SHADOW + length).filter((t) => t !== 0).length;
  }

  /**
   * Calls an export and returns where secrets leaked, each site once.
   *
   * @param {string} name
   * @param {number[]} args
   * @param {[number, number][]} [declassified] ranges of memory that are public whatever they were computed from
   * @returns {{ result: unknown, leaks: import("./instrument.js").Site[] }}
   */
  trace(name, args, declassified = []) {
    this.#leaked.clear();
    this.#declassified = declassified;
    try {
      const result = this.#exports[name](...args);
      const sites = [...this.#leaked].sort((a, b) => a - b);
      return { result, leaks: sites.map((site) => /** @type {any} */ (this.#sites[site])) };
    } finally {
      this.#declassified = [];
    }
  }
}
