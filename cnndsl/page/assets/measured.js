// Times and errors of layers, in the tree of parts and in views of their own.
const worst = (row) => Math.max(0, ...Object.values(row.errors));
const KINDS = {
  times: {key: "ms", of: (row) => row.ms, join: (a, b) => a + b, name: "Times"},
  errors: {key: "error", of: worst, join: Math.max, name: "Errors"},
};

// Gives each part what was measured of the operators in it: the sum of times, the largest error.
function measure(model, data) {
  const rows = new Map(model.rows.map((row, i) => [row.path, i]).filter(([, i]) => !model.folds(i)));
  for (const [kind, {key, of, join}] of Object.entries(KINDS)) {
    for (const layer of data[kind]?.rows ?? []) {
      for (let i = rows.get(layer.node); i !== undefined; i = i ? model.rows[i].in : undefined) {
        const row = model.rows[i];
        row[key] = key in row ? join(row[key], of(layer)) : of(layer);
      }
    }
  }
  return model;
}

const small = (x) => (x >= 1e308 ? "∞" : x.toExponential(1));
const milliseconds = (x) => `${x.toPrecision(3)} ms`;

function showTimes(app, {network, batch, threads, rows}) {
  const whole = rows.reduce((sum, row) => sum + row.ms, 0);
  const about = `${network}, batch ${batch}, threads ${threads}: ${milliseconds(whole)} in ${rows.length} layers`;
  const cells = (row) => [
    [row.op], [row.kernel], [row.shape.join("×")], [row.ms.toFixed(3), "number"],
    [`${(100 * row.ms / whole || 0).toFixed(1)} %`, "number"], [row.bound ?? ""]];
  const head = [["operator"], ["kernel"], ["shape"], ["ms", "number"], ["share", "number"], ["bound by"]];
  el("view-times").replaceChildren(html("h2", "Measured time of each layer"), html("p", about), bars(app, head, rows, cells, (row) => row.ms));
}

function showErrors(app, {network, targets, precision, tolerance, rows}) {
  const low = precision !== "f32", names = targets.filter((target) => rows.some((row) => target in row.errors));
  const title = precision === "int8" ? "Quantisation loss of each layer" : "Error of each layer";
  const against = low ? `in ${precision}, against float64` : `against ${targets[0]}`;
  const about = `${network}: ${targets.slice(low ? 0 : 1).join(", ")} ${against}; tolerance ${tolerance}. Errors are relative to the largest number of a tensor, dB is the signal-to-noise ratio.`;
  const decibels = (snr) => (snr === null || snr === undefined ? "" : snr.toFixed(0));
  const cells = (row) => [[row.op], [row.shape.join("×")], ...names.flatMap((target) => [
    [target in row.errors ? small(row.errors[target]) : "", row.errors[target] > tolerance ? "number beyond" : "number"],
    [decibels(row.snr[target]), "number"]])];
  const head = [["operator"], ["shape"], ...names.flatMap((target) => [[target, "number"], ["dB", "number"]])];
  el("view-errors").replaceChildren(html("h2", title), html("p", about), bars(app, head, rows, cells, worst));
}

// A row for each layer, whose name leads to it in the graph, and a bar as long as its size.
function bars(app, head, rows, cells, size) {
  const largest = Math.max(...rows.map(size)) || 1, known = new Map(app.model.rows.map((row, i) => [row.path, i]));
  const title = html("tr", [["layer"], ...head, [""]].map(([text, kind]) => html(text ? "th" : "td", text, kind)));
  const body = rows.map((row) => {
    const i = row.node ? known.get(row.node) : undefined, name = row.name ?? row.node;
    const bar = html("div", "", "bar"), lead = i === undefined ? name : [html("button", name)];
    bar.style.width = `${160 * size(row) / largest}px`;
    if (i !== undefined) lead[0].addEventListener("click", () => { el("tab-graph").click(); app.reveal(i); });
    return html("tr", [html("td", lead), ...cells(row).map(([text, kind]) => html("td", text, kind)), html("td", [bar])]);
  });
  return html("table", [html("thead", [title]), html("tbody", body)]);
}
