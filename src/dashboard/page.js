// Shows what the API answers, once a second, and the stream of changes as it comes. Everything is set as text.
"use strict";

const EVERY_MS = 1000;
const CALLS_SHOWN = 100;
const EVENTS_SHOWN = 60;

const byId = (id) => document.getElementById(id);
const say = (id, text) => { byId(id).textContent = text; };

let lastAnswer = 0;
let lastLookups = null;

async function get(path) {
  const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(5000) });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

function cell(text, kind) {
  const td = document.createElement("td");
  td.textContent = text;
  if (kind) td.className = kind;
  if (kind === "text") td.title = text;
  return td;
}

function badge(text, kind) {
  const span = document.createElement("span");
  span.className = `badge ${kind}`;
  span.textContent = text;
  return span;
}

function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  const rest = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  const hours = Math.floor(whole / 3600);
  return hours > 0 ? `${hours}:${rest}` : rest;
}

function loadBar(node) {
  const svg = byId("load").content.firstElementChild.cloneNode(true);
  const full = Math.max(node.capacity, node.calls + node.reserved + node.foreign, 1);
  let x = 0;
  [node.calls, node.reserved, node.foreign].forEach((count, index) => {
    const width = (100 * count) / full;
    svg.children[index].setAttribute("x", String(x));
    svg.children[index].setAttribute("width", String(width));
    x += width;
  });
  return svg;
}

function nodeRow(node) {
  const row = document.createElement("tr");
  row.append(cell(node.name, "text"));

  const state = cell("");
  state.append(badge(node.state, { up: "good", down: "bad" }[node.state] || ""));
  if (node.state !== "up" && node.reason) {
    const why = document.createElement("span");
    why.className = "reason";
    why.textContent = node.reason;
    state.append(why);
  }
  row.append(state);

  row.append(cell(node.drained ? "drained" : node.intent));
  const load = cell("");
  load.append(loadBar(node));
  row.append(load);
  for (const count of [node.calls, node.reserved, node.foreign, Math.round(node.capacity)]) row.append(cell(String(count), "n"));
  row.append(cell(node.stress.toFixed(2), "n"));
  row.append(cell(node.cpu == null ? "–" : `${Math.round(node.cpu * 100)} %`, "n"));
  row.append(cell(node.load_average == null ? "–" : node.load_average.toFixed(2), "n"));
  row.append(cell(node.round_trip_ms == null ? "–" : `${node.round_trip_ms.toFixed(1)} ms`, "n"));
  row.append(cell((node.version || "–").split("+")[0], "text"));
  return row;
}

function callRow(call) {
  const row = document.createElement("tr");
  for (const text of [call.caller, call.extension, call.tenant || "–", call.app || "–", call.node]) row.append(cell(text, "text"));
  row.append(cell(call.state));
  row.append(cell(clock((Date.now() - call.started_ms) / 1000), "n"));
  return row;
}

function showStatus(status, nodes) {
  say("version", status.version);
  say("uptime", `up ${clock(status.uptime_s)}`);
  say("t-calls", String(status.calls));
  say("t-nodes", `${status.eligible_nodes} / ${status.nodes}`);
  const room = nodes.filter((node) => node.eligible).reduce((sum, node) => sum + Math.max(0, node.capacity - node.calls - node.reserved - node.foreign), 0);
  say("t-free", String(Math.floor(room)));
  const { routed, repeated, rejected, invalid } = status.lookups;
  say("t-routed", String(routed + repeated));
  say("t-rejected", String(rejected + invalid));
  const now = performance.now();
  const total = routed + repeated + rejected + invalid;
  if (lastLookups && total >= lastLookups.total) {
    say("t-rate", ((total - lastLookups.total) / ((now - lastLookups.at) / 1000)).toFixed(1));
  }
  lastLookups = { total, at: now };
}

function showNodes(nodes) {
  byId("nodes").replaceChildren(...nodes.map(nodeRow));
  byId("no-nodes").hidden = nodes.length > 0;
}

function showCalls(calls) {
  byId("calls").replaceChildren(...calls.slice(0, CALLS_SHOWN).map(callRow));
  const hidden = calls.length - CALLS_SHOWN;
  say("calls-note", calls.length === 0 ? "No calls." : hidden > 0 ? `and ${hidden} more` : "");
}

async function refresh() {
  try {
    const [status, nodes, calls] = await Promise.all([get("v1/status"), get("v1/nodes"), get("v1/calls")]);
    showStatus(status, nodes);
    showNodes(nodes);
    showCalls(calls);
    lastAnswer = Date.now();
    const live = byId("live");
    live.className = `badge ${status.ready ? "good" : ""}`;
    live.textContent = status.ready ? "live" : "not ready";
    document.querySelector("main").className = "";
  } catch {
    const live = byId("live");
    live.className = "badge bad";
    live.textContent = lastAnswer ? `no answer for ${clock((Date.now() - lastAnswer) / 1000)}: what is shown is old` : "no answer";
    document.querySelector("main").className = "stale";
  }
  setTimeout(refresh, EVERY_MS);
}

// An event as a line: its own words where it has some, else its fields.
function line(kind, event) {
  const { type, step, node, id, at_ms: _, ...rest } = event;
  const what = (type || step || kind).replaceAll("_", " ");
  const who = kind === "call" ? `call ${id} on ${node}` : `node ${node}`;
  const details = Object.entries(rest)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`);
  return `${who}: ${what}${details.length ? ` (${details.join(", ")})` : ""}`;
}

function showEvent(text) {
  const item = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = new Date().toTimeString().slice(0, 8);
  item.append(time, text);
  const list = byId("events");
  list.prepend(item);
  while (list.children.length > EVENTS_SHOWN) list.lastElementChild.remove();
  byId("no-events").hidden = true;
}

const stream = new EventSource("v1/events");
stream.addEventListener("node", (message) => showEvent(line("node", JSON.parse(message.data))));
stream.addEventListener("call", (message) => showEvent(line("call", JSON.parse(message.data))));
stream.addEventListener("missed", (message) => showEvent(`${JSON.parse(message.data).count} changes came too fast for this page`));

refresh();
