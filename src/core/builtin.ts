// The runtime's own modules without an import, which would fail where there is none.

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
