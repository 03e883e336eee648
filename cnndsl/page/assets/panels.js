// Details of what is selected, and the views beside the graph.
function html(tag, content, className) {
  const made = document.createElement(tag);
  if (Array.isArray(content)) made.append(...content); else made.textContent = content;
  if (className) made.className = className;
  return made;
}

function showDetails(app, i) {
  const row = app.model.rows[i];
  const places = app.linesOf(i).map((key) => {
    const [text, line] = key.split(":");
    return `${app.data.texts[text].name}:${line}`;
  });
  const facts = {
    path: row.path, [row.call ? "operator" : "kind"]: row.call || row.kind, inputs: row.inputs, output: row.shape, nodes: row.nodes > 1 && exact(row.nodes),
    parameters: exact(row.params), MACs: exact(row.macs), activations: row.bytes === null ? "open" : `${exact(row.bytes)} B`,
    "receptive field": row.field, time: row.ms && milliseconds(row.ms), error: row.error && small(row.error),
    source: places.length > 4 ? `${places.slice(0, 4).join(", ")} and ${places.length - 4} more` : places.join(", "),
  };
  const list = Object.entries(facts).filter(([, value]) => value)
    .flatMap(([name, value]) => [html("dt", name), html("dd", value)]);
  el("details").replaceChildren(html("h2", row.title), html("dl", list));
}

function showPasses(passes) {
  const head = html("tr", ["pass", "nodes before", "after", "done", "left"].map((name, i) => html("th", name, i ? "number" : "")));
  const count = (run, fate) => run.fates.filter((row) => row[0] === fate).length;
  const rows = passes.map((run) => html("tr", [
    html("td", run.name), ...[run.before, run.after, count(run, "done"), count(run, "left")].map((n) => html("td", exact(n), "number")),
  ]));
  const table = html("table", [html("thead", [head]), html("tbody", rows)]);
  const lists = passes.filter((run) => run.fates.length).map((run) => {
    const names = html("tr", ["fate", "node", "place", "what, or why not"].map((name) => html("th", name)));
    const body = run.fates.map((fate) => html("tr", fate.map((cell) => html("td", cell ?? ""))));
    const title = html("summary", `${run.name}: ${count(run, "done")} done, ${count(run, "left")} left`);
    return html("details", [title, html("table", [html("thead", [names]), html("tbody", body)])]);
  });
  el("view-passes").replaceChildren(html("h2", "What each pass did"), table, html("h2", "Where, and why not"), ...lists);
}

function showMemory(picture) {
  const head = html("h2", "The arena over time");
  if (picture === null) {
    el("view-memory").replaceChildren(head, html("p", "Sizes are open: what the tensors need is not known."));
    return;
  }
  const image = new DOMParser().parseFromString(picture, "image/svg+xml").documentElement;
  image.setAttribute("role", "img");
  image.setAttribute("aria-label", "Address ranges of all tensors by step");
  el("view-memory").replaceChildren(head, document.importNode(image, true));
}

function tabs(names, shown) {
  const choose = (name) => names.forEach((other) => {
    el(`tab-${other}`).setAttribute("aria-selected", other === name);
    el(`tab-${other}`).tabIndex = other === name ? 0 : -1;
    el(`view-${other}`).hidden = other !== name;
    if (other === name) shown(name);
  });
  names.forEach((name, i) => {
    el(`tab-${name}`).addEventListener("click", () => choose(name));
    el(`tab-${name}`).addEventListener("keydown", ({key}) => {
      const step = {ArrowRight: 1, ArrowLeft: -1}[key];
      if (!step) return;
      const next = names.at((i + step) % names.length);
      choose(next);
      el(`tab-${next}`).focus();
    });
  });
  return choose;
}
