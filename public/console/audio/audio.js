// The screen Audio: transcribe a recording or a file, and read a text aloud.

import { barButton, h, icon, toast } from "../dom.js";
import { filled, requestForm, tabs, timed } from "../forms.js";
import { speakCall, transcribeCall } from "../openai.js";
import { field } from "../parts.js";
import { showCode } from "../snippets.js";
import { modelsFor } from "../worker.js";
import { Recorder } from "./recorder.js";

export function show({ root, actions }) {
  const listening = transcribing();
  const speaking = speakingForm();
  const panes = tabs("Audio", { Transcribe: listening.node, Speak: speaking.node });
  root.append(h("div", { class: "page narrow" }, panes.node));
  const shown = () => (panes.selected() === "Speak" ? speaking : listening);
  actions.append(barButton("Code", () => showCode(shown().code()), "code"));
  return () => {
    listening.leave();
    speaking.leave();
  };
}

const choice = (task) => {
  const options = modelsFor(task).map(({ id }) => h("option", { value: id }, id.split("/").at(-1)));
  return h("select", { name: "model" }, h("option", { value: "" }, "The Worker's choice"), options);
};

// ---- from speech to text ----------------------------------------------------------------------

function transcribing() {
  let recording = null;
  const player = h("audio", { controls: true, hidden: true, "aria-label": "The recording" });
  const file = h("input", { type: "file", accept: "audio/*", onchange: () => file.files[0] && take(file.files[0]) });
  const model = choice("speech-to-text");
  const language = h("input", { type: "text", name: "language", placeholder: "recognised", autocomplete: "off" });
  const vtt = h("input", { type: "checkbox", id: "vtt" });
  const label = new Text("Record");
  const record = h(
    "button",
    { type: "button", class: "quiet", "aria-pressed": "false", onclick: toggle },
    icon("audio"),
    label,
  );
  const recorder = new Recorder();

  async function toggle() {
    record.disabled = true; // until the browser has answered: a second click would begin a second recording
    try {
      if (recorder.isRunning) take(await recorder.stop());
      else await recorder.start();
    } catch {
      toast("This page may not use the microphone.");
    }
    record.disabled = false;
    label.data = recorder.isRunning ? "Stop recording" : "Record";
    record.setAttribute("aria-pressed", String(recorder.isRunning));
  }

  function take(sound) {
    recording = sound;
    player.src = URL.createObjectURL(sound);
    player.hidden = false;
  }

  const query = () => ({ ...filled([model, language]), ...(vtt.checked ? { vtt: "true" } : {}) });

  async function run(signal) {
    if (!recording) throw new Error("there is no recording yet: record one, or choose a file");
    const headers = { "content-type": recording.type.split(";")[0] || "application/octet-stream" };
    const path = `/transcribe?${new URLSearchParams(query())}`;
    const { response, facts } = await timed("POST", path, { body: recording, headers, signal });
    return transcript(await response.json(), facts(), player);
  }

  const { form, result, leave } = requestForm({
    action: "Transcribe",
    run,
    fields: [
      h("div", { class: "row" }, record, h("span", { class: "hint" }, "or")),
      field("Choose a file", file, "WAV, FLAC, Ogg, MP4, WebM or MP3"),
      player,
      h("div", { class: "form-grid" }, field("Model", model), field("Language", language)),
      h("div", { class: "check" }, vtt, h("label", { htmlFor: "vtt" }, "Subtitles (WebVTT), too")),
    ],
  });
  return {
    node: h("section", { class: "card", "aria-label": "Transcribe" }, form, result),
    code: () => {
      const name = recording?.name ?? "recording.wav";
      return {
        method: "POST",
        path: "/transcribe",
        form: { file: { file: name }, ...query() },
        answer: "json",
        openai: transcribeCall(query(), name),
      };
    },
    leave: () => {
      leave();
      recorder.close();
    },
  };
}

/** A transcript whose sentences play their part of the recording. */
function transcript({ text, segments, language, duration, vtt }, facts, player) {
  const about = [language && `Language: ${language}`, duration && `${duration.toFixed(1)} s`]
    .filter(Boolean)
    .join(", ");
  const play = (start) => {
    player.currentTime = start;
    player.play().catch(() => {}); // the format may be one that this browser cannot play
  };
  const line = (segment) =>
    h(
      "li",
      null,
      h(
        "button",
        {
          type: "button",
          class: "quiet small time",
          "aria-label": `Play from ${clock(segment.start)}`,
          onclick: () => play(segment.start),
        },
        clock(segment.start),
      ),
      h("span", null, segment.text),
    );
  return [
    h("p", { class: "spoken" }, text || "Nothing was heard."),
    about && h("p", { class: "hint" }, about),
    segments.length > 0 && h("ol", { class: "segments", "aria-label": "Segments" }, segments.map(line)),
    vtt &&
      h(
        "a",
        {
          class: "button quiet small",
          href: URL.createObjectURL(new Blob([vtt], { type: "text/vtt" })),
          download: "subtitles.vtt",
        },
        icon("down"),
        "Subtitles",
      ),
    facts,
  ].filter(Boolean);
}

const clock = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;

// ---- from text to speech ----------------------------------------------------------------------

function speakingForm() {
  const text = h("textarea", { rows: "4", name: "text", required: true, maxlength: "5000" });
  text.value = "Good morning. The train to Bern leaves at nine.";
  const model = choice("text-to-speech");
  const voice = h("input", { type: "text", name: "voice", placeholder: "the model's own", autocomplete: "off" });
  const lang = h("input", { type: "text", name: "lang", placeholder: "en", autocomplete: "off" });
  const body = () => filled([text, model, voice, lang]);

  async function run(signal) {
    const { response, facts } = await timed("POST", "/speak", { json: body(), signal });
    const sound = await response.blob();
    const address = URL.createObjectURL(sound);
    const player = h("audio", { controls: true, src: address, "aria-label": "The text, spoken" });
    player.play().catch(() => {}); // browsers may want another click
    return [
      player,
      h(
        "div",
        { class: "row" },
        h("a", { class: "button quiet small", href: address, download: "speech" }, icon("down"), "Download"),
      ),
      facts(),
    ];
  }

  const { form, result, leave } = requestForm({
    action: "Speak",
    run,
    fields: [
      field("Text", text),
      h(
        "div",
        { class: "form-grid" },
        field("Model", model),
        field("Voice", voice, "A voice of aura, such as zeus"),
        field("Language", lang, "Of melotts"),
      ),
    ],
  });
  return {
    node: h("section", { class: "card", "aria-label": "Speak" }, form, result),
    code: () => ({
      method: "POST",
      path: "/speak",
      json: body(),
      answer: "file",
      saveAs: "speech.wav",
      openai: speakCall(body()),
    }),
    leave,
  };
}
