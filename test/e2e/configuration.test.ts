/** What a running daemon takes over from its files. */
import { describe, expect, it } from "vitest";
import { testDaemon } from "../support/daemon.ts";
import { waitFor } from "../support/wait.ts";

describe("SIGHUP", () => {
  it("takes over which calls are logged; a file with an error changes nothing", async () => {
    await using daemon = await testDaemon({ network: "none" });
    const lines = (method: string) => daemon.log().split(`"method":"${method}"`).length - 1;
    const reload = async (more: string, text: string) => {
      const told = () => daemon.log().split(text).length;
      const before = told();
      await daemon.writeConfig(more);
      process.kill(daemon.pid, "SIGHUP");
      await waitFor(text, () => told() > before);
    };
    await daemon.client.listContainers({});
    await waitFor("the line of a call", () => lines("ListContainers") === 1);

    await reload('[log]\ncalls = "changes"', '"applied":["log.calls"]');
    await daemon.client.listContainers({});
    await daemon.client.stopContainer({ containerId: "none" });
    await waitFor("the line of a change", () => lines("StopContainer") === 1);
    expect(lines("ListContainers")).toBe(1);

    await reload('[log]\ncalls = "no such"', "the old one stays in force");
    await daemon.client.listContainers({});
    await daemon.client.stopContainer({ containerId: "none" });
    await waitFor("the line of a change", () => lines("StopContainer") === 2);
    expect(lines("ListContainers")).toBe(1);

    await reload("", '"applied":["log.calls"]');
    await daemon.client.listContainers({});
    await waitFor("the line of a call", () => lines("ListContainers") === 2);
  });
});
