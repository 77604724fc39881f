// Rewrites a WebAssembly module so that it follows secrets while it runs. Every local has a taint, and so has every
// byte of memory, at a distance of SHADOW. Wherever a secret reaches something that an attacker could time, the import
// `taint.leak` is called with the number of the site in `sites`.
//
// The module is flattened first (binaryen). Every operand is then a local or a constant, and each instruction needs one
// more beside it. The results of the module stay the same.

import binaryen from "binaryen";
import {
  clean,
  everything,
  isTainted,
  SHADOW,
  shadowAccess,
  taintOf,
  taintType,
  variableTime,
} from "./rules.js";
import { parseWat, printWat } from "./wat.js";

const PAGE_BYTES = 65_536;

/** With more, binaryen writes forms that engines do not read yet. */
const { BulkMemory, BulkMemoryOpt, MutableGlobals, NontrappingFPToInt, RelaxedSIMD, SignExt, SIMD128 } =
  binaryen.Features;
const FEATURES =
  BulkMemory | BulkMemoryOpt | MutableGlobals | NontrappingFPToInt | RelaxedSIMD | SignExt | SIMD128;

/**
 * @typedef {"branch" | "select" | "address" | "length" | "division" | "indirect call" | "global"} LeakKind
 * @typedef {{ kind: LeakKind, function: string, instruction: string }} Site
 */

const isList = (node, ...keywords) => Array.isArray(node) && keywords.includes(node[0]);

/** Rewrites the functions of one module. */
class Instrumenter {
  /** @type {Site[]} */
  sites = [];
  #signatures = new Map();
  #globals = new Map();
  #name = "";
  #types = new Map();
  /** Types of parameters, by index, for which there is a global that hands over their taint. */
  #passed = new Set();

  module(list) {
    for (const item of list) {
      if (isList(item, "func")) this.#signatures.set(item[1], signatureOf(item));
      if (isList(item, "global")) this.#globals.set(item[1], isList(item[2], "mut") ? item[2][1] : item[2]);
    }
    const output = list.map((item) => {
      if (isList(item, "func")) return this.#function(item);
      return isList(item, "import")
        ? item.map((part) => (isList(part, "memory") ? grown(part) : part))
        : item;
    });
    const imports = [
      ["import", '"taint"', '"leak"', ["func", "$taint_leak", ["param", "i32"]]],
      ["import", '"taint"', '"enter"', ["func", "$taint_enter"]],
    ];
    const globals = [...this.#passed].map((key) => {
      const type = taintType(key.split("_").at(-1));
      return ["global", `$${key}`, ["mut", type], clean(type)];
    });
    const isImport = (item) => isList(item, "import");
    const others = output.slice(1).filter((item) => !isImport(item));
    return [output[0], ...imports, ...output.filter(isImport), ...globals, ...others];
  }

  // ---- Functions ------------------------------------------------------------------------------------------

  #function(list) {
    if (list.some((item) => isList(item, "import"))) return list;
    this.#name = list[1];
    this.#types = new Map();
    const head = [];
    const body = [];
    const shadows = [];
    for (const item of list.slice(2)) {
      if (isList(item, "param", "local") && item[1].startsWith("$")) {
        this.#types.set(item[1], item[2]);
        shadows.push(["local", `${item[1]}_t`, taintType(item[2])]);
        head.push(item);
      } else if (isList(item, "type", "result", "export")) head.push(item);
      else body.push(item);
    }
    const entry = [["call", "$taint_enter"]];
    this.#signatures.get(list[1]).params.forEach(([name, type], index) => {
      const passed = this.#pass("p", index, type);
      // Cleared, because a call from outside sets none of them.
      entry.push(["local.set", `${name}_t`, ["global.get", passed]], ["global.set", passed, clean(type)]);
    });
    return ["func", list[1], ...head, ...shadows, ...entry, ...this.#body(body)];
  }

  /** The global in which the taint of a parameter or result travels. */
  #pass(kind, index, type) {
    const key = `taint_${kind}${index}_${type}`;
    this.#passed.add(key);
    return `$${key}`;
  }

  /** A function's statements; the last one may be its value. */
  #body(statements) {
    return statements.flatMap((statement, at) => {
      const { result } = this.#signatures.get(this.#name);
      if (at === statements.length - 1 && result !== undefined && isOperand(statement)) {
        return [["global.set", this.#pass("r", 0, result), this.#operand(statement).taint], statement];
      }
      return this.#statement(statement);
    });
  }

  #statement(list) {
    const [op, ...rest] = list;
    switch (op) {
      case "block":
      case "loop":
      case "then":
      case "else": {
        const head = rest.filter((item) => typeof item === "string" || isList(item, "result", "type"));
        const body = rest.filter((item) => !head.includes(item));
        return [[op, ...head, ...body.flatMap((item) => this.#statement(item))]];
      }
      case "if": {
        const at = rest.findIndex((item) => !isList(item, "result"));
        const arms = rest.slice(at + 1).map((arm) => this.#statement(arm)[0]);
        return [...this.#check("branch", rest[at], list), ["if", ...rest.slice(0, at), rest[at], ...arms]];
      }
      case "br_if":
      case "br_table":
        return [...this.#check("branch", rest.at(-1), list), list];
      case "local.set":
        return this.#set(rest[0], rest[1]);
      case "drop":
        return isOperand(rest[0]) ? [list] : [...this.#evaluate(rest[0]).before, list];
      case "global.set":
        return [...this.#check("global", rest[1], list), list];
      case "return": {
        if (rest.length === 0) return [list];
        const { result } = this.#signatures.get(this.#name);
        return [["global.set", this.#pass("r", 0, result), this.#operand(rest[0]).taint], list];
      }
      case "call":
        return [...this.#arguments(list), list];
      case "memory.fill":
      case "memory.copy":
        return this.#bulk(op, rest, list);
      case "br":
      case "nop":
      case "unreachable":
        return [list];
      default:
        if (/\.store/.test(op)) return this.#store(op, rest, list);
        throw new Error(`no rule for the statement ${op}`);
    }
  }

  /** Sets a local and its taint. */
  #set(name, value) {
    if (isOperand(value)) {
      return [
        ["local.set", `${name}_t`, this.#operand(value).taint],
        ["local.set", name, value],
      ];
    }
    const { before, taint, after = [] } = this.#evaluate(value);
    if (taint === undefined)
      return [...before, ["local.set", name, value], ...after.map((make) => make(name))];
    return [...before, ["local.set", `${name}_t`, taint], ["local.set", name, value]];
  }

  // ---- Values ---------------------------------------------------------------------------------------------

  #operand(node) {
    if (isList(node, "local.get")) {
      return { value: node, taint: ["local.get", `${node[1]}_t`], type: this.#types.get(node[1]) };
    }
    if (isList(node, "unreachable")) return { value: node, taint: ["unreachable"], type: "i32" };
    const type = node[0].split(".")[0];
    return { value: node, taint: clean(type), type };
  }

  /**
   * What an instruction does to taint: statements before it, and its result's taint, or, where that is known only
   * after it has run, statements after it.
   */
  #evaluate(list) {
    const [op, ...rest] = list;
    if (op === "call") {
      const { result } = this.#signatures.get(rest[0]);
      const passed = this.#pass("r", 0, result);
      const after = [(name) => ["local.set", `${name}_t`, ["global.get", passed]]];
      return { before: this.#arguments(list), after };
    }
    if (op === "call_indirect") throw new Error("an indirect call: not followed");
    if (op === "global.get") return { before: [], taint: clean(this.#globals.get(rest[0])) };
    if (op === "memory.size") return { before: [], taint: clean("i32") };
    const immediates = rest.filter((item) => typeof item === "string");
    const operands = rest.filter((item) => Array.isArray(item)).map((item) => this.#operand(item));
    if (op === "select") {
      const [a, b, c] = operands;
      const taint = ["select", a.taint, b.taint, c.value];
      const all = everything(a.type, isTainted("i32", c.taint));
      const merged = [a.type === "v128" ? "v128.or" : `${taintType(a.type)}.or`, taint, all];
      return { before: this.#check("select", c.value, list), taint: merged };
    }
    if (/\.load/.test(op)) {
      const [address, ...others] = operands;
      const shadow = [...shadowAccess(op, immediates), address.value, ...others.map(({ taint }) => taint)];
      return { before: this.#check("address", address.value, list), taint: shadow };
    }
    const before = variableTime(op)
      ? operands.flatMap(({ value }) => this.#check("division", value, list))
      : [];
    return { before, taint: taintOf(op, immediates, operands) };
  }

  #arguments(list) {
    const [, callee, ...values] = list;
    const { params } = this.#signatures.get(callee);
    return values.map((value, index) => [
      "global.set",
      this.#pass("p", index, params[index][1]),
      this.#operand(value).taint,
    ]);
  }

  #store(op, rest, list) {
    const immediates = rest.filter((item) => typeof item === "string");
    const [address, value] = rest.filter((item) => Array.isArray(item));
    const shadow = [...shadowAccess(op, immediates), address, this.#operand(value).taint];
    return [...this.#check("address", address, list), shadow, list];
  }

  #bulk(op, [to, from, length], list) {
    const behind = (address) => ["i32.add", address, ["i32.const", String(SHADOW)]];
    const source = op === "memory.copy" ? behind(from) : this.#operand(from).taint;
    return [
      ...this.#check("address", to, list),
      ...(op === "memory.copy" ? this.#check("address", from, list) : []),
      ...this.#check("length", length, list),
      [op, behind(to), source, length],
      list,
    ];
  }

  /** Tells of a leak where the operand is tainted. */
  #check(kind, operand, list) {
    const { taint, type } = this.#operand(operand);
    if (!isList(operand, "local.get")) return [];
    const number = this.sites.push({ kind, function: this.#name, instruction: shown(list) }) - 1;
    const tell = ["call", "$taint_leak", ["i32.const", String(number)]];
    return [["if", isTainted(type, taint), ["then", tell]]];
  }
}

function isOperand(node) {
  return isList(node, "local.get", "unreachable") || (Array.isArray(node) && node[0].endsWith(".const"));
}

function signatureOf(list) {
  const params = list.filter((item) => isList(item, "param")).map(([, name, type]) => [name, type]);
  return { params, result: list.find((item) => isList(item, "result"))?.[1] };
}

/** The pages of twice the memory: the second half is the taint of the first. */
export const TRACED_PAGES = (2 * SHADOW) / PAGE_BYTES;

function grown(list) {
  return [list[0], list[1], String(TRACED_PAGES), String(TRACED_PAGES)];
}

/** An instruction for people: the arms of a branch are left out. */
function shown(list) {
  const text = printWat(list.filter((item) => !isList(item, "then", "else")));
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}

/**
 * @param {Uint8Array} bytes a module that imports its memory and nothing else
 * @returns {{ module: Uint8Array, sites: Site[] }}
 */
export function instrument(bytes) {
  const source = binaryen.readBinary(bytes);
  source.setFeatures(FEATURES);
  source.runPasses(["flatten"]);
  const flat = parseWat(source.emitText());
  source.dispose();
  const instrumenter = new Instrumenter();
  const text = printWat(instrumenter.module(flat));
  const target = binaryen.parseText(text);
  target.setFeatures(FEATURES);
  if (!target.validate()) throw new Error("the instrumented module is not valid");
  const module = target.emitBinary();
  target.dispose();
  return { module, sites: instrumenter.sites };
}
