export interface SimulatedWorkerOptions {
  /** Path of wrangler's configuration; by default the one that wrangler finds. */
  config?: string;
  /** Options of the simulator, as on its command line: `["--metadata-index", "passages:language:string"]`. */
  simulator?: string[];
}

export interface SimulatedWorker {
  /** Path of the configuration with the simulator's bindings, beside wrangler's; it is removed with the process. */
  configPath: string;
  /** Address of the simulator, for `SimulatorClient`. */
  url: string;
  /** Stop the simulator and remove the configuration; both happen by themselves when the process ends. */
  stop(): Promise<void>;
}

/** Start a simulator for this process, and derive a configuration of the Worker that names it. */
export function simulatedWorker(options?: SimulatedWorkerOptions): Promise<SimulatedWorker>;
