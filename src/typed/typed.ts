// `typed`: the caller's side of an API. Names are looked up as they are used, so no code is generated; only the type
// knows which names exist.

import { invalidArgument } from "../base/errors.ts";
import { checkOptionNames, readOptions } from "../base/options.ts";
import { CallMaker } from "./callMaker.ts";
import type { Codec } from "./codec/codec.ts";
import { checkCodec, defaultCodec } from "./codecChoice.ts";
import { checkInterceptors, type Interceptor, type MadeCallInfo } from "./interceptor.ts";
import { isReachable } from "./methodTable.ts";
import type { DeclaredError, Remote, RemoteOptions } from "./remote.ts";
import { looksLikeOptions, RemoteTarget, remoteOptionNames } from "./remoteTarget.ts";
import { RpcError } from "./rpcError.ts";
import type { TypedCaller } from "./typedCaller.ts";
import { What } from "./typedHead.ts";

/** Options of `typed`. */
export interface TypedOptions {
  /** Run around every call; the first one is outermost. */
  use?: readonly Interceptor<MadeCallInfo>[];
  /** The codec of arguments and answers; the other side has to serve it. Default: JSON with byte segments. */
  codec?: Codec;
}

/** Names of remote objects that are cached for the next look-up. */
const MAX_CACHED_NAMES = 1_024;
const targets = new WeakMap<object, RemoteTarget>();
/**
 * No plain object has this prototype, so a remote object that is passed as an argument is refused instead of being sent
 * as an empty object.
 */
const rootPrototype = Object.freeze(
  Object.create(null, { constructor: { value: function RemoteObject() {} } }),
) as object;

/**
 * The API that the other side of a client or connection serves: `typed<typeof api>(client)`. Every method returns a
 * promise, which rejects with an RpcError of the method or this package, or with a SealwireError of the connection. The
 * object and its groups are no promises: awaiting one calls nothing.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the option
 */
export function typed<Api extends object>(caller: TypedCaller, options: TypedOptions = {}): Remote<Api> {
  if (typeof caller?.call !== "function" || typeof caller.send !== "function") {
    throw invalidArgument("caller", "a client or a connection");
  }
  checkOptionNames(options, ["use", "codec"]);
  const maker = new CallMaker(
    caller,
    options.codec === undefined ? defaultCodec() : checkCodec(options.codec),
    checkInterceptors(options.use),
  );
  return remoteObject(maker, "") as Remote<Api>;
}

/** A method or a group of methods: only its use shows which. */
function remoteObject(maker: CallMaker, name: string): object {
  const target = new RemoteTarget(maker.codec, name);
  const call =
    name === ""
      ? (Object.create(rootPrototype) as object)
      : (...args: unknown[]): Promise<unknown> => callDirectly(maker, target, args);
  const cached = new Map<PropertyKey, unknown>();
  const remote = new Proxy(call, {
    get(_call, key) {
      let part = cached.get(key);
      if (part === undefined) {
        part = partOf(maker, target, name, key);
        if (part !== undefined && cached.size < MAX_CACHED_NAMES) cached.set(key, part);
      }
      return part;
    },
    has: (_call, key) => typeof key === "string" && isReachable(key),
    set: () => false,
    defineProperty: () => false,
    deleteProperty: () => false,
    setPrototypeOf: () => false,
  });
  targets.set(remote, target);
  return remote;
}

function partOf(maker: CallMaker, target: RemoteTarget, name: string, key: PropertyKey): unknown {
  if (typeof key !== "string") return undefined;
  if (name !== "" && key === "$with") return (options: RemoteOptions) => withOptions(maker, target, options);
  if (name !== "" && key === "$oneWay") return (...args: unknown[]) => callOneWay(maker, target, args);
  return isReachable(key) ? remoteObject(maker, name === "" ? key : `${name}.${key}`) : undefined;
}

/**
 * If the second and last argument can only be options, it is sent as options; the server refuses it for a plain
 * function.
 */
function callDirectly(maker: CallMaker, target: RemoteTarget, args: unknown[]): Promise<unknown> {
  const options = args.length === 2 ? args[1] : undefined;
  if (!looksLikeOptions(options)) return maker.call(target, args, What.call, undefined);
  // A copy: a call with streams reads them again, when its caller may use the object for another call.
  return maker.call(target, [args[0]], What.callWithOptions, { ...options });
}

/** @throws SealwireError ERR_INVALID_ARGUMENT */
function withOptions(
  maker: CallMaker,
  target: RemoteTarget,
  options: RemoteOptions,
): (...args: unknown[]) => Promise<unknown> {
  const copied = readOptions(options, remoteOptionNames);
  return (...args) => maker.call(target, args, What.call, copied);
}

function callOneWay(maker: CallMaker, target: RemoteTarget, args: unknown[]): Promise<void> {
  if (args.length !== 2 || !looksLikeOptions(args[1])) return maker.oneWay(target, args);
  return Promise.reject(invalidArgument("options", "left out of one-way calls"));
}

/**
 * Whether this method declares the error: `if (isErrorOf(remote.planet.find, error)) error.data.id`. Never throws,
 * whatever the error is.
 */
export function isErrorOf<Errors>(
  remote: { readonly "~errors"?: Errors },
  error: unknown,
): error is DeclaredError<Errors> {
  const target = targets.get(remote);
  if (target === undefined) throw invalidArgument("remote", "a method of what typed() gives");
  try {
    return error instanceof RpcError && error.method === target.name && !error.code.startsWith("ERR_");
  } catch {
    return false;
  }
}
