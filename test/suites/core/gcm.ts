import * as gcm from "../../../src/core/gcm.ts";
import { registerGcmTests } from "../../support/gcm-tests.ts";

registerGcmTests(gcm);
