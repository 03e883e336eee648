// Puts the page together.
async function unpacked(id) {
  const bytes = Uint8Array.from(atob(el(id).textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

// A page in a frame without an origin has no storage.
function stored(value) {
  try {
    if (value) sessionStorage.setItem("view", JSON.stringify(value));
    return JSON.parse(sessionStorage.getItem("view") ?? "{}");
  } catch {
    return {};
  }
}

class App {
  constructor(data, layout) {
    this.data = data;
    this.layout = layout;
    this.models = {};
    this.colour = "family";
    this.picture = new Picture(this);
    this.source = new SourceText(this, data.texts);
    this.selected = null;
    this.lit = new Set();
    this.drawing = Promise.resolve();
    this.turn = 0;
    this.use("written");
  }

  use(stage) {
    this.stage = stage;
    this.model = this.models[stage] ??= measure(new Model(this.data.graphs[stage]), this.data);
    this.selected = null;
    this.lit.clear();
    this.byLine = new Map();
    this.model.rows.forEach((row, i) => row.lines.forEach((line) => {
      const key = line.join(":");
      this.byLine.set(key, [...(this.byLine.get(key) ?? []), i]);
    }));
  }

  // Lays out and draws; what was clicked stays where it was. One at a time, in order, and nothing that
  // has changed meanwhile: that is drawn next. Tells how often it has drawn, for those who wait.
  draw(anchor) {
    const turn = ++this.turn, before = this.drawing.catch(() => {});
    this.drawing = before.then(() => (turn === this.turn ? this.drawNow(turn, anchor) : null));
    return this.drawing;
  }

  async drawNow(turn, anchor) {
    const {picture} = this, placed = await this.layout.place(this.model, (i) => picture.subtitle(i));
    if (turn !== this.turn) return;
    const before = picture.places.get(anchor);
    picture.draw(placed);
    const after = picture.places.get(anchor);
    if (before && after) {
      picture.view.x += (before.x - after.x) * picture.view.scale;
      picture.view.y += (before.y - after.y) * picture.view.scale;
      picture.move();
    }
    this.light();
    picture.focusable(this.selected ?? anchor);
    document.documentElement.dataset.drawn = turn;
    this.foresee(turn);
  }

  // While the reader looks, what the parts that are seen would unfold to is laid out.
  async foresee(turn) {
    const {model, picture} = this, idle = () => new Promise((done) => requestIdleCallback(done));
    await idle();
    for (const i of picture.seen().filter((k) => model.folds(k) && !model.isOpen(k))) {
      await idle();
      if (turn !== this.turn) return;
      await this.layout.foresee(model, (k) => picture.subtitle(k), i);
    }
  }

  async toggle(i) {
    if (!this.model.open.delete(i)) this.model.open.add(i);
    this.select(i);
    await this.draw(i);
    this.focus(i);
  }

  focus(i) {
    this.picture.show(i);
    this.picture.focusable(i)?.focus({preventScroll: true});
  }

  linesOf(i) {
    const lines = this.model.leaves(i).flatMap((leaf) => this.model.rows[leaf].lines.map((line) => line.join(":")));
    return [...new Set(lines)];
  }

  select(i) {
    this.selected = i;
    this.lit.clear();
    this.light();
    this.source.light(this.linesOf(i));
    showDetails(this, i);
  }

  selectLine(key) {
    const rows = this.byLine.get(key) ?? [];
    this.selected = null;
    this.lit = new Set(rows);
    this.source.light([key]);
    const shown = this.light();
    if (shown.size) this.picture.show(Math.min(...shown));
    if (rows.length === 1) showDetails(this, rows[0]);
    else el("details").replaceChildren(html("p", `${rows.length || "no"} operators from this line`));
  }

  light() {
    const shown = this.model.shown(), lit = new Set([...this.lit].map((i) => shown[i]));
    this.picture.mark(this.selected, lit);
    return lit;
  }

  find(words) {
    const parts = words.toLowerCase().split(/\s+/).filter(Boolean);
    if (!parts.length) return [];
    return [...this.model.rows.keys()].slice(1).filter((i) => {
      const row = this.model.rows[i], text = `${row.title} ${row.path} ${row.kind} ${row.shape}`.toLowerCase();
      return parts.every((part) => text.includes(part));
    });
  }

  async reveal(i) {
    this.model.reveal(i);
    this.select(i);
    await this.draw(i);
    this.picture.show(i);
  }
}

function search(app) {
  let found = [], at = -1;
  const say = () => { el("found").textContent = el("search").value ? `${at < 0 ? "" : `${at + 1} of `}${found.length} found` : ""; };
  el("search").addEventListener("input", () => { found = app.find(el("search").value); at = -1; say(); });
  el("search").addEventListener("keydown", async (event) => {
    if (event.key !== "Enter" || !found.length) return;
    at = (at + (event.shiftKey ? found.length - 1 : 1)) % found.length;
    say();
    await app.reveal(found[at]);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.matches("input, select")) return;
    event.preventDefault();
    el("search").focus();
  });
}

function theme(app, saved) {
  const set = (name) => {
    document.documentElement.dataset.theme = app.theme = name;
    el("theme").textContent = name === "dark" ? "Light" : "Dark";
  };
  set(saved ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
  el("theme").addEventListener("click", () => set(app.theme === "dark" ? "light" : "dark"));
}

function save(app) {
  const {model, picture, stage, colour, selected} = app;
  stored({theme: app.theme, stage, colour, open: model.keys(), view: picture.view,
    selected: selected === null ? null : model.key(selected)});
}

function watch(app) {
  let version = null;
  setInterval(async () => {
    try {
      const answer = await (await fetch("version")).json();
      el("problem").hidden = !answer.problem;
      if (el("problem").textContent !== answer.problem) el("problem").textContent = answer.problem;
      if (version !== null && answer.version !== version) { save(app); location.reload(); }
      version = answer.version;
    } catch {
      el("problem").hidden = false;
      el("problem").textContent = "The server has gone away; this page is as it was last.";
    }
  }, 700);
}

function facts({name, totals}) {
  document.title = `${name} · cnndsl`;
  el("name").textContent = name;
  el("totals").textContent = [`${exact(totals.nodes)} nodes`, `${exact(totals.params)} parameters`, `${si(totals.macs)} MACs`, `${si(totals.bytes, "B")} of activations`].join(" · ");
}

async function start() {
  const [data, elk] = await Promise.all([unpacked("data").then(JSON.parse), unpacked("elk")]);
  const app = new App(data, new Layout(elk)), saved = LIVE ? stored() : {};
  facts(data);
  theme(app, saved.theme);
  if (saved.stage) { app.use(saved.stage); el("stage").value = saved.stage; }
  const measured = Object.keys(KINDS).filter((kind) => data[kind]);
  measured.forEach((kind) => {
    el(`tab-${kind}`).hidden = false;
    const option = el("colour").querySelector(`[value=${KINDS[kind].key}]`);
    option.hidden = option.disabled = false;
  });
  if (data.errors?.precision === "int8") el("tab-errors").textContent = "Quantisation loss";
  if (saved.colour) app.colour = el("colour").value = saved.colour;
  if (saved.open) app.model.restore(saved.open);
  el("stage").addEventListener("change", async () => { app.use(el("stage").value); await app.draw(); app.picture.fit(); });
  el("colour").addEventListener("change", () => { app.colour = el("colour").value; app.draw(); });
  el("fold").addEventListener("click", async () => { app.model.open = new Set([0]); await app.draw(); app.picture.fit(); });
  el("fit").addEventListener("click", () => app.picture.fit());
  const views = {passes: () => showPasses(data.passes), memory: () => showMemory(data.memory),
    times: () => showTimes(app, data.times), errors: () => showErrors(app, data.errors)};
  tabs(["graph", "passes", "memory", ...measured], (name) => { views[name]?.(); delete views[name]; });
  search(app);
  steer(app);
  await app.draw();
  if (saved.view) { app.picture.view = saved.view; app.picture.move(); } else app.picture.fit();
  const before = app.model.rows.findIndex((_, i) => i && app.model.key(i) === saved.selected);
  if (before > 0) app.select(before);
  if (LIVE) watch(app);
  document.documentElement.dataset.ready = "true";
}

start();
