// sealwire with the module's own AES-256-GCM alone, never the runtime's.
import { sealwireContender } from "./sealwireBuild.js";

export const { listen, connect, connectPool } = sealwireContender("copy", { engine: "wasm" });
