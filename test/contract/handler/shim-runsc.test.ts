/** The handler of containerd shims, over gVisor's. */
import { pino } from "pino";
import { ShimHandler } from "../../../src/runtime/shim-v2/handler.ts";
import { fileDir } from "../../support/file-dir.ts";
import { runscShim } from "../../support/shims.ts";
import { handlerContract } from "./contract.ts";
import { monitorBinary } from "./pod.ts";

const { shim, config } = runscShim(fileDir("runsc"));

handlerContract(
  new ShimHandler({
    name: "runsc-shim",
    path: shim,
    options: { config_path: config },
    timeoutMs: 30_000,
    monitorBinary,
    log: pino({ level: process.env.KOBAKO_TEST_LOG ?? "warn" }),
  }),
  { hostProcesses: false, oom: false, execTrees: false, killUnstarted: false },
);
