// sealwire with every message in a sealed frame of its own.
import { sealwireContender } from "./sealwireBuild.js";

export const { listen, connect, connectPool } = sealwireContender("copy", { bundleBytes: 0 });
