// The picture: frames of open parts, edges, and the parts themselves as a tree that reads aloud.
const SVG = "http://www.w3.org/2000/svg";
const el = (id) => document.getElementById(id);

function svg(parent, tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

const exact = (n) => (n === null ? "open" : n.toLocaleString("en-GB"));
function si(n, unit = "") {
  if (n === null) return "open";
  const prefixes = ["", " k", " M", " G", " T", " P"];
  let step = 0;
  for (; n >= 1000 && step < 5; step++) n /= 1000;
  return `${step ? n.toPrecision(3) : n}${prefixes[step] || " "}${unit}`.trim();
}
const COSTS = {macs: "MACs", params: "parameters", bytes: "bytes"};

class Picture {
  constructor(app) {
    this.app = app;
    this.places = new Map();
    this.view = {x: 20, y: 10, scale: 1};
    this.items = new Map();
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

  draw(placed) {
    const {model} = this.app;
    const layers = ["frames", "edges", "items"].map((id) => el(id));
    layers.forEach((layer) => layer.replaceChildren());
    this.places.clear();
    this.items.clear();
    const shown = [];
    const walk = (box, x, y, level) => {
      const place = {x: x + (box.x ?? 0), y: y + (box.y ?? 0), w: box.width, h: box.height, level};
      const i = Number(box.id);
      this.places.set(i, place);
      shown.push(i);
      if (model.isOpen(i)) {
        if (i) svg(layers[0], "rect", {x: place.x, y: place.y, width: place.w, height: place.h, rx: 8, class: level % 2 ? "odd" : "even"});
        box.edges.forEach((edge) => this.edge(layers[1], edge, place));
        box.children.forEach((child) => walk(child, place.x, place.y, level + 1));
      }
    };
    walk(placed, 0, 0, 0);
    const top = this.costliest(shown);
    shown.sort((a, b) => a - b).forEach((i) => { if (i) this.item(layers[2], i, top); });
    this.move();
  }

  costliest(shown) {
    const {model, colour} = this.app;
    if (colour === "family") return 0;
    return Math.max(0, ...shown.filter((i) => !model.isOpen(i)).map((i) => model.rows[i][colour] ?? 0));
  }

  edge(layer, edge, place) {
    const through = !/^\d+$/.test(edge.targets[0]);
    for (const {startPoint, bendPoints = [], endPoint} of edge.sections ?? []) {
      const points = [startPoint, ...bendPoints, endPoint].map(({x, y}) => `${(x + place.x).toFixed(1)} ${(y + place.y).toFixed(1)}`);
      svg(layer, "path", {d: `M${points.join("L")}`, class: through ? "through" : "end"});
    }
  }

  item(layer, i, top) {
    const {model, colour} = this.app, row = model.rows[i], {x, y, w, h, level} = this.places.get(i);
    const open = model.isOpen(i), folds = model.folds(i);
    const group = svg(layer, "g", {
      role: "treeitem", "data-row": i, "aria-level": level, "aria-selected": "false", tabindex: -1,
      "aria-label": this.label(i), class: open ? "open" : "closed", transform: `translate(${x} ${y})`,
    });
    if (folds) group.setAttribute("aria-expanded", open);
    const height = open ? HEAD : h;
    const fill = colour === "family" ? `var(--${row.family}, var(--${folds ? "block" : "other"}))` : "var(--block)";
    if (folds && !open) svg(group, "rect", {x: 3, y: 3, width: w, height, rx: 6, style: `fill: ${fill}`});
    svg(group, "rect", {class: "body", width: w, height, rx: 6, style: open ? "" : `fill: ${fill}`});
    if (top && !open && row[colour]) svg(group, "rect", {class: "cost", width: w, height, rx: 6, opacity: (0.5 * row[colour] / top).toFixed(3)});
    if (folds) svg(group, "path", {class: "sign", d: open ? "M8 10h8l-4 6z" : "M9 9v8l6 -4z"});
    svg(group, "text", {x: open ? 20 : (w + (folds ? 10 : 0)) / 2, y: 17, "text-anchor": open ? "start" : "middle"}, `${row.title} `);
    if (!open && h > 30) svg(group, "text", {class: "sub", x: w / 2, y: 33, "text-anchor": "middle"}, this.subtitle(i));
    this.items.set(i, group);
  }

  // What is seen comes first, as those who speak to their computer say it.
  label(i) {
    const row = this.app.model.rows[i];
    const shown = [row.title, this.app.model.isOpen(i) ? "" : this.subtitle(i)].filter(Boolean).join(" ");
    const parts = [shown, row.params && `${exact(row.params)} parameters`, row.macs && `${si(row.macs)} MACs`];
    return parts.filter(Boolean).join(", ");
  }

  mark(selected, lit) {
    for (const [i, group] of this.items) {
      group.setAttribute("aria-selected", i === selected);
      group.classList.toggle("lit", lit.has(i));
    }
  }

  focusable(i) {
    for (const group of this.items.values()) group.setAttribute("tabindex", -1);
    const chosen = this.items.get(i) ?? this.items.values().next().value;
    chosen?.setAttribute("tabindex", 0);
    return chosen;
  }

  move() {
    const {x, y, scale} = this.view;
    el("scene").setAttribute("transform", `translate(${x} ${y}) scale(${scale})`);
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
