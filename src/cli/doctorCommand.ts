// doctor reports what the package finds in this runtime, and checks the results of its cryptography.

import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { arch, platform, release } from "node:os";
import process from "node:process";
import { buildCommand } from "@stricli/core";
import { blake2b } from "../core/blake2b.ts";
import { chacha20poly1305 } from "../core/chaCha20Poly1305.ts";
import { aes256gcm } from "../core/gcm.ts";
import { wasmBuild } from "../core/instantiate.ts";
import {
  MLKEM768_CIPHERTEXT_BYTES,
  MLKEM768_SEED_BYTES,
  mlKem768Decapsulate,
  mlKem768KeyPair,
} from "../core/mlKem768.ts";
import { nodeCrypto } from "../core/runtimeAes.ts";
import { runtimeName } from "../core/runtimeName.ts";
import { x25519 } from "../core/x25519.ts";
import { CommandError } from "./exitCodes.ts";
import { errorText, jsonFlag, type OutputFlags, result } from "./output.ts";
import { readKey } from "./secrets.ts";

interface Found {
  readonly ok: boolean;
  readonly text: string;
}

interface DoctorFlags extends OutputFlags {
  readonly key?: readonly string[];
}

/**
 * Known answers: RFC 7748 section 6.1, RFC 7693 appendix A, the GCM specification's test case 14, and RFC 8439 appendix
 * A.1, test vector 2, whose keystream is the ciphertext of zeros, with the tag of independent implementations. For
 * ML-KEM-768 it is the implicit rejection of a ciphertext of zeros by the key of a seed of zeros, as independent
 * implementations compute it; it uses both directions and all hashes.
 */
const answers = {
  x25519: {
    scalar: "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
    u: "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
    shared: "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
  },
  blake2b:
    "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923",
  gcm: "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
  chaCha: "9f07e7be5551387a98ba977c732d080dc34a88047320f52aa2c6683ef8084d2f",
  mlKem: "0419c6fa226891f68d792ae5e5a2929f2876ecf86dc7bb27ee0b3563320adb8f",
};

const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

function isRight(found: Uint8Array, expected: string): Found {
  const ok = Buffer.from(found).toString("hex") === expected;
  return { ok, text: ok ? "right" : "WRONG" };
}

function versionOfRuntime(): string {
  const { bun, deno, node } = process.versions as Record<string, string | undefined>;
  return bun ?? deno ?? node ?? "of an unknown version";
}

/** A server needs a descriptor per connection. */
const FEWEST_OPEN_FILES = 1_024;

function openFiles(): Found {
  if (platform() !== "linux") return { ok: true, text: "the limit is not known on this system" };
  const [, soft] = /^Max open files\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
  const ok = soft === "unlimited" || Number(soft) >= FEWEST_OPEN_FILES;
  return { ok, text: `${soft} at most${ok ? "" : "; a server with many clients needs more (ulimit -n)"}` };
}

/** No clock shows a year before this program was written. */
const EARLIEST_YEAR = 2026;

function clock(): Found {
  const date = new Date();
  const ok = date.getUTCFullYear() >= EARLIEST_YEAR;
  return { ok, text: date.toISOString() };
}

const engineText =
  nodeCrypto === undefined
    ? "the module's AES; the runtime has none to lend"
    : "the module's AES for short messages, the runtime's for long ones";

/** Every check by its name. */
const checks: Record<string, () => Found> = {
  runtime: () => ({
    ok: true,
    text: `${runtimeName} ${versionOfRuntime()} on ${platform()} ${arch()} ${release()}`,
  }),
  wasm: () => ({ ok: true, text: `starts, ${wasmBuild() === "relaxed" ? "relaxed" : "plain"} SIMD` }),
  engine: () => ({ ok: true, text: engineText }),
  X25519: () =>
    isRight(x25519(fromHex(answers.x25519.scalar), fromHex(answers.x25519.u)), answers.x25519.shared),
  BLAKE2b: () => isRight(blake2b(Buffer.from("abc")), answers.blake2b),
  "AES-256-GCM": () =>
    isRight(aes256gcm(new Uint8Array(32)).seal(new Uint8Array(12), new Uint8Array(16)), answers.gcm),
  "ChaCha20-Poly1305": () =>
    isRight(
      chacha20poly1305(new Uint8Array(32)).seal(new Uint8Array(12), new Uint8Array(16)),
      answers.chaCha,
    ),
  "ML-KEM-768": () => {
    const { decapsulationKey } = mlKem768KeyPair(new Uint8Array(MLKEM768_SEED_BYTES));
    return isRight(
      mlKem768Decapsulate(decapsulationKey, new Uint8Array(MLKEM768_CIPHERTEXT_BYTES)),
      answers.mlKem,
    );
  },
  "open files": openFiles,
  clock,
};

function run(check: () => Found): Found {
  try {
    return check();
  } catch (error) {
    return { ok: false, text: errorText(error) };
  }
}

/** Whether a key file can be used: it is readable, only by its owner, and contains a key. */
function keyFile(path: string): Found {
  readKey(path).fill(0);
  return { ok: true, text: "holds a key that only its owner can read" };
}

export const doctor = buildCommand({
  docs: {
    brief: "Look for what is wrong on this machine",
    fullDescription:
      "Checks the runtime, the WebAssembly module against known answers, limits, the clock, and key files. Exits with 1 when something is wrong.\n\nExamples:\n  sealwire doctor\n  sealwire doctor --key server.key --json",
  },
  parameters: {
    flags: {
      key: {
        kind: "parsed",
        parse: String,
        brief: "A key file to look at; may be repeated",
        optional: true,
        variadic: true,
        placeholder: "FILE",
      },
      json: jsonFlag,
    },
  },
  func(flags: DoctorFlags) {
    let wrong = 0;
    const tell = (name: string, found: Found): void => {
      if (!found.ok) wrong++;
      result(flags, { check: name, ...found }, `${found.ok ? "ok   " : "WRONG"} ${name}: ${found.text}`);
    };
    for (const [name, check] of Object.entries(checks)) tell(name, run(check));
    for (const path of flags.key ?? [])
      tell(
        `key file ${path}`,
        run(() => keyFile(path)),
      );
    if (wrong > 0) throw new CommandError("failed", `${wrong} of the checks found something wrong`);
  },
});
