import * as frameCipher from "../../../src/core/frameCipher.ts";
import * as ahead from "../../../src/core/keystreamAhead.ts";
import * as core from "../../../src/core/wasmModule.ts";
import { registerFrameCipherTests } from "../../support/frameCipherTests.ts";

registerFrameCipherTests(frameCipher, core, ahead);
