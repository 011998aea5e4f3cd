import { runtimeService } from "../../../cri-api/index.ts";
import type { Context } from "../cli.ts";
import { CliError } from "../cli-error.ts";
import { Daemon } from "../client.ts";
import { writeValue } from "../output.ts";

/** kobako version: a daemon that does not run is part of the answer, not an error. */
export async function version(context: Context): Promise<void> {
  using daemon = new Daemon(context.address);
  let server: { runtimeName: string; runtimeVersion: string; runtimeApiVersion: string } | undefined;
  let trouble = "";
  try {
    server = await daemon.call(runtimeService.version, {}, { timeoutMs: 5_000 });
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    trouble = error.message;
  }
  if (context.output !== "table")
    return await writeValue(context, {
      client: context.version,
      node: process.version,
      daemon: server ?? null,
    });
  context.stdout.write(`kobako ${context.version} (node ${process.version})\n`);
  context.stdout.write(
    server
      ? `daemon ${server.runtimeName} ${server.runtimeVersion} (CRI ${server.runtimeApiVersion}) at ${daemon.path}\n`
      : `daemon: ${trouble}\n`,
  );
}
