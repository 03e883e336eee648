// Where everything stands: the Eclipse Layout Kernel lays out each open part, in a worker.
const OPTIONS = {
  "elk.algorithm": "layered",
  "elk.direction": "DOWN",
  "elk.hierarchyHandling": "SEPARATE_CHILDREN",
  "elk.edgeRouting": "ORTHOGONAL",
  "elk.layered.considerModelOrder.strategy": "NODES_AND_EDGES",
  "elk.layered.spacing.nodeNodeBetweenLayers": "22",
  "elk.spacing.nodeNode": "18",
  "elk.layered.spacing.edgeNodeBetweenLayers": "10",
};
const HEAD = 24;
const KEPT = 2000;
const OPEN = {
  "elk.padding": `[top=${HEAD + 12},left=12,bottom=12,right=12]`,
  "elk.portConstraints": "FIXED_SIDE",
};

// The engine's first layout takes it a quarter of a second, whatever it is.
const FIRST = {
  id: "around",
  children: [{
    id: "box", layoutOptions: OPEN, ports: [{id: "in", layoutOptions: {"elk.port.side": "NORTH"}}],
    children: [..."abcd"].map((id) => ({id, width: 60, height: 40})),
    edges: ["in a", "in b", "a c", "b c", "c d", "a d"].map((edge) => ({id: edge, sources: [edge.split(" ")[0]], targets: [edge.split(" ")[1]]})),
  }],
};

const pen = document.createElement("canvas").getContext("2d"), widths = new Map();
function textWidth(text, size) {
  const key = `${size} ${text}`;
  if (!widths.has(key)) {
    pen.font = `${size}px system-ui, Helvetica, Arial, sans-serif`;
    widths.set(key, pen.measureText(text).width);
  }
  return widths.get(key);
}

class Layout {
  constructor(source) {
    const url = URL.createObjectURL(new Blob([source], {type: "text/javascript"}));
    this.worker = new Worker(url);
    this.waiting = new Map();
    this.worker.onmessage = ({data}) => {
      const [done, fail] = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (data.error) fail(new Error(data.error.message ?? data.error.type)); else done(data.data);
    };
    this.next = 0;
    this.known = new Map();
    this.ready = this.ask({cmd: "register", algorithms: ["layered"]});
    this.ready.then(() => this.ask({cmd: "layout", graph: FIRST, layoutOptions: OPTIONS, options: {}}));
  }

  ask(message) {
    return new Promise((done, fail) => {
      const id = this.next++;
      this.waiting.set(id, [done, fail]);
      this.worker.postMessage({id, ...message});
    });
  }

  async place(model, subtitle) {
    await this.ready;
    return this.inside(nested(model, subtitle).get(0));
  }

  // How all would stand with a closed part unfolded, so that it is known when it is.
  async foresee(model, subtitle, i) {
    await this.ready;
    model.open.add(i);
    const boxes = nested(model, subtitle);
    model.open.delete(i);
    await this.inside(boxes.get(0));
  }

  // Places what an open box holds, inner boxes first.
  async inside(box) {
    await Promise.all(box.children.filter((child) => child.children).map((child) => this.inside(child)));
    return column(box) ?? this.laid(box);
  }

  // What was laid out before is known, under any names, so that unfolding a part costs that part and
  // those around it, and equal blocks cost as much as one.
  async laid(box) {
    const inner = renamed(box), key = JSON.stringify(inner);
    if (!this.known.has(key)) {
      if (this.known.size > KEPT) this.known.clear();
      // ELK places the ports of boxes, but none of an outermost one.
      const graph = {id: "around", children: [inner]};
      const placed = await this.ask({cmd: "layout", graph, layoutOptions: OPTIONS, options: {}});
      this.known.set(key, placed.children[0]);
    }
    const {width, height, ports, edges, children} = this.known.get(key);
    children.forEach(({x, y}, k) => Object.assign(box.children[k], {x, y}));
    ports.forEach(({x, y}, k) => Object.assign(box.ports[k], {x, y}));
    edges.forEach(({sections}, k) => { box.edges[k].sections = sections; });
    return Object.assign(box, {width, height});
  }
}

// The box with names that tell nothing but what is the same. Inner boxes are closed: where their
// ports are is settled.
function renamed(box) {
  const names = new Map();
  const name = (id) => names.get(id) ?? names.set(id, `${names.size}`).get(id);
  const port = (other) => ({...other, id: name(other.id)});
  const closed = ({children, edges, ...child}) => ({
    ...child, id: name(child.id), ...(children && {ports: child.ports.map(port), layoutOptions: {"elk.portConstraints": "FIXED_POS"}}),
  });
  return {
    ...box, id: name(box.id), ports: box.ports.map(port), children: box.children.map(closed),
    edges: box.edges.map(({sources: [from], targets: [to]}, k) => ({id: `e${k}`, sources: [name(from)], targets: [name(to)]})),
  };
}

// Most parts hold a column of others, one edge from each to the next, which needs no engine; others
// give null.
function column(box) {
  const {children, edges, ports, layoutOptions} = box, gap = 22, pad = 12;
  const owners = new Map(ports.map(({id}) => [id, box]));
  children.forEach((child) => [child, ...(child.ports ?? [])].forEach(({id}) => owners.set(id, child)));
  const ends = edges.map(({sources, targets}) => [owners.get(sources[0]), owners.get(targets[0])]);
  const at = new Map(children.map((child, k) => [child, k]));
  const steps = ends.map(([from, to]) => [from === box ? -1 : at.get(from), to === box ? children.length : at.get(to)]);
  const once = new Set(steps.map(([from]) => from)).size === steps.length;
  const inner = steps.filter(([from, to]) => from >= 0 && to < children.length).length;
  if (!children.length || !once || inner < children.length - 1 || !steps.every(([from, to]) => to === from + 1)) return null;
  const least = Number(/\d+/.exec(layoutOptions["elk.nodeSize.minimum"])[0]);
  box.width = Math.max(least, ...children.map((child) => child.width + 2 * pad));
  let y = HEAD + pad;
  for (const child of children) {
    Object.assign(child, {x: (box.width - child.width) / 2, y});
    y += child.height + gap;
  }
  box.height = y - gap + pad;
  ports.forEach((port) => Object.assign(port, {x: box.width / 2, y: port.layoutOptions["elk.port.side"] === "NORTH" ? 0 : box.height}));
  const point = (id, owner, side) => {
    if (owner === box) return ports.find((port) => port.id === id);
    const port = owner.ports?.find((other) => other.id === id);
    return {x: owner.x + (port ? port.x : owner.width / 2), y: owner.y + (side ? owner.height : 0)};
  };
  edges.forEach((edge, k) => {
    const {x, y} = point(edge.sources[0], ends[k][0], 1), end = point(edge.targets[0], ends[k][1], 0);
    const middle = ((ends[k][0] === box ? HEAD : y) + end.y) / 2;
    const bendPoints = x === end.x ? [] : [{x, y: middle}, {x: end.x, y: middle}];
    edge.sections = [{startPoint: {x, y}, bendPoints, endPoint: {x: end.x, y: end.y}}];
  });
  return box;
}

// The shown parts as nested boxes by row. Edges enter and leave open parts through ports.
function nested(model, subtitle) {
  const shown = model.shown(), boxes = new Map();
  shown.forEach((other, i) => {
    if (other !== i) return;
    const box = {id: `${i}`};
    const head = textWidth(model.rows[i].title, 12) + (model.folds(i) ? 40 : 22);
    if (model.isOpen(i)) {
      Object.assign(box, {children: [], edges: [], ports: [], layoutOptions: {
        ...OPEN, "elk.nodeSize.constraints": "[MINIMUM_SIZE]", "elk.nodeSize.minimum": `(${head},${HEAD})`}});
    } else {
      box.width = Math.max(head, textWidth(subtitle(i), 11) + 20);
      box.height = subtitle(i) ? 40 : 26;
    }
    boxes.set(i, box);
    if (i) boxes.get(model.rows[i].in).children.push(box);
  });
  connect(model, shown, boxes);
  return boxes;
}

function connect(model, shown, boxes) {
  const seen = new Set();
  const port = (outer, side, value) => {
    const id = `${outer} ${side} ${value}`;
    if (!seen.has(id)) {
      seen.add(id);
      boxes.get(outer).ports.push({id, width: 0, height: 0, layoutOptions: {"elk.port.side": side}});
    }
    return id;
  };
  const edge = (outer, from, to) => {
    const id = `${outer} ${from}>${to}`;
    if (seen.has(id)) return;
    seen.add(id);
    boxes.get(outer).edges.push({id, sources: [from], targets: [to]});
  };
  for (let e = 0; e < model.edges.length; e += 2) {
    const from = shown[model.edges[e]], to = shown[model.edges[e + 1]];
    if (from === to || seen.has(`${from}>${to}`)) continue;
    seen.add(`${from}>${to}`);
    const a = model.around(from), b = model.around(to);
    let k = 0;
    while (a[k] === b[k]) k++;
    const start = (i) => (a[i] === from ? `${from}` : port(a[i], "SOUTH", from));
    const end = (i) => (b[i] === to ? `${to}` : port(b[i], "NORTH", from));
    for (let i = k; i < a.length - 1; i++) edge(a[i], start(i + 1), port(a[i], "SOUTH", from));
    edge(a[k - 1], start(k), end(k));
    for (let i = k; i < b.length - 1; i++) edge(b[i], port(b[i], "NORTH", from), end(i + 1));
  }
}
