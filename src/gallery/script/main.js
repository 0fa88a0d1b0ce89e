// Filters and keys.

// Updates everything that depends on the choice, at most once per frame.
let refreshing = 0;
const refresh = () => {
  refreshing ||= requestAnimationFrame(() => {
    refreshing = 0;
    drawAll();
  });
};

function drawAll() {
  const among = candidates();
  const shown = selected(among);
  drawHistogram(among);
  drawFigures(tally(among));
  showInGrid(shown);
  byId("empty").hidden = shown.length > 0;
  byId("empty").textContent = rest.length
    ? "No picture on this page matches these filters; the page has the highest scores only."
    : "No picture matches these filters.";
  byId("csv").disabled = shown.length === 0;
  byId("count").textContent = shown.length === pictures.length
    ? plural(shown.length, "picture", "pictures")
    : `${count(shown.length)} of ${plural(pictures.length, "picture", "pictures")}`;
}

function drawFigures(found) {
  const scored = found.anomalous + found.normal + found.scored;
  const judged = found.scored === 0 && threshold() !== null;
  for (const button of byId("show").children) {
    const key = button.dataset.show;
    const unknown = !judged && found.scored > 0 && (key === "anomalous" || key === "normal");
    button.setAttribute("aria-pressed", choice.show === key);
    button.querySelector(".figure").textContent = unknown ? "–" : count(found[key]);
    const share = key === "anomalous" && judged && scored > 0 ? (100 * found.anomalous) / scored : null;
    button.querySelector(".share").textContent = share === null ? "" : `${decimals(share, 1)} %`;
  }
  const tried = choice.threshold !== null && choice.threshold !== raw.threshold;
  if (document.activeElement !== byId("threshold")) byId("threshold").value = threshold() ?? "";
  byId("reset").hidden = choice.threshold === null;
  byId("keep-it").hidden = threshold() === null;
  byId("what-if").textContent = tried ? whatIf() : "";
  for (const [id, value] of [["from", choice.from], ["to", choice.to]]) {
    if (document.activeElement !== byId(id)) byId(id).value = value ?? "";
  }
  byId("any").hidden = choice.from === null && choice.to === null;
}

// The effect of the tried threshold.
function whatIf() {
  if (raw.threshold === null) return "tried; the run had no common threshold";
  const kept = choice.threshold;
  const now = tally(candidates()).anomalous;
  choice.threshold = null;
  const then = tally(candidates()).anomalous;
  choice.threshold = kept;
  const change = now - then;
  const signed = `${change < 0 ? "−" : "+"}${count(Math.abs(change))}`;
  return `tried; the run's ${raw.threshold} has ${signed === "+0" ? "as many" : `${count(then)} anomalous (${signed})`}`;
}

function setThreshold(value) {
  choice.threshold = value === raw.threshold ? null : value;
  refresh();
}

function setRange(from, to) {
  [choice.from, choice.to] = [from, to];
  refresh();
}

function setShow(show) {
  choice.show = choice.show === show ? "all" : show;
  refresh();
}

const numberOf = (input) => (input.value.trim() === "" || Number.isNaN(input.valueAsNumber) ? null : input.valueAsNumber);

byId("show").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) setShow(button.dataset.show);
});
byId("threshold").addEventListener("input", (event) => setThreshold(numberOf(event.target)));
byId("reset").addEventListener("click", () => {
  setThreshold(null);
  byId("threshold").value = raw.threshold ?? "";
  byId("threshold").focus();
});
byId("from").addEventListener("input", (event) => setRange(numberOf(event.target), choice.to));
byId("to").addEventListener("input", (event) => setRange(choice.from, numberOf(event.target)));
byId("any").addEventListener("click", () => setRange(null, null));
byId("search").addEventListener("input", (event) => {
  choice.text = event.target.value.trim();
  refresh();
});
byId("folder").addEventListener("change", (event) => {
  choice.folder = event.target.value;
  refresh();
});
byId("sort").addEventListener("change", (event) => {
  choice.order = event.target.value;
  grid.active = 0;
  refresh();
});
byId("tile").addEventListener("input", refresh);

// Pointing at a tile switches between picture and overlay.
function setOverlay(value) {
  byId("overlay").value = value;
  grid.list.style.setProperty("--overlay", value / 100);
  grid.list.style.setProperty("--pointed", value < 50 ? 1 : 0);
}
byId("overlay").addEventListener("input", (event) => setOverlay(Number(event.target.value)));

// Every folder that contains pictures, directly or below.
function fillFolders() {
  const held = new Map();
  for (const picture of pictures) {
    for (let folder = picture.folder; folder; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/")))) {
      held.set(folder, (held.get(folder) ?? 0) + 1);
    }
  }
  const select = byId("folder");
  const option = (value, text) => {
    const node = element("option", "", text);
    node.value = value;
    return node;
  };
  const names = Array.from(held.keys()).sort(collator.compare);
  select.replaceChildren(option("", "All folders"),
    ...names.map((name) => option(name, `${clean(name)} (${count(held.get(name))})`)));
  select.hidden = names.length === 0;
}

byId("ask").addEventListener("click", () => byId("help").showModal());
for (const [dialog, button] of [["help", "understood"], ["keep", "unkept"]]) {
  byId(button).addEventListener("click", () => byId(dialog).close());
  byId(dialog).addEventListener("click", (event) => {
    if (event.target === byId(dialog)) byId(dialog).close();
  });
}

const shows = { 1: "all", 2: "anomalous", 3: "normal", 4: "failed" };

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const at = event.target;
  const typing = at.matches("input:not([type=range]), select, textarea");
  const sliding = at.matches("input[type=range]") && event.key.startsWith("Arrow");
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  let does = null;
  if (viewer.dialog.open) {
    if (!typing && !sliding) does = viewerKeys[key];
  } else if (byId("help").open || byId("keep").open) {
    return;
  } else if (at === byId("search") && (key === "Escape" || key === "Enter" || key === "ArrowDown")) {
    does = () => {
      if (key === "Escape") at.value = choice.text = "";
      drawAll();
      activate(grid.active);
    };
  } else if (typing || sliding) {
    return;
  } else if (key in moves && (grid.list.contains(at) || at === document.body)) {
    does = () => activate(grid.list.contains(at) ? moves[key]() : grid.active);
  } else if (key === "Enter" && at === document.body) {
    does = openViewer;
  } else if (key === "Escape") {
    does = () => setRange(null, null);
  } else if (key === "/") {
    does = () => byId("search").select();
  } else if (key === "?") {
    does = () => byId("help").showModal();
  } else if (key === "o") {
    does = () => setOverlay(Number(byId("overlay").value) > 0 ? 0 : 100);
  } else if (key in shows) {
    does = () => { choice.show = "all"; setShow(shows[key]); };
  }
  if (!does) return;
  event.preventDefault();
  does();
});

addEventListener("resize", () => {
  drawAll();
  fitSheet();
});

// A browser may keep typed text over a reload; the page does not.
byId("search").value = "";
byId("sort").value = choice.order;
fillFolders();
setOverlay(100);
drawAll();
