// One route: what it does, a form that sends it, its fields and its answers.

import { h } from "../console/dom.js";
import { field } from "../console/parts.js";
import { showAnswer } from "./answer.js";
import { fieldsView, parametersView, prose, resolved, skeleton, typeText } from "./schema.js";

const FORM = "multipart/form-data";
const JSON_TYPE = "application/json";

/** Return `{node, leave}`. key: returns the API key that is sent, or an empty text. */
export function operationPage(operation, { components: { schemas } }, key) {
  const attempt = tryForm(operation, schemas, key);
  const contents = Object.entries(operation.requestBody?.content ?? {});
  const bodies = contents.map(([type, { schema }]) => [
    h("h4", null, type),
    fieldsView(schema, schemas, `Fields of ${type}`),
  ]);
  const sections = [
    operation.parameters && [h("h3", null, "Parameters"), parametersView(operation.parameters, schemas, "Parameters")],
    contents.length > 0 && [h("h3", null, "Body"), ...bodies.flat()],
    [
      h("h3", null, "Answers"),
      ...Object.entries(operation.responses).map(([status, answer]) => answerView(status, answer, schemas)),
    ],
  ];
  const node = h(
    "article",
    { class: "stack" },
    h("h2", null, operation.summary),
    h(
      "p",
      { class: "address" },
      h("span", { class: `method ${operation.method.toLowerCase()}` }, operation.method),
      " ",
      h("code", null, operation.path),
    ),
    prose(operation.description),
    attempt.node,
    ...sections.filter(Boolean).map((section) => h("section", { class: "stack" }, ...section)),
  );
  return { node, leave: attempt.leave };
}

function answerView(status, { description, content = {} }, schemas) {
  const [[type, media] = []] = Object.entries(content);
  const isError = Number(status) >= 400;
  const types = Object.keys(content).join(", ");
  const text = h("span", null, h("strong", null, status), " ", ...prose(description).firstChild.childNodes);
  if (isError || !type) return h("p", { class: "answer-line" }, text);
  const json = content[JSON_TYPE] ?? media;
  return h(
    "details",
    null,
    h("summary", null, text, h("span", { class: "hint" }, ` ${types}`)),
    fieldsView(json.schema, schemas, `Fields of the answer ${status}`),
  );
}

// ---- the form --------------------------------------------------------------------------------------------------------

/** Return `{node, leave}`: a form that opens with an example, and the view of the answer. */
function tryForm(operation, schemas, key) {
  const parameters = (operation.parameters ?? []).map((parameter) => ({
    ...parameter,
    control: parameterControl(parameter, schemas),
  }));
  const body = bodyControls(operation, schemas);
  const answer = h("div", { class: "stack answer", "aria-live": "polite" });
  const send = h("button", { type: "submit", class: operation.method === "DELETE" ? "danger" : null }, "Send");
  let controller = null;

  const onsubmit = async (event) => {
    event.preventDefault();
    if (controller) return controller.abort();
    controller = new AbortController();
    send.textContent = "Stop";
    try {
      const { path, init } = requestOf(operation, parameters, body, key());
      await showAnswer(answer, path, { ...init, signal: controller.signal });
    } finally {
      controller = null;
      send.textContent = "Send";
    }
  };
  const optional = parameters.filter((parameter) => !parameter.required);
  const controls = (some) => some.map(({ name, control }) => field(name, control));
  const form = h(
    "form",
    { class: "card stack", "aria-label": "Try it", onsubmit },
    h("h3", null, "Try it"),
    ...controls(parameters.filter((parameter) => parameter.required)),
    body.node,
    optional.length > 0 &&
      h(
        "details",
        null,
        h("summary", null, "Optional parameters"),
        h("div", { class: "stack" }, ...controls(optional)),
      ),
    h(
      "div",
      { class: "row" },
      send,
      h("a", { class: "hint", href: "#start" }, key() ? "With your key" : "Without a key"),
    ),
    answer,
  );
  return { node: form, leave: () => controller?.abort() };
}

function parameterControl({ name, example, required, schema }, schemas) {
  return h("input", {
    type: "text",
    name,
    value: example ?? "",
    required,
    autocomplete: "off",
    placeholder: required ? null : typeText(schema, schemas),
  });
}

/** Return `{node, read}`: controls of the body in the chosen media type. read: returns `{body, headers}`. */
function bodyControls(operation, schemas) {
  const contents = Object.entries(operation.requestBody?.content ?? {});
  if (contents.length === 0) return { node: null, read: () => ({}) };
  const place = h("div", { class: "stack" });
  let read;
  const choose = (type) => {
    const controls = controlsOf(type, operation.requestBody.content[type], schemas);
    read = controls.read;
    place.replaceChildren(...controls.nodes);
  };
  const select = h(
    "select",
    { onchange: () => choose(select.value) },
    ...contents.map(([type]) => h("option", { value: type }, type)),
  );
  choose(contents[0][0]);
  const node = h("div", { class: "stack" }, contents.length > 1 && field("Content type", select), place);
  return { node, read: () => read() };
}

function controlsOf(type, { schema, example }, schemas) {
  if (type === FORM) return formControls(resolved(schema, schemas), schemas);
  if (type.endsWith("/*")) {
    const file = h("input", { type: "file", accept: type, required: true });
    const read = () => ({
      body: file.files[0],
      headers: { "content-type": file.files[0].type || "application/octet-stream" },
    });
    return { nodes: [field("File", file)], read };
  }
  const value = example ?? skeleton(schema, schemas);
  const text = h("textarea", {
    value: typeof value === "string" ? value : JSON.stringify(value, null, 2),
    spellcheck: "false",
    class: "code-input",
    rows: "10",
  });
  text.rows = Math.min(18, text.value.split("\n").length + 1);
  return { nodes: [field("Body", text)], read: () => ({ body: text.value, headers: { "content-type": type } }) };
}

function formControls({ properties, required = [] }, schemas) {
  const controls = Object.entries(properties).map(([name, schema]) => {
    const isFile = typeText(schema, schemas) === "file";
    const input = h("input", {
      type: isFile ? "file" : "text",
      name,
      required: required.includes(name),
      placeholder: isFile ? null : typeText(schema, schemas),
    });
    return { name, input, isFile };
  });
  const nodes = (some) => some.map(({ name, input }) => field(name, input));
  const isFirst = ({ isFile, name }) => isFile || required.includes(name);
  const others = controls.filter((each) => !isFirst(each));
  const read = () => {
    const body = new FormData();
    for (const { name, input, isFile } of controls) {
      if (isFile && input.files[0]) body.append(name, input.files[0]);
      else if (!isFile && input.value) body.append(name, input.value);
    }
    return { body };
  };
  const more =
    others.length > 0 &&
    h("details", null, h("summary", null, "More fields"), h("div", { class: "stack" }, ...nodes(others)));
  return { nodes: [...nodes(controls.filter(isFirst)), more].filter(Boolean), read };
}

function requestOf(operation, parameters, body, key) {
  const inPath = parameters.filter((parameter) => parameter.in === "path");
  const path = inPath.reduce(
    (text, { name, control }) =>
      text.replace(`{${name}}`, encodeURIComponent(control.value).replaceAll("%2F", "/").replaceAll("%40", "@")),
    operation.path,
  );
  const query = new URLSearchParams(
    parameters
      .filter(({ in: place, control }) => place === "query" && control.value)
      .map(({ name, control }) => [name, control.value]),
  );
  const { body: content, headers } = body.read();
  const access = key ? { authorization: `Bearer ${key}` } : {};
  const init = {
    method: operation.method,
    headers: { ...headers, ...access },
    ...(content === undefined ? {} : { body: content }),
  };
  return { path: query.size > 0 ? `${path}?${query}` : path, init };
}
