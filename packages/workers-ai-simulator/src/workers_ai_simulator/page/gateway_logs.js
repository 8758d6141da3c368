// The gateways' logs, updated as they come, and their sums.

import {
  clockTime,
  counted,
  dollarsText,
  element,
  formatted,
  modelName,
  page,
  secondsText,
  setOptions,
  snippet,
  write,
} from "./elements.js";
import { readableBody } from "./json_text.js";
import { LiveTable, showEmpty } from "./live_table.js";

const table = new LiveTable(page["log-table"], "log-template", { fill, facts, open });

export function showLogs(logs) {
  table.update(logs);
  setOptions(page["gateway-filter"], [["", "All gateways"], ...gateways().map((id) => [id, id])]);
  write(page["nav-logs"], table.entries.length ? String(table.entries.length) : "");
  describe("No call through a gateway yet. Name one in the call's options: gateway: { id }.");
}

export function showNoLogs() {
  showEmpty("logs", "This simulator does not show gateway logs.");
}

/** Show the sums of each gateway's logs. */
export function showTotals(totals) {
  page["totals-frame"].hidden = totals.length === 0;
  const rows = totals.map(({ id, calls, cached, failed, cost, tokens_in, tokens_out }) => {
    const root = element("tr", "");
    const name = element("th", id);
    name.scope = "row";
    const cells = {
      Calls: formatted(calls),
      "Cache hits": calls ? `${formatted(cached)} (${Math.round((100 * cached) / calls)} %)` : "0",
      Failed: formatted(failed),
      "Tokens in / out": `${formatted(tokens_in)} / ${formatted(tokens_out)}`,
      Cost: dollarsText(cost),
    };
    root.append(name, ...Object.entries(cells).map(([label, text]) => cell(label, text)));
    return root;
  });
  page.totals.tBodies[0].replaceChildren(...rows);
}

function cell(label, text) {
  const created = element("td", text, "number");
  created.dataset.label = label;
  return created;
}

function gateways() {
  return [...new Set(table.entries.map(({ gateway }) => gateway))].toSorted();
}

function outcomeOf({ cached, success }) {
  return cached ? "cached" : success ? "finished" : "failed";
}

function fill(root, log) {
  const badge = root.querySelector(".badge");
  badge.dataset.state = outcomeOf(log);
  write(badge, log.cached ? `${log.status_code} cached` : String(log.status_code));
  const open = root.querySelector(".open");
  if (!open.textContent) open.append(...modelName(log.model || log.provider));
  write(root.querySelector(".what"), `${log.gateway} · ${log.provider}`);
  write(root.querySelector(".tokens"), `${formatted(log.tokens_in)} / ${formatted(log.tokens_out)}`);
  write(root.querySelector(".cost"), dollarsText(log.cost));
  write(root.querySelector(".duration"), secondsText(log.duration / 1000));
  write(root.querySelector(".time"), clockTime(new Date(log.created_at)));
}

function facts(log) {
  const { metadata } = log;
  return [
    ["Id", log.id],
    ["Gateway", log.gateway],
    ["Provider", log.provider],
    ["Event", log.event_id],
    ["Step", log.step ? String(log.step) : ""],
    ["Metadata", metadata && JSON.stringify(metadata)],
    ["Feedback", log.feedback ? String(log.feedback) : ""],
  ];
}

function open({ request_head: request, response_head: response }, root) {
  if (request) root.append(snippet("Request", request, readableBody(request)));
  if (response) root.append(snippet("Response", response, readableBody(response)));
  return () => {};
}

// ---- filter -----------------------------------------------------------------------------------

function applyFilter() {
  const words = page["log-filter"].value.toLowerCase().split(/\s+/).filter(Boolean);
  const gateway = page["gateway-filter"].value;
  const outcome = page["outcome-filter"].value;
  table.filter((log) => {
    if (gateway && log.gateway !== gateway) return false;
    if (outcome && outcomeOf(log) !== outcome) return false;
    const text = words.length ? JSON.stringify(log).toLowerCase() : "";
    return words.every((word) => text.includes(word));
  });
  describe("No log yet.");
}

function describe(nothing) {
  const { entries, shown } = table;
  const all = counted(entries.length, "log");
  write(page["logs-count"], entries.length ? (shown === entries.length ? all : `${shown} of ${all}`) : "");
  showEmpty("logs", shown ? "" : entries.length ? "No log fits the filter." : nothing);
}

page["log-filter"].addEventListener("input", applyFilter);
for (const name of ["gateway", "outcome"]) page[`${name}-filter`].addEventListener("change", applyFilter);
