import * as frameCipher from "../../../src/core/gcmFrameCipher.ts";
import * as ahead from "../../../src/core/keystreamAhead.ts";
import * as core from "../../../src/core/wasmModule.ts";
import { registerGcmFrameCipherTests } from "../../support/gcmFrameCipherTests.ts";

registerGcmFrameCipherTests(frameCipher, core, ahead);
