// The shape of a sealed frame, as the ciphers see it: u32be length ‖ text ‖ tag. The length counts what follows it.

/** The length prefix, u32be. */
export const LENGTH_BYTES = 4;
/** The tag of AES-GCM at the end of every sealed frame. */
export const TAG_BYTES = 16;
