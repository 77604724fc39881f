// The exit codes of the command line. The numbers are documented (README, `sealwire --help`) and do not change.

import { SealwireError } from "../base/errors.ts";

export const exitCodes = {
  ok: 0,
  /** Every failure without a code of its own. */
  failed: 1,
  /** An unknown command or option, or an invalid value of one. */
  usage: 2,
  /** A file that exists already, can't be read or written, contains no key, or is readable by other users. */
  file: 3,
  /** There is no connection: no program listens, or the connection was lost. */
  unreachable: 4,
  /** One side does not accept the other. */
  untrusted: 5,
  /** The peer answered with an error, or too late. */
  remote: 6,
  /** Ctrl-C, in the form of shells (128 plus the signal's number), if a command prints something before it ends. */
  interrupted: 130,
} as const;

export type ExitName = keyof typeof exitCodes;

/** An error with an exit code of its own; the message is for people. */
export class CommandError extends Error {
  readonly exit: ExitName;

  constructor(exit: ExitName, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CommandError";
    this.exit = exit;
  }
}

const byErrorCode: Readonly<Record<string, ExitName>> = {
  ERR_INVALID_ARGUMENT: "usage",
  ERR_DIAL_FAILED: "unreachable",
  ERR_DIAL_TIMEOUT: "unreachable",
  ERR_CONNECTION_LOST: "unreachable",
  ERR_READ_TIMEOUT: "unreachable",
  ERR_WRITE_TIMEOUT: "unreachable",
  ERR_LISTEN_FAILED: "unreachable",
  ERR_HANDSHAKE: "untrusted",
  ERR_HANDSHAKE_TIMEOUT: "untrusted",
  ERR_UNAUTHORIZED: "untrusted",
  ERR_DECRYPT: "untrusted",
  ERR_REMOTE: "remote",
  ERR_REQUEST_TIMEOUT: "remote",
};

export function exitCodeOf(error: unknown): number {
  if (error instanceof CommandError) return exitCodes[error.exit];
  if (error instanceof SealwireError) return exitCodes[byErrorCode[error.code] ?? "failed"];
  return exitCodes.failed;
}
