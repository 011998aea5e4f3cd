/** A daemon's part in an exec, as a process of its own that can be killed: connects, begins an exec, says so, waits. */
import { pino } from "pino";
import type { ProgramHandlerOptions } from "../../../src/runtime/settings.ts";
import { ShimHandler } from "../../../src/runtime/shim-v2/handler.ts";
import type { ExecRequest, SandboxIdentity } from "../../../src/runtime/handler.ts";

export interface ClientOrder {
  readonly handler: Omit<ProgramHandlerOptions, "log">;
  readonly identity: SandboxIdentity;
  readonly exec: ExecRequest;
}

const order = JSON.parse(process.argv[2] ?? "{}") as ClientOrder;
const handler = new ShimHandler({ ...order.handler, log: pino({ level: "silent" }) });
const sandbox = await handler.connect(order.identity, () => {}, AbortSignal.timeout(20_000));
const streams = await sandbox.exec(order.exec, AbortSignal.timeout(20_000));
process.stdout.write("runs\n");
await streams.ended;
