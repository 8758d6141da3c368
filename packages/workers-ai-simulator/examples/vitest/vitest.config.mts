import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import { simulatedWorker } from "workers-ai-simulator/config";

// starts the simulator, and derives a configuration that names it beside wrangler's
const worker = await simulatedWorker();

export default defineConfig({
  plugins: [cloudflareTest({ wrangler: { configPath: worker.configPath } })],
  test: { provide: { workersAiSimulator: worker.url } },
});
