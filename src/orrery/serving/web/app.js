// Live play: a socket to the world, its pictures and sound in step, and everything that can be done with it.

import { Controls, ControlsTable, touchPads } from "./controls.js";
import { Sound } from "./sound.js";
import { Strip } from "./strip.js";
import { draw, drawDifference, picture, unpack } from "./wire.js";

const $ = (id) => document.getElementById(id);
const LATENCIES_KEPT = 15;

let socket;
let hello;
let sound;
let controls;
let table;
let strip;
let running = false;
let beside = false;
let mode = "world";
let last = { tick: 0, branch: 0 };
let sent = "";
let autoplay = false;
let recordingSince;
let pictureName = null;
let echoed = -1;
let shown = -1;
let total = 0;
const totals = new Map();
const arrivals = [];
const latencies = [];
let drawing = Promise.resolve();
let epoch = 0;

// ---- the socket ------------------------------------------------------------------------------------------

function connect() {
  overlay("Opening the world…");
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/play`);
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => (typeof data === "string" ? told(JSON.parse(data)) : received(unpack(data)));
  socket.onclose = ({ reason, wasClean }) => {
    setRunning(false);
    usable(false);
    overlay(reason || (wasClean ? "The world was closed." : "The connection was lost."), "Connect again", connect);
  };
}

function usable(on) {
  for (const id of ["play", "step", "back", "record", "start-button", "dice", "direct-button"]) $(id).disabled = !on;
}

function say(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function told(message) {
  if (message.type === "hello") greet(message);
  else if (message.type === "started") started(message);
  else if (message.type === "state") setRunning(message.running);
  else if (message.type === "dropped") strip.drop(message.marks);
  else if (message.type === "recording") recorded(message);
  else if (message.type === "directed") directed(message);
  else if (message.type === "notice") toast(message.text);
  else if (message.type === "refused") {
    toast(message.text, "wrong");
    setRunning(false);
    usable(true);
    overlay();
  }
}

function received(header) {
  if (header.type === "mark") {
    strip.add(header, 1 / hello.ticks_per_second);
    totals.set(header.mark, total);
    return;
  }
  tickArrived(header);
}

// ---- opening and starting --------------------------------------------------------------------------------

function greet(message) {
  const again = hello !== undefined;
  hello = message;
  document.title = `${hello.title} – Orrery`;
  $("title").textContent = hello.title;
  $("kind").textContent = hello.kind;
  $("kind").hidden = false;
  $("rate-wanted").textContent = `of ${round(hello.ticks_per_second)}`;
  $("prompt-box").hidden = !hello.sentences;
  $("views").hidden = !hello.beside;
  $("touch-panel").hidden = !hello.touch;
  $("sound-box").hidden = $("volume-box").hidden = !hello.sound;
  $("picture-box").hidden = !hello.pictures;
  $("recording-box").hidden = !hello.recordings;
  $("recording-start").replaceChildren(new Option("none", ""), ...Array.from({ length: hello.recordings }, (_, i) => new Option(`episode ${i}`, i)));
  if (!again) {
    strip = new Strip($("strip"), (mark) => rewind(mark));
    controls = new Controls(hello.controls, hello.title, act);
    table = new ControlsTable($("controls"), controls);
    $("controls-panel").hidden = !hello.controls.length;
    $("mouse-hint").hidden = !controls.canPoint;
    touchPads($("pads"), controls, () => performance.now(), () => echoed);
    if (hello.sound) {
      sound = new Sound(hello.sound);
      sound.volume = Number($("volume").value);
    }
  }
  sent = "";
  start();
}

function start() {
  const recording = $("recording-start").value;
  const prompt = hello.sentences ? $("prompt").value.trim() : "";
  setRunning(false);
  usable(false);
  overlay("Starting…");
  say({ type: "pause", on: true });
  say({
    type: "reset",
    seed: Math.max(0, Math.floor(Number($("seed").value) || 0)),
    prompt: prompt || null,
    picture: pictureName,
    recording: recording === "" ? null : Number(recording),
    beside: mode !== "world",
  });
}

function started(message) {
  beside = message.beside;
  strip.clear();
  totals.clear();
  strip.current = 0;
  total = 0;
  latencies.length = 0;
  usable(true);
  $("difference-box").hidden = !beside;
  $("world-caption").hidden = !beside;
  $("direct").hidden = !message.directs;
  showViews();
  $("strip-hint").textContent = message.rewind === "snapshots"
    ? "A picture every second. Choose one to go back; what you do then begins a branch."
    : "Choose a picture to go back; this world does everything again to get there" +
      (message.no_snapshots ? ` (${message.no_snapshots})` : "") + ". What you do then begins a branch.";
  overlay("", "Play", play);
}

// ---- ticks -----------------------------------------------------------------------------------------------

function tickArrived(header) {
  const now = performance.now();
  if (header.jump) {
    epoch++;
    sound?.clear();
    total = totals.get(header.mark) ?? 0;
    arrivals.length = 0;
    shown = Math.max(shown, echoed);
  } else {
    total += header.reward;
    arrivals.push(now);
    if (arrivals.length > 2 * hello.ticks_per_second) arrivals.shift();
  }
  last = header;
  if (header.stamp !== undefined) echoed = header.stamp;
  controls.echo(echoed);
  const heard = header.parts.find((part) => part.kind === "sound");
  const wait = heard && sound && !header.jump ? sound.push(heard.content) : 0;
  drawing = drawing.then(() => showTick(header, now + 1000 * wait, epoch)).catch(console.error);
}

// Each frame at its moment of the sound; the tick is acknowledged when the first of them is seen.
async function showTick(header, due, ofEpoch) {
  const pictures = (of) => Promise.all(header.parts.filter((part) => part.of === of).map(picture));
  const [world, real] = [await pictures("world"), await pictures("beside")];
  const frameMs = 1000 / (hello.ticks_per_second * Math.max(1, world.length));
  for (let i = 0; i < Math.max(1, world.length); i++) {
    const wait = due + (header.jump ? 0 : i * frameMs) - performance.now();
    if (wait > 1 && ofEpoch === epoch) await new Promise((resolve) => setTimeout(resolve, wait));
    if (world[i]) draw($("world"), world[i]);
    if (real[i]) draw($("beside"), real[i]);
    if (real[i] && mode === "difference") drawDifference($("difference"), $("world"), $("beside"));
    if (i === 0) seen(header);
  }
}

function seen(header) {
  say({ type: "ack", id: header.id });
  if (header.stamp !== undefined && header.stamp > shown) {
    shown = header.stamp;
    if (running) latencies.push(performance.now() - header.stamp);
    if (latencies.length > LATENCIES_KEPT) latencies.shift();
  }
  strip.show(header.mark);
  showFacts(header);
  showTouch(header.touch);
  showNumbers(header.numbers);
  document.body.dataset.tick = header.tick;
  if (header.ended && !header.jump) overlay(`The episode ${header.ended === "truncated" ? "was cut off at its longest" : "has ended"}.`, "Start again", () => { start(); autoplay = true; });
}

function showFacts(header) {
  $("tick").textContent = header.tick;
  $("clock").textContent = clock(header.tick / hello.ticks_per_second) + (header.branch ? ` · branch ${header.branch}` : "");
  $("reward").textContent = round(header.reward);
  $("return").textContent = `sum ${round(total)}${header.beside_reward !== undefined ? ` · real ${round(header.beside_reward)}` : ""}`;
  if (header.difference != null) $("difference-value").textContent = header.difference.toFixed(1);
  if (autoplay && header.jump) {
    autoplay = false;
    play();
  }
}

function showTouch(touch) {
  if (!touch) return;
  const canvas = $("touch");
  const context = canvas.getContext("2d");
  const [rows, columns] = [touch.taxels.length, touch.taxels[0].length];
  const side = Math.min(canvas.width / columns, canvas.height / rows);
  const style = getComputedStyle(document.documentElement);
  const [left, top] = [(canvas.width - columns * side) / 2, (canvas.height - rows * side) / 2];
  context.clearRect(0, 0, canvas.width, canvas.height);
  let force = 0;
  const largest = (showTouch.largest = Math.max(showTouch.largest || 0.2, ...touch.taxels.flat().map((t) => Math.hypot(...t))));
  touch.taxels.forEach((row, r) => row.forEach((taxel, c) => {
    const size = Math.hypot(...taxel);
    force += size;
    context.fillStyle = style.getPropertyValue("--line");
    context.fillRect(left + c * side + 1, top + r * side + 1, side - 2, side - 2);
    context.globalAlpha = Math.min(1, Math.sqrt(size / largest));
    context.fillStyle = style.getPropertyValue("--warm");
    context.fillRect(left + c * side + 1, top + r * side + 1, side - 2, side - 2);
    context.globalAlpha = 1;
  }));
  $("touch-force").textContent = `${force.toFixed(2)} ${touch.unit}`;
}

function showNumbers(numbers) {
  const rows = Object.entries(numbers || {}).flatMap(([name, values]) => values.map((value, i) => [values.length > 1 ? `${name} ${i + 1}` : name, value]));
  $("numbers-panel").hidden = !rows.length;
  const box = $("numbers");
  while (box.children.length < rows.length) {
    const row = document.createElement("div");
    row.className = "number";
    row.append(document.createElement("span"), document.createElement("b"));
    box.append(row);
  }
  while (box.children.length > rows.length) box.lastChild.remove();
  rows.forEach(([name, value], i) => {
    box.children[i].firstChild.textContent = name;
    box.children[i].lastChild.textContent = value.toFixed(3);
  });
}

function showRates() {
  const span = arrivals.length > 1 ? arrivals.at(-1) - arrivals[0] : 0;
  $("rate").textContent = running && span ? ((1000 * (arrivals.length - 1)) / span).toFixed(1) : "–";
  const sorted = [...latencies].sort((a, b) => a - b);
  $("latency").textContent = sorted.length ? `${Math.round(sorted[Math.floor(sorted.length / 2)])} ms` : "–";
  if (!sound) return;
  const peak = sound.peak();
  $("level").value = Math.sqrt(peak);
  document.body.dataset.loudest = Math.max(Number(document.body.dataset.loudest || 0), peak);
  $("underruns").textContent = sound.gaps;
  const { underruns, silentSeconds, longestSeconds } = sound.report;
  if (sound.playing) Object.assign(document.body.dataset, { underruns, silentSeconds, longestSeconds });
}

// ---- what is done ----------------------------------------------------------------------------------------

function act() {
  if (!controls || !hello.controls.length) return;
  const values = controls.values();
  table?.show(values);
  $("reset-keys").hidden = !controls.customised;
  const text = JSON.stringify(values);
  if (text === sent) return;
  sent = text;
  say({ type: "action", values, stamp: performance.now() });
}

async function play() {
  if ($("play").disabled) return;
  overlay();
  $("stage").focus({ preventScroll: true });
  setRunning(true);
  act();
  say({ type: "pause", on: false });
  try {
    await sound?.open();
  } catch (error) {
    toast(`No sound: ${error.message}.`);
    sound = undefined;
  }
}

function pause() {
  setRunning(false);
  say({ type: "pause", on: true });
}

function toggle() {
  if (running) pause();
  else play();
}

function setRunning(on) {
  running = on;
  document.body.classList.toggle("running", on);
  $("play-name").textContent = on ? "Pause" : "Play";
  sound?.expect(on);
  arrivals.length = 0;
}

function rewind(mark) {
  if (mark === undefined) return;
  pause();
  overlay();
  say({ type: "rewind", mark });
}

function step() {
  if (running) pause();
  overlay();
  act();
  say({ type: "step" });
}

// A sentence happens from the next tick on, or the world says why it cannot.
function direct() {
  const sentence = $("sentence").value.trim();
  if (sentence && !$("direct-button").disabled) say({ type: "direct", sentence });
}

function directed(message) {
  if (message.refused) {
    toast(message.refused, "wrong");
    return;
  }
  if ($("sentence").value.trim() === message.sentence) $("sentence").value = "";
  toast(`“${message.sentence}”`);
  overlay();
  $("stage").focus({ preventScroll: true });
}

// The server keeps the picture under a name, by which the world can start from it until the page is left.
async function sendPicture() {
  const file = $("picture").files[0];
  forgetPicture();
  if (!file) return;
  try {
    const answer = await fetch("/pictures", { method: "POST", body: file });
    const text = await answer.text();
    if (!answer.ok) throw new Error(text);
    pictureName = text;
    $("no-picture").hidden = false;
    start();
  } catch (error) {
    $("picture").value = "";
    toast(error.message, "wrong");
  }
}

function forgetPicture() {
  pictureName = null;
  $("no-picture").hidden = true;
}

function setMode(next) {
  const rebuilds = (next === "world") === beside;
  mode = next;
  for (const button of $("views").children) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
  if (rebuilds) start();
  else showViews();
}

function showViews() {
  const views = { world: ["world"], both: ["world", "beside"], difference: ["world", "beside", "difference"] }[beside ? mode : "world"];
  for (const figure of $("stage").querySelectorAll("figure")) figure.hidden = !views.includes(figure.dataset.view);
  $("stage").classList.toggle("three", views.length === 3);
}

function recorded(message) {
  const on = message.on;
  recordingSince = on ? performance.now() : undefined;
  $("record").setAttribute("aria-pressed", String(on));
  $("record-name").textContent = on ? "Stop" : "Record";
  $("recording-lamp").hidden = !on;
  if (!on && message.name) {
    const link = (file, text) => `<a href="/recordings/${message.name}/${file}" download>${text}</a>`;
    toast(`${message.seconds} s recorded: ${link("film.mp4", "film")} and ${link("film.json", "its settings")}`, "done", true);
  }
}

// ---- words on the page -----------------------------------------------------------------------------------

const round = (value) => String(Math.round(100 * value) / 100);
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

function overlay(text, button, action) {
  $("overlay").hidden = text === undefined;
  $("overlay-text").textContent = text || "";
  $("overlay-text").hidden = !text;
  $("overlay-button").hidden = !button;
  $("overlay-button").textContent = button || "";
  $("overlay-button").onclick = action || null;
}

function toast(text, kind = "", isMarkup = false) {
  const box = document.createElement("div");
  box.className = `toast ${kind}`;
  const words = document.createElement("span");
  if (isMarkup) words.innerHTML = text; // of our own words alone, never of what somebody typed
  else words.textContent = text;
  const close = Object.assign(document.createElement("button"), { className: "quiet", textContent: "×", onclick: () => box.remove() });
  close.setAttribute("aria-label", "Close");
  box.append(words, close);
  $("toasts").append(box);
  while ($("toasts").children.length > 4) $("toasts").firstChild.remove();
  if (kind !== "done") setTimeout(() => box.remove(), 7000);
}

// ---- keys, pointer and buttons ---------------------------------------------------------------------------

const isTyping = (target) => target.closest?.("input, select, textarea, button, a, summary");

addEventListener("keydown", (event) => {
  if (table?.takeKey(event)) return;
  if (!controls || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (controls.codes().includes(event.code)) controls.press(event.code, performance.now());
  else if (event.code === "Enter") toggle();
  else if (event.code === "Period") step();
  else if (event.code === "Slash" && !$("direct").hidden) $("sentence").focus();
  else if (event.code === "Backspace") rewind(strip.before(last.tick));
  else return;
  event.preventDefault();
});
addEventListener("keyup", (event) => controls?.release(event.code, echoed));
addEventListener("blur", () => controls?.releaseAll());
document.addEventListener("visibilitychange", () => document.hidden && running && pause());

function point(event) {
  const canvas = $("world");
  const box = canvas.getBoundingClientRect();
  const scale = Math.min(box.width / canvas.width, box.height / canvas.height);
  const [width, height] = [canvas.width * scale, canvas.height * scale];
  const x = (event.clientX - box.left - (box.width - width) / 2) / width;
  const y = (event.clientY - box.top - (box.height - height) / 2) / height;
  controls.pointer = { x: Math.min(1, Math.max(0, x)), y: Math.min(1, Math.max(0, y)) };
  act();
}
$("world").addEventListener("pointerdown", (event) => {
  $("stage").focus({ preventScroll: true });
  if (!controls?.canPoint || event.button) return;
  $("world").setPointerCapture(event.pointerId);
  point(event);
});
$("world").addEventListener("pointermove", (event) => controls?.pointer && point(event));
for (const type of ["pointerup", "pointercancel"])
  $("world").addEventListener(type, () => { if (controls) { controls.pointer = null; act(); } });

$("play").onclick = toggle;
$("step").onclick = step;
$("back").onclick = () => rewind(strip.before(last.tick));
$("record").onclick = () => say({ type: "record", on: recordingSince === undefined });
$("views").onclick = ({ target }) => target.dataset.mode && target.dataset.mode !== mode && setMode(target.dataset.mode);
$("crisp").onclick = () => {
  const crisp = $("crisp").getAttribute("aria-pressed") !== "true";
  $("crisp").setAttribute("aria-pressed", String(crisp));
  $("stage").classList.toggle("smooth", !crisp);
};
$("dice").onclick = () => { $("seed").value = Math.floor(Math.random() * 100000); start(); };
$("start").onsubmit = (event) => { event.preventDefault(); start(); };
$("direct").onsubmit = (event) => { event.preventDefault(); direct(); };
$("picture").onchange = sendPicture;
$("no-picture").onclick = () => { $("picture").value = ""; forgetPicture(); start(); };
$("reset-keys").onclick = () => { controls.restoreDefaults(); table.build(); };
$("volume").oninput = () => { if (sound) { sound.volume = Number($("volume").value); sound.apply(); } };
$("mute").onclick = () => {
  if (!sound) return;
  sound.muted = !sound.muted;
  sound.apply();
  $("mute").setAttribute("aria-pressed", String(sound.muted));
};
$("theme").onclick = () => {
  const root = document.documentElement;
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  localStorage.setItem("orrery theme", root.dataset.theme);
};
const showPads = () => document.body.classList.add("touched");
if (matchMedia("(pointer: coarse)").matches || (navigator.maxTouchPoints && innerWidth < 900)) showPads();
addEventListener("pointerdown", (event) => event.pointerType === "touch" && showPads());
// A mouse gives the keys back to the world; the keyboard stays where it is.
for (const box of document.querySelectorAll(".transport, .strip"))
  box.addEventListener("click", (event) => event.detail && $("stage").focus({ preventScroll: true }));

document.documentElement.dataset.theme = localStorage.getItem("orrery theme") || "";

function everyFrame() {
  controls?.pollPad();
  if (controls?.isMoving) act();
  if (recordingSince !== undefined) $("recording-time").textContent = clock((performance.now() - recordingSince) / 1000);
  requestAnimationFrame(everyFrame);
}
requestAnimationFrame(everyFrame);
setInterval(showRates, 200);
connect();
