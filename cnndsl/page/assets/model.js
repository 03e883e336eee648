// The tree of parts: what is open, and which shown part stands for each row.
class Model {
  constructor({rows, edges}) {
    this.rows = rows;
    this.edges = edges;
    this.kids = rows.map(() => []);
    rows.forEach((row, i) => { if (i) this.kids[row.in].push(i); });
    this.open = new Set([0]);
    this.openSome();
  }

  // Opens level by level while a reader still sees everything at once.
  openSome(most = 45) {
    let level = [0];
    for (;;) {
      const next = level.flatMap((i) => this.kids[i]).filter((i) => this.folds(i));
      const more = next.filter((i) => this.rows[i].kind === "block");
      const count = this.count() + more.reduce((sum, i) => sum + this.kids[i].length, 0);
      if (!more.length || count > most) return;
      more.forEach((i) => this.open.add(i));
      level = more;
    }
  }

  folds(i) { return this.kids[i].length > 0; }
  isOpen(i) { return this.folds(i) && this.open.has(i); }
  count() { return this.shown().reduce((sum, other, i) => sum + (other === i), 0); }

  // For each row the shown part that it is in: itself if all around it are open.
  shown() {
    const shown = new Int32Array(this.rows.length);
    for (let i = 1; i < shown.length; i++) {
      const parent = this.rows[i].in;
      shown[i] = shown[parent] === parent && this.open.has(parent) ? i : shown[parent];
    }
    return shown;
  }

  around(i) {
    const found = [];
    for (; i; i = this.rows[i].in) found.unshift(i);
    return [0, ...found];
  }

  reveal(i) { this.around(i).slice(0, -1).forEach((outer) => this.open.add(outer)); }

  leaves(i) {
    const found = [], stack = [i];
    while (stack.length) {
      const row = stack.pop();
      if (this.folds(row)) stack.push(...this.kids[row].toReversed()); else found.push(row);
    }
    return found;
  }

  // Rows by what stays the same when the text changes.
  key(i) { return `${this.rows[i].kind} ${this.rows[i].path}`; }
  keys() { return [...this.open].map((i) => this.key(i)); }
  restore(keys) {
    const wanted = new Set(keys);
    this.open = new Set([0, ...this.rows.keys()].filter((i) => !i || wanted.has(this.key(i))));
  }
}
