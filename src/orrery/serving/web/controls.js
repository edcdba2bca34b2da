// What is held (keys, buttons on the screen, a gamepad, the pointer) and what it makes of the world's actions.

const NAMES = {
  ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Space: "space", Enter: "enter",
  ShiftLeft: "shift", ShiftRight: "shift", ControlLeft: "ctrl", ControlRight: "ctrl",
};
const PAD_DIRECTIONS = { 12: "ArrowUp", 13: "ArrowDown", 14: "ArrowLeft", 15: "ArrowRight" };
const PAD_STICKS = [["ArrowLeft", "ArrowRight"], ["ArrowUp", "ArrowDown"], ["KeyA", "KeyD"], ["KeyW", "KeyS"]];
const DEAD_ZONE = 0.2;

export const keyName = (code) => NAMES[code] || code.replace(/^(Key|Digit|Numpad)/, "").toLowerCase();

export class Controls {
  // table: as the server sends it. changed: called when what is to be done may have changed.
  constructor(table, title, changed) {
    this.defaults = table;
    this.store = `orrery keys ${title}`;
    this.changed = changed;
    this.held = new Map(); // code to how often it is held
    this.releasing = new Map(); // code to the stamp of its press
    this.pad = new Set();
    this.sticks = new Map();
    this.pointer = null;
    this.places = new Map();
    this.choices = new Map();
    this.load();
  }

  load() {
    this.table = structuredClone(this.defaults);
    this.customised = false;
    try {
      const kept = JSON.parse(localStorage.getItem(this.store) || "null");
      if (kept && kept.length === this.table.length) this.table.forEach((entry, i) => this.adopt(entry, kept[i]));
    } catch { /* keys that were kept by another version */ }
  }

  adopt(entry, kept) {
    const rows = entry.choices || entry.axes;
    const keptRows = kept.choices || kept.axes || [];
    if (keptRows.length !== rows.length) return;
    this.customised = true;
    rows.forEach((row, i) => {
      const keys = keptRows[i];
      if (Array.isArray(keys.chords) && row.chords) row.chords = keys.chords;
      if (!row.chords) Object.assign(row, { less: String(keys.less || ""), more: String(keys.more || "") });
    });
  }

  save() {
    localStorage.setItem(this.store, JSON.stringify(this.table));
    this.customised = true;
    this.changed();
  }

  restoreDefaults() {
    localStorage.removeItem(this.store);
    this.load();
    this.changed();
  }

  // Every key that means something, in the order of the table.
  codes() {
    const codes = this.table.flatMap((entry) =>
      (entry.choices || []).flatMap((choice) => choice.chords.flat())
        .concat((entry.axes || []).flatMap((axis) => [axis.less, axis.more])));
    return [...new Set(codes.filter(Boolean))];
  }

  press(code, stamp) {
    this.releasing.delete(code);
    if (!this.held.has(code)) {
      this.held.set(code, stamp);
      this.changed();
    }
  }

  // A press that no tick was made under yet is held until one was: a short tap is not lost.
  release(code, echoed) {
    const stamp = this.held.get(code);
    if (stamp === undefined) return;
    if (stamp > echoed) this.releasing.set(code, stamp);
    else this.let(code);
  }

  echo(stamp) {
    for (const [code, pressed] of this.releasing) if (pressed <= stamp) this.let(code);
  }

  let(code) {
    this.releasing.delete(code);
    this.held.delete(code);
    this.changed();
  }

  releaseAll() {
    this.held.clear();
    this.releasing.clear();
    this.pointer = null;
    this.changed();
  }

  // Reads the first gamepad; its further buttons stand for the keys that are no arrows.
  pollPad() {
    const pad = navigator.getGamepads?.().find((one) => one?.connected);
    const pressed = new Set();
    const sticks = new Map();
    if (pad) {
      const others = this.codes().filter((code) => !code.startsWith("Arrow"));
      pad.buttons.forEach((button, i) => {
        const code = PAD_DIRECTIONS[i] || (i < 12 ? others[i] : undefined);
        if (button.pressed && code) pressed.add(code);
      });
      pad.axes.slice(0, 4).forEach((value, i) => {
        if (Math.abs(value) < DEAD_ZONE) return;
        const code = PAD_STICKS[i][value < 0 ? 0 : 1];
        sticks.set(code, Math.abs(value));
        if (Math.abs(value) > 0.5) pressed.add(code);
      });
    }
    const differs = pressed.size !== this.pad.size || [...pressed].some((code) => !this.pad.has(code));
    const moved = sticks.size !== this.sticks.size || [...sticks].some(([code, v]) => this.sticks.get(code) !== v);
    this.pad = pressed;
    this.sticks = sticks;
    if (differs || moved) this.changed();
  }

  // What is to be done: stream name to its numbers.
  values() {
    return Object.fromEntries(this.table.map((entry) =>
      [entry.name, entry.kind === "choice" ? [this.choice(entry)] : entry.axes.map((axis) => this.axis(entry, axis))]));
  }

  isHeld(code) {
    return this.held.has(code) || this.pad.has(code);
  }

  choice(entry) {
    let best = entry.idle ?? this.choices.get(entry.name) ?? 0;
    let most = 0;
    entry.choices.forEach((choice, index) => {
      for (const chord of choice.chords)
        if (chord.length > most && chord.every((code) => this.isHeld(code))) [best, most] = [index, chord.length];
    });
    this.choices.set(entry.name, best);
    return best;
  }

  axis(entry, axis) {
    const place = `${entry.name} ${axis.label}`;
    const rest = axis.rest ?? this.places.get(place) ?? (axis.low + axis.high) / 2;
    const level = (code) => this.sticks.get(code) ?? (this.isHeld(code) ? 1 : 0);
    const less = level(axis.less);
    const more = level(axis.more);
    let value = rest;
    if (axis.rest === null) value = rest + ((more - less) * (axis.high - axis.low)) / 60;
    else if (more > less) value = axis.rest + (more - less) * (axis.high - axis.rest);
    else if (less > more) value = axis.rest - (less - more) * (axis.rest - axis.low);
    if (this.pointer) value = this.pointed(axis) ?? value;
    value = Math.min(axis.high, Math.max(axis.low, value));
    this.places.set(place, value);
    return value;
  }

  // pointer: where in the picture, from 0 to 1 to the right and down.
  pointed(axis) {
    const keys = axis.less + axis.more;
    const across = keys.includes("ArrowLeft") || keys.includes("ArrowRight");
    if (!across && !keys.includes("ArrowUp") && !keys.includes("ArrowDown")) return undefined;
    const at = across ? this.pointer.x : this.pointer.y;
    if (axis.rest === null) return axis.low + at * (axis.high - axis.low);
    const off = Math.max(-1, Math.min(1, across ? 2 * at - 1 : 1 - 2 * at));
    const upwards = keys.includes("ArrowDown") && !keys.includes("ArrowUp") ? -off : off;
    return axis.rest + upwards * (upwards > 0 ? axis.high - axis.rest : axis.rest - axis.low);
  }

  // Whether a number that stays where it was put is on its way.
  get isMoving() {
    return this.table.some((entry) => (entry.axes || []).some(
      (axis) => axis.rest === null && (this.isHeld(axis.less) || this.isHeld(axis.more))));
  }

  get canPoint() {
    return this.table.some((entry) => (entry.axes || []).some((axis) => (axis.less + axis.more).includes("Arrow")));
  }
}

// The table on the page: what each key does, and what is done now.
export class ControlsTable {
  constructor(box, controls) {
    this.box = box;
    this.controls = controls;
    this.waiting = null;
    this.build();
  }

  build() {
    this.rows = [];
    this.box.replaceChildren(...this.controls.table.map((entry) => {
      const list = document.createElement("div");
      list.className = "control-rows";
      if (this.controls.table.length > 1) list.append(Object.assign(document.createElement("h3"), { textContent: entry.name }));
      (entry.choices || entry.axes).forEach((row, index) => list.append(this.row(entry, row, index)));
      return list;
    }));
  }

  row(entry, row, index) {
    const line = document.createElement("div");
    line.className = "control";
    line.append(Object.assign(document.createElement("span"), { textContent: row.label, className: "control-label" }));
    const keys = document.createElement("span");
    keys.className = "keys";
    line.append(keys);
    if (entry.kind === "choice") {
      row.chords.forEach((chord, i) => keys.append(this.chip(chord.map(keyName).join(" + "), row.label, (code) => (row.chords[i] = [code]))));
      if (!row.chords.length && index !== entry.idle) keys.append(this.chip("–", row.label, (code) => (row.chords = [[code]])));
      if (index === entry.idle) keys.append(Object.assign(document.createElement("span"), { className: "soft", textContent: "nothing held" }));
    } else {
      if (row.less || row.rest !== row.low) keys.append(this.chip(row.less ? keyName(row.less) : "–", `less ${row.label}`, (code) => (row.less = code)));
      const meter = document.createElement("span");
      meter.className = "axis";
      meter.append(document.createElement("i"));
      keys.append(meter, this.chip(row.more ? keyName(row.more) : "–", `more ${row.label}`, (code) => (row.more = code)));
    }
    this.rows.push({ line, entry, index });
    return line;
  }

  chip(text, what, assign) {
    const chip = document.createElement("button");
    chip.className = "key";
    chip.textContent = text;
    chip.setAttribute("aria-label", `${what}: ${text}. Change the key`);
    chip.onclick = () => {
      this.cancel();
      chip.textContent = "press a key";
      chip.classList.add("waiting");
      this.waiting = assign;
    };
    return chip;
  }

  // A key for the chip that waits for one; whether there was one.
  takeKey(event) {
    if (!this.waiting) return false;
    event.preventDefault();
    if (event.code !== "Escape" && event.code !== "Tab") {
      this.waiting(event.code);
      this.controls.save();
    }
    this.cancel();
    return true;
  }

  cancel() {
    if (!this.waiting) return;
    this.waiting = null;
    this.build();
  }

  show(values) {
    for (const { line, entry, index } of this.rows) {
      const value = values[entry.name];
      if (entry.kind === "choice") line.classList.toggle("active", value[0] === index);
      else {
        const axis = entry.axes[index];
        const at = (value[index] - axis.low) / (axis.high - axis.low || 1);
        const rest = ((axis.rest ?? axis.low) - axis.low) / (axis.high - axis.low || 1);
        const bar = line.querySelector(".axis i");
        bar.style.left = `${100 * Math.min(at, rest)}%`;
        bar.style.width = `${100 * Math.abs(at - rest)}%`;
        line.classList.toggle("active", value[index] !== axis.rest && axis.rest !== null);
      }
    }
  }
}

// Buttons for fingers: the arrows as a cross, the other keys beside it.
export function touchPads(box, controls, stamp, echoed) {
  const codes = controls.codes();
  const arrows = codes.filter((code) => code.startsWith("Arrow"));
  const others = codes.filter((code) => !code.startsWith("Arrow")).slice(0, 12);
  const group = (name, some) => {
    const div = document.createElement("div");
    div.className = name;
    for (const code of some) {
      const button = document.createElement("button");
      button.textContent = keyName(code);
      button.dataset.code = code;
      button.tabIndex = -1;
      const end = () => { button.classList.remove("held"); controls.release(code, echoed()); };
      button.onpointerdown = (event) => {
        event.preventDefault();
        button.setPointerCapture(event.pointerId);
        button.classList.add("held");
        controls.press(code, stamp());
      };
      button.onpointerup = button.onpointercancel = button.onlostpointercapture = end;
      button.oncontextmenu = (event) => event.preventDefault();
      div.append(button);
    }
    return div;
  };
  box.replaceChildren();
  if (arrows.length) box.append(group("cross", arrows));
  if (others.length) box.append(group("buttons", others));
  box.hidden = !codes.length;
}
