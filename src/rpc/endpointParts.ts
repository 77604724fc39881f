// What a client of endpoints needs once it has some. Loaded with its first lookup, so that clients of one server are spared it.

export { attemptOrder } from "./attemptOrder.ts";
export { TargetFinder } from "./endpointLookup.ts";
export { EndpointRace } from "./endpointRace.ts";
export { keyOwners } from "./rendezvous.ts";
export { StandingLookups } from "./standingLookups.ts";
