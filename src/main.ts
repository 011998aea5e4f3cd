/** The entry of the bundle: the command line, and what it needs of the daemon when it is asked for. */
import { runCli } from "./cli/cli.ts";
import { version } from "./config/version.ts";

process.exitCode = await runCli(process.argv.slice(2), {
  version,
  hooks: async () => {
    const [{ runDaemon }, { resetInstance }] = await Promise.all([
      import("./daemon.ts"),
      import("./reset.ts"),
    ]);
    return { runDaemon, resetInstance };
  },
});
