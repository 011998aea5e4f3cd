/** The entry of the bundle: the command line, and what it needs of the daemon when it is asked for. */
import { runCli } from "./cli/cli.ts";
import { version } from "./config/version.ts";

const code = await runCli(process.argv.slice(2), {
  version,
  hooks: async () => {
    const [{ runDaemon }, { resetInstance }] = await Promise.all([
      import("./daemon.ts"),
      import("./reset.ts"),
    ]);
    return { runDaemon, resetInstance };
  },
});

// The command is done when it says so: a connection that is slow to close must not keep a script waiting.
for (const stream of [process.stdout, process.stderr]) {
  await new Promise((written) => stream.write("", written));
}
process.exit(code);
