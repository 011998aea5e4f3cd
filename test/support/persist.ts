/** Calls as a kubelet makes them: the connection may break and the daemon may be away, then the call is repeated. */
import { setTimeout as delay } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { CriError } from "./cri-client.ts";
import { within } from "./slowness.ts";

const again: readonly status[] = [
  status.UNAVAILABLE,
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.ABORTED,
];

/** True when the answer was lost or not given, so that nothing is known of the outcome. */
export function answerLost(error: unknown): boolean {
  return (
    error instanceof CriError &&
    (again.includes(error.code) ||
      // What grpc-js says of a connection that broke while a call was under way.
      (error.code === status.INTERNAL && /RST_STREAM|Connection/.test(error.details)))
  );
}

/** Repeats `call` for as long as its answer is lost; other errors are thrown. */
export async function persist<T>(call: () => Promise<T>, timeoutMs = 60_000): Promise<T> {
  const end = performance.now() + within(timeoutMs);
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!answerLost(error) || performance.now() > end) throw error;
      await delay(10);
    }
  }
}
