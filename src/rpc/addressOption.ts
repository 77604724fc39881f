// The options `host`, `port` and `path` of clients, servers and endpoints.

import { invalidArgument } from "../base/errors.ts";
import { integerOption } from "../base/options.ts";
import type { Address } from "./transport.ts";

const DEFAULT_HOST = "127.0.0.1";

/**
 * A text that is neither a name nor an IP address: it has a scheme, a port (one colon alone), brackets or white space. The
 * resolver would say only that there is no such name.
 */
const NO_HOST = /[\s/[\]]|^[^:]*:[^:]*$/;

/** The options that say where a socket listens or connects to. */
export interface Where {
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
}

/**
 * A TCP address or a path.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the option.
 */
export function resolveAddress(options: Where, lowestPort: number): Address {
  const { host = DEFAULT_HOST, port, path } = options;
  if (path !== undefined) {
    if (typeof path !== "string" || path === "") throw invalidArgument("path", "a non-empty string");
    if (port !== undefined || options.host !== undefined)
      throw invalidArgument("path", "given without host and port");
    return { path };
  }
  if (typeof host !== "string" || host === "" || NO_HOST.test(host))
    throw invalidArgument("host", "a name or an IP address, without scheme, port and brackets");
  return { host, port: integerOption("port", port, lowestPort, 65_535) };
}
