// The entry point sealwire/testing: clients and servers without sockets, for tests.

export {
  type AddressOption,
  type LinkedPair,
  type LinkedPairOptions,
  linkedPair,
  type MemoryNetwork,
  type MemoryNetworkOptions,
  memoryNetwork,
} from "./entry/memoryNetwork.ts";
