// The contest on every page: the task and its countdown, checking an answer before it is sent, the team's list.
// Everything that comes from a server is put in as text.
import { settled } from "./panel.js";
import { now as playerNow } from "./player.js";
import { call as request, complaint } from "./server.js";
import { has, toast, words } from "./words.js";

const LOOK_AGAIN = 2000; // ms
const TICK = 250; // ms
const find = (selector) => document.querySelector(selector);
const bar = () => find("#task-bar");

let now = null; // what /v1/contest/now said, and when
let picks = []; // of one task: they outlive a reload, and nobody's next answer
let picksOf; // its key

export function setUpContest() {
  if (!bar()) return;
  look();
  setInterval(() => document.hidden || look(), LOOK_AGAIN);
  setInterval(showTime, TICK);
  document.addEventListener("submit", onSubmit);
  document.addEventListener("change", onChange);
}

// Called for every frame that is shown.
export function setUpAnswering() {
  showSeat();
  showPicks();
  markAnswered();
}

export const CONTEST = {
  "contest-logout": async () => { if (await call("POST", "logout")) location.reload(); },
  "contest-pick": () => pick(),
  "contest-unpick": (button) => changePicks(picks.filter((_, at) => at !== Number(button.dataset.at))),
  "contest-check": () => check(),
  "contest-keep": () => keep(),
  "contest-send": (button) => send(button),
  "contest-drop": async (button) => { if (await call("DELETE", `answers/${button.dataset.id}`)) look(); },
};

const taskKey = () => now?.task?.key ?? "";

const answering = () => {
  const box = find("[data-submit] [data-answering]");
  return box && !box.hidden ? box : null;
};

export async function pick() {
  await settled();
  if (!answering()) return;
  changePicks([...picks, pickNow()]);
}

// An open draft is closed before anything else is. Whether there was one.
export function dismiss() {
  const draft = find("[data-contest-draft] .draft");
  draft?.remove();
  return Boolean(draft);
}

export async function check() {
  await settled();
  const box = answering();
  if (!box) return;
  const kind = box.querySelector("[data-kind]").value;
  const text = box.querySelector("[data-text]").value;
  const chosen = picks.length || (kind === "QA" && now.rules === "vbs") ? picks : [pickNow()];
  verify({ kind, text, picks: chosen.map(({ shown, ...pick }) => pick), task_key: taskKey() }, box.querySelector("[data-contest-draft]"));
}

async function verify(answer, place) {
  const draft = await call("POST", "check", answer);
  if (!draft) return;
  const title = make("p", "", make("strong", words("contest_will_send", { task: draft.task })));
  const what = make("p", [draft.item_name, draft.answer.text].filter(Boolean).join(" · "));
  const frames = draft.frames.map((frame, i) => make("li", words("contest_frame", { frame, ms: draft.times_ms[i] })));
  const notices = draft.notices.map(({ code, message }) => make("li", known(`notice_${code}`, message)));
  const send = doing("contest-send", words(draft.notices.some((n) => n.code === "already_sent") ? "contest_send_again" : "contest_send"), "primary");
  send.dataset.answer = JSON.stringify(answer);
  const keep = doing("contest-keep", words("contest_keep"));
  keep.dataset.answer = send.dataset.answer;
  place.replaceChildren(make("div", title, what, list("ol", frames), list("ul", notices, "notices"), make("p", send, " ", keep)));
  place.firstChild.className = "draft";
  send.focus();
}

async function keep(thenSend = null) {
  const button = thenSend ?? find("[data-do=contest-keep]");
  const entry = await call("POST", "answers", JSON.parse(button.dataset.answer));
  if (entry && !thenSend) finish(words("contest_keep"), button);
  return entry;
}

// From a draft (which first goes on the list) or from the list. A second sending needs its own press on “again”.
async function send(button) {
  button.disabled = true;
  const entry = button.dataset.id ? { id: button.dataset.id } : await keep(button);
  const again = button.dataset.again === "yes" || button.textContent === words("contest_send_again");
  const told = entry && (await call("POST", `answers/${entry.id}/send`, { again }));
  button.disabled = false;
  if (told) finish(known(`verdict_${told.verdict}`, told.message), button, { CORRECT: "good", WRONG: "bad" }[told.verdict]);
  else look();
}

// The draft that was kept or sent is done with, and so are its picks. What is sent from the list leaves both as they are.
function finish(text, { dataset }, tone) {
  toast(text, tone);
  if (dataset.answer) {
    if (JSON.parse(dataset.answer).picks.length) changePicks([]);
    document.querySelectorAll("[data-contest-draft]").forEach((place) => place.replaceChildren());
  }
  look();
}

// ── what the server says

async function look() {
  const answer = await request("GET", "/v1/contest/now");
  const out = !answer || answer.status >= 500; // what was last heard stays: a server that stumbles logs nobody out
  if (now && !out && !answer.ok) problem(answer.told, find("[data-contest-login]")); // the seat is lost: say why
  if (answer?.ok) now = { ...answer.told, at: performance.now() };
  else if (!out) now = null;
  showStale(out ? complaint(answer?.told ?? { detail: words("offline") }) : "");
  if (picksOf !== taskKey()) [picks, picksOf] = [stored(), taskKey()];
  showSeat();
  showPicks();
  showTask();
  showAnswers();
  markAnswered();
}

async function call(method, path, body) {
  const answer = await request(method, `/v1/contest/${path}`, body);
  if (!answer) return void toast(words("offline"));
  return answer.ok ? answer.told : void problem(answer.told);
}

function problem(told, login = find("[data-contest-login]:not([hidden])")) {
  const text = complaint(told);
  if (login) login.querySelector(".reason").textContent = text;
  toast(text);
}

async function onSubmit(event) {
  const form = event.target;
  if (form.matches("[data-contest-login]")) {
    event.preventDefault();
    if (await call("POST", "login", Object.fromEntries(new FormData(form)))) {
      form.reset();
      await look();
      find("[data-evaluations]")?.focus(); // the form with the focus is gone
    }
  } else if (form.matches("[data-contest-text]")) {
    event.preventDefault();
    verify({ kind: "QA", text: new FormData(form).get("text"), picks: [], task_key: taskKey() }, find("#contest [data-contest-draft]"));
  }
}

async function onChange(event) {
  if (event.target.matches("[data-evaluations]") && (await call("PUT", "evaluation", { evaluation_id: event.target.value }))) look();
  if (event.target.matches("[data-kind]")) event.target.dataset.chosen = "yes";
  showSeat();
}

async function loadEvaluations() {
  const place = find("[data-evaluations]");
  if (!place || !now) return;
  const runs = (await call("GET", "evaluations")) ?? [];
  const none = Object.assign(make("option", words("contest_choose")), { value: "", disabled: true });
  place.replaceChildren(none, ...runs.map(({ id, name }) => Object.assign(make("option", name), { value: id })));
  place.value = now.evaluation_id;
}

// ── what people see

function showSeat() {
  const login = find("[data-contest-login]");
  const seat = find("[data-contest-seat]");
  if (login) login.hidden = Boolean(now);
  if (seat) {
    if (seat.hidden && now) loadEvaluations();
    seat.hidden = !now;
    seat.querySelector("[data-username]").textContent = now?.username ?? "";
    find("[data-contest-text]").hidden = !(now?.task && now.rules === "vbs");
  }
  const box = find("[data-submit]");
  if (!box) return;
  box.querySelector("[data-login-first]").hidden = Boolean(now);
  box.querySelector("[data-answering]").hidden = !now?.task;
  const kind = box.querySelector("[data-kind]");
  if (now?.task && !kind.dataset.chosen) kind.value = kindOf(now.task);
  box.querySelector("[data-text]").hidden = kind.value !== "QA";
}

// The organisers name their groups freely; the usual letters stand in them.
function kindOf({ group, type, name }) {
  const told = `${group} ${type} ${name}`.toUpperCase();
  return ["TRAKE", "AVS", "QA"].find((kind) => told.includes(kind)) ?? "KIS";
}

function showStale(reason) {
  const place = bar().querySelector("[data-stale]");
  const text = reason && now ? words("contest_stale", { reason }) : "";
  if (place.textContent !== text) place.textContent = text; // an alert is read out once, not at every look
  bar().classList.toggle("stale", Boolean(text));
  const login = find("[data-contest-login] .reason");
  if (login && reason && !now) login.textContent = reason;
}

// What the team has answered to this task, on the frames of the grid.
function markAnswered() {
  const told = new Map();
  for (const entry of now?.task ? now.entries : [])
    for (const frame of entry.frames) told.set(`${entry.video_id}/${frame}`, entry);
  for (const card of document.querySelectorAll("#main .card")) {
    const entry = told.get(card.dataset.frame);
    const text = entry ? known(`verdict_${entry.verdict}`, words(`contest_state_${entry.state}`)) : "";
    const mark = card.querySelector(".answered");
    if ((mark?.textContent ?? "") === text) continue;
    mark?.remove();
    if (text) card.append(Object.assign(make("span", text), { className: `answered ${entry.verdict || entry.state}` }));
  }
}

function showTask() {
  const task = now?.task;
  bar().hidden = !now;
  bar().querySelector("[data-name]").textContent = task?.name ?? words(now?.evaluation_id ? "contest_no_task" : "contest_choose");
  const verdicts = (now?.entries ?? []).filter((entry) => entry.verdict).map((entry) => known(`verdict_${entry.verdict}`, entry.verdict));
  bar().querySelector("[data-verdicts]").textContent = verdicts.join(" · ");
  bar().classList.toggle("solved", (now?.entries ?? []).some((entry) => entry.verdict === "CORRECT"));
  if (find("[data-task-name]")) {
    find("[data-task-name]").textContent = task?.name ?? words("contest_no_task");
    find("[data-task-about]").textContent = task ? [task.group, task.type, known(`task_${task.status}`, task.status)].filter(Boolean).join(" · ") : "";
  }
  showTime();
}

function showTime() {
  const left = now?.task?.left_s;
  const running = now?.task?.status === "RUNNING";
  const seconds = left == null ? null : Math.max(0, Math.ceil(left - (running ? (performance.now() - now.at) / 1000 : 0)));
  const text = seconds == null ? (now?.task ? words("contest_time_hidden") : "") : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  document.querySelectorAll("[data-left]").forEach((place) => {
    if (place.textContent !== text) place.textContent = text;
    place.classList.toggle("late", seconds != null && seconds <= 30);
  });
}

function showAnswers() {
  const place = find("[data-answers]");
  const told = JSON.stringify(now?.entries ?? []);
  if (!place || place.dataset.told === told) return; // drawn anew only when something changed: a focused button stays
  place.dataset.told = told;
  const held = place.contains(document.activeElement) && { ...document.activeElement.dataset };
  const rows = (now?.entries ?? []).map(row);
  const none = make("tr", make("td", words("contest_no_answers")));
  none.firstChild.colSpan = 4;
  place.replaceChildren(...(rows.length ? rows : [none]));
  if (held) (place.querySelector(`[data-do="${held.do}"][data-id="${held.id}"]`) ?? find("#main")).focus({ preventScroll: true });
}

function row(entry) {
  const where = entry.frames.map((frame, i) => words("contest_frame", { frame, ms: entry.times_ms[i] })).join(", ");
  const told = known(`verdict_${entry.verdict}`, words(`contest_state_${entry.state}`));
  const state = make("td", Object.assign(make("span", told), { className: `verdict ${entry.verdict || entry.state}` }));
  if (entry.state === "refused" || entry.state === "unknown") state.append(Object.assign(make("p", entry.message), { className: "reason" }));
  return make("tr", make("td", `${entry.kind} · ${[entry.item_name, where, entry.text].filter(Boolean).join(" · ")}`), make("td", entry.by), state, make("td", ...buttons(entry)));
}

function buttons({ id, state }) {
  if (state === "sending") return [];
  const again = state === "sent" || state === "unknown";
  const send = doing("contest-send", words(again ? "contest_send_again" : "contest_send"), again ? "quiet" : "");
  const drop = doing("contest-drop", words("contest_drop"), "quiet");
  Object.assign(send.dataset, { id, again: again ? "yes" : "" });
  drop.dataset.id = id;
  return again ? [send] : [send, " ", drop];
}

// ── picks

function pickNow() {
  const { dataset } = document.getElementById("frame");
  const away = Math.abs(playerNow() - Number(dataset.pts)) > 1000 / (Number(dataset.fps) || 25);
  if (!away) return { video_id: dataset.video, frame_index: Number(dataset.frameIndex), shown: dataset.timecode };
  return { video_id: dataset.video, at_ms: playerNow(), shown: document.querySelector("[data-now]").textContent };
}

function changePicks(next) {
  picks = next;
  try {
    sessionStorage.setItem("picks", JSON.stringify({ task: taskKey(), picks }));
  } catch {
    // storage may be off or full: then picks do not outlive a reload, and nothing else is lost
  }
  showPicks();
}

function stored() {
  try {
    const kept = JSON.parse(sessionStorage.getItem("picks") ?? "null");
    return kept?.task === taskKey() ? kept.picks : [];
  } catch {
    return []; // as above
  }
}

function showPicks() {
  const place = find("[data-picks]");
  if (place?.childElementCount === picks.length && place.contains(document.activeElement)) return;
  place?.replaceChildren(...picks.map(({ video_id, shown }, at) => {
    const drop = doing("contest-unpick", "×", "quiet");
    drop.dataset.at = at;
    drop.setAttribute("aria-label", words("contest_unpick"));
    const chip = make("li", `${video_id} ${shown} `, drop);
    chip.className = "chip";
    return chip;
  }));
}

// ── small things

const known = (key, otherwise) => (has(key) ? words(key) : otherwise);

function make(name, ...children) {
  const element = document.createElement(name);
  element.append(...children);
  return element;
}

function list(name, items, className = "") {
  return items.length ? Object.assign(make(name, ...items), { className }) : "";
}

function doing(action, text, className = "") {
  const button = Object.assign(make("button", text), { type: "button", className });
  button.dataset.do = action;
  return button;
}
