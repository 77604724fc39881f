import * as aead from "../../../src/core/chaCha20Poly1305.ts";
import * as frames from "../../../src/core/chaChaFrameCipher.ts";
import * as runtime from "../../../src/core/runtimeChaCha.ts";
import * as core from "../../../src/core/wasmModule.ts";
import { registerChaChaTests } from "../../support/chaChaTests.ts";

registerChaChaTests({ aead, frames, runtime, core });
