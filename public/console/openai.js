// The calls of OpenAI's SDK that do what requests of the console do: `{method, parameters, end, saveAs}` for snippets.js.

import { modelOf, modelsFor, worker } from "./worker.js";

/** POST /chat, without what has no counterpart: the Worker's own tools, and conversations. */
export function chatCall({ worker_tools, conversation, ...body }) {
  const { stream, ...parameters } = body;
  return {
    method: "chat.completions.create",
    parameters: { model: worker.defaultModel, ...parameters, ...(stream ? { stream } : {}) },
  };
}

/** POST /extract: a completion whose content fits a schema. */
export function extractCall({ text, instructions, schema, model }) {
  const messages = [
    ...(instructions ? [{ role: "system", content: instructions }] : []),
    { role: "user", content: text },
  ];
  const format = { type: "json_schema", json_schema: { name: "data", schema } };
  const parameters = { model: model ?? jsonModel(), messages, response_format: format };
  return { method: "chat.completions.create", parameters, end: "data" };
}

function jsonModel() {
  const takesSchemas = ({ abilities, deprecated }) => abilities.includes("json") && !deprecated;
  const standard = modelOf(worker.defaultModel);
  return (standard && takesSchemas(standard) ? standard : modelsFor("text-generation").find(takesSchemas))?.id;
}

/** POST /decide. */
export function decideCall({ state, questions, model }) {
  const parameters = {
    model: model ?? "gpt-6-luna",
    input: state,
    questions: Object.entries(questions).map(([name, question]) => ({ name, ...decisionOf(question) })),
  };
  return { method: "decisions.create", parameters };
}

function decisionOf({ type, instructions: value, criteria }) {
  const instructions = typeof value === "string" ? value : JSON.stringify(value);
  const described = ([value, description]) => ({ value, ...(description ? { description: String(description) } : {}) });
  if (type === "choice") return { type, instructions, choices: Object.entries(criteria).map(described) };
  if (type === "score") return { type, instructions, levels: criteria.map((label) => ({ label: String(label) })) };
  return { type: "predicate", instructions };
}

/** POST /image. names: field → name of a file. */
export function imageCall({ prompt, width, height, strength, store, ...more }, names) {
  const size = width && height ? { size: `${width}x${height}` } : {};
  const parameters = { prompt, ...more, ...size, response_format: store ? "url" : "b64_json" };
  const end = store ? {} : { end: "image", saveAs: "image.png" };
  if (!Object.keys(names).length) return { method: "images.generate", parameters, ...end };
  const files = Object.fromEntries(Object.entries(names).map(([name, file]) => [name, { file }]));
  const edited = { ...files, ...parameters, ...(strength ? { strength } : {}) };
  return { method: "images.edit", parameters: edited, ...end };
}

/** POST /speak. */
export function speakCall({ text, model, voice }) {
  const parameters = { model: model ?? "tts-1", input: text, voice: voice ?? "alloy" };
  return { method: "audio.speech.create", parameters, end: "file", saveAs: "speech.mp3" };
}

/** POST /transcribe. file: name of the recording. */
export function transcribeCall({ model, language, vtt }, file) {
  const parameters = {
    file: { file },
    model: model ?? "whisper-1",
    ...(language ? { language } : {}),
    response_format: vtt ? "vtt" : "verbose_json",
  };
  return { method: "audio.transcriptions.create", parameters };
}
