import { cloudflare } from "@cloudflare/vite-plugin";
import { defineConfig } from "vite";
import { simulatedWorker } from "workers-ai-simulator/config";

export default defineConfig(async ({ command }) => ({
  // only `vite dev` is simulated; `vite build` takes wrangler's own configuration
  plugins: [cloudflare(command === "serve" ? { configPath: (await simulatedWorker()).configPath } : {})],
}));
