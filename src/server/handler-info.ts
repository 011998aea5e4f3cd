/** What Status says of the runtime handlers: asked from each, in bounded time. */
import { errorText } from "../errors/runtime-error.ts";
import type { HandlerInfo, HandlerType, RuntimeFeatures, RuntimeHandler } from "../runtime/handler.ts";

/** A kubelet asks for the status every few seconds: one program that hangs must not hide the others. */
const handlerPatienceMs = 1_000;

export interface HandlerStatus extends Partial<HandlerInfo> {
  readonly name: string;
  readonly type: HandlerType;
  /** Path of its program. */
  readonly program: string;
  readonly features: RuntimeFeatures;
  /** Why it can't be asked; then it offers nothing. */
  readonly error?: string;
}

/** What Status says of a handler; what can't be asked now offers nothing: pods are scheduled by it. */
export async function askHandlers(
  handlers: ReadonlyMap<string, RuntimeHandler>,
  signal: AbortSignal,
): Promise<readonly HandlerStatus[]> {
  const patience = AbortSignal.any([signal, AbortSignal.timeout(handlerPatienceMs)]);
  return await Promise.all(
    [...handlers.values()].map(async (handler) => {
      const { name, type, program } = handler;
      try {
        return { name, type, program, ...(await handler.info(patience)) };
      } catch (error) {
        signal.throwIfAborted();
        const features: RuntimeFeatures = { recursiveReadOnlyMounts: false, userNamespaces: false };
        return { name, type, program, features, error: errorText(error) };
      }
    }),
  );
}
