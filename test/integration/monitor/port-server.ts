/**
 * Servers inside a pod's network, one behaviour a port; run as a program of its own by the tests of port-forward.
 * Says "ready" when all listen, and one line for what each test wants to know.
 */
import { createServer, type Socket } from "node:net";

export const port = {
  echo: 8001,
  six: 8002,
  sink: 8003,
  source: 8004,
  farewell: 8005,
  stuck: 8006,
  reset: 8007,
};

const mega = Buffer.alloc(1 << 20, "m");

const behaviours: Readonly<Record<keyof typeof port, (socket: Socket) => void>> = {
  echo: (socket) => socket.pipe(socket),
  six: (socket) => socket.end(`six ${socket.remoteAddress}`),
  /** Tells how many bytes came before the end. */
  sink: (socket) => {
    let bytes = 0;
    socket.on("data", (data) => {
      bytes += data.length;
    });
    socket.on("end", () => {
      console.log(`sink ${bytes}`);
      socket.end(`${bytes}`);
    });
  },
  /** Sends as many MiB as the first line says. */
  source: (socket) => {
    socket.once("data", (line) => {
      let left = Number(line.toString());
      const more = () => {
        while (left > 0) {
          left -= 1;
          if (!socket.write(mega)) return;
        }
        socket.end();
      };
      socket.on("drain", more);
      more();
    });
  },
  /** Ends its own direction first, then says on standard output what still came. */
  farewell: (socket) => {
    let text = "";
    socket.end("bye");
    socket.on("data", (data) => {
      text += data.toString();
    });
    socket.on("end", () => console.log(`farewell ${text}`));
  },
  /** Takes nothing. */
  stuck: (socket) => socket.pause(),
  reset: (socket) => {
    socket.once("data", () => socket.resetAndDestroy());
  },
};

async function serve(): Promise<void> {
  const listening = Object.entries(behaviours).map(([name, behaviour]) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", (error) => console.log(`${name} ${error.message}`));
      behaviour(socket);
    });
    server.listen(
      {
        port: port[name as keyof typeof port],
        host: name === "six" ? "::1" : "127.0.0.1",
        ipv6Only: name === "six",
      },
      resolve,
    );
    return promise;
  });
  await Promise.all(listening);
  console.log("ready");
}

if (import.meta.main) await serve();
