// Checks values with schemas. The issues of a schema become an error of the call, cut to the length that an error may have.

import { isThenable } from "../base/thenable.ts";
import { ownError, type RpcError } from "./rpcError.ts";
import type { SchemaIssue, SchemaResult, StandardSchema } from "./standardSchema.ts";

const MAX_ISSUES = 32;
const MAX_ISSUE_LENGTH = 1_024;
const MAX_PATH_STEPS = 32;

/** `data` of ERR_BAD_INPUT. */
export interface BadInput {
  /** What the method's schema says, at most 32 of them. */
  readonly issues: readonly BadInputIssue[];
}

/** One of them. */
export interface BadInputIssue {
  /** For people, at most 1,024 characters. */
  readonly message: string;
  /** Where in the input. */
  readonly path: readonly (string | number)[];
}

/** The value as the schema gives it, or a promise of it. Throws the error that the caller gets. */
export function validated<Output>(
  schema: StandardSchema<unknown, Output>,
  value: unknown,
  refusal: (issues: readonly SchemaIssue[]) => unknown,
): Output | Promise<Output> {
  const result = schema["~standard"].validate(value);
  // A promise that passed for a result would let everything in.
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

/** Why the input of a method was not taken. */
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
  // A library's path may be of a class of its own, which no codec carries.
  const steps = Array.from(path.slice(0, MAX_PATH_STEPS), (step) => {
    const key = typeof step === "object" ? step.key : step;
    return typeof key === "number" ? key : String(key).slice(0, MAX_ISSUE_LENGTH);
  });
  return { message: String(message).slice(0, MAX_ISSUE_LENGTH), path: steps };
}
