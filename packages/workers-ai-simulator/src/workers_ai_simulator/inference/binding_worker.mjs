// The Worker behind the class `Ai`: it forwards the class's HTTP requests, and answers its RPC calls.
// miniflare_plugin.cjs binds SIMULATOR.
import { WorkerEntrypoint } from "cloudflare:workers";

export class Ai extends WorkerEntrypoint {
  fetch(request) {
    return this.env.SIMULATOR.fetch(request);
  }

  /** `env.AI.websearch(request, params)`: a Response, whatever its status is. */
  websearch(request, { extraHeaders } = {}) {
    return this.env.SIMULATOR.fetch("https://workers-binding.ai/websearch", {
      method: "POST",
      headers: { ...extraHeaders, "content-type": "application/json" },
      body: JSON.stringify(request ?? {}),
    });
  }
}

export default {};
