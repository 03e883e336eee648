// What is drawn of one part: a box, or of an open one a head, a frame, edges, and the parts inside.
const SVG = "http://www.w3.org/2000/svg";
const el = (id) => document.getElementById(id);

function svg(parent, tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  parent?.append(made);
  return made;
}

class Part {
  constructor(i) {
    this.group = i ? svg(null, "g", {role: "none"}) : el("items");
    this.there = true;
    this.item = i ? svg(this.group, "g", {role: "treeitem", "data-row": i, "aria-selected": false, tabindex: -1}) : null;
  }

  // In its place, behind its neighbour.
  stand(outer, neighbour, {x, y}) {
    const next = neighbour ? neighbour.group.nextSibling : outer.inner.firstChild;
    if (next !== this.group) outer.inner.insertBefore(this.group, next);
    const place = `translate(${x} ${y})`;
    if (place !== this.place) this.group.setAttribute("transform", this.place = place);
  }

  // Whether what is in it is in the document: a browser lays out what is in a hidden `g` as well.
  appear(there) {
    if (there === this.there) return;
    this.there = there;
    this.group.replaceChildren(...(there ? [this.under, this.item, this.inner].filter(Boolean) : []));
  }

  open({width, height, edges}, level) {
    const paths = edges.flatMap(({sections = [], targets}) => sections.map(({startPoint, bendPoints = [], endPoint}) => {
      const points = [startPoint, ...bendPoints, endPoint].map(({x, y}) => `${x.toFixed(1)} ${y.toFixed(1)}`);
      return [/^\d+$/.test(targets[0]) ? "end" : "through", `M${points.join("L")}`];
    }));
    const inside = JSON.stringify([width, height, paths]);
    if (inside === this.inside) return;
    this.inside = inside;
    this.under?.remove();
    this.under = svg(null, "g", {class: "under", "aria-hidden": true});
    if (level) svg(this.under, "rect", {class: level % 2 ? "odd" : "even", width, height, rx: 8});
    paths.forEach(([kind, d]) => svg(this.under, "path", {class: kind, d}));
    this.group.prepend(this.under);
    this.inner ??= svg(this.group, "g", {role: "none"});
  }

  close() {
    this.under?.remove();
    this.inner?.remove();
    this.inside = this.under = this.inner = undefined;
  }

  look(appearance) {
    const key = JSON.stringify(appearance);
    if (key === this.appearance) return;
    this.appearance = key;
    const {title, subtitle, label, level, folds, open, width, height, fill, cost} = appearance, {item} = this;
    item.classList.toggle("open", open);
    item.classList.toggle("closed", !open);
    item.classList.toggle("even", level % 2 === 0);
    item.setAttribute("aria-level", level);
    item.setAttribute("aria-label", label);
    if (folds) item.setAttribute("aria-expanded", open);
    item.replaceChildren();
    if (folds && !open) svg(item, "rect", {x: 3, y: 3, width, height, rx: 6, style: `fill: ${fill}`});
    svg(item, "rect", {class: "body", width, height, rx: 6, style: open ? "" : `fill: ${fill}`});
    if (cost) svg(item, "rect", {class: "cost", width, height, rx: 6, opacity: cost});
    if (folds) svg(item, "path", {class: "sign", d: open ? "M8 10h8l-4 6z" : "M9 9v8l6 -4z"});
    const middle = (width + (folds ? 10 : 0)) / 2;
    svg(item, "text", {x: open ? 20 : middle, y: 17, "text-anchor": open ? "start" : "middle"}, `${title} `);
    if (!open && height > 30) svg(item, "text", {class: "sub", x: width / 2, y: 33, "text-anchor": "middle"}, subtitle);
  }
}
