/**
 * The kobako command. This file knows the names, flags and help of all commands; what they do is loaded when one
 * is called, so that each starts fast.
 *
 * Enters: arguments. Leaves: text on stdout, one sentence on stderr when something went wrong, an exit code.
 * Speaks to the daemon over its socket only; `daemon` and `reset` are handed in by src/main.ts.
 */
import { Command, CommanderError, Option } from "commander";
import type { Config, ConfigOptions } from "../config/config.ts";
import { errorText, RuntimeError } from "../errors/runtime-error.ts";
import { CliError, exitCode } from "./cli-error.ts";
import type { OutputFormat } from "./output.ts";
import { defaultDetachKeys } from "./stream/detach-keys.ts";

/** What only the daemon's own code can do. Loaded when needed. */
export interface DaemonHooks {
  /** Serves until SIGTERM; resolves with the exit code. `options` is what a reload reads again. */
  runDaemon(config: Config, options: ConfigOptions): Promise<number>;
  /** Removes every pod, image and host-global trace of the instance. The daemon must not run. */
  resetInstance(config: Config): Promise<void>;
}

export interface CliOptions {
  readonly version: string;
  readonly hooks: () => Promise<DaemonHooks>;
  readonly env?: NodeJS.ProcessEnv;
  readonly stdin?: NodeJS.ReadStream;
  readonly stdout?: NodeJS.WriteStream;
  readonly stderr?: NodeJS.WriteStream;
}

/** What every command gets. */
export interface Context {
  readonly address: string;
  readonly output: OutputFormat;
  readonly version: string;
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

const defaultAddress = "unix:///run/kobako/kobako.sock";

/** Runs one command line (without node and script). Resolves with the exit code; never rejects. */
export async function runCli(argv: readonly string[], o: CliOptions): Promise<number> {
  const stderr = o.stderr ?? process.stderr;
  // A reader that has seen enough (head, less) is no failure.
  (o.stdout ?? process.stdout).on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(exitCode.ok);
  });
  let code: number = exitCode.ok;
  try {
    const program = buildProgram(o, (result) => {
      code = result;
    });
    await program.parseAsync([...argv], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.ok : exitCode.usage;
    stderr.write(`kobako: ${error instanceof CliError ? error.message : describe(error)}\n`);
    return error instanceof CliError ? error.exitCode : exitCode.failed;
  }
  return code;
}

function describe(error: unknown): string {
  if (error instanceof RuntimeError) return errorText(error);
  // Not foreseen: the stack is what a report needs.
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function buildProgram(o: CliOptions, setCode: (code: number) => void): Command {
  const stdout = o.stdout ?? process.stdout;
  const stderr = o.stderr ?? process.stderr;
  const env = o.env ?? process.env;
  const program = new Command("kobako")
    .description("A small, power-cut-proof Kubernetes container runtime")
    .addOption(
      new Option("--address <socket>", "the daemon's socket").default(env.KOBAKO_ADDRESS || defaultAddress),
    )
    .addOption(
      new Option("-o, --output <format>", "how results are shown")
        .choices(["table", "json", "yaml"])
        .default("table"),
    )
    .configureOutput({ writeOut: (text) => stdout.write(text), writeErr: (text) => stderr.write(text) })
    .enablePositionalOptions()
    .showHelpAfterError("(see kobako --help)")
    .exitOverride();
  const context = (): Context => ({
    ...program.opts<{ address: string; output: OutputFormat }>(),
    version: o.version,
    // Looked at only by those who read it: a closed one is no failure of the others.
    get stdin() {
      return o.stdin ?? process.stdin;
    },
    stdout,
    stderr,
  });
  /** The options that every command takes too, wherever they stand on the line. */
  const command = (spec: string, description: string): Command => {
    const made = program.command(spec).description(description);
    made
      .addOption(new Option("--address <socket>").hideHelp())
      .on("option:address", (value: string) => program.setOptionValue("address", value));
    made
      .addOption(new Option("-o, --output <format>").choices(["table", "json", "yaml"]).hideHelp())
      .on("option:output", (value: string) => program.setOptionValue("output", value));
    return made;
  };

  withConfig(command("daemon", "serve the CRI"))
    .addOption(
      new Option("--log-level <level>", "lines below it are not written").choices([
        "trace",
        "debug",
        "info",
        "warn",
        "error",
        "fatal",
        "silent",
      ]),
    )
    .action(async (flags: ConfigFlags) => {
      const { loadConfig } = await import("../config/config.ts");
      const options = configOptions(flags);
      const config = loadConfig(options);
      setCode(await (await o.hooks()).runDaemon(config, options));
    });

  command("pods", "list pods")
    .option("-q, --quiet", "ids only")
    .option("--name <name>", "only pods of this name")
    .option("--namespace <namespace>", "only pods of this namespace")
    .option("-l, --label <key=value>", "only pods with this label (again for more)", collect, [])
    .action(async (flags) => (await import("./commands/list.ts")).pods(context(), flags));

  command("ps", "list containers")
    .option("-a, --all", "those that do not run too")
    .option("-q, --quiet", "ids only")
    .option("-p, --pod <pod>", "only those of this pod (name or id)")
    .action(async (flags) => (await import("./commands/list.ts")).ps(context(), flags));

  command("images", "list images")
    .option("-q, --quiet", "ids only")
    .option("--digests", "show digests")
    .argument("[image]", "only this one")
    .action(async (image, flags) => (await import("./commands/list.ts")).images(context(), image, flags));

  command("pull", "pull an image")
    .argument("<image>")
    .option("-u, --username <name>", "for the registry")
    .option("--password-stdin", "read the password from standard input")
    .action(async (image, flags) => (await import("./commands/pull.ts")).pull(context(), image, flags));

  command("rmi", "remove images")
    .argument("<image...>")
    .action(async (images) => (await import("./commands/remove.ts")).rmi(context(), images));

  command("run", "run a pod of one container, or a pod from a file")
    .argument("[image]")
    .argument("[command...]", "instead of the image's")
    .option("-f, --file <pod.yaml>", "a v1 Pod; - for standard input")
    .option("--name <name>", "of the pod; default: the image's name and some letters")
    .option("--namespace <namespace>", "of the pod", "default")
    .option("-e, --env <name=value>", "an environment variable (again for more)", collect, [])
    .option("-p, --publish <[ip:]host:container[/proto]>", "a port of the host (again for more)", collect, [])
    .option(
      "-v, --volume <host:container[:ro]>",
      "a folder or file of the host (again for more)",
      collect,
      [],
    )
    .option("--host-network", "the host's network")
    .option("--privileged", "all capabilities and devices")
    .option("--runtime <handler>", "the handler; default: the daemon's", "")
    .passThroughOptions()
    .action(async (image, rest, flags) =>
      (await import("./commands/run.ts")).run(context(), image, rest, flags),
    );

  withSession(command("exec", "run a command in a container"))
    .argument("<container>", "name or id")
    .argument("<command...>")
    .option("--timeout <seconds>", "kill it after this time; its output then comes at its end", "0")
    .passThroughOptions()
    .action(async (container, argv, flags) =>
      setCode(await (await import("./commands/exec.ts")).exec(context(), container, argv, flags)),
    );

  withSession(command("attach", "show what a container writes from now on, and with -i write to it"))
    .argument("<container>", "name or id")
    .action(async (container, flags) =>
      setCode(await (await import("./commands/attach.ts")).attach(context(), container, flags)),
    );

  command("cp", "copy files and folders out of containers and into them")
    .argument("<from>", "CONTAINER:PATH, or a path of this host (one with a colon begins with ./ or /)")
    .argument("<to>", "likewise; into a folder that is there, or as that name")
    .addHelpText(
      "after",
      "\nFolders are copied whole; FROM/. is what is in it. Copies belong to root, without set-user-ID bits.",
    )
    .action(async (from, to) => setCode(await (await import("./commands/cp.ts")).cp(context(), from, to)));

  command("port-forward", "forward ports of this host into a pod")
    .argument("<pod>", "name or id")
    .argument("<ports...>", "[LOCAL:]REMOTE; :REMOTE takes any port that is free")
    .option("--listen <address...>", "addresses of this host to listen on", ["127.0.0.1"])
    .action(async (pod, ports, flags) =>
      (await import("./commands/port-forward.ts")).portForward(context(), pod, ports, flags),
    );

  command("logs", "show the logs of containers")
    .argument("[container...]", "names or ids; of several, each line begins with the name")
    .option("-f, --follow", "go on until they have ended")
    .option("--previous", "of the attempt before this one")
    .option("-p, --pod <pod>", "of all containers of this pod (name or id)")
    .option("--tail <lines>", "only the last lines, of each")
    .option("--since <time>", "only since then: 5m, 2h, or 2026-01-02T15:04:05Z")
    .option("-t, --timestamps", "with the time of each line")
    .action(async (containers, flags) =>
      (await import("./commands/logs.ts")).logs(context(), containers, flags),
    );

  command("stop", "stop pods: their containers end, their network is given back")
    .argument("<pod...>", "names or ids")
    .option("--timeout <seconds>", "of grace for each container", "10")
    .action(async (pods, flags) => (await import("./commands/remove.ts")).stop(context(), pods, flags));

  command("rm", "remove pods with their containers")
    .argument("[pod...]", "names or ids")
    .option("-f, --force", "running ones too: they are killed at once")
    .option("-a, --all", "all pods")
    .action(async (pods, flags) => (await import("./commands/remove.ts")).rm(context(), pods, flags));

  withConfig(
    command("reset", "remove every pod, image and trace of this instance; the daemon must be stopped"),
  )
    .option("-y, --yes", "do not ask")
    .action(async (flags) => {
      const { loadConfig } = await import("../config/config.ts");
      const config = loadConfig(configOptions(flags));
      await (await import("./commands/reset.ts")).reset(context(), config, flags, async () =>
        (await o.hooks()).resetInstance(config),
      );
    });

  command("version", "show the versions of the command and the daemon").action(async () =>
    (await import("./commands/version.ts")).version(context()),
  );

  const runtime = command("runtime", "look at the runtime handlers");
  runtime
    .command("list")
    .description("show the handlers, their programs and versions")
    .action(async () => (await import("./commands/runtime.ts")).list(context()));
  runtime
    .command("check")
    .description("say what a handler can, and make a container with it")
    .argument("<handler>")
    .option("--image <image>", "of the container; default: the smallest that is here")
    .action(async (handler: string, flags) =>
      setCode(await (await import("./commands/runtime.ts")).check(context(), handler, flags)),
    );

  const config = command("config", "look at the configuration");
  withConfig(config.command("print").description("show all settings and where each comes from")).action(
    async (flags) => (await import("./commands/config.ts")).print(context(), configOptions(flags)),
  );
  config
    .command("check")
    .description("say whether a configuration is good")
    .argument("[file]", "default: /etc/kobako/config.toml and conf.d")
    .action(async (file: string | undefined) =>
      (await import("./commands/config.ts")).check(context(), { file }),
    );
  return program;
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

interface ConfigFlags {
  readonly config?: string;
  readonly configDir?: string;
  readonly root?: string;
  readonly state?: string;
  readonly socket?: string;
  readonly logLevel?: string;
  readonly set?: readonly string[];
}

function withSession(command: Command): Command {
  return command
    .option("-i, --interactive", "with standard input")
    .option("-t, --tty", "with a terminal")
    .option("--detach-keys <keys>", 'keys that leave it, with -it; "" for none', defaultDetachKeys);
}

function withConfig(command: Command): Command {
  return command
    .option("--config <file>", "instead of /etc/kobako/config.toml and conf.d")
    .option("--config-dir <folder>", "drop-ins, sorted by name")
    .option("--root <folder>", "what must outlive a reboot")
    .option("--state <folder>", "what need not")
    .option("--socket <path>", "the gRPC socket")
    .option("--set <key=value>", "any other setting, by its dotted key (again for more)", collect, []);
}

/** The settings that flags give, by key. @throws CliError */
function configOptions(flags: ConfigFlags): ConfigOptions {
  const values: Record<string, { value: string; flag: string }> = {};
  const put = (key: string, value: string | undefined, flag: string) => {
    if (value !== undefined) values[key] = { value, flag };
  };
  for (const pair of flags.set ?? []) {
    const at = pair.indexOf("=");
    if (at < 1) throw new CliError(`--set ${pair} must be KEY=VALUE`, exitCode.usage);
    put(pair.slice(0, at), pair.slice(at + 1), `--set ${pair.slice(0, at)}`);
  }
  put("root", flags.root, "--root");
  put("state", flags.state, "--state");
  put("server.socket", flags.socket, "--socket");
  put("log.level", flags.logLevel, "--log-level");
  return { file: flags.config, dropIns: flags.configDir, flags: values };
}
