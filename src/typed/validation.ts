// Checks values with schemas. The issues of a schema become an error of the call, cut to the greatest length of an
// error.

import { isThenable } from "../base/thenable.ts";
import { ownError, type RpcError } from "./rpcError.ts";
import type { SchemaIssue, SchemaResult, StandardSchema } from "./standardSchema.ts";

const MAX_ISSUES = 32;
const MAX_ISSUE_LENGTH = 1_024;
const MAX_PATH_STEPS = 32;

/** `data` of ERR_BAD_INPUT. */
export interface BadInput {
  /** The issues of the method's schema, at most 32. */
  readonly issues: readonly BadInputIssue[];
}

/** One issue. */
export interface BadInputIssue {
  /** For people, at most 1,024 characters. */
  readonly message: string;
  /** The place in the input. */
  readonly path: readonly (string | number)[];
}

/** The output of the schema, or a promise of it. Throws the error that the caller gets. */
export function validated<Output>(
  schema: StandardSchema<unknown, Output>,
  value: unknown,
  refusal: (issues: readonly SchemaIssue[]) => unknown,
): Output | Promise<Output> {
  const result = schema["~standard"].validate(value);
  // A promise that counted as a result would let every value pass.
  if (!isThenable(result)) return valueFrom(result, refusal);
  return Promise.resolve(result).then((done) => valueFrom(done, refusal));
}

function valueFrom<Output>(
  result: SchemaResult<Output>,
  refusal: (issues: readonly SchemaIssue[]) => unknown,
): Output {
  if (result.issues) throw refusal(result.issues);
  if (!("value" in result)) throw new TypeError("a schema gave neither a value nor issues");
  return (result as { value: Output }).value;
}

/** The error for an input that the schema refused. */
export function badInput(issues: readonly SchemaIssue[]): RpcError {
  const data: BadInput = { issues: issues.slice(0, MAX_ISSUES).map(issueOf) };
  return ownError("ERR_BAD_INPUT", `the input is not what the method takes${issueText(issues)}`, data);
}

/** The first issue, as the end of a sentence. */
export function issueText([first]: readonly SchemaIssue[]): string {
  if (first === undefined) return "";
  const { message, path } = issueOf(first);
  return path.length === 0 ? `: ${message}` : ` at ${path.join(".")}: ${message}`;
}

function issueOf({ message, path = [] }: SchemaIssue): BadInputIssue {
  // A library's path may be of a class of its own, which codecs refuse.
  const steps = Array.from(path.slice(0, MAX_PATH_STEPS), (step) => {
    const key = typeof step === "object" ? step.key : step;
    return typeof key === "number" ? key : String(key).slice(0, MAX_ISSUE_LENGTH);
  });
  return { message: String(message).slice(0, MAX_ISSUE_LENGTH), path: steps };
}
