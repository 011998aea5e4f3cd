import { type ConfigOptions, describeConfig, loadConfigWithOrigins } from "../../config/config.ts";
import { printConfig } from "../../config/print.ts";
import type { Context } from "../cli.ts";
import { writeValue } from "../output.ts";

/** kobako config print */
export async function print(context: Context, options: ConfigOptions): Promise<void> {
  const { config, origins } = loadConfigWithOrigins(options);
  if (context.output === "table") context.stdout.write(printConfig(config, origins));
  else await writeValue(context, describeConfig(config));
}

/** kobako config check */
export async function check(context: Context, options: ConfigOptions): Promise<void> {
  const { files } = loadConfigWithOrigins(options);
  context.stdout.write(
    files.length === 0
      ? "no configuration file: all settings are at their defaults\n"
      : `${files.join(", ")}: good\n`,
  );
}
