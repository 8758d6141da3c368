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

/** Methods that the class calls by RPC and that nothing answers here: each with what to do instead. */
const NOT_SIMULATED = {
  aiSearch: "env.AI.aiSearch() is not simulated. Bind ai_search_namespaces or ai_search, or call env.AI.autorag(name).",
  gateway: "env.AI.gateway() by RPC is not simulated. Leave out {beta: true} and the compatibility flag experimental.",
  autorag: "env.AI.autorag() by RPC is not simulated. Leave out the compatibility flag experimental.",
};
for (const [name, sentence] of Object.entries(NOT_SIMULATED)) {
  Ai.prototype[name] = () => {
    throw new Error(sentence);
  };
}

export default {};
