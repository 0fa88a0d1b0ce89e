// One picture large, with its overlay and its figures.

const viewer = {
  dialog: byId("viewer"), stage: byId("stage"), sheet: byId("sheet"), below: byId("below"), above: byId("above"),
  overlay: true, split: false, border: null, boxes: true, pixels: false, picture: null,
};

// Loads the first usable one of `sources`, and tells which, or null.
function load(img, sources, done) {
  const [first, ...others] = sources;
  img.onload = () => done(first);
  img.onerror = () => load(img, others, done);
  img.hidden = !first;
  if (first) {
    img.src = first;
  } else {
    img.onload = img.onerror = null;
    img.removeAttribute("src");
    done(null);
  }
}

function drawViewer() {
  const picture = viewer.picture = grid.shown[grid.active];
  const { below, above } = picture.layers;
  const same = verdict(picture);
  viewer.dialog.dataset.verdict = same;
  // A picture of another size must not appear at the old position.
  viewer.below.hidden = viewer.above.hidden = true;
  load(viewer.below, below, (loaded) => {
    byId("nothing").hidden = Boolean(loaded);
    byId("nothing").textContent = picture.failed ? "This picture could not be scored." : "The picture file is missing.";
    fitSheet();
  });
  const paint = (source) => showMap(viewer.above, source && source === picture.mapLink ? picture.map : null);
  paint(above[0]);
  load(viewer.above, above, (loaded) => {
    paint(loaded);
    fitSheet();
    mixLayers();
  });
  viewer.dialog.classList.toggle("plain", !above.length);
  const boxes = byId("boxes");
  boxes.replaceChildren();
  if (picture.width) regionBoxes(picture, boxes);
  byId("boxed").hidden = !picture.regions.length;
  byId("viewed").replaceChildren(element("bdi", "", clean(picture.name)));
  byId("position").textContent = `${count(grid.active + 1)} of ${count(grid.shown.length)}`;
  byId("before").disabled = grid.active === 0;
  byId("after").disabled = grid.active === grid.shown.length - 1;
  describe(picture, same);
  fitSheet();
  mixLayers();
  // The neighbours are most likely next.
  for (const at of [grid.active - 1, grid.active + 1]) {
    const source = grid.shown[at]?.layers.below[0];
    if (source) new Image().src = source;
  }
}

function describe(picture, same) {
  const [line, reason] = [byId("verdict"), byId("reason")];
  reason.hidden = !picture.failed;
  line.replaceChildren();
  if (picture.failed) {
    line.append(element("span", "word", "failed"));
    reason.textContent = clean(picture.failure[1]);
  } else {
    line.append(element("span", "score", decimals(picture.score, 4)), element("span", "word", verdictWords[same]));
  }
  const parts = [];
  if (!picture.failed) {
    // The number of scores that are at least this one; ties share a place.
    const above = ranking.findIndex((score) => score <= picture.score);
    parts.push(facts([
      ["Threshold", threshold() === null ? "none" : `${threshold()}${choice.threshold === null ? "" : " (tried)"}`],
      ["Place", `${count(above + 1)} of ${count(ranking.length)} by score`],
      ["Map", picture.ends ? picture.ends.map((value) => decimals(value, 3)).join(" to ") : ""],
      ...picture.components.map(([name, value]) => [clean(name).replaceAll("_", " "), decimals(value, 4)]),
    ]));
  }
  if (picture.regions.length) parts.push(regionTable(picture));
  const { model, method, className } = picture.judged;
  parts.push(facts([
    ["Path", clean(picture.path)],
    ["Size", picture.width ? `${picture.width} × ${picture.height}` : ""],
    ["Decoding", clean(picture.decoding)],
    ["Model", clean(model)], ["Method", clean(method)], ["Class", clean(className)],
  ]));
  const links = element("p", "links");
  for (const [label, link] of [["Picture", picture.pictureLink], ["Overlay", picture.overlayLink],
    ["Heatmap", picture.heatmapLink], ["Grey map", picture.mapLink]]) {
    if (!link) continue;
    const a = element("a", "", label);
    a.href = link;
    a.target = "_blank";
    a.rel = "noopener";
    links.append(a);
  }
  if (links.childNodes.length) parts.push(links);
  byId("details").replaceChildren(...parts);
}

function facts(pairs) {
  const list = element("dl");
  for (const [name, value] of pairs) {
    if (value === "") continue;
    list.append(element("dt", "", name));
    const cell = element("dd");
    cell.append(element("bdi", "", value));
    list.append(cell);
  }
  return list;
}

function regionTable(picture) {
  const table = element("table");
  const left = picture.regionCount - picture.regions.length;
  table.append(element("caption", "",
    plural(picture.regionCount, "region", "regions") + (left > 0 ? `, the ${picture.regions.length} hottest` : "")));
  const head = element("tr");
  for (const label of ["Peak", "Box", "Pixels"]) {
    const cell = element("th", "", label);
    cell.scope = "col";
    head.append(cell);
  }
  table.createTHead().append(head);
  const body = table.createTBody();
  picture.regions.forEach(([x, y, width, height, area, peak], at) => {
    const row = body.insertRow();
    row.append(element("td", "", decimals(peak, 3)), element("td", "", `${width} × ${height} at ${x}, ${y}`),
      element("td", "", count(area)));
    const mark = (on) => byId("boxes").querySelectorAll("rect").forEach((rect, i) => {
      rect.classList.toggle("marked", on && Math.floor(i / 2) === at);
    });
    row.addEventListener("pointerenter", () => mark(true));
    row.addEventListener("pointerleave", () => mark(false));
  });
  return table;
}

// The position of the border, in percent: the chosen one, else through the hottest region, to be useful on both sides.
function splitAt() {
  if (viewer.border !== null) return viewer.border;
  const [region] = viewer.picture?.regions ?? [];
  return region ? Math.min(100, (100 * (region[0] + region[2] / 2)) / viewer.picture.width) : 50;
}

// The sheet has the picture's shape and contains all layers.
function fitSheet() {
  const { stage, sheet, below, above, picture } = viewer;
  if (!picture) return;
  const width = picture.width || below.naturalWidth;
  const height = picture.height || below.naturalHeight;
  // Map and regions are shown even if the picture file is missing.
  sheet.hidden = !width || !height || (below.hidden && above.hidden && !picture.regions.length);
  sheet.classList.toggle("bare", below.hidden && !above.hidden);
  stage.classList.toggle("pixels", viewer.pixels);
  if (sheet.hidden) return;
  const fit = Math.min(stage.clientWidth / width, stage.clientHeight / height);
  const scale = viewer.pixels ? 1 / devicePixelRatio : Math.min(fit, 8);
  sheet.style.width = `${Math.max(1, width * scale)}px`;
  sheet.style.height = `${Math.max(1, height * scale)}px`;
}

function mixLayers() {
  const { above, overlay, split } = viewer;
  const border = splitAt();
  const there = !above.hidden;
  above.style.visibility = overlay ? "" : "hidden";
  above.style.clipPath = split ? `inset(0 0 0 ${border}%)` : "none";
  viewer.dialog.classList.toggle("split", split && there);
  byId("divider").hidden = !split || !there || !overlay || border === 0 || border === 100;
  byId("divider").style.left = `${border}%`;
  byId("border").value = border;
  byId("border").hidden = !split || !there;
  for (const [id, on] of [["shown", overlay], ["split", split]]) {
    byId(id).setAttribute("aria-pressed", on);
    byId(id).hidden = !there;
  }
  byId("boxes").toggleAttribute("hidden", !viewer.boxes);
  byId("boxed").setAttribute("aria-pressed", viewer.boxes);
  byId("pixels").setAttribute("aria-pressed", viewer.pixels);
}

function toggleOverlay() {
  viewer.overlay = !viewer.overlay;
  mixLayers();
}

function toggleSplit() {
  viewer.split = !viewer.split;
  mixLayers();
}

function togglePixels() {
  viewer.pixels = !viewer.pixels;
  mixLayers();
  fitSheet();
}

function toggleBoxes() {
  viewer.boxes = !viewer.boxes;
  mixLayers();
}

function turn(by) {
  const at = grid.active + by;
  if (at < 0 || at >= grid.shown.length) return;
  activate(at, false);
  drawViewer();
}

function openViewer() {
  if (!grid.shown.length) return;
  if (!viewer.dialog.open) viewer.dialog.showModal();
  viewer.stage.focus();
  drawViewer();
}

viewer.dialog.addEventListener("close", () => {
  activate(grid.active);
  viewer.picture = null;
});
// A click outside the dialog closes it.
viewer.dialog.addEventListener("click", (event) => {
  if (event.target === viewer.dialog) viewer.dialog.close();
});
byId("close").addEventListener("click", () => viewer.dialog.close());
byId("before").addEventListener("click", () => turn(-1));
byId("after").addEventListener("click", () => turn(1));
byId("shown").addEventListener("click", toggleOverlay);
byId("split").addEventListener("click", toggleSplit);
byId("boxed").addEventListener("click", toggleBoxes);
byId("pixels").addEventListener("click", togglePixels);
byId("border").addEventListener("input", (event) => {
  viewer.border = event.target.valueAsNumber;
  mixLayers();
});

// The border between picture and overlay follows the pointer.
viewer.sheet.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || !viewer.split || viewer.above.hidden || viewer.pixels) return;
  const move = (e) => {
    const box = viewer.sheet.getBoundingClientRect();
    viewer.border = Math.min(100, Math.max(0, Math.round(((e.clientX - box.left) / box.width) * 1000) / 10));
    mixLayers();
  };
  const end = () => {
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", end);
    removeEventListener("pointercancel", end);
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", end);
  addEventListener("pointercancel", end);
  move(event);
  event.preventDefault();
});

const viewerKeys = {
  ArrowLeft: () => turn(-1), ArrowUp: () => turn(-1), ArrowRight: () => turn(1), ArrowDown: () => turn(1),
  o: toggleOverlay, s: toggleSplit, b: toggleBoxes, z: togglePixels, ...scaleKeys,
};
