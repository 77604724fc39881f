// Registers nothing: a suite that was emptied by mistake must not pass.
export {};
