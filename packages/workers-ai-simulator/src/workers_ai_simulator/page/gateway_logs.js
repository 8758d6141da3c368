// The table of the gateways' logs, updated as they come.

import { clockTime, counted, formatted, modelName, page, secondsText, write } from "./elements.js";
import { LiveTable, showEmpty } from "./live_table.js";

const table = new LiveTable(page["log-table"], "log-template", fill, details);

export function showLogs(logs) {
  table.update(logs);
  const count = table.entries.length;
  write(page["logs-count"], count ? counted(count, "log") : "");
  write(page["nav-logs"], count ? String(count) : "");
  showEmpty("logs", count ? "" : "No call through a gateway yet. Name one in the call's options: gateway: { id }.");
}

export function showNoLogs() {
  showEmpty("logs", "This simulator does not show gateway logs.");
}

function fill(root, log) {
  const badge = root.querySelector(".badge");
  badge.dataset.state = log.cached ? "cached" : log.success ? "finished" : "failed";
  write(badge, log.cached ? `${log.status_code} cached` : String(log.status_code));
  const open = root.querySelector(".open");
  if (!open.textContent) open.append(...modelName(log.model || log.provider));
  write(root.querySelector(".what"), `${log.gateway} · ${log.provider}`);
  write(root.querySelector(".tokens"), `${formatted(log.tokens_in)} / ${formatted(log.tokens_out)}`);
  write(root.querySelector(".cost"), log.cost ? `$${formatted(log.cost)}` : "–");
  write(root.querySelector(".duration"), secondsText(log.duration / 1000));
  write(root.querySelector(".time"), clockTime(new Date(log.created_at)));
}

function details(log) {
  const { metadata, request_head: request, response_head: response } = log;
  return {
    facts: [
      ["Id", log.id],
      ["Gateway", log.gateway],
      ["Provider", log.provider],
      ["Event", log.event_id],
      ["Step", log.step ? String(log.step) : ""],
      ["Metadata", metadata && JSON.stringify(metadata)],
      ["Feedback", log.feedback ? String(log.feedback) : ""],
    ],
    texts: [
      ["Request", request && indented(request)],
      ["Response", response && indented(response)],
    ].filter(([, text]) => text),
  };
}

/** JSON with indentation; any other body, or one that was cut, unchanged. */
function indented(body) {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
