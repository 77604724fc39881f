// One call of a method, from its arguments to its one answer.

import { SealwireError } from "../base/errors.ts";
import type { Message } from "../rpc/peer.ts";
import type { AnswerWriter } from "./answerWriter.ts";
import { ServedCall } from "./callContext.ts";
import type { Codec } from "./codec/codec.ts";
import type { MethodDefinition } from "./method.ts";
import type { MethodEntry } from "./methodTable.ts";
import { leaveStreams } from "./producer.ts";
import { ownError, partsOfError } from "./rpcError.ts";
import { ServedScope } from "./servedScope.ts";
import type { SchemaIssue } from "./standardSchema.ts";
import { type TypedHead, What } from "./typedHead.ts";
import { badInput, issueText, validated } from "./validation.ts";
import { findStreams } from "./valueStreams.ts";

export class CallInProgress {
  readonly #message: Message;
  readonly #writer: AnswerWriter;
  readonly #entry: MethodEntry;
  #context: ServedCall | undefined = undefined;
  #scope: ServedScope | undefined = undefined;

  constructor(message: Message, writer: AnswerWriter, entry: MethodEntry) {
    this.#message = message;
    this.#writer = writer;
    this.#entry = entry;
  }

  get context(): ServedCall {
    if (this.#context === undefined) {
      this.#context = new ServedCall(this.#entry.name, this.#message);
      if (this.#scope !== undefined) this.#scope.context = this.#context;
    }
    return this.#context;
  }

  /** The scope of the call's streams; made when there are some. */
  get scope(): ServedScope {
    this.#scope ??= new ServedScope(this.#entry.name, this.#context);
    return this.#scope;
  }

  /** @throws RpcError ERR_BAD_INPUT, ERR_NO_STREAM */
  readArguments(head: TypedHead): unknown[] {
    return this.#writer.readArguments(this.#message, head, this);
  }

  /** Runs the method. Returns its result or a promise of it. */
  run(args: unknown[], what: number): unknown {
    const { plain, owner, definition, name } = this.#entry;
    if (plain === undefined) return this.#runMethod(definition!, args);
    if (what === What.callWithOptions) throw optionsForPlain(name);
    if (args.length > MAX_ARGUMENTS) throw tooManyArguments(args.length);
    return Reflect.apply(plain, owner, args);
  }

  #runMethod({ schema, handler }: MethodDefinition, args: unknown[]): unknown {
    if (args.length > 1 && !isNothing(args[1])) {
      const text = `the method takes one input, ${args.length} arguments came (options are timeoutMs, signal, traceParent)`;
      throw ownError("ERR_BAD_INPUT", text, { issues: [] });
    }
    const { context } = this;
    if (schema === undefined) return handler(args[0], context);
    const input = validated(schema, args[0], badInput);
    if (!(input instanceof Promise)) return handler(input, context);
    return input.then((value) => (this.#isWanted ? handler(value, context) : undefined));
  }

  /** The caller did not give up while its input was checked. */
  get #isWanted(): boolean {
    return this.#message.expectsReply || this.context.isOneWay;
  }

  /** Answers with the result, or with its rejection. Returns a promise if the result is one. */
  settle(result: unknown): unknown {
    if (typeof result !== "object" || result === null) {
      if (typeof result !== "function") return this.#finish(result);
    } else if (!(result instanceof Promise) && typeof (result as PromiseLike<unknown>).then !== "function") {
      return this.#finish(result);
    }
    return this.#settleLater(result);
  }

  #settleLater(result: unknown): Promise<unknown> {
    return Promise.resolve(result).then(
      (value) => this.#finish(value),
      (error) => this.fail(error),
    );
  }

  #finish(value: unknown): unknown {
    const schema = this.#entry.definition?.answer;
    if (schema === undefined) return this.#answer(value);
    try {
      const checked = validated(schema, value, badAnswer);
      if (!(checked instanceof Promise)) return this.#answer(checked);
      return checked.then(
        (result) => this.#answer(result),
        (error) => this.fail(error),
      );
    } catch (error) {
      return this.fail(error);
    }
  }

  #answer(value: unknown): unknown {
    if (this.#message.expectsReply) {
      try {
        const idempotent = this.#entry.definition?.idempotent ?? false;
        this.#writer.result(this.#message, value, idempotent, this);
      } catch (error) {
        return this.fail(error);
      }
    } else dropStreams(value, this.#writer.codec);
    this.#scope?.answered();
  }

  /** Answers with a thrown error. Throws the error again if the caller must not see it. */
  fail(error: unknown): unknown {
    try {
      return this.#answerError(error);
    } finally {
      this.#scope?.answered();
    }
  }

  #answerError(error: unknown): unknown {
    const { name, definition } = this.#entry;
    const parts = definition?.errors === undefined ? undefined : partsOfError(error);
    const schema = parts === undefined ? undefined : definition?.errors?.get(parts.code);
    if (parts === undefined || schema === undefined) return this.#writer.error(this.#message, error, name);
    const { code, message } = parts;
    const send = (data: unknown): void => this.#writer.sendError(this.#message, { code, message, data });
    const failed = (wrong: unknown): void => this.#writer.error(this.#message, wrong, name);
    try {
      const data = validated(schema, parts.data, badAnswer);
      return data instanceof Promise ? data.then(send, failed) : send(data);
    } catch (wrong) {
      return failed(wrong);
    }
  }
}

/**
 * Each argument of a function takes stack. With many arguments, a peer could choose where the function's own code
 * reaches the end of the stack.
 */
const MAX_ARGUMENTS = 1_024;

function tooManyArguments(count: number): Error {
  const text = `a function takes at most ${MAX_ARGUMENTS} arguments, ${count} came`;
  return ownError("ERR_BAD_INPUT", text, { issues: [] });
}

/** No caller gets the value. The streams in it are closed, as far as the value can be read. */
function dropStreams(value: unknown, codec: Codec): void {
  if (typeof value !== "object" || value === null) return;
  try {
    leaveStreams(findStreams(value) ?? [], codec);
  } catch {
    // A getter or a proxy in the dropped value threw.
  }
}

/** A value in place of omitted options. */
function isNothing(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

function optionsForPlain(name: string): Error {
  const text = `${name} is a plain function: options of its calls, and arguments that look like some, go through $with`;
  return ownError("ERR_BAD_INPUT", text, { issues: [] });
}

/** The result does not match the method's own schema. The caller learns only that; the issues stay at this side. */
function badAnswer(issues: readonly SchemaIssue[]): Error {
  return new SealwireError("ERR_ENCODE", `the answer is not what its schema says${issueText(issues)}`);
}
