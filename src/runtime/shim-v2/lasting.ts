/**
 * Calls that outlive this daemon: the pod's monitor makes them (native/monitor/shim_call.c). Some shims give up what
 * they do when the connection of its caller ends: gVisor's leaves a container that a killed daemon was starting dead.
 */
import { type Caller, decodeResult, encodeCall } from "../../ttrpc/call.ts";
import type { MonitorSandbox } from "../builtin.ts";
import { callLimitMs, text } from "../monitor/protocol.ts";
import type { ShimAddress } from "./bootstrap.ts";

/** Any odd number is fine: the monitor has one connection for each call. */
const stream = 1;

/** Calls about one container. A sandboxed shim moves processes to cgroups also when it starts one. */
export function lastingCaller(
  monitor: MonitorSandbox,
  { path }: ShimAddress,
  container: string,
  sandboxed: boolean,
): Caller {
  return {
    async call(service, method, request, response, message, options) {
      const frame = encodeCall(stream, service, method, request.encode(message), options);
      const answer = await monitor.request(
        "call",
        {
          container,
          address: path.startsWith("\0") ? `@${path.slice(1)}` : path,
          frame: frame.toString("hex"),
          limit_ms: Math.min(options.timeoutMs, callLimitMs),
          moves: method === "Create" || (sandboxed && method === "Start"),
        },
        options.signal ?? AbortSignal.timeout(options.timeoutMs),
      );
      return decodeResult(method, response, Buffer.from(text(answer, "answer"), "hex"));
    },
  };
}
