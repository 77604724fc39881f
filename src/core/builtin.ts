// Built-in modules of the runtime, without an import statement, which would fail if a module is missing.

/**
 * A module of Node, Bun or Deno, or undefined. getBuiltinModule is in Node from 20.16, Bun and Deno.
 *
 * @internal
 */
export function builtinModule(name: string): unknown {
  try {
    const { process } = globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } };
    return process?.getBuiltinModule?.(name);
  } catch {
    return undefined;
  }
}
