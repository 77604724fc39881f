// What Deno allows this process. Trying something that is not allowed would ask the user in a terminal, and wait.

type Permission = (what: object) => { state: string };

interface DenoPermissions {
  permissions: { readonly querySync: Permission; readonly requestSync: Permission };
}

/** Whether Deno allows the operation. Other runtimes allow everything. `requestSync`: the user may be asked. */
export function isAllowed(what: object, how: "querySync" | "requestSync" = "querySync"): boolean {
  const deno = (globalThis as { Deno?: DenoPermissions }).Deno;
  return deno === undefined || deno.permissions[how](what).state === "granted";
}
