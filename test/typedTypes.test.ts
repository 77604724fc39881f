// The types of typed calls, and their cost for a compiler: an API of 500 methods is a small program.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { type } from "arktype";
import * as v from "valibot";
import { describe, expect, expectTypeOf, test } from "vitest";
import { z } from "zod";
import {
  isErrorOf,
  method,
  type Remote,
  type RemoteFunction,
  type RemoteOptions,
  type RemoteStream,
  RpcError,
  typed,
} from "../src/rpc.ts";
import { repositoryRoot } from "./support/vectors.ts";

const schema = z.object({ id: z.string().transform(Number), limit: z.number().default(5) });
const api = {
  echo: (text: string) => text,
  add: async (a: number, b?: number) => a + (b ?? 0),
  log: (..._lines: string[]) => {},
  count: async function* (to: number) {
    for (let i = 0; i < to; i++) yield i;
    return "done" as const;
  },
  changes: async (): Promise<AsyncIterable<{ at: Date }>> => (async function* () {})(),
  query: () => ({}) as PromiseLike<{ rows: number[] }>,
  either: (wait: boolean) => (wait ? Promise.resolve(1) : "now"),
  anything: () => JSON.parse("0"),
  never: (): never => {
    throw new Error("always");
  },
  upload: async (parts: AsyncIterable<Uint8Array>, name: string) => `${name} ${parts}`,
  planet: {
    find: method(schema, async ({ id, limit }, context) => {
      expectTypeOf(id).toEqualTypeOf<number>();
      expectTypeOf(limit).toEqualTypeOf<number>();
      expectTypeOf(context.peerKey).toEqualTypeOf<string | undefined>();
      return { id, born: new Date(0), tags: new Set(["a"]) };
    }),
    watch: method(v.string(), async function* (since) {
      yield { since, n: 1n };
    }),
    move: method(type({ to: "number" }), ({ to }) => to > 0),
    free: method((input: { raw: boolean }, { signal }) => [input.raw, signal.aborted] as const),
    nothing: method((_: undefined, context) => context.method),
    checked: method(z.string(), (text) => ({ length: text.length, more: 1 }), {
      answer: z.object({ length: z.number() }),
    }),
    guarded: method(z.number(), (n) => n, {
      errors: { FORBIDDEN: z.object({ id: z.number() }), GONE: z.string() },
    }),
  },
};
const caller = { call: () => undefined as never, send: () => Promise.resolve() };
const remote = typed<typeof api>(caller);

describe("types of a remote API", () => {
  test("plain functions: their arguments, and a promise of their result", () => {
    expectTypeOf(remote.echo).parameters.toEqualTypeOf<[text: string]>();
    expectTypeOf(remote.echo).returns.toEqualTypeOf<Promise<string>>();
    expectTypeOf(remote.add).parameters.toEqualTypeOf<[a: number, b?: number]>();
    expectTypeOf(remote.log).returns.toEqualTypeOf<Promise<void>>();
    expectTypeOf(remote.log.$oneWay).parameters.toEqualTypeOf<string[]>();
    expectTypeOf(remote.echo.$with).parameter(0).toEqualTypeOf<RemoteOptions>();
    expectTypeOf(remote.echo).toEqualTypeOf<RemoteFunction<[text: string], string>>();
    expectTypeOf(remote.query).returns.toEqualTypeOf<Promise<{ rows: number[] }>>();
    expectTypeOf(remote.either).returns.toEqualTypeOf<Promise<number | "now">>();
    expectTypeOf(remote.anything).returns.resolves.toBeAny();
    expectTypeOf(remote.never).returns.toEqualTypeOf<Promise<never>>();
  });

  test("streams, in results and arguments", () => {
    expectTypeOf(remote.count).returns.toEqualTypeOf<Promise<RemoteStream<number, "done">>>();
    expectTypeOf(remote.changes).returns.toEqualTypeOf<Promise<RemoteStream<{ at: Date }, unknown>>>();
    expectTypeOf(remote.upload).parameter(0).toEqualTypeOf<AsyncIterable<Uint8Array>>();
    expectTypeOf(remote.planet.watch).returns.toEqualTypeOf<
      Promise<RemoteStream<{ since: string; n: bigint }, void>>
    >();
  });

  test("methods: the input is what the schema takes, whatever library it is of", () => {
    expectTypeOf(remote.planet.find).parameters.toEqualTypeOf<
      [input: { id: string; limit?: number | undefined }, options?: RemoteOptions]
    >();
    expectTypeOf(remote.planet.find).returns.toEqualTypeOf<
      Promise<{ id: number; born: Date; tags: Set<string> }>
    >();
    expectTypeOf(remote.planet.move).parameter(0).toEqualTypeOf<{ to: number }>();
    expectTypeOf(remote.planet.move).returns.toEqualTypeOf<Promise<boolean>>();
    expectTypeOf(remote.planet.free).returns.toEqualTypeOf<Promise<readonly [boolean, boolean]>>();
    expectTypeOf(remote.planet.nothing).parameters.toEqualTypeOf<
      [input?: undefined, options?: RemoteOptions]
    >();
    expectTypeOf(remote.planet.checked).returns.toEqualTypeOf<Promise<{ length: number }>>();
    expectTypeOf(remote).toEqualTypeOf<Remote<typeof api>>();
  });

  test("groups whose names no type knows", () => {
    type Dynamic = { groups: Record<string, Record<string, (text: string) => number>> };
    const dynamic = typed<Dynamic>(caller);
    expectTypeOf(dynamic.groups.any!.name!).toEqualTypeOf<RemoteFunction<[text: string], number>>();
  });

  test("declared errors: each code with its data", () => {
    const error: unknown = new RpcError("FORBIDDEN");
    if (isErrorOf(remote.planet.guarded, error)) {
      expectTypeOf(error.code).toEqualTypeOf<"FORBIDDEN" | "GONE">();
      if (error.code === "GONE") expectTypeOf(error.data).toEqualTypeOf<string>();
      else expectTypeOf(error.data).toEqualTypeOf<{ id: number }>();
    }
    // It was thrown here, by no method.
    expect(isErrorOf(remote.planet.guarded, error)).toBe(false);
  });

  test("what is not there, or given wrongly, is an error", () => {
    const wrong = (): unknown[] => [
      // @ts-expect-error there is no such method
      remote.planet.missing,
      // @ts-expect-error a number is no text
      remote.echo(5),
      // @ts-expect-error a plain function takes no options behind its arguments
      remote.echo("a", { timeoutMs: 5 }),
      // @ts-expect-error the schema takes a text
      remote.planet.find({ id: 5 }),
      // @ts-expect-error a time limit is a number
      remote.planet.find({ id: "5" }, { timeoutMs: "5" }),
      // @ts-expect-error there is no such option
      remote.planet.find({ id: "5" }, { timeout: 5 }),
      // @ts-expect-error the answer's schema wants a number
      method(z.string(), () => ({ length: "x" }), { answer: z.object({ length: z.number() }) }),
      // @ts-expect-error the handler's input is a number
      method(z.number(), (text: string) => text),
    ];
    expect(wrong).toBeTypeOf("function");
  });
});

/** An API of so many methods, in groups of ten, and a call of each. */
function program(methods: number): string {
  const groups = Array.from({ length: methods / 10 }, (_, g) => {
    const members = Array.from({ length: 10 }, (_, m) =>
      m % 2 === 0
        ? `m${m}: method((input: { id: number; name${g}: string }) => ({ ...input, at: new Date(), n: ${m} }))`
        : `m${m}: async (a: string, b: { c: number[] }) => ({ a, b, g: ${g} as const })`,
    );
    return `g${g}: { ${members.join(", ")} }`;
  });
  const calls = Array.from({ length: methods }, (_, i) => {
    const [g, m] = [Math.floor(i / 10), i % 10];
    return m % 2 === 0
      ? `export const r${i} = (await remote.g${g}.m${m}({ id: ${i}, name${g}: "x" }, { timeoutMs: 5 })).at.getTime();`
      : `export const r${i} = (await remote.g${g}.m${m}("a", { c: [${i}] })).b.c;`;
  });
  return `import { method, typed } from "../../../src/rpc.ts";
    const api = { ${groups.join(", ")} };
    const remote = typed<typeof api>({} as never);
    ${calls.join("\n")}`;
}

/** What a compiler counts for a program. */
function compile(methods: number): { instantiations: number; types: number; checkSeconds: number } {
  const folder = join(repositoryRoot, "build/types", String(methods));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "program.ts"), program(methods));
  const options = { extends: "../../../tsconfig.json", include: [], files: ["program.ts"] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(options));
  const require = createRequire(import.meta.url);
  const tsc = join(dirname(require.resolve("typescript/package.json")), "bin/tsc");
  const output = execFileSync(process.execPath, [tsc, "-p", folder, "--extendedDiagnostics"], {
    encoding: "utf8",
  });
  const count = (name: string): number => Number(new RegExp(`^${name}:\\s+([\\d.]+)`, "m").exec(output)?.[1]);
  return {
    instantiations: count("Instantiations"),
    types: count("Types"),
    checkSeconds: count("Check time"),
  };
}

test("500 methods and a call of each cost a compiler little more than their lines", () => {
  const [few, many] = [compile(10), compile(500)];
  const instantiations = (many.instantiations - few.instantiations) / 490;
  const types = (many.types - few.types) / 490;
  console.log(
    `${instantiations.toFixed(0)} instantiations and ${types.toFixed(0)} types per method and call; ` +
      `checked in ${many.checkSeconds} s, ${few.checkSeconds} s of them for ten methods`,
  );
  expect(few.instantiations).toBeGreaterThan(0);
  // 86 and 25 with TypeScript 7.0, 15 of the types for the functions and calls themselves.
  expect(instantiations).toBeLessThan(110);
  expect(types).toBeLessThan(32);
});

const hovered = `
import { method, typed } from "./rpc.js";
interface Planet { id: number; name: string }
const api = {
  echo: (text: string) => text,
  planet: {
    find: method(async (input: { id: number }, context): Promise<Planet> => ({ id: input.id, name: context.method })),
    watch: method(async function* (since: string) { yield { since, n: 1 }; }),
    upload: async (parts: AsyncIterable<Uint8Array>, name?: string) => parts === undefined ? name : 5,
  },
};
const remote = typed<typeof api>({} as never);
void [remote.echo/*echo*/("a"), remote.planet.upload/*upload*/];
const planet/*planet*/ = await remote.planet.find/*find*/({ id: 5 });
const stream/*stream*/ = await remote.planet.watch("a");
void [planet, stream, remote.planet/*group*/];
void remote.planet.find({ id: "5" });
void remote.echo(5);
void remote.planet.fin({});
void remote.planet.find({ id: 5 }, { timeout: 5 });
`;

/** What an editor with the oldest compiler shows of a program beside this package's declarations. */
function editor(program: string): { hover: (mark: string) => string; errors: () => string[] } {
  const ts = createRequire(import.meta.url)("typescript-5.4") as typeof import("typescript-5.4");
  const folder = join(repositoryRoot, "dist/types");
  const file = join(folder, "hovered.ts");
  const read = (name: string): string | undefined => (name === file ? program : ts.sys.readFile(name));
  const service = ts.createLanguageService({
    getCompilationSettings: () => ({
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      lib: ["lib.es2022.d.ts", "lib.esnext.disposable.d.ts", "lib.dom.d.ts"],
      types: [],
      strict: true,
    }),
    getScriptFileNames: () => [file],
    getScriptVersion: () => "1",
    getScriptSnapshot: (name) => {
      const text = read(name);
      return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
    },
    getCurrentDirectory: () => folder,
    getDefaultLibFileName: (options) => ts.getDefaultLibFilePath(options),
    fileExists: (name) => name === file || ts.sys.fileExists(name),
    readFile: read,
  });
  const oneLine = (text: string): string => text.replace(/\s+/g, " ");
  return {
    hover: (mark) => {
      const info = service.getQuickInfoAtPosition(file, program.indexOf(`/*${mark}*/`) - 1);
      return oneLine(ts.displayPartsToString(info?.displayParts));
    },
    errors: () =>
      service
        .getSemanticDiagnostics(file)
        .map(({ messageText }) => oneLine(ts.flattenDiagnosticMessageText(messageText, " "))),
  };
}

test("hovers and errors in an editor are short, and in the words of the API", () => {
  const { hover, errors } = editor(hovered);
  expect(hover("echo")).toBe("(property) echo: RemoteFunction (text: string) => Promise<string>");
  expect(hover("find")).toBe(
    "(property) find: RemoteMethod (input: { id: number; }, options?: RemoteOptions | undefined) => Promise<Planet>",
  );
  expect(hover("upload")).toBe(
    "(property) upload: RemoteFunction<[parts: AsyncIterable<Uint8Array>, name?: string | undefined], string | 5 | undefined>",
  );
  expect(hover("planet")).toBe("const planet: Planet");
  expect(hover("stream")).toBe("const stream: RemoteStream<{ since: string; n: number; }, void>");
  expect(hover("group")).toContain("find: Method<{ id: number; }, Promise<Planet>, ErrorData<NoErrors>>");
  expect(errors()).toEqual([
    "Type 'string' is not assignable to type 'number'.",
    "Argument of type 'number' is not assignable to parameter of type 'string'.",
    expect.stringMatching(/^Property 'fin' does not exist on type .* Did you mean 'find'\?$/),
    "Object literal may only specify known properties, but 'timeout' does not exist in type 'RemoteOptions'. Did you mean to write 'timeoutMs'?",
  ]);
}, 60_000);
