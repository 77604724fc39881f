// `serve`: a message handler that runs the methods of an API. One call goes from its head to its method in one look-up,
// through the codec, the schema and the interceptors if there are any, and its answer leaves in the same turn if the
// method gave one at once.

import { invalidArgument, SealwireError } from "../base/errors.ts";
import { checkOptionNames, functionOption } from "../base/options.ts";
import type { Message, MessageHandler } from "../rpc/peer.ts";
import { AnswerWriter } from "./answerWriter.ts";
import { CallInProgress } from "./callInProgress.ts";
import type { Codec } from "./codec/codec.ts";
import { checkCodecs } from "./codecChoice.ts";
import { checkInterceptors, type Interceptor, intercepted, type ServedCallInfo } from "./interceptor.ts";
import { type MethodEntry, methodTable } from "./methodTable.ts";
import { ownError } from "./rpcError.ts";
import { ServedStreams } from "./servedStreams.ts";
import { headOfMessage, speaksTyped, type TypedHead, What } from "./typedHead.ts";

/** Options of `serve`. */
export interface ServeOptions {
  /** Run around every call of an existing method; the first one is outermost. */
  use?: readonly Interceptor<ServedCallInfo>[];
  /** The codecs that callers may use. Default: JSON with byte segments. */
  codec?: Codec | readonly Codec[];
  /**
   * Handles messages and requests that are no typed calls. Without it they are answered with the error ERR_UNSUPPORTED.
   */
  onMessage?: MessageHandler;
  /** Sends callers the stacks of errors that are no RpcError. For development only. Default false. */
  exposeStacks?: boolean;
}

/**
 * Serves an API of plain objects, functions and methods: `listen({ onMessage: serve(api) })`, or `connect` with the
 * same option, so that the server can call. `serve` reads the API once.
 *
 * A plain function gets the caller's arguments and nothing else. Without a schema nothing checks that they have their
 * declared types.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the option, or the part of the API that can't be served
 */
export function serve(api: object, options: ServeOptions = {}): MessageHandler {
  checkOptionNames(options, ["use", "codec", "onMessage", "exposeStacks"]);
  const { exposeStacks = false } = options;
  if (typeof exposeStacks !== "boolean") throw invalidArgument("exposeStacks", "a boolean");
  const served = new ServedApi(
    methodTable(api),
    checkCodecs(options.codec),
    checkInterceptors(options.use),
    functionOption("onMessage", options.onMessage),
    exposeStacks,
  );
  return (message) => served.handle(message);
}

/** The method, codec and options that a head means: found once for all calls with the same head. */
interface Target {
  readonly served: ServedApi;
  readonly writer: AnswerWriter;
  readonly isMismatch: boolean;
  readonly entry: MethodEntry | undefined;
}

class ServedApi {
  readonly #methods: ReadonlyMap<string, MethodEntry>;
  readonly #use: readonly Interceptor<ServedCallInfo>[];
  readonly #onMessage: MessageHandler | undefined;
  readonly #writers: readonly AnswerWriter[];
  readonly #streams = new ServedStreams();

  constructor(
    methods: ReadonlyMap<string, MethodEntry>,
    codecs: readonly Codec[],
    use: readonly Interceptor<ServedCallInfo>[],
    onMessage: MessageHandler | undefined,
    exposeStacks: boolean,
  ) {
    this.#methods = methods;
    this.#use = use;
    this.#onMessage = onMessage;
    this.#writers = codecs.map((codec) => new AnswerWriter(codec, exposeStacks, this.#streams));
  }

  /** Returns a promise if the call continues after the return, as the core requires. */
  handle(message: Message): unknown {
    const head = headOfMessage(message);
    if (head === null) return this.#untyped(message);
    const { writer, isMismatch, entry } = this.#targetOf(head);
    const { what } = head;
    if (isMismatch) return writer.refuse(message, mismatch(head, writer.codec));
    if (what === What.openStream) return this.#streams.open(message, head.number, writer);
    if (what === What.sendStream) return this.#streams.announce(message, head.number);
    if (what !== What.call && what !== What.callWithOptions) {
      return writer.refuse(
        message,
        ownError("ERR_CODEC", `a typed head about ${what}, which is not known here`),
      );
    }
    if (entry === undefined) {
      return writer.refuse(
        message,
        ownError("ERR_NO_METHOD", `there is no method ${JSON.stringify(head.method)}`),
      );
    }
    return this.#call(message, head, writer, entry);
  }

  #untyped(message: Message): unknown {
    if (this.#onMessage !== undefined) return this.#onMessage(message);
    throw new SealwireError("ERR_UNSUPPORTED", "only typed calls are served here");
  }

  #targetOf(head: TypedHead): Target {
    const known = head.resolved as Target | undefined;
    return known?.served === this ? known : this.#resolve(head);
  }

  #resolve(head: TypedHead): Target {
    const reader = this.#writers.find((one) => one.reads(head));
    const target: Target = {
      served: this,
      writer: reader ?? this.#writers[0]!,
      isMismatch: reader === undefined,
      entry: this.#methods.get(head.method),
    };
    head.resolved = target;
    return target;
  }

  #call(message: Message, head: TypedHead, writer: AnswerWriter, entry: MethodEntry): unknown {
    const call = new CallInProgress(message, writer, entry);
    try {
      const args = call.readArguments(head);
      return call.settle(
        this.#use.length === 0 ? call.run(args, head.what) : this.#intercepted(call, args, head.what),
      );
    } catch (error) {
      return call.fail(error);
    }
  }

  #intercepted(call: CallInProgress, args: unknown[], what: number): Promise<unknown> {
    const { context } = call;
    const info: ServedCallInfo = { method: context.method, args, context };
    return intercepted(this.#use, info, () => call.run(args, what));
  }
}

function mismatch(head: TypedHead, codec: Codec): Error {
  if (!speaksTyped(head)) {
    return ownError(
      "ERR_CODEC",
      `the call speaks version ${head.version} of typed calls, this side another one`,
    );
  }
  const came = `content type ${head.contentType}, version ${head.codecVersion}`;
  const own = `${codec.name}: content type ${codec.contentType}, version ${codec.version}`;
  return ownError("ERR_CODEC", `the call came with ${came}; this side speaks ${own}`);
}
