// sealwire with `messageBodies: "view"`, which is not the default. The server's handlers get bodies that end when the
// handler returns, without a copy or an object for each.
import { sealwireContender } from "./sealwireBuild.js";

export const { listen, connect, connectPool } = sealwireContender("view");
