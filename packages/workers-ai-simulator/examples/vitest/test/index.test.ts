import { env } from "cloudflare:workers";
import * as hooks from "vitest";
import { useSimulator } from "workers-ai-simulator/testing";
import worker, { type Env } from "../src/index";

declare module "vitest" {
  interface ProvidedContext {
    workersAiSimulator: string;
  }
}

const { expect, inject, test } = hooks;
const ai = useSimulator(hooks, { url: inject("workersAiSimulator"), strict: true });

async function ask(question: string): Promise<string> {
  const request = new Request("https://worker.example/", { method: "POST", body: question });
  return (await worker.fetch(request, env as unknown as Env)).text();
}

test("the tool that the model calls is answered", async () => {
  await ai.setAnswers([
    { prompt: "Oslo", tool_calls: [{ name: "temperature", arguments: { city: "Oslo" } }] },
    { text: "It is 4 degrees in Oslo." },
  ]);
  expect(await ask("How cold is Oslo?")).toBe("It is 4 degrees in Oslo.");
  const calls = await ai.assertAsked({ prompt: "Oslo", times: 2 });
  expect(calls[1].inputs.messages).toContainEqual({ role: "tool", name: "temperature", content: "4" });
});

test("a model that calls nothing answers by itself", async () => {
  await ai.setAnswer({ text: "Hello!" });
  expect(await ask("Hi")).toBe("Hello!");
});

test("the production class refuses what the model does", async () => {
  await ai.setAnswer({ error: { status: 429, code: 3040, description: "Capacity temporarily exceeded" } });
  await expect(ask("Hi")).rejects.toThrow("3040: Capacity temporarily exceeded");
});
