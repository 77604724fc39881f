// Bytes in every form, and every end of a call, for all that sealwire/crypto exports.
import { registerCryptoArgumentTests } from "../../support/cryptoArguments.ts";

registerCryptoArgumentTests();
