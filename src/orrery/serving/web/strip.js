// The strip of thumbnails: a row a branch, a column a moment; each is a place to go back to.

export class Strip {
  constructor(box, choose) {
    this.box = box;
    this.choose = choose;
    this.marks = new Map();
    this.current = 0;
  }

  clear() {
    for (const mark of this.marks.values()) if (mark.url) URL.revokeObjectURL(mark.url);
    this.marks.clear();
    this.box.replaceChildren();
  }

  add(header, secondsPerTick) {
    const [part] = header.parts;
    const url = part ? URL.createObjectURL(new Blob([part.content], { type: "image/jpeg" })) : "";
    const seconds = header.tick * secondsPerTick;
    const time = `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
    const button = document.createElement("button");
    button.className = "mark";
    button.title = `Back to ${time}${header.ended ? `, ${header.ended}` : ""}`;
    button.setAttribute("aria-label", button.title + (header.branch ? `, branch ${header.branch}` : ""));
    if (url) button.append(Object.assign(new Image(), { src: url, alt: "", draggable: false }));
    button.append(Object.assign(document.createElement("span"), { textContent: time }));
    button.classList.toggle("ended", Boolean(header.ended));
    button.onclick = () => this.choose(header.mark);
    this.marks.set(header.mark, { ...header, url, button });
    this.box.append(button);
    this.arrange();
    this.show(this.current);
  }

  drop(numbers) {
    for (const number of numbers) {
      const mark = this.marks.get(number);
      if (!mark) continue;
      if (mark.url) URL.revokeObjectURL(mark.url);
      mark.button.remove();
      this.marks.delete(number);
      for (const other of this.marks.values()) if (other.parent === number) other.parent = mark.parent;
    }
    this.arrange();
  }

  // The mark to go back to: the one before the current, or the current where the world has gone on since.
  before(tick) {
    const here = this.marks.get(this.current);
    if (!here) return undefined;
    return tick > here.tick ? here.mark : here.parent ?? here.mark;
  }

  show(current) {
    if (current === this.current && this.marks.get(current)?.button.getAttribute("aria-current")) return;
    this.marks.get(this.current)?.button.removeAttribute("aria-current");
    this.current = current;
    const path = this.path();
    for (const mark of this.marks.values()) mark.button.classList.toggle("aside", !path.has(mark.mark));
    const button = this.marks.get(current)?.button;
    if (!button) return;
    button.setAttribute("aria-current", "true");
    const { offsetLeft, offsetTop, offsetWidth, offsetHeight } = button;
    const { scrollLeft, scrollTop, clientWidth, clientHeight } = this.box;
    if (offsetLeft < scrollLeft || offsetLeft + offsetWidth > scrollLeft + clientWidth)
      this.box.scrollLeft = offsetLeft - clientWidth + 2 * offsetWidth;
    if (offsetTop < scrollTop || offsetTop + offsetHeight > scrollTop + clientHeight)
      this.box.scrollTop = offsetTop - clientHeight + offsetHeight + 8;
  }

  path() {
    const path = new Set();
    for (let at = this.current; at !== null && this.marks.has(at); at = this.marks.get(at).parent) path.add(at);
    return path;
  }

  arrange() {
    const ticks = [...new Set([...this.marks.values()].map((mark) => mark.tick))].sort((a, b) => a - b);
    const rows = [...new Set([...this.marks.values()].map((mark) => mark.branch))].sort((a, b) => a - b);
    for (const { tick, branch, button } of this.marks.values()) {
      button.style.gridColumn = ticks.indexOf(tick) + 1;
      button.style.gridRow = rows.indexOf(branch) + 1;
    }
  }
}
