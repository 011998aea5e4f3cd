/** hack/up: see there. */
import { parseArgs } from "node:util";
import { startOwn, stopOwn } from "./own-daemon.ts";
import { foundRuntimes } from "./runtimes.ts";

const usage = "usage: hack/up --root DIR [--config FILE] | hack/up --down --root DIR";

try {
  const { values } = parseArgs({
    options: { root: { type: "string" }, config: { type: "string" }, down: { type: "boolean" } },
  });
  if (values.root === undefined) throw new TypeError("--root DIR is missing");
  if (values.down) {
    await stopOwn(values.root);
  } else {
    const daemon = await startOwn(values.root, {
      config: values.config,
      // Each runtime that this machine has is a handler of its own name; the user's settings win.
      settings: { runtimes: foundRuntimes() },
    });
    console.error(`up: process ${daemon.pid}${daemon.started ? "" : ", ran already"}, log ${daemon.logFile}`);
    console.log(`unix://${daemon.socket}`);
  }
} catch (error) {
  if (error instanceof TypeError) console.error(`up: ${error.message}\n${usage}`);
  else console.error(`up: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = error instanceof TypeError ? 2 : 1;
}
process.exit();
