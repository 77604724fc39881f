// The contract of every adapter, kept by the sockets in memory of sealwire/testing.
import { MemoryAdapter } from "../../../src/adapters/memoryAdapter.ts";
import { testAdapter } from "../../support/adapterContract.ts";

testAdapter(new MemoryAdapter({ latencyMs: 0, bytesPerSecond: 0, bufferBytes: 262_144 }), { inMemory: true });
