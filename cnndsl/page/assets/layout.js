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
const OPEN = {
  "elk.padding": `[top=${HEAD + 12},left=12,bottom=12,right=12]`,
  "elk.portConstraints": "FIXED_SIDE",
};

const pen = document.createElement("canvas").getContext("2d");
function textWidth(text, size) {
  pen.font = `${size}px system-ui, Helvetica, Arial, sans-serif`;
  return pen.measureText(text).width;
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
    this.ready = this.ask({cmd: "register", algorithms: ["layered"]});
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
    const graph = nested(model, subtitle);
    return this.ask({cmd: "layout", graph, layoutOptions: OPTIONS, options: {}});
  }
}

// The shown parts as nested boxes. Edges enter and leave open parts through ports.
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
  return boxes.get(0);
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
