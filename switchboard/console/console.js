// The console: state is asked for once a second, figures arrive as server-sent events, changes go to the API.
"use strict";

const KEPT = 120;
const at = (id) => document.getElementById(id);
const rates = [];
let busy = false;

async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: { "X-HMS-ESR": "console", "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.detail || `${path} answered ${answer.status}`);
  return found;
}

function make(tag, text, className) {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

function seconds(value) {
  if (value < 0.9995) return `${(value * 1000).toFixed(value < 0.01 ? 1 : 0)} ms`;
  return `${value.toFixed(value < 10 ? 2 : 1)} s`;
}

function clock(value) {
  const whole = Math.floor(value);
  const pad = (number) => String(number).padStart(2, "0");
  return `${pad(Math.floor(whole / 3600))}:${pad(Math.floor(whole / 60) % 60)}:${pad(whole % 60)}`;
}

// -- figures

function showScore(score) {
  const number = (value) => value.toLocaleString("en");
  at("users").textContent = number(score.users);
  at("requests").textContent = number(score.requests);
  at("rps").textContent = number(score.rps);
  at("avg_wait").textContent = seconds(score.avg_wait);
  at("wait_p95").textContent = seconds(score.wait_p95);
  at("error_pct").textContent = `${score.error_pct.toFixed(score.error_pct < 10 ? 2 : 1)} %`;
  at("clock").textContent = score.drill ? `${clock(score.elapsed_s)} into ${score.drill}, speed ${score.speed}x` : "";
  for (const [name, value] of Object.entries(score.leaks)) at(name).textContent = number(value);
  document.body.dataset.leak = score.leaks.production_dials > 0 ? "some" : "none";
  rates.push(score.rps);
  if (rates.length > KEPT) rates.shift();
  drawTrend();
}

function drawTrend() {
  const top = Math.max(...rates, 1);
  const points = rates.map((rate, index) => {
    const x = (600 * (KEPT - rates.length + index)) / (KEPT - 1);
    return `${x.toFixed(1)},${(86 - (80 * rate) / top).toFixed(1)}`;
  });
  at("trend-line").setAttribute("points", points.join(" "));
  const first = points.length ? points[0].split(",")[0] : 0;
  at("trend-area").setAttribute("points", `${first},90 ${points.join(" ")} 600,90`);
}

function follow() {
  const source = new EventSource("/api/esr/score");
  source.onmessage = (event) => showScore(JSON.parse(event.data));
  source.onerror = () => {
    // Without figures nobody may believe in a green light.
    document.body.dataset.leak = "unknown";
    if (source.readyState === EventSource.CLOSED) setTimeout(follow, 2000);
  };
}

// -- switch

function showState(state) {
  document.body.dataset.mode = state.mode;
  at("mode").textContent = state.mode;
  const on = state.drills.filter((drill) => drill.phase !== "ended" && drill.phase !== "failed");
  at("subject").textContent = on.map((drill) => `${drill.cohort || "traffic only"} → ${drill.target}`).join(", ");
  at("live").hidden = on.length === 0;
  at("drills").replaceChildren(...on.map(drillEntry));
  const rows = state.nodes.map((node) => nodeRow(node, state.epoch));
  at("nodes").replaceChildren(...(rows.length ? rows : [noNodes()]));
  at("line").textContent = `epoch ${state.epoch} · guard ${state.guard}`;
}

function drillEntry(drill) {
  const entry = document.createElement("li");
  const who = drill.cohort || "traffic only";
  entry.append(make("span", `${drill.scenario || "people only"} · ${who} → ${drill.target}`, "what"));
  entry.append(make("span", drill.phase, "phase"));
  const verbs = { running: ["pause", "stop"], paused: ["resume", "stop"], arming: ["stop"] }[drill.phase] || [];
  for (const verb of verbs) {
    const button = make("button", verb);
    button.type = "button";
    button.addEventListener("click", () => act(() => call("POST", `/api/esr/drills/${drill.id}/${verb}`)));
    entry.append(button);
  }
  return entry;
}

function noNodes() {
  const row = document.createElement("tr");
  const cell = make("td", "no node is registered", "none");
  cell.colSpan = 4;
  row.append(cell);
  return row;
}

function nodeRow(node, epoch) {
  const row = document.createElement("tr");
  row.append(make("td", node.id), make("td", node.role), make("td", node.epoch));
  const silent = node.last_seen_s > 5;
  const state = silent ? `silent for ${Math.round(node.last_seen_s)} s` : node.epoch < epoch ? "behind" : node.ready ? "ready" : "not ready";
  row.append(make("td", state, state === "ready" ? "" : "bad"));
  return row;
}

async function act(what) {
  if (busy) return;
  busy = true;
  at("message").textContent = "";
  at("go").disabled = true;
  try {
    await what();
    await look();
  } catch (error) {
    at("message").textContent = error.message;
  } finally {
    busy = false;
    at("go").disabled = false;
  }
}

async function look() {
  try {
    showState(await call("GET", "/api/esr/state"));
  } catch (error) {
    document.body.dataset.mode = "unknown";
    at("mode").textContent = "no answer";
    at("line").textContent = error.message;
  }
}

async function lookAgain() {
  await look();
  setTimeout(lookAgain, 1000);
}

function fill(select, entries) {
  select.replaceChildren(
    ...entries.map(([value, text, broken]) => {
      const option = make("option", text);
      option.value = value;
      option.disabled = Boolean(broken);
      return option;
    }),
  );
}

async function fillChoices() {
  const [{ targets, cohorts }, { scenarios }] = await Promise.all([
    call("GET", "/api/esr/targets"),
    call("GET", "/api/esr/scenarios"),
  ]);
  fill(at("target"), targets.map(({ name }) => [name, name]));
  fill(at("cohort"), [...cohorts.map(({ name }) => [name, name]), ["none", "traffic only"]]);
  fill(at("scenario"), [
    ["", "people only, no traffic"],
    ...scenarios.map(({ id, title, error }) => [id, error ? `${id} (broken)` : title || id, error]),
  ]);
}

at("start").addEventListener("submit", (event) => {
  event.preventDefault();
  const body = { target: at("target").value, cohort: at("cohort").value };
  if (at("scenario").value) body.scenario = at("scenario").value;
  act(() => call("POST", "/api/esr/drills", body));
});
at("live").addEventListener("click", () => act(() => call("PUT", "/api/esr/mode", { mode: "live" })));

fillChoices().catch((error) => { at("message").textContent = error.message; });
lookAgain();
follow();
