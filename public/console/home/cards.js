// The cards of Home: the request of each, and the view of its answer.

import { getJson, postJson, request } from "../api.js";
import { answer } from "../chat/answer.js";
import { AnswerView } from "../chat/turn.js";
import { showAnswer } from "../documents/asking.js";
import { h, shortName } from "../dom.js";
import { codeBlock } from "../markdown.js";
import { chatCall, extractCall, speakCall } from "../openai.js";
import { modelsFor, worker } from "../worker.js";

const PDF = "console/examples/lighthouse.pdf";
const DOCUMENT = "console-lighthouse";
const INVOICE = "Invoice 4711 for Ada Lovelace: two brass gears, 12.50 EUR each. Not paid yet.";
const SCHEMA = {
  type: "object",
  properties: {
    number: { type: "integer" },
    customer: { type: "string", description: "Who has to pay" },
    total: { type: "number", description: "In euros" },
    state: { enum: ["open", "paid"] },
  },
  required: ["number", "customer", "total", "state"],
  additionalProperties: false,
};

const QUESTIONS = {
  pdf: "How high is the tower of the lighthouse?",
  picture: "What is in this picture?",
  speech: "Good morning. The boat to the lighthouse leaves at nine.",
  time: "What time is it in Bern?",
  models: "Explain what a Worker is, in one sentence.",
};

export function cards() {
  const picture = drawing();
  return [
    {
      title: "Ask a PDF",
      icon: "documents",
      about: "Indexes a two-page PDF and answers from it, with the page as its source.",
      action: "Ask it",
      routes: ["POST /rag", "POST /rag/documents"],
      more: "#/documents",
      moreLabel: "Your documents",
      preview: h("blockquote", null, QUESTIONS.pdf),
      run: askPdf,
      code: () => ({ method: "POST", path: "/rag", json: { query: QUESTIONS.pdf }, answer: "stream" }),
    },
    {
      title: "Describe a picture",
      icon: "images",
      about: "A model that sees says what this drawing shows.",
      action: "Describe it",
      routes: ["POST /chat"],
      more: "#/chat",
      moreLabel: "Chat",
      preview: h("img", { src: picture, alt: "A drawing of a house, a tree and the sun", class: "preview" }),
      run: (result, signal) => chat(result, signal, pictureBody(picture)),
      code: () => chatCode(pictureBody(picture)),
    },
    {
      title: "Speak and listen",
      icon: "audio",
      about: "Reads a sentence aloud, and writes down what it hears.",
      action: "Speak it",
      routes: ["POST /speak", "POST /transcribe"],
      more: worker.routes.has("POST /transcribe") ? "#/audio" : "#/chat",
      moreLabel: "Audio",
      preview: h("blockquote", null, QUESTIONS.speech),
      run: speak,
      code: () => ({
        method: "POST",
        path: "/speak",
        json: { text: QUESTIONS.speech },
        answer: "file",
        saveAs: "speech.wav",
        openai: speakCall({ text: QUESTIONS.speech }),
      }),
    },
    {
      title: "Extract data",
      icon: "structured",
      about: "Turns a text into JSON that fits a schema, checked before you get it.",
      action: "Extract it",
      routes: ["POST /extract"],
      more: "#/structured",
      moreLabel: "Your schema",
      preview: h("blockquote", null, INVOICE),
      run: extract,
      code: () => {
        const json = { text: INVOICE, schema: SCHEMA };
        return { method: "POST", path: "/extract", json, answer: "json", openai: extractCall(json) };
      },
    },
    {
      title: "Call a tool",
      icon: "tool",
      about: "The model calls a Python function of this Worker and answers with its result.",
      action: "Ask it",
      routes: ["POST /chat"],
      more: "#/chat",
      moreLabel: "Chat",
      preview: h("blockquote", null, QUESTIONS.time),
      run: (result, signal) => chat(result, signal, toolBody()),
      code: () => ({ method: "POST", path: "/chat", json: toolBody(), answer: "stream" }),
    },
    {
      title: "Compare two models",
      icon: "sliders",
      about: "The same question to two models: their answers, speed and price side by side.",
      action: "Compare them",
      routes: ["POST /chat"],
      more: "#/chat",
      moreLabel: "Chat",
      preview: h("blockquote", null, QUESTIONS.models),
      run: compare,
      code: () => chatCode(question(QUESTIONS.models, {})),
    },
  ];
}

const chatCode = (json) => ({
  method: "POST",
  path: "/chat",
  json,
  answer: "stream",
  openai: chatCall({ ...json, stream: true }),
});

const question = (content, more) => ({ messages: [{ role: "user", content }], ...more });

function withAbility(ability) {
  const model = modelsFor("text-generation").find(({ id }) => id === worker.defaultModel);
  if (model?.abilities.includes(ability)) return {};
  const other = modelsFor("text-generation").find(
    ({ abilities, deprecated }) => abilities.includes(ability) && !deprecated,
  );
  return other ? { model: other.id } : {};
}

const toolBody = () => question(QUESTIONS.time, { worker_tools: ["current_time"], ...withAbility("tools") });

const pictureBody = (url) =>
  question(
    [
      { type: "text", text: QUESTIONS.picture },
      { type: "image_url", image_url: { url } },
    ],
    withAbility("vision"),
  );

async function chat(result, signal, body) {
  const view = new AnswerView();
  result.replaceChildren(view.node);
  view.end(await answer(body, signal, (part) => view.add(part)));
}

async function askPdf(result, signal) {
  const line = h("p", { class: "hint" }, "Reading the PDF…");
  result.replaceChildren(line);
  const file = await (await fetch(PDF, { signal })).blob();
  const form = new FormData();
  form.append("id", DOCUMENT);
  form.append("file", new File([file], "lighthouse.pdf", { type: "application/pdf" }));
  let state = await (await request("POST", "/rag/documents", { body: form, signal })).json();
  while (state.state !== "indexed") {
    if (state.state === "failed") throw new Error(state.reason);
    line.textContent = `Indexing: ${state.state}…`;
    await new Promise((done) => setTimeout(done, 300));
    state = await getJson(`/rag/documents/${DOCUMENT}`, { signal });
  }
  await showAnswer(result, { query: QUESTIONS.pdf, top_k: 2 }, { tenant: "" }, signal);
}

async function speak(result, signal) {
  const sound = await (await request("POST", "/speak", { json: { text: QUESTIONS.speech }, signal })).blob();
  const player = h("audio", { controls: true, src: URL.createObjectURL(sound), "aria-label": "The sentence, spoken" });
  const transcript = h("p", { class: "hint" }, "Listening…");
  result.replaceChildren(player, transcript);
  player.play().catch(() => {}); // browsers may want another click
  const headers = { "content-type": sound.type };
  const { text } = await (await request("POST", "/transcribe", { body: sound, headers, signal })).json();
  transcript.replaceWith(h("p", null, "Heard: ", h("q", null, text)));
}

async function extract(result, signal) {
  const { data } = await postJson("/extract", { text: INVOICE, schema: SCHEMA }, { signal });
  result.replaceChildren(codeBlock(JSON.stringify(data, null, 2), "json"));
}

async function compare(result, signal) {
  const usable = modelsFor("text-generation").filter(
    ({ abilities, deprecated }) => abilities.includes("streaming") && !deprecated,
  );
  const other =
    usable.find(({ id }) => id.includes("llama") && id !== worker.defaultModel) ??
    usable.find(({ id }) => id !== worker.defaultModel);
  const models = [worker.defaultModel, other?.id].filter(Boolean);
  const columns = models.map(() => h("div", { class: "column-of-two" }));
  result.replaceChildren(h("div", { class: "two" }, columns));
  await Promise.all(
    models.map(async (model, index) => {
      const inner = h("div");
      columns[index].append(h("p", { class: "model-name" }, shortName(model)), inner);
      await chat(inner, signal, question(QUESTIONS.models, { model }));
    }),
  );
}

/** A drawing of a house, a tree and the sun, as a data URI. */
function drawing() {
  const canvas = h("canvas", { width: 320, height: 180 });
  const pen = canvas.getContext("2d");
  const fill = (colour, ...rectangle) => {
    pen.fillStyle = colour;
    pen.fillRect(...rectangle);
  };
  const disc = (colour, x, y, radius) => {
    pen.fillStyle = colour;
    pen.beginPath();
    pen.arc(x, y, radius, 0, 7);
    pen.fill();
  };
  fill("#bfe3f2", 0, 0, 320, 130);
  fill("#7fae62", 0, 130, 320, 50);
  disc("#f6c945", 270, 40, 22);
  fill("#e8d8bc", 60, 75, 110, 75);
  pen.fillStyle = "#b2523e";
  pen.beginPath();
  pen.moveTo(48, 78);
  pen.lineTo(115, 28);
  pen.lineTo(182, 78);
  pen.fill();
  fill("#6b4a34", 103, 105, 26, 45);
  fill("#6b4a34", 232, 100, 12, 50);
  disc("#4b7f3c", 238, 85, 30);
  return canvas.toDataURL("image/png");
}
