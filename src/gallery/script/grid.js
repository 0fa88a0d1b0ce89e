// The grid: only the rows in view, and a few around them, are in the document.

const grid = {
  list: byId("grid"), shown: [], active: 0, columns: 1, cell: 0, row: 1, gap: 12, text: 56,
  tiles: new Map(), // by place in `shown`
  reusable: new Map(), // by picture, while others are shown
};

// Rows beyond each edge of the window.
const SPARE = 2;

function measureGrid() {
  const width = grid.list.clientWidth;
  const rows = choice.show === "failed";
  const least = Number(byId("tile").value);
  grid.list.classList.toggle("rows", rows);
  grid.columns = rows ? 1 : Math.max(2, Math.floor((width + grid.gap) / (least + grid.gap)));
  grid.cell = rows ? width : (width - grid.gap * (grid.columns - 1)) / grid.columns;
  grid.row = rows ? (width < 600 ? 104 : 64) : grid.cell + grid.text + grid.gap;
  grid.list.style.height = `${Math.ceil(grid.shown.length / grid.columns) * grid.row}px`;
}

function placeTile(item, at) {
  const [row, column] = [Math.floor(at / grid.columns), at % grid.columns];
  item.style.transform = `translate(${column * (grid.cell + grid.gap)}px, ${row * grid.row}px)`;
  item.style.width = `${grid.cell}px`;
  item.style.height = `${grid.row - grid.gap}px`;
}

function addTile(at) {
  const picture = grid.shown[at];
  const item = grid.reusable.get(picture) ?? makeTile(picture);
  grid.reusable.delete(picture);
  judgeTile(item, picture);
  item.setAttribute("aria-posinset", at + 1);
  item.setAttribute("aria-setsize", grid.shown.length);
  item.dataset.at = at;
  item.firstChild.tabIndex = at === grid.active ? 0 : -1;
  placeTile(item, at);
  // In the order of the pictures, for screen readers.
  const next = Array.from(grid.tiles.keys()).filter((other) => other > at).sort((a, b) => a - b)[0];
  grid.list.insertBefore(item, next === undefined ? null : grid.tiles.get(next));
  grid.tiles.set(at, item);
}

// A picture that is not visible any more need not be loaded.
function dropTile(item) {
  item.querySelectorAll("img").forEach((img) => img.removeAttribute("src"));
  item.remove();
}

// Brings the document in line with the window. The active tile always exists: it may have the focus.
function drawGrid() {
  const above = -grid.list.getBoundingClientRect().top;
  const first = Math.max(0, Math.floor(above / grid.row) - SPARE) * grid.columns;
  const last = Math.min(grid.shown.length,
    Math.max(0, Math.ceil((above + innerHeight) / grid.row) + SPARE) * grid.columns);
  for (const [at, item] of grid.tiles) {
    if ((at >= first && at < last) || at === grid.active) continue;
    dropTile(item);
    grid.tiles.delete(at);
  }
  for (let at = first; at < last; at += 1) if (!grid.tiles.has(at)) addTile(at);
  if (grid.shown.length && !grid.tiles.has(grid.active)) addTile(grid.active);
}

let drawing = 0;
const drawSoon = () => {
  drawing ||= requestAnimationFrame(() => {
    drawing = 0;
    drawGrid();
  });
};

// Shows other pictures; the active one stays if it is among them, and so does every tile that stays in view.
function showInGrid(shown) {
  const kept = grid.shown[grid.active];
  const focused = grid.list.contains(document.activeElement);
  grid.reusable = new Map(Array.from(grid.tiles, ([at, item]) => [grid.shown[at], item]));
  grid.tiles.clear();
  grid.shown = shown;
  grid.active = Math.max(0, shown.indexOf(kept));
  measureGrid();
  drawGrid();
  grid.reusable.forEach(dropTile);
  grid.reusable.clear();
  if (focused) grid.tiles.get(grid.active)?.firstChild.focus({ preventScroll: true });
}

function activate(at, focus = true) {
  if (!grid.shown.length) return;
  const old = grid.tiles.get(grid.active);
  if (old) old.firstChild.tabIndex = -1;
  grid.active = Math.min(grid.shown.length - 1, Math.max(0, at));
  const top = Math.floor(grid.active / grid.columns) * grid.row + grid.list.getBoundingClientRect().top;
  const bar = byId("tools");
  const covered = getComputedStyle(bar).position === "sticky" ? bar.offsetHeight + 8 : 8;
  if (top < covered) scrollBy(0, top - covered);
  else if (top + grid.row > innerHeight) scrollBy(0, top + grid.row - innerHeight);
  drawGrid();
  const button = grid.tiles.get(grid.active)?.firstChild;
  if (button) button.tabIndex = 0;
  if (focus) button?.focus({ preventScroll: true });
}

// Rows that are in view.
const page = () => Math.max(1, Math.floor(innerHeight / grid.row) - 1) * grid.columns;

const moves = {
  ArrowLeft: () => grid.active - 1,
  ArrowRight: () => grid.active + 1,
  ArrowUp: () => (grid.active < grid.columns ? grid.active : grid.active - grid.columns),
  ArrowDown: () => grid.active + grid.columns,
  PageUp: () => grid.active - page(),
  PageDown: () => grid.active + page(),
  Home: () => 0,
  End: () => grid.shown.length - 1,
};

grid.list.addEventListener("click", (event) => {
  const item = event.target.closest("li");
  if (!item) return;
  activate(Number(item.dataset.at), false);
  openViewer();
});
addEventListener("scroll", drawSoon, { passive: true });
