// The errors of failed dials and listens, with the same text in all runtimes: the address, and the runtime's reason.

import { SealwireError } from "../base/errors.ts";
import type { Address, ListenAddress } from "../rpc/transport.ts";

/** `sun_path` in <sys/un.h>, with the zero byte at its end: 108 bytes on Linux, 104 on the BSDs and macOS. */
const SUN_PATH_BYTES = process.platform === "linux" ? 108 : 104;

function textOf(address: Address | ListenAddress): string {
  if ("fd" in address && address.fd !== undefined) return `the inherited descriptor ${address.fd}`;
  return (
    address.path ?? (address.host!.includes(":") ? `[${address.host}]` : address.host) + `:${address.port}`
  );
}

/**
 * The runtime's reason in a few words. If several addresses of a host were tried, it has the reasons of all.
 */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, errors } = error as { code?: unknown; errors?: unknown };
  if (Array.isArray(errors) && errors.length > 0) return [...new Set(errors.map(reasonOf))].join("; ");
  if (typeof code !== "string" || error.message.includes(code)) return error.message || error.name;
  return error.message === "" ? code : `${code}: ${error.message}`;
}

export function dialFailed(address: Address, cause: unknown): SealwireError {
  const text = `could not connect to ${textOf(address)}: ${reasonOf(cause)}`;
  return new SealwireError("ERR_DIAL_FAILED", text, { cause });
}

export function listenFailed(address: ListenAddress, cause: unknown): SealwireError {
  const text = `could not listen on ${textOf(address)}: ${reasonOf(cause)}`;
  return new SealwireError("ERR_LISTEN_FAILED", text, { cause });
}

/**
 * Throws if the system would cut the path off, or a runtime would end it at a zero byte. Node 20 cuts it off
 * silently: two servers whose paths begin alike would share one. Linux's abstract sockets, whose names begin
 * with a zero byte, are not supported, because some runtimes lack them and their names have no owner. Windows
 * has named pipes.
 */
export function checkPath(address: Address | ListenAddress): void {
  const { path } = address;
  if (path === undefined || process.platform === "win32") return;
  if (path.includes("\0")) throw new RangeError("the path of a Unix socket can't have a zero byte");
  const bytes = new TextEncoder().encode(path).length;
  if (bytes < SUN_PATH_BYTES) return;
  const text = `the path of a Unix socket has at most ${SUN_PATH_BYTES - 1} bytes here (sun_path), this one has ${bytes}`;
  throw Object.assign(new RangeError(text), { code: "ENAMETOOLONG" });
}
