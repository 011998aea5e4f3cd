import { createInterface } from "node:readline/promises";
import { runtimeService } from "../../../cri-api/index.ts";
import type { Config } from "../../config/config.ts";
import type { Context } from "../cli.ts";
import { CliError, exitCode } from "../cli-error.ts";
import { Daemon } from "../client.ts";

/** kobako reset: works on the folders, because the daemon may be the very thing that does not start. */
export async function reset(
  context: Context,
  config: Config,
  flags: { readonly yes?: boolean },
  doReset: () => Promise<void>,
): Promise<void> {
  if (await serves(config.server.socket))
    throw new CliError(
      `kobakod is running at ${config.server.socket}: stop it first ("systemctl stop kobako", or SIGTERM)`,
      exitCode.failed,
    );
  if (!flags.yes) await ask(context, config);
  await doReset();
  context.stdout.write(`all pods and images of ${config.root} are gone\n`);
}

async function serves(socket: string): Promise<boolean> {
  using daemon = new Daemon(socket);
  try {
    await daemon.call(runtimeService.version, {}, { timeoutMs: 2_000 });
    return true;
  } catch (error) {
    // Who accepts connections lives, even when it answers with an error.
    return !(error instanceof CliError && error.exitCode === exitCode.unreachable);
  }
}

async function ask(context: Context, config: Config): Promise<void> {
  if (!process.stdin.isTTY)
    throw new CliError("reset removes all pods and images: say --yes", exitCode.usage);
  const terminal = createInterface({ input: process.stdin, output: context.stderr });
  try {
    const answer = await terminal.question(`Remove all pods and images of ${config.root}? [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new CliError("nothing was removed", exitCode.failed);
  } finally {
    terminal.close();
  }
}
