// What Deno allows this process. Trying something that is not allowed would ask the user in a terminal, and wait.

interface DenoPermissions {
  permissions: { querySync(what: object): { state: string } };
}

/** Whether Deno allows the operation. Other runtimes allow everything. */
export function isAllowed(what: object): boolean {
  const deno = (globalThis as { Deno?: DenoPermissions }).Deno;
  return deno === undefined || deno.permissions.querySync(what).state === "granted";
}
