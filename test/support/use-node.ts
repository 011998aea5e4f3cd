/** A node for all tests of a file: made before the first, checked for leaks after each, gone after the last. */
import { afterAll, afterEach, beforeAll } from "vitest";
import type { DaemonOptions } from "./daemon.ts";
import { type TestNode, testNode } from "./node.ts";
import type { Snapshot } from "./oracle.ts";
import { within } from "./slowness.ts";

/** Registers the hooks; call the returned function inside of tests. After each test all pods are removed and O4 must hold. */
export function useNode(o: DaemonOptions = {}): () => TestNode {
  let node: TestNode | undefined;
  let clean: Snapshot | undefined;
  const get = (): TestNode => {
    if (node === undefined) throw new Error("the node is made before the first test");
    return node;
  };
  beforeAll(async () => {
    node = await testNode(o);
    clean = node.clean;
  }, within(120_000));
  afterEach(async () => {
    const { daemon } = get();
    if (!daemon.running) await daemon.start();
    try {
      await daemon.expectClean(clean ?? get().clean);
    } catch (error) {
      clean = daemon.snapshot(); // each test answers for its own leaks
      throw error;
    }
  }, within(60_000));
  afterAll(async () => {
    await node?.[Symbol.asyncDispose]();
  }, within(60_000));
  return get;
}
