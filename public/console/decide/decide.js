// The screen Decide: typed questions about a text, answered with the probability of every possible answer.

import { barButton, h } from "../dom.js";
import { filled, requestForm, timed } from "../forms.js";
import { decideCall } from "../openai.js";
import { field } from "../parts.js";
import { showCode } from "../snippets.js";
import { modelsFor } from "../worker.js";

const STATE = "The delivery of my parcel is late, which is terrible. I want a refund.";
const QUESTIONS = {
  refund: { type: "noul", instructions: "Does the customer ask for a refund?" },
  topic: {
    type: "choice",
    instructions: "What is it about?",
    criteria: { billing: "Payments", shipping: "Parcels and delivery" },
  },
  mood: { type: "score", instructions: "How satisfied is the customer?", criteria: ["unhappy", "neutral", "happy"] },
};

export function show({ root, actions }) {
  const state = h("textarea", { rows: "4", name: "state", required: true });
  const questions = h("textarea", {
    rows: "16",
    name: "questions",
    class: "mono",
    spellcheck: "false",
    required: true,
  });
  const options = modelsFor("decision").map(({ id }) => h("option", { value: id }, id.split("/").at(-1)));
  const model = h("select", { name: "model" }, h("option", { value: "" }, "The Worker's choice"), options);
  state.value = STATE;
  questions.value = JSON.stringify(QUESTIONS, null, 2);

  const body = () => ({ ...filled([state, model]), questions: JSON.parse(questions.value) });

  async function run(signal) {
    const { response, facts } = await timed("POST", "/decide", { json: body(), signal });
    const { answers } = await response.json();
    return [...Object.entries(answers).map(answerNode), facts()];
  }

  const { form, result, leave } = requestForm({
    action: "Decide",
    run,
    fields: [
      field("Text", state),
      field("Model", model),
      field("Questions", questions, "Each is yes or no (noul), a choice of options, or a score on a scale."),
    ],
  });
  const code = () => {
    try {
      showCode({ method: "POST", path: "/decide", json: body(), answer: "json", openai: decideCall(body()) });
    } catch {
      questions.focus();
    }
  };
  root.append(
    h(
      "div",
      { class: "page split" },
      h("section", { class: "card", "aria-label": "Questions" }, form),
      h("section", { class: "card", "aria-label": "Answers" }, h("h3", null, "Answers"), result),
    ),
  );
  actions.append(barButton("Code", code, "code"));
  return leave;
}

/** An answer with the probability of each possible one. */
function answerNode([id, answer]) {
  const rows = probabilities(answer).map(([label, probability]) =>
    h(
      "li",
      null,
      h("span", null, label),
      h("meter", { min: "0", max: "1", value: probability, "aria-label": label }),
      h("span", { class: "hint" }, `${(probability * 100).toFixed(1)} %`),
    ),
  );
  const verdict = { noul: "yes or no", choice: answer.choice, score: `score ${answer.score?.toFixed(2)}` }[answer.type];
  return h(
    "div",
    { class: "stack" },
    h("p", { class: "row" }, h("strong", null, id), h("span", { class: "hint" }, verdict ?? "no answer could be read")),
    h("ul", { class: "meters" }, rows),
  );
}

function probabilities({ type, noul, probabilities: values = {}, legend = {} }) {
  if (type === "noul")
    return [
      ["yes", noul],
      ["no", 1 - noul],
    ];
  return Object.entries(values).map(([option, probability]) => [legend[option] ?? option, probability]);
}
