/** kobako pull. */
import { imageService, kobako } from "../../../cri-api/index.ts";
import type { Context } from "../cli.ts";
import { CliError, exitCode } from "../cli-error.ts";
import { Daemon, StatusError } from "../client.ts";
import { writeValue } from "../output.ts";
import { Progress } from "../progress.ts";

interface PullFlags {
  readonly username?: string;
  readonly passwordStdin?: boolean;
}

export async function pull(context: Context, image: string, flags: PullFlags): Promise<void> {
  if ((flags.username === undefined) !== (flags.passwordStdin === undefined))
    throw new CliError("--username and --password-stdin go together", exitCode.usage);
  const credentials =
    flags.username === undefined ? undefined : { username: flags.username, password: await readPassword() };
  using daemon = new Daemon(context.address);
  const imageRef = await pullImage(context, daemon, image, credentials);
  if (context.output === "table") context.stdout.write(`${imageRef}\n`);
  else await writeValue(context, { imageRef });
}

/** Pulls and shows how far it is on stderr. Ctrl-C ends this caller's share of the pull. */
export async function pullImage(
  context: Context,
  daemon: Daemon,
  image: string,
  credentials?: { readonly username: string; readonly password: string },
): Promise<string> {
  const progress = new Progress(context.stderr);
  try {
    for await (const event of daemon.stream(kobako.pull, { image, credentials }, { timeoutMs: 0 })) {
      if (event.layer) progress.update(event.layer);
      if (event.imageRef !== "") return event.imageRef;
    }
    throw new CliError("the daemon ended the pull without a result");
  } catch (error) {
    // Another runtime's socket: it pulls too, without telling how far it is.
    if (!(error instanceof StatusError) || error.status !== "UNIMPLEMENTED") throw error;
    const auth = credentials && { username: credentials.username, password: credentials.password };
    const request = { image: { image }, auth };
    return (await daemon.call(imageService.pullImage, request, { timeoutMs: 0 })).imageRef;
  } finally {
    progress.finish();
  }
}

const maxPasswordBytes = 64 << 10;

/** From standard input, never from an argument: those are seen by everyone who can list processes. */
async function readPassword(): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin) {
    chunks.push(chunk as Buffer);
    length += (chunk as Buffer).length;
    if (length > maxPasswordBytes) throw new CliError("the password is too long", exitCode.usage);
  }
  return Buffer.concat(chunks)
    .toString("utf8")
    .replace(/\r?\n$/, "");
}
