// The text at the left: lines and the parts that they made.

// For each line its pieces, each a text and its kind, which between coloured words is null.
function pieces(text, words) {
  const lines = text.replace(/\n$/, "").split("\n");
  let start = 0, from = words[0] ?? Infinity, w = 0;
  return lines.map((content) => {
    const found = [], end = start + content.length;
    let at = start;
    for (; from < end; w += 3, from = at + (words[w] ?? Infinity)) {
      if (from > at) found.push([text.slice(at, from), null]);
      at = from + words[w + 1];
      found.push([text.slice(from, at), words[w + 2]]);
    }
    if (at < end) found.push([text.slice(at, end), null]);
    start = end + 1;
    return [content, found];
  });
}

class SourceText {
  constructor(app, texts) {
    this.app = app;
    this.box = el("source");
    this.lines = new Map();
    this.current = null;
    this.pieces = new Map();
    this.seen = new IntersectionObserver((entries) => entries.forEach((entry) => this.paint(entry)), {root: this.box, rootMargin: "600px"});
    texts.forEach(({name, text, words}, t) => {
      const group = document.createElement("div");
      group.setAttribute("role", "group");
      group.setAttribute("aria-label", name);
      const head = document.createElement("div");
      head.className = "file";
      head.setAttribute("aria-hidden", "true");
      head.textContent = name;
      group.append(head);
      pieces(text, words).forEach(([content, found], l) => {
        const line = this.line(`${t}:${l + 1}`, l + 1, content);
        this.pieces.set(line, found);
        this.seen.observe(line);
        group.append(line);
      });
      this.box.append(group);
    });
    this.box.hidden = !texts.length;
    this.box.addEventListener("click", (event) => {
      const line = event.target.closest("[data-key]");
      if (line) this.choose(line.dataset.key);
    });
    this.box.addEventListener("keydown", (event) => this.onKey(event));
  }

  line(key, number, content) {
    const line = document.createElement("div");
    line.id = `line-${key.replace(":", "-")}`;
    line.setAttribute("role", "option");
    line.setAttribute("aria-selected", "false");
    line.dataset.key = key;
    line.dataset.line = number;
    line.textContent = content;
    if (!content.trim()) line.setAttribute("aria-label", "empty line");
    this.lines.set(key, line);
    return line;
  }

  // Colours a line when it comes into view: long texts have many words.
  paint({isIntersecting, target}) {
    if (!isIntersecting) return;
    this.seen.unobserve(target);
    target.replaceChildren(...this.pieces.get(target).map(([text, kind]) => {
      if (kind === null) return text;
      return html("span", text, `word ${this.app.data.kinds[kind]}`);
    }));
  }

  onKey(event) {
    const keys = [...this.lines.keys()], here = keys.indexOf(this.current);
    const next = {ArrowDown: here + 1, ArrowUp: Math.max(0, here - 1), Home: 0, End: keys.length - 1}[event.key];
    if (next !== undefined) this.focus(keys[Math.min(next, keys.length - 1)]);
    else if ((event.key === "Enter" || event.key === " ") && this.current) this.choose(this.current);
    else return;
    event.preventDefault();
  }

  focus(key) {
    this.lines.get(this.current)?.classList.remove("current");
    this.current = key;
    const line = this.lines.get(key);
    line.classList.add("current");
    line.scrollIntoView({block: "nearest"});
    this.box.setAttribute("aria-activedescendant", line.id);
  }

  choose(key) {
    this.focus(key);
    this.app.selectLine(key);
  }

  light(keys) {
    for (const line of this.box.querySelectorAll('[aria-selected="true"]')) line.setAttribute("aria-selected", "false");
    keys.forEach((key) => this.lines.get(key)?.setAttribute("aria-selected", "true"));
    this.lines.get(keys[0])?.scrollIntoView({block: "nearest"});
  }
}
