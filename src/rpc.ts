// The entry point sealwire/rpc: typed calls, over any client or connection of this package.

export { type ErrorCode, SealwireError } from "./base/errors.ts";
export type { CallContext } from "./typed/callContext.ts";
export type { Codec, CodecLimits } from "./typed/codec/codec.ts";
export { jsonCodec } from "./typed/codec/jsonCodec.ts";
export { type MsgpackLibrary, msgpackCodec } from "./typed/codec/msgpackCodec.ts";
export type { Interceptor, MadeCallInfo, ServedCallInfo } from "./typed/interceptor.ts";
export {
  type ErrorData,
  type ErrorSchemas,
  type Method,
  type MethodOptions,
  method,
  type NoErrors,
  type Returned,
} from "./typed/method.ts";
export type {
  DeclaredError,
  MethodArguments,
  Received,
  Remote,
  RemoteFunction,
  RemoteMethod,
  RemoteOptions,
  RemotePart,
  Settled,
} from "./typed/remote.ts";
export { type RetryOptions, retry } from "./typed/retry.ts";
export { RpcError, type RpcErrorCode } from "./typed/rpcError.ts";
export { type ServeOptions, serve } from "./typed/serve.ts";
export type {
  InputOf,
  OutputOf,
  SchemaIssue,
  SchemaResult,
  StandardSchema,
  StandardSchemaProps,
} from "./typed/standardSchema.ts";
export type { RemoteStream } from "./typed/streamReader.ts";
export { isErrorOf, type TypedOptions, typed } from "./typed/typed.ts";
export type { TypedCaller } from "./typed/typedCaller.ts";
export type { BadInput, BadInputIssue } from "./typed/validation.ts";
