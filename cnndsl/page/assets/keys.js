// Mouse, touch and keyboard in the picture.
function rowOf(event) {
  const group = event.target.closest("[data-row]");
  return group ? Number(group.dataset.row) : null;
}

function steer(app) {
  const canvas = el("graph"), {picture} = app;
  let drag = null;
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    if (event.ctrlKey || event.metaKey) {
      picture.zoom(Math.exp(-event.deltaY / 300), event.clientX - box.x, event.clientY - box.y);
    } else {
      picture.view.x -= event.shiftKey ? event.deltaY : event.deltaX;
      picture.view.y -= event.shiftKey ? 0 : event.deltaY;
      picture.move();
    }
  }, {passive: false});
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button === 0) drag = {x: event.clientX, y: event.clientY, far: false};
  });
  window.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
    if (!drag.far && Math.hypot(dx, dy) < 4) return;
    picture.view.x += dx;
    picture.view.y += dy;
    picture.move();
    drag = {x: event.clientX, y: event.clientY, far: true};
  });
  window.addEventListener("pointerup", () => { const {far} = drag ?? {}; drag = far ? {ended: true} : null; setTimeout(() => { drag = null; }); });
  canvas.addEventListener("click", (event) => {
    const row = rowOf(event);
    if (drag?.ended || row === null) return;
    if (app.model.folds(row)) app.toggle(row); else app.select(row);
    picture.focusable(row)?.focus({preventScroll: true});
  });
  el("items").addEventListener("focusin", (event) => picture.show(rowOf(event)));
  el("items").addEventListener("keydown", (event) => onKey(app, event));
}

function onKey(app, event) {
  const row = rowOf(event), {model, picture} = app;
  if (row === null || event.ctrlKey || event.metaKey || event.altKey) return;
  const {order} = picture, here = order.indexOf(row);
  const go = (i) => { if (i !== undefined && i) app.focus(i); };
  const actions = {
    ArrowDown: () => go(order[here + 1]),
    ArrowUp: () => go(order[here - 1]),
    Home: () => go(order[0]),
    End: () => go(order.at(-1)),
    ArrowRight: () => { if (model.isOpen(row)) go(model.kids[row][0]); else if (model.folds(row)) app.toggle(row); },
    ArrowLeft: () => { if (model.isOpen(row)) app.toggle(row); else go(model.rows[row].in); },
    Enter: () => (model.folds(row) ? app.toggle(row) : app.select(row)),
    " ": () => app.select(row),
    "+": () => picture.zoom(1.25, 0, 0),
    "-": () => picture.zoom(0.8, 0, 0),
  };
  if (!actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
}
