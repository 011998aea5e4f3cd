/** The handler of containerd shims, over containerd's own for runc. */
import { pino } from "pino";
import { ShimHandler } from "../../../src/runtime/shim-v2/handler.ts";
import { fileDir } from "../../support/file-dir.ts";
import { toolPaths } from "../../support/shims.ts";
import { handlerContract } from "./contract.ts";
import { monitorBinary } from "./pod.ts";

const [shim = "", runc = ""] = toolPaths("containerd-shim-runc-v2", "runc");

handlerContract(
  new ShimHandler({
    name: "runc-shim",
    path: shim,
    options: { binary_name: runc, root: fileDir("runc") },
    timeoutMs: 30_000,
    monitorBinary,
    log: pino({ level: "warn" }),
  }),
  { hostProcesses: true, pause: true, execTrees: false },
);
