import { RuntimeError } from "../errors/runtime-error.ts";

/**
 * The result of work that others wait for too, or the caller's end: the work goes on.
 * @throws RuntimeError `deadline-exceeded` naming `what`, when `signal` ends first.
 */
export async function abandoned<T>(work: Promise<T>, what: string, signal: AbortSignal): Promise<T> {
  const gone = Promise.withResolvers<never>();
  const onAbort = () =>
    gone.reject(
      new RuntimeError("deadline-exceeded", `${what} did not answer in time`, { cause: signal.reason }),
    );
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, gone.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
