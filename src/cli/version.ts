/** Inserted by the build (rollup.config.js), from package.json. */
declare const __SEALWIRE_VERSION__: string | undefined;

export const packageVersion: string =
  typeof __SEALWIRE_VERSION__ === "string" ? __SEALWIRE_VERSION__ : "0.0.0-source";
