import * as core from "../../../src/core/crypto.ts";
import * as frameCipher from "../../../src/core/frameCipher.ts";
import * as ahead from "../../../src/core/keystreamAhead.ts";
import { registerFrameCipherTests } from "../../support/frame-cipher-tests.ts";

registerFrameCipherTests(frameCipher, core, ahead);
