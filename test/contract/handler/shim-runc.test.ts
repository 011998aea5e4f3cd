/** The handler of containerd shims, over containerd's own for runc. */
import { execFileSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { ShimHandler } from "../../../src/runtime/shim-v2/handler.ts";
import { handlerContract } from "./contract.ts";
import { monitorBinary } from "./pod.ts";

const tools = new URL("../../../hack/tools", import.meta.url).pathname;
const [shim = "", runc = ""] = execFileSync(tools, ["containerd-shim-runc-v2", "runc"], { encoding: "utf8" })
  .trim()
  .split("\n");

handlerContract(
  new ShimHandler({
    name: "runc-shim",
    path: shim,
    options: { binary_name: runc, root: mkdtempSync(join(tmpdir(), "kobako-runc-")) },
    timeoutMs: 30_000,
    monitorBinary,
    log: pino({ level: "warn" }),
  }),
  { hostProcesses: true, pause: true, execTrees: false },
);
