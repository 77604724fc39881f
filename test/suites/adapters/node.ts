// In every runtime: a bundler may have chosen the Node adapter where Bun or Deno runs the program.
import { nodeAdapter } from "../../../src/adapters/node.ts";
import { testAdapter } from "../../support/adapterContract.ts";

testAdapter(nodeAdapter);
