import * as gcm from "../../../src/core/gcm.ts";
import { registerGcmTests } from "../../support/gcmTests.ts";

registerGcmTests(gcm);
