// Loads code that few programs need when it is needed.

import { SealwireError } from "./errors.ts";

/**
 * A module, imported now. What a program was bundled or installed without can't be loaded; a later call tries again.
 *
 * @param name of the part, for the message
 * @param load imports it
 * @throws SealwireError as a rejection: ERR_UNSUPPORTED, `cause` is the runtime's error
 */
export async function loadPart<Part>(name: string, load: () => Promise<Part>): Promise<Part> {
  try {
    return await load();
  } catch (cause) {
    const text = `the part of sealwire for ${name} could not be loaded; is the package or bundle complete?`;
    throw new SealwireError("ERR_UNSUPPORTED", text, { cause });
  }
}
