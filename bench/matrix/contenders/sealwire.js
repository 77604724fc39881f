// sealwire with its defaults: every body is a copy that its handler may keep.
import { sealwireContender } from "./sealwireBuild.js";

export const { listen, connect, connectPool } = sealwireContender("copy");
