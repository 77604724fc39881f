// Bytes in every form, and every end of a call, for all exports of sealwire/crypto.
import { registerCryptoArgumentTests } from "../../support/cryptoArguments.ts";

registerCryptoArgumentTests();
