// Calls of one `typed` object: arguments become a body, a call of the core is made, and its answer becomes a value or an
// error that names the method.

import { invalidArgument, isSealwireError } from "../base/errors.ts";
import { checkOptionNames } from "../base/options.ts";
import { tracesRequests } from "../core/diagnostics.ts";
import { wipe } from "../core/wipe.ts";
import { PendingCall } from "../rpc/call.ts";
import type { CopyingFunctions } from "../rpc/copyingCaller.ts";
import type { Call, CallOptions, SendOptions } from "../rpc/peer.ts";
import { failed, named, readAnswer } from "./answerReader.ts";
import { type BodyLender, bodyLenderOf, keepingEncoder } from "./codec/bodyLender.ts";
import type { Codec } from "./codec/codec.ts";
import { type Interceptor, intercepted, type MadeCallInfo } from "./interceptor.ts";
import { copyingFunctionsOf, wipeAnswer } from "./ownCalls.ts";
import { leaveStreams } from "./producer.ts";
import type { RemoteOptions } from "./remote.ts";
import { type RemoteTarget, remoteOptionNames } from "./remoteTarget.ts";
import { openStreams, StreamingCall } from "./streamingCall.ts";
import type { TypedCaller } from "./typedCaller.ts";
import { headOfAnswer, typedHead, What } from "./typedHead.ts";
import { type FoundStream, findStreams, isStream } from "./valueStreams.ts";

const NO_BYTES = new Uint8Array(0);

export class CallMaker {
  readonly caller: TypedCaller;
  readonly codec: Codec;
  /** Of the caller object, if it is this package's own. */
  readonly #copying: CopyingFunctions | undefined;
  /** Two lenders: one for functions that copy their bodies, one for all others. */
  readonly #lender: BodyLender;
  readonly #keeping: BodyLender;
  readonly #use: readonly Interceptor<MadeCallInfo>[];

  constructor(caller: TypedCaller, codec: Codec, use: readonly Interceptor<MadeCallInfo>[]) {
    this.caller = caller;
    this.codec = codec;
    this.#copying = copyingFunctionsOf(caller);
    this.#lender = bodyLenderOf(codec);
    this.#keeping = keepingEncoder(codec);
    this.#use = use;
  }

  /** Every failure rejects. */
  call(
    target: RemoteTarget,
    args: unknown[],
    what: number,
    options: RemoteOptions | undefined,
  ): Promise<unknown> {
    return this.#use.length === 0
      ? this.#make(target, args, what, options)
      : this.#makeIntercepted(target, args, what, options);
  }

  #makeIntercepted(
    target: RemoteTarget,
    args: unknown[],
    what: number,
    options: RemoteOptions | undefined,
  ): Promise<unknown> {
    const info = new MadeCall(target, args, options, false);
    return this.#intercepted(info, () => {
      if (info.options !== undefined) checkOptionNames(info.options, remoteOptionNames);
      return this.#make(target, args, what, info.options, info);
    });
  }

  /**
   * Interceptors may make the call later, or several times. It is sent with the arguments that its caller gave, whatever
   * has become of them.
   */
  async #intercepted(info: MadeCall, last: () => unknown): Promise<unknown> {
    const { args, isOneWay } = info;
    try {
      if (!args.some(isStream)) info.body = encodeArguments(this.#keeping, args);
    } catch {
      // The call itself tells that they can't be encoded, or finds streams among them.
    }
    try {
      return await intercepted(this.#use, info, last);
    } finally {
      const name = isOneWay ? "send" : "call";
      // A wrapper in place of the caller object may keep the body.
      if (info.body !== undefined && this.caller[name] === this.#copying?.[name])
        this.#lender.giveBack(info.body);
      info.body = undefined;
    }
  }

  oneWay(target: RemoteTarget, args: unknown[]): Promise<void> {
    const info = this.#use.length === 0 ? undefined : new MadeCall(target, args, undefined, true);
    const send = async (): Promise<void> => {
      const head = target.headFor(What.call);
      try {
        await this.#send(args, { head }, info);
      } catch (error) {
        // A one-way call has no streams.
        leaveStreams(findStreams(args) ?? [], this.codec);
        throw named(error, target.name);
      }
    };
    if (info === undefined) return send();
    return this.#intercepted(info, send) as Promise<void>;
  }

  #make(
    target: RemoteTarget,
    args: unknown[],
    what: number,
    options: RemoteOptions | undefined,
    info?: MadeCall,
  ): Promise<unknown> {
    for (const arg of args) if (isStream(arg)) return this.#makeStreaming(target, args, what, options, info);
    const isPlain = options === undefined;
    // A subscriber that traces a request gets its answer, too.
    const isAlone = this.#isOwn && !tracesRequests();
    let call: Call;
    try {
      call = this.#call(args, isPlain ? target.plainCall : this.#callOptions(target, what, options), info);
    } catch (error) {
      const hasStreams =
        isSealwireError(error) && error.code === "ERR_ENCODE" && findStreams(args)?.length !== 0;
      if (hasStreams) return this.#makeStreaming(target, args, what, options, info);
      return Promise.reject(named(error, target.name));
    }
    const { reader } = target;
    if (isAlone && isPlain && reader !== undefined && call instanceof PendingCall && call.readWith(reader))
      return call.settling;
    return this.#readLater(target, call, options, isAlone);
  }

  #readLater(
    target: RemoteTarget,
    call: Call,
    options: RemoteOptions | undefined,
    isAlone: boolean,
  ): Promise<unknown> {
    return call.answer.then(
      (body) => this.#readOnce(target, call, body, options, isAlone),
      (error) => failed(error, target.name),
    );
  }

  /** No other code has the calls that this maker makes: the caller object is this package's own, not a wrapper. */
  get #isOwn(): boolean {
    return this.#copying !== undefined && this.caller.call === this.#copying.call;
  }

  #readOnce(
    target: RemoteTarget,
    call: Call,
    body: Uint8Array,
    options: RemoteOptions | undefined,
    mayWipe: boolean,
  ): unknown {
    try {
      return this.#read(target, call, body, options, undefined);
    } finally {
      if (mayWipe) wipe(body);
    }
  }

  #callOptions(target: RemoteTarget, what: number, options: RemoteOptions): CallOptions {
    const { timeoutMs, signal, traceParent } = options;
    const method = target.name;
    const head =
      traceParent === undefined ? target.headFor(what) : typedHead(this.codec, what, { method, traceParent });
    return { head, streams: false, timeoutMs, signal };
  }

  #call(args: unknown[], options: CallOptions, info: MadeCall | undefined): Call {
    return this.#give(this.caller.call, this.#copying?.call, args, options, info);
  }

  #send(args: unknown[], options: SendOptions, info: MadeCall | undefined): Promise<void> {
    return this.#give(this.caller.send, this.#copying?.send, args, options, info);
  }

  /** Gives the encoded arguments to a function of the caller; `copying` is the one that copies them. */
  #give<O, R>(
    method: (body: Uint8Array, options: O) => R,
    copying: unknown,
    args: unknown[],
    options: O,
    info: MadeCall | undefined,
  ): R {
    if (info?.body !== undefined) return method.call(this.caller, info.body, options);
    const lender = method === copying ? this.#lender : this.#keeping;
    const body = encodeArguments(lender, args);
    try {
      return method.call(this.caller, body, options);
    } finally {
      lender.giveBack(body);
    }
  }

  async #makeStreaming(
    target: RemoteTarget,
    args: unknown[],
    what: number,
    options: RemoteOptions | undefined,
    info: MadeCall | undefined,
  ): Promise<unknown> {
    if (info !== undefined) info.hasStreams = true;
    const found: FoundStream[] | undefined = findStreams(args);
    if (found === undefined) throw invalidArgument(`the arguments of ${target.name}`, "with fewer streams");
    let streaming: StreamingCall | undefined;
    try {
      streaming = new StreamingCall(this.codec, target.name, found, options);
      const { call, body } = await streaming.make(
        this.caller,
        (bare) => encodeArguments(this.#keeping, bare),
        (sent) => this.#lender.giveBack(sent),
        args,
        what,
      );
      try {
        return await this.#read(target, call, body, options, streaming);
      } finally {
        wipeAnswer(call, body);
      }
    } catch (error) {
      streaming?.end();
      throw named(streaming?.failure ?? error, target.name);
    }
  }

  /** The value of an answer. Throws the error in the answer, or ERR_BAD_ANSWER. */
  #read(
    target: RemoteTarget,
    call: Call,
    body: Uint8Array,
    options: RemoteOptions | undefined,
    streaming: StreamingCall | undefined,
  ): unknown {
    const head = headOfAnswer(call);
    const value = readAnswer(this.codec, target.name, head, body);
    target.isIdempotent = head!.what === What.idempotentValue;
    if (head!.streams === undefined) {
      streaming?.end();
      return value;
    }
    return openStreams(this.codec, target.name, call, head!.streams, value, options, streaming);
  }
}

function encodeArguments(lender: BodyLender, args: readonly unknown[]): Uint8Array {
  let { length } = args;
  while (length > 0 && args[length - 1] === undefined) length--;
  if (length === 0) return NO_BYTES;
  return lender.encodeList(length === args.length ? args : args.slice(0, length));
}

class MadeCall implements MadeCallInfo {
  readonly #target: RemoteTarget;
  readonly args: readonly unknown[];
  readonly isOneWay: boolean;
  options: RemoteOptions;
  hasStreams = false;
  /** The arguments as they were when the call was made, until it has its outcome. */
  body: Uint8Array | undefined = undefined;

  constructor(
    target: RemoteTarget,
    args: readonly unknown[],
    options: RemoteOptions | undefined,
    isOneWay: boolean,
  ) {
    this.#target = target;
    this.args = args;
    this.options = { ...options };
    this.isOneWay = isOneWay;
  }

  get method(): string {
    return this.#target.name;
  }

  get isIdempotent(): boolean {
    return this.#target.isIdempotent;
  }
}
