/** A node for all tests of a file: made before the first, checked for leaks after each, gone after the last. */
import { afterAll, afterEach, beforeAll } from "vitest";
import type { DaemonOptions } from "./daemon.ts";
import { type TestNode, testNode } from "./node.ts";

/** Registers the hooks; call the returned function inside of tests. After each test all pods are removed and O4 must hold. */
export function useNode(o: DaemonOptions = {}): () => TestNode {
  let node: TestNode | undefined;
  const get = (): TestNode => {
    if (node === undefined) throw new Error("the node is made before the first test");
    return node;
  };
  beforeAll(async () => {
    node = await testNode(o);
  }, 120_000);
  afterEach(async () => {
    const { daemon, clean } = get();
    if (!daemon.running) await daemon.start();
    await daemon.expectClean(clean);
  }, 60_000);
  afterAll(async () => {
    await node?.[Symbol.asyncDispose]();
  }, 60_000);
  return get;
}
