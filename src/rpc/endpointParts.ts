// Exports the code that only clients with several endpoints need. It is loaded with the first lookup, so that clients of
// one server never load it.

export { attemptOrder } from "./attemptOrder.ts";
export { TargetFinder } from "./endpointLookup.ts";
export { EndpointRace } from "./endpointRace.ts";
export { keyOwners } from "./rendezvous.ts";
export { StandingLookups } from "./standingLookups.ts";
