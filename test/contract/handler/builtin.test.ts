/** The builtin handler: kobako-monitor with the bundled runtime linked in. */
import { BuiltinHandler } from "../../../src/runtime/builtin.ts";
import { UserNamespaces } from "../../../src/runtime/user-namespaces.ts";
import { handlerContract } from "./contract.ts";
import { monitorBinary } from "./pod.ts";

handlerContract(
  new BuiltinHandler({
    name: "builtin",
    monitorBinary,
    userNamespaces: new UserNamespaces(monitorBinary, ["/usr", "/var"]),
  }),
  {
    hostProcesses: true,
  },
);
