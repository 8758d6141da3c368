// The signals that end a command, including those that npx and `npm run` do not forward.
/** Milliseconds between two checks of the process that has started this one. */
const PARENT_INTERVAL = 500;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];

/** Promise of the first signal that asks this process to end, and the function that forwards all of them. */
export function firstSignal() {
  const state = { forward: () => {} };
  state.received = new Promise((done) => {
    const end = (by) => {
      done(by);
      state.forward(by);
    };
    for (const each of SIGNALS) process.on(each, end);
    const { npm_execpath: npm, WORKERS_AI_SIMULATOR_ENDS_WITH_PARENT: ends } = process.env;
    if (npm || ends) onParentDeath(() => end("SIGTERM"));
  });
  return state;
}

/**
 * Call back when the process that has started this one has ended. npx and `npm run` start a shell in between, which
 * forwards no signals: its end is the only sign. pytest and `dev` may be killed.
 */
export function onParentDeath(callback) {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    callback();
  }, PARENT_INTERVAL);
  timer.unref();
}
