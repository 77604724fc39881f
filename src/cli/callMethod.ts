// call: makes a typed call, with its arguments and results as JSON.

import { Buffer } from "node:buffer";
import process from "node:process";
import { buildCommand } from "@stricli/core";
import { oneLine } from "../core/text.ts";
import { RpcError } from "../typed/rpcError.ts";
import { typed } from "../typed/typed.ts";
import type { TypedCaller } from "../typed/typedCaller.ts";
import { isStream } from "../typed/valueStreams.ts";
import { dataOf } from "./callCommands.ts";
import { type Target, targetPositional, trustExample, withClient } from "./dialling.ts";
import { CommandError } from "./exitCodes.ts";
import { type PeerFlags, peerFlags } from "./peerFlags.ts";

interface CallFlags extends PeerFlags {
  readonly data: string | undefined;
  readonly args: boolean;
}

type RemoteObject = Record<string, unknown> & ((...args: unknown[]) => Promise<unknown>);

/** The arguments in --data and --args. */
function argumentsOf({ data, args }: CallFlags): unknown[] {
  if (data === undefined) return [];
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(dataOf(data)).toString("utf8"));
  } catch (cause) {
    if (cause instanceof CommandError) throw cause;
    throw new CommandError("usage", "--data is no JSON", { cause });
  }
  if (!args) return [value];
  if (Array.isArray(value)) return value;
  throw new CommandError("usage", "--args takes a JSON array in --data");
}

/** The method of that name. */
function methodOf(caller: TypedCaller, name: string): RemoteObject {
  let at: unknown = typed(caller);
  for (const part of name.split(".")) at = (at as RemoteObject | undefined)?.[part];
  if (at === undefined)
    throw new CommandError("usage", `${JSON.stringify(name)} can't be the name of a method`);
  return at as RemoteObject;
}

/** Values that JSON lacks, in a form that people expect. */
function asJson(value: unknown, indent: number): string {
  const readable = (_: string, part: unknown): unknown => {
    if (typeof part === "bigint") return String(part);
    if (part instanceof Map || part instanceof Set) return [...part];
    if (ArrayBuffer.isView(part)) {
      return { base64: Buffer.from(part.buffer, part.byteOffset, part.byteLength).toString("base64") };
    }
    return part instanceof Error ? { name: part.name, message: part.message } : part;
  };
  const json = JSON.stringify(value, readable, indent) ?? "null";
  // JSON escapes the first control characters only. A newline in it is its own.
  return json.split("\n").map(oneLine).join("\n");
}

/** Waits until standard output has taken the text, so that a stream is not read faster than it is printed. */
function print(text: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(`${text}\n`, () => resolve()));
}

function asCommandError(error: unknown): unknown {
  if (!(error instanceof RpcError)) return error;
  const { code, method, message, data } = error;
  const more = data === undefined ? "" : ` ${asJson(data, 0)}`;
  const exit = code === "ERR_NO_METHOD" || code === "ERR_BAD_INPUT" ? "usage" : "remote";
  return Object.assign(new CommandError(exit, `${method}: ${code}: ${message}${more}`), { code });
}

export const call = buildCommand({
  docs: {
    brief: "Call a method of a server of typed calls",
    fullDescription: `Calls a method by its name and prints what it gives as JSON, a stream one item per line. --data is the method's input, or with --args the array of its arguments. An error that the method or the server answers ends with exit code 6, with 2 if the method is not there or does not take the input.\n\nExamples:\n  sealwire call localhost:7000 planet.find --psk shared.psk -d '{"id":3}'\n  sealwire call db:7000 backup.list ${trustExample} --json\n  echo '[1,2]' | sealwire call localhost:7000 add --psk shared.psk --args -d -`,
  },
  parameters: {
    flags: {
      ...peerFlags,
      data: {
        kind: "parsed",
        parse: String,
        brief: "JSON: a text, @FILE, or - (standard input). Without it the method gets nothing",
        optional: true,
        placeholder: "JSON",
      },
      args: { kind: "boolean", brief: "--data is the array of the arguments", default: false },
    },
    aliases: { d: "data" },
    positional: {
      kind: "tuple",
      parameters: [
        ...targetPositional.parameters,
        { brief: "The method's name, with dots", parse: String, placeholder: "METHOD" },
      ],
    },
  },
  func(flags: CallFlags, address: Target, name: string) {
    const args = argumentsOf(flags);
    return withClient(flags, address, 1, async (client) => {
      try {
        const method = methodOf(client, name);
        const value = await (method.$with as (options: object) => RemoteObject)({})(...args);
        if (!isStream(value)) {
          if (value !== undefined || flags.json) await print(asJson(value, flags.json ? 0 : 2));
          return;
        }
        for await (const item of value) await print(asJson(item, 0));
      } catch (error) {
        throw asCommandError(error);
      }
    });
  },
});
