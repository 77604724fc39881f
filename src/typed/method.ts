// A method takes one input, which a schema checks, and the context of its call.

import { invalidArgument } from "../base/errors.ts";
import { checkOptionNames } from "../base/options.ts";
import type { CallContext } from "./callContext.ts";
import type { InputOf, OutputOf, StandardSchema } from "./standardSchema.ts";

/** Schemas of the data of a method's errors, by code. */
export type ErrorSchemas = Readonly<Record<string, StandardSchema>>;

/** Further properties of a method. */
export interface MethodOptions<
  Answer extends StandardSchema = StandardSchema,
  Errors extends ErrorSchemas = ErrorSchemas,
> {
  /** Checks the handler's result before it is sent; ERR_BAD_ANSWER if it does not match. Not for streams. */
  answer?: Answer;
  /** The errors that the handler throws as RpcError, by code. Their data pass through these schemas. */
  errors?: Errors;
  /**
   * Running the method twice has the same effect as running it once. `retry` may call it again if nobody knows whether
   * it ran. Default false.
   */
  idempotent?: boolean;
}

/** The result of `method`. */
export interface Method<Input, Result, Errors> {
  /** For types only. */
  readonly "~types"?: { readonly input: Input; readonly result: Result; readonly errors: Errors };
}

/** No error is declared. */
export type NoErrors = Record<never, never>;
/** The data of declared errors, by code. */
export type ErrorData<Errors extends ErrorSchemas> = {
  readonly [Code in keyof Errors]: OutputOf<Errors[Code]>;
};
/** The values that a handler may return to send `Value`. */
export type Returned<Value> = Value | Promise<Value>;

/** The definition of a method on its server. */
export interface MethodDefinition {
  readonly schema: StandardSchema | undefined;
  readonly handler: (input: unknown, context: CallContext) => unknown;
  readonly answer: StandardSchema | undefined;
  readonly errors: ReadonlyMap<string, StandardSchema> | undefined;
  readonly idempotent: boolean;
}

const definitions = new WeakMap<object, MethodDefinition>();

/** The definition that `method` got; undefined for objects that it did not make. */
export function definitionOf(made: object): MethodDefinition | undefined {
  return definitions.get(made);
}

/**
 * Makes a method with one input and a context: `method(schema, (input, context) => …)`. The input is the output of the
 * schema for the value that the caller sent. The context comes from this side alone. Without a schema the input is
 * unchecked.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT
 */
export function method<
  Schema extends StandardSchema,
  Answer extends StandardSchema,
  Errors extends ErrorSchemas = NoErrors,
>(
  schema: Schema,
  handler: (input: OutputOf<Schema>, context: CallContext) => Returned<InputOf<Answer>>,
  options: MethodOptions<Answer, Errors> & { answer: Answer },
): Method<InputOf<Schema>, OutputOf<Answer>, ErrorData<Errors>>;
/** A method with a schema for its input. */
export function method<Schema extends StandardSchema, Result, Errors extends ErrorSchemas = NoErrors>(
  schema: Schema,
  handler: (input: OutputOf<Schema>, context: CallContext) => Result,
  options?: MethodOptions<never, Errors>,
): Method<InputOf<Schema>, Result, ErrorData<Errors>>;
/** A method with an unchecked input: nothing checks that it has its declared type. */
export function method<Input, Result, Errors extends ErrorSchemas = NoErrors>(
  handler: (input: Input, context: CallContext) => Result,
  options?: MethodOptions<never, Errors>,
): Method<Input, Result, ErrorData<Errors>>;
export function method(...given: unknown[]): Method<unknown, unknown, unknown> {
  const schema = typeof given[0] === "function" && !("~standard" in given[0]) ? undefined : given[0];
  const [handler, options = {}] = schema === undefined ? given : given.slice(1);
  if (schema !== undefined) checkSchema("schema", schema);
  if (!isHandler(handler)) throw invalidArgument("handler", "a function, and no class");
  const { answer, errors, idempotent = false } = checkMethodOptions(options);
  const made = Object.freeze({});
  definitions.set(made, {
    schema: schema as StandardSchema | undefined,
    handler: handler as MethodDefinition["handler"],
    answer,
    errors: errors === undefined ? undefined : new Map(Object.entries(errors)),
    idempotent,
  });
  return made;
}

/** Whether this can be called: a class is a function that throws without `new`. */
export function isHandler(value: unknown): boolean {
  return typeof value === "function" && !/^class\b/.test(Function.prototype.toString.call(value));
}

function checkMethodOptions(options: unknown): MethodOptions {
  checkOptionNames(options as object, ["answer", "errors", "idempotent"]);
  const { answer, errors, idempotent } = options as MethodOptions;
  if (answer !== undefined) checkSchema("answer", answer);
  if (idempotent !== undefined && typeof idempotent !== "boolean")
    throw invalidArgument("idempotent", "a boolean");
  if (errors !== undefined) {
    if (typeof errors !== "object" || errors === null)
      throw invalidArgument("errors", "an object of schemas");
    for (const [code, schema] of Object.entries(errors)) checkSchema(`errors.${code}`, schema);
  }
  return options as MethodOptions;
}

function checkSchema(name: string, schema: unknown): void {
  const props = (schema as { "~standard"?: { validate?: unknown } } | null | undefined)?.["~standard"];
  if (typeof props?.validate !== "function") throw invalidArgument(name, "a Standard Schema");
}
