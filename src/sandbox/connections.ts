import { RuntimeError } from "../errors/runtime-error.ts";
import type { RuntimeSandbox } from "../runtime/handler.ts";

/** The live connections to the sandboxes' monitors, by sandbox id. */
export class Connections {
  readonly #live = new Map<string, RuntimeSandbox>();

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
