/**
 * A daemon's part that stops half way through a layer: `half-unpack.ts ROOT`. Prints the pid of the helper once
 * half of the layer's bytes are taken, and then waits to be killed.
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { LayerStore } from "../../../src/content/layer-store.ts";
import { layerOfTar, tarOf } from "../../support/image-builder.ts";
import { log, never, sourceOf, unpackBinary } from "./store.ts";

const root = process.argv[2] ?? "";
const store = new LayerStore({ root, unpackBinary, log });
await store.open();
const layer = layerOfTar(await tarOf([{ name: "f", content: randomBytes(4 << 20) }]), {
  compression: "none",
});
const source = sourceOf(layer, [], {
  async *open() {
    yield layer.bytes.subarray(0, layer.bytes.length >> 1);
    const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, "utf8");
    process.stdout.write(`${children.trim()}\n`);
    await new Promise(() => setInterval(() => {}, 1_000_000));
  },
});
await store.unpack(source, never);
