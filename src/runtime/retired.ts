/**
 * Pods whose handler is not configured any more: they go on and can be used and ended; they get no new containers.
 * What they need for that is in their run folder.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { RuntimeError } from "../errors/runtime-error.ts";
import type {
  HandlerType,
  RuntimeHandler,
  RuntimeSandbox,
  SandboxEvent,
  SandboxIdentity,
} from "./handler.ts";
import { podRecord } from "./pod-record.ts";

export class RetiredHandler implements Pick<RuntimeHandler, "connect" | "endRemains"> {
  readonly #make: (type: HandlerType) => Promise<RuntimeHandler>;

  /** `make` gives a handler without settings. */
  constructor(make: (type: HandlerType) => Promise<RuntimeHandler>) {
    this.#make = make;
  }

  /** @throws as `RuntimeHandler.connect`. */
  async connect(
    identity: SandboxIdentity,
    onEvent: (event: SandboxEvent) => void,
    signal: AbortSignal,
  ): Promise<RuntimeSandbox> {
    const handler = await this.#make(typeOf(identity.runDir));
    const sandbox = await handler.connect(identity, onEvent, signal);
    sandbox.prepare = () =>
      Promise.reject(
        new RuntimeError(
          "failed-precondition",
          "the pod's runtime handler is not configured any more, it gets no new containers: add its [runtimes.NAME] to the configuration again",
        ),
      );
    return sandbox;
  }

  /** @throws as `RuntimeHandler.endRemains`. */
  async endRemains(runDir: string, signal: AbortSignal): Promise<void> {
    const handler = await this.#make(typeOf(runDir));
    await handler.endRemains?.(runDir, signal);
  }
}

function typeOf(runDir: string): HandlerType {
  if (existsSync(join(runDir, podRecord["shim-v2"]))) return "shim-v2";
  return existsSync(join(runDir, podRecord.oci)) ? "oci" : "builtin";
}
