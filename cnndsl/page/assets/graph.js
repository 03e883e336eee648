// The picture: the shown parts as a tree that reads aloud, and what is seen of it.
const numbers = new Intl.NumberFormat("en-GB");
const exact = (n) => (n === null ? "open" : numbers.format(n));
function si(n, unit = "") {
  if (n === null) return "open";
  const prefixes = ["", " k", " M", " G", " T", " P"];
  let step = 0;
  for (; n >= 1000 && step < 5; step++) n /= 1000;
  return `${step ? n.toPrecision(3) : n}${prefixes[step] || " "}${unit}`.trim();
}
const MANY = 1500;
const COSTS = {macs: "MACs", params: "parameters", bytes: "bytes"};

class Picture {
  constructor(app) {
    this.app = app;
    this.view = {x: 20, y: 10, scale: 1};
    this.places = new Map();
    this.clear();
    this.size = el("graph").getBoundingClientRect();
    new ResizeObserver(([{contentRect}]) => { this.size = contentRect; this.fill(); }).observe(el("graph"));
  }

  subtitle(i) {
    const {model, colour} = this.app, row = model.rows[i];
    const parts = [row.shape];
    if (model.folds(i)) parts.unshift(`${row.nodes} nodes`);
    if (colour !== "family" && row[colour]) parts.push(this.amount(i));
    return parts.filter(Boolean).join(", ");
  }

  amount(i) {
    const {model, colour} = this.app, amount = model.rows[i][colour], all = model.rows[0][colour];
    if (colour === "error") return small(amount);
    if (colour === "ms") return milliseconds(amount);
    return `${all ? (100 * amount / all).toPrecision(2) : 0} %`;
  }

  clear() {
    el("items").replaceChildren();
    this.parts = new Map([[0, new Part(0)]]);
    this.order = [];
    this.focused = 0;
    this.turn = 0;
    this.marked = {selected: null, lit: new Set()};
  }

  // Draws what is new or different; all else stays, or moves with the part that it is in.
  draw(placed) {
    const {model} = this.app;
    if (this.model !== model) this.clear();
    this.model = model;
    this.places.clear();
    this.boxes = new Map();
    const walk = (box, x, y, level) => {
      const place = {x: x + (box.x ?? 0), y: y + (box.y ?? 0), w: box.width, h: box.height, level};
      this.places.set(Number(box.id), place);
      this.boxes.set(Number(box.id), box);
      box.children?.forEach((child) => walk(child, place.x, place.y, level + 1));
    };
    walk(placed, 0, 0, 0);
    const shown = [...this.boxes.keys()].sort((a, b) => a - b);
    this.top = this.costliest(shown);
    for (const [i, part] of this.parts) if (!this.boxes.has(i)) { part.group.remove(); this.parts.delete(i); }
    this.order = shown.slice(1);
    this.turn++;
    this.move();
  }

  // Of very many parts only those in view or near it are in the document, and that which has the focus:
  // a browser takes long over the others, also if it does not show them.
  fill() {
    const {model, turn} = this, many = this.order.length >= MANY;
    if (!turn || (!many && this.filled === turn)) return;
    this.filled = turn;
    const {x, y, scale} = this.view, {width, height} = this.size, held = new Set(model.around(this.focused));
    const near = (from, size, room) => from < 2 * room && from + size > -room;
    const isNear = ({x: left, y: top, w, h}) => near(x + left * scale, w * scale, width) && near(y + top * scale, h * scale, height);
    const inside = (i) => {
      const outer = this.parts.get(i);
      if (outer.turn !== turn) this.drawPart(i, outer);
      if (!model.isOpen(i)) return;
      let last = null;
      for (const kid of model.kids[i]) {
        const part = this.parts.get(kid) ?? this.made(kid), there = !many || held.has(kid) || isNear(this.places.get(kid));
        part.appear(there);
        part.stand(outer, last, this.boxes.get(kid));
        if (there) inside(kid);
        last = part;
      }
    };
    inside(0);
  }

  made(i) {
    const part = new Part(i), {selected, lit} = this.marked;
    part.item.setAttribute("aria-selected", i === selected);
    part.item.classList.toggle("lit", lit.has(i));
    this.parts.set(i, part);
    return part;
  }

  drawPart(i, part) {
    part.turn = this.turn;
    if (this.model.isOpen(i)) part.open(this.boxes.get(i), this.places.get(i).level); else part.close();
    if (i) part.look(this.appearance(i, this.top));
  }

  costliest(shown) {
    const {model, colour} = this.app;
    if (colour === "family") return 0;
    return Math.max(0, ...shown.filter((i) => !model.isOpen(i)).map((i) => model.rows[i][colour] ?? 0));
  }

  appearance(i, top) {
    const {model, colour} = this.app, row = model.rows[i], {w: width, h, level} = this.places.get(i);
    const open = model.isOpen(i), folds = model.folds(i);
    return {
      title: row.title, subtitle: this.subtitle(i), label: this.label(i), level, folds, open, width, height: open ? HEAD : h,
      fill: colour === "family" ? `var(--${row.family}, var(--${folds ? "block" : "other"}))` : "var(--block)",
      cost: top && !open && row[colour] ? (0.5 * row[colour] / top).toFixed(3) : null,
    };
  }

  // What is seen comes first, as those who speak to their computer say it.
  label(i) {
    const row = this.app.model.rows[i];
    const shown = [row.title, this.app.model.isOpen(i) ? "" : this.subtitle(i)].filter(Boolean).join(" ");
    const parts = [shown, row.params && `${exact(row.params)} parameters`, row.macs && `${si(row.macs)} MACs`];
    return parts.filter(Boolean).join(", ");
  }

  mark(selected, lit) {
    const {marked, parts} = this;
    parts.get(marked.selected)?.item.setAttribute("aria-selected", false);
    marked.lit.forEach((i) => parts.get(i)?.item.classList.remove("lit"));
    this.marked = {selected, lit};
    parts.get(selected)?.item.setAttribute("aria-selected", true);
    lit.forEach((i) => parts.get(i)?.item.classList.add("lit"));
  }

  // One part is reached by the Tab key.
  focusable(i) {
    this.focused = this.parts.has(i) ? i : this.order[0];
    this.fill();
    const chosen = this.parts.get(this.focused);
    this.tabbed?.setAttribute("tabindex", -1);
    this.tabbed = chosen?.item;
    this.tabbed?.setAttribute("tabindex", 0);
    return this.tabbed;
  }

  move() {
    const {x, y, scale} = this.view;
    el("scene").setAttribute("transform", `translate(${x} ${y}) scale(${scale})`);
    this.fill();
  }

  fit() {
    const {w} = this.places.get(0), {width} = el("graph").getBoundingClientRect();
    const scale = Math.min(1, width / (w + 20));
    this.view = {scale, x: (width - w * scale) / 2, y: 6};
    this.move();
  }

  zoom(factor, x, y) {
    const {view} = this, scale = Math.min(4, Math.max(0.02, view.scale * factor));
    view.x = x - (x - view.x) * scale / view.scale;
    view.y = y - (y - view.y) * scale / view.scale;
    view.scale = scale;
    this.move();
  }

  // The parts that are at least partly in view.
  seen() {
    const {width, height} = el("graph").getBoundingClientRect(), {x, y, scale} = this.view;
    const within = (from, size, room) => from < room && from + size > 0;
    return this.order.filter((i) => {
      const place = this.places.get(i);
      return within(x + place.x * scale, place.w * scale, width) && within(y + place.y * scale, place.h * scale, height);
    });
  }

  // Moves as little as brings a part into view.
  show(i) {
    const place = this.places.get(i), {width, height} = el("graph").getBoundingClientRect(), {view} = this;
    if (!place) return;
    const tall = this.app.model.isOpen(i) ? HEAD : place.h;
    const into = (at, size, room) => (at < 20 ? 20 - at : Math.min(0, Math.max(20 - at, room - 20 - at - size)));
    view.x += into(view.x + place.x * view.scale, place.w * view.scale, width);
    view.y += into(view.y + place.y * view.scale, tall * view.scale, height);
    this.move();
  }
}
