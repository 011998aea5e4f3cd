import { RuntimeError } from "../errors/runtime-error.ts";
import { abandoned } from "../process/abandoned.ts";
import type { RuntimeSandbox } from "../runtime/handler.ts";

/** The live connections to the sandboxes' monitors, by sandbox id. */
export class Connections {
  readonly #live = new Map<string, RuntimeSandbox>();
  #takeUp: ((sandboxId: string) => Promise<void>) | undefined;

  /** `takeUp` makes the connection to a sandbox that is not known to be dead; it settles when there is none to be made. */
  bindTakeUp(takeUp: (sandboxId: string) => Promise<void>): void {
    this.#takeUp = takeUp;
  }

  /**
   * Waits until it is known whether there is a connection: a daemon that has just started may still be making it.
   * Whoever has the pod's lock would wait for itself.
   * @throws RuntimeError `unavailable` when it can't be known now, `deadline-exceeded` by the signal.
   */
  async known(sandboxId: string, signal: AbortSignal): Promise<void> {
    if (this.#live.has(sandboxId) || this.#takeUp === undefined) return;
    await abandoned(this.#takeUp(sandboxId), `the monitor of sandbox ${sandboxId}`, signal);
  }

  set(sandboxId: string, connection: RuntimeSandbox): void {
    this.#live.set(sandboxId, connection);
  }

  find(sandboxId: string): RuntimeSandbox | undefined {
    return this.#live.get(sandboxId);
  }

  /** @throws RuntimeError `failed-precondition`: the sandbox is stopped, or its monitor is gone. */
  get(sandboxId: string): RuntimeSandbox {
    const connection = this.#live.get(sandboxId);
    if (connection === undefined) {
      throw new RuntimeError("failed-precondition", `sandbox ${sandboxId} is not running: run a new one`, {
        subject: { sandbox: sandboxId },
      });
    }
    return connection;
  }

  delete(sandboxId: string): void {
    this.#live.delete(sandboxId);
  }

  /** Lets go of every sandbox without disturbing it: what a daemon does when it ends. */
  closeAll(): void {
    for (const connection of this.#live.values()) connection.close();
    this.#live.clear();
  }
}
