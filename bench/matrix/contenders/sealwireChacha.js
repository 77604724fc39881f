// sealwire with ChaCha20-Poly1305 instead of AES-256-GCM.
import { sealwireContender } from "./sealwireBuild.js";

export const { listen, connect, connectPool } = sealwireContender("copy", { cipher: "ChaChaPoly" });
