// Code that sends the request of a screen: curl, fetch, React, Python, and OpenAI's SDK where it has the route.

import { hasKey } from "./api.js";
import { h } from "./dom.js";
import { codeBlock } from "./markdown.js";
import { openDialog } from "./parts.js";

/**
 * Show the code of a request in a dialog.
 *
 * call: `{method, path, json}`, or `form` in place of `json`: the fields of a form, a file as `{file: name}`; `answer` is
 * "json", "stream" or "file"; `saveAs` a file's name; `openai` the call of OpenAI's SDK, of openai.js.
 */
export function showCode(call) {
  const tabs = Object.entries(snippets(call, location.origin, hasKey()));
  const panel = h("div", { role: "tabpanel", "aria-labelledby": "code-tab-0" });
  const list = h("div", { role: "tablist", class: "tabs", "aria-label": "Language", onkeydown: onKey });
  const buttons = tabs.map(([name], index) =>
    h(
      "button",
      { type: "button", role: "tab", class: "quiet small", id: `code-tab-${index}`, onclick: () => select(index) },
      name,
    ),
  );
  list.append(...buttons);

  function select(index) {
    buttons.forEach((each, at) => {
      each.setAttribute("aria-selected", String(at === index));
      each.tabIndex = at === index ? 0 : -1;
    });
    const [, { language, text }] = tabs[index];
    panel.setAttribute("aria-labelledby", `code-tab-${index}`);
    panel.replaceChildren(codeBlock(text, language));
  }

  function onKey(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const index = (buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length;
    select(index);
    buttons[index].focus();
  }

  select(0);
  const note = hasKey()
    ? "The key is read from the variable AIWORKER_KEY. Never put it into a page: give browsers a token (POST /tokens)."
    : "This Worker needs no key here. Deployed, it does: the console shows the code with it then.";
  openDialog("Code", list, panel, h("p", { class: "hint" }, note));
}

/** Return name → `{language, text}`. */
export function snippets(call, origin, withKey) {
  const url = origin + call.path;
  const context = { ...call, url, origin, withKey };
  return {
    curl: { language: "bash", text: curl(context) },
    fetch: { language: "javascript", text: fetchCode(context) },
    React: { language: "javascript", text: react(context) },
    Python: { language: "python", text: python(context) },
    ...(call.openai ? { "OpenAI SDK": { language: "javascript", text: openai(context) } } : {}),
  };
}

// ---- curl -------------------------------------------------------------------------------------

function curl({ method, url, json, form, answer, saveAs, withKey }) {
  const parts = [`curl ${answer === "stream" ? "-N " : ""}${method === "POST" ? "" : `-X ${method} `}${shell(url)}`];
  if (withKey) parts.push('-H "authorization: Bearer $AIWORKER_KEY"');
  if (json) parts.push("-H 'content-type: application/json'", `-d ${shell(JSON.stringify(json, null, 2))}`);
  for (const [name, value] of Object.entries(form ?? {}))
    parts.push(value.file ? `-F ${shell(`${name}=@${value.file}`)}` : `--form-string ${shell(`${name}=${value}`)}`);
  if (answer === "file") parts.push(`-o ${saveAs}`);
  return parts.join(" \\\n  ");
}

const shell = (text) => (/^[\w:/.@=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

// ---- JavaScript -------------------------------------------------------------------------------

const STREAM_LOOP = `let rest = "";
for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
  const events = (rest + chunk).split("\\n\\n");
  rest = events.pop();
  for (const event of events) {
    if (event.startsWith("event: error")) throw new Error(event);
    if (!event.startsWith("data: ") || event === "data: [DONE]") continue;
    const frame = JSON.parse(event.slice(6));
    add(frame.choices?.[0]?.delta?.content ?? frame.response ?? "");
  }
}`;

function fetchCode(context) {
  const { answer } = context;
  const ends = {
    stream: `let text = "";\nconst add = (piece) => (text += piece);\n${STREAM_LOOP}\nconsole.log(text);`,
    json: "console.log(await response.json());",
    file: "const file = await response.blob();\nconsole.log(file.type, file.size);",
  };
  return `${formCode(context)}${sending(context)}\n${CHECK}\n${ends[answer]}`;
}

const CHECK = "if (!response.ok) throw new Error((await response.json()).error.message);";

function formCode({ form }) {
  if (!form) return "";
  const lines = Object.entries(form).map(([name, value]) =>
    value.file
      ? `form.append("${name}", file); // a File, as of <input type="file">`
      : `form.append("${name}", ${JSON.stringify(value)});`,
  );
  return `const form = new FormData();\n${lines.join("\n")}\n`;
}

function sending({ method, url, json, form, withKey }) {
  const headers = [];
  if (withKey) headers.push(`authorization: \`Bearer \${process.env.AIWORKER_KEY}\``);
  if (json) headers.push('"content-type": "application/json"');
  const lines = [`  method: "${method}",`];
  if (headers.length) lines.push(`  headers: { ${headers.join(", ")} },`);
  if (json) lines.push(`  body: JSON.stringify(${indented(JSON.stringify(json, null, 2), "  ")}),`);
  if (form) lines.push("  body: form,");
  return `const response = await fetch("${url}", {\n${lines.join("\n")}\n});`;
}

const indented = (text, by) => text.replaceAll("\n", `\n${by}`);

function react(context) {
  const { answer, form } = context;
  const start = { stream: '""', json: "null", file: "null" }[answer];
  const ends = {
    stream: `setResult("");\nconst add = (piece) => setResult((text) => text + piece);\n${STREAM_LOOP}`,
    json: "setResult(await response.json());",
    file: "setResult(URL.createObjectURL(await response.blob()));",
  };
  const shown = {
    stream: "<p>{result}</p>",
    json: "<pre>{JSON.stringify(result, null, 2)}</pre>",
    file: "{result && <a href={result}>Open the result</a>}",
  };
  // pages send a token of their own server, never a key
  const body = `${formCode(context)}${sending({ ...context, withKey: false })}\n${CHECK}\n${ends[answer]}`;
  const token = context.withKey
    ? "// send a token of POST /tokens as the header authorization: a page must not have the key\n"
    : "";
  const file = Object.values(form ?? {}).some((value) => value.file);
  return `import { useState } from "react";

export function Example() {
  const [result, setResult] = useState(${start});
  const run = async (${file ? "file" : ""}) => {
    ${indented(token + body, "    ")}
  };
  return (
    <>
      ${file ? '<input type="file" onChange={(event) => run(event.target.files[0])} />' : "<button onClick={run}>Run</button>"}
      ${shown[answer]}
    </>
  );
}`;
}

/** Code that uses the SDK's answer. */
const SDK_ENDS = {
  stream: () => `for await (const part of answer) process.stdout.write(part.choices[0]?.delta?.content ?? "");`,
  json: () => "console.log(JSON.stringify(answer, null, 2));",
  data: () => "console.log(JSON.parse(answer.choices[0].message.content));",
  file: (name) => `await writeFile("${name}", Buffer.from(await answer.arrayBuffer()));`,
  image: (name) => `await writeFile("${name}", Buffer.from(answer.data[0].b64_json, "base64"));`,
};

function openai({ openai: { method, parameters, end, saveAs }, origin, withKey }) {
  const key = withKey ? "process.env.AIWORKER_KEY" : '"none"';
  const files = Object.values(parameters).filter((value) => value.file);
  const imports = [
    files.length && 'import { createReadStream } from "node:fs";',
    saveAs && 'import { writeFile } from "node:fs/promises";',
    'import OpenAI from "openai"; // npm install openai',
  ];
  const lines = Object.entries(parameters).map(([name, value]) => {
    const text = value.file ? `createReadStream(${JSON.stringify(value.file)})` : JSON.stringify(value, null, 2);
    return `  ${name}: ${indented(text, "  ")},`;
  });
  const write = SDK_ENDS[end ?? (parameters.stream ? "stream" : "json")];
  return `${imports.filter(Boolean).join("\n")}

const client = new OpenAI({ baseURL: "${origin}/v1", apiKey: ${key} });
const answer = await client.${method}({
${lines.join("\n")}
});
${write(saveAs)}`;
}

// ---- Python -----------------------------------------------------------------------------------

function python({ method, url, json, form, answer, saveAs, withKey }) {
  const parameters = [`"${method}"`, `"${url}"`];
  if (withKey) parameters.push(`headers={"authorization": f"Bearer {os.environ['AIWORKER_KEY']}"}`);
  if (json) parameters.push(`json=${indented(pythonValue(json), "    ")}`);
  const entries = Object.entries(form ?? {});
  const texts = Object.fromEntries(entries.filter(([, value]) => !value.file));
  const files = entries.filter(([, value]) => value.file);
  if (Object.keys(texts).length) parameters.push(`data=${indented(pythonValue(texts), "    ")}`);
  if (files.length)
    parameters.push(`files={${files.map(([name, { file }]) => `"${name}": open("${file}", "rb")`).join(", ")}}`);
  parameters.push("timeout=120");
  const request = (name) => `httpx.${name}(\n    ${parameters.join(",\n    ")},\n)`;
  const head = `${answer === "stream" ? "import json\n" : ""}${withKey ? "import os\n" : ""}${answer === "stream" || withKey ? "\n" : ""}import httpx  # pip install httpx\n\n`;
  if (answer !== "stream") {
    const end = answer === "file" ? `open("${saveAs}", "wb").write(response.content)` : "print(response.json())";
    return `${head}response = ${request("request")}\nresponse.raise_for_status()\n${end}`;
  }
  return `${head}with ${request("stream")} as response:
    response.raise_for_status()
    for line in response.iter_lines():
        if not line.startswith("data: ") or line == "data: [DONE]":
            continue
        frame = json.loads(line[6:])
        delta = (frame.get("choices") or [{}])[0].get("delta", {})
        print(delta.get("content") or frame.get("response") or "", end="", flush=True)`;
}

/** JSON as Python writes it. */
function pythonValue(value, by = "") {
  const inner = `${by}    `;
  if (Array.isArray(value)) {
    if (!value.length) return "[]";
    return `[\n${value.map((each) => `${inner}${pythonValue(each, inner)},\n`).join("")}${by}]`;
  }
  if (value && typeof value === "object") {
    const entries = Object.entries(value);
    if (!entries.length) return "{}";
    return `{\n${entries.map(([name, each]) => `${inner}${JSON.stringify(name)}: ${pythonValue(each, inner)},\n`).join("")}${by}}`;
  }
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  return JSON.stringify(value);
}
