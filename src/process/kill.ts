/** Kills a process, or with a negative pid a process group (kill(2)). Whoever has gone meanwhile is success. */
export function killNow(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
