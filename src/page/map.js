// Colours a grey map in the browser. A page from disk cannot read the pixels of a picture, so a filter looks the
// colour and the opacity of each step up.

// The colours of painted maps, from the first to the hottest, in equal steps.
const colours = ("932667 a32c61 b1325a c03a51 cc4248 d94d3d e35933 ec6726 f3761b " +
  "f8870e fb9906 fcaa0f fbbe23 f8cf3a f3e35a f2f27d fcffa4").split(" ")
  .map((hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)));
// Opacity of the hottest colour, and the share of it that the first colour has.
const OPACITY = 0.8;
const FIRST_OPACITY = 0.35 / 0.8;
// Smallest difference between the level of the first colour and that of the hottest.
const STEP = 0.005;

// The chosen scale, for all pictures; null: that of the record. `map` has `min` and `max`, the values of black
// and white, `good` and `damaged`, the recorded scale, and `regions`, the lowest value of regions.
const scale = { level: null, hottest: null, opacity: OPACITY, map: null, image: null };
const levelOf = () => scale.level ?? scale.map.good;
const hottestOf = () => Math.max(scale.hottest ?? scale.map.damaged, levelOf() + STEP);

// The place of a value between the first colour and the hottest, 0 to 1; null: no colour.
function heatOf(value) {
  const level = levelOf();
  return value > level ? Math.min(1, (value - level) / (hottestOf() - level)) : null;
}

function colourOf(heat) {
  const place = heat * (colours.length - 1);
  const at = Math.min(colours.length - 2, Math.floor(place));
  return colours[at].map((low, channel) => low + (place - at) * (colours[at + 1][channel] - low));
}

// Shows `image` as the coloured map `map`, or as it is if there is no map.
function showMap(image, map) {
  scale.image = image;
  scale.map = map;
  image.classList.toggle("coloured", Boolean(map));
  byId("scale").classList.toggle("painted", !map);
  drawScale();
}

function drawScale() {
  const { map, image, opacity } = scale;
  byId("opacity").value = Math.round(100 * opacity);
  byId("opacity-value").textContent = `${Math.round(100 * opacity)} %`;
  // A painted picture has the usual opacity already.
  if (image) image.style.opacity = map ? "" : Math.min(1, opacity / OPACITY);
  if (!map) return;
  const heats = Array.from({ length: 256 }, (_, step) => heatOf(map.min + (step / 255) * (map.max - map.min)));
  const table = (id, of) => byId(id).setAttribute("tableValues", heats.map(of).join(" "));
  ["map-red", "map-green", "map-blue"].forEach((id, channel) => {
    table(id, (heat) => (heat === null ? 0 : (colourOf(heat)[channel] / 255).toFixed(4)));
  });
  table("map-opacity", (heat) =>
    (heat === null ? 0 : (opacity * (FIRST_OPACITY + (1 - FIRST_OPACITY) * heat)).toFixed(4)));
  // Half a step of tolerance: the record's values are exact, the map's are not.
  const inside = map.regions - (map.max - map.min) / 510;
  table("map-inside", (_, step) => Number(map.min + (step / 255) * (map.max - map.min) >= inside));
  drawLegend();
}

function drawLegend() {
  const [level, hottest, regions] = [levelOf(), hottestOf(), scale.map.regions];
  // The bar begins below the level and ends above the hottest value.
  const margin = (hottest - level) * 0.2;
  const place = (value) =>
    Math.min(100, Math.max(0, (100 * (value - level + margin)) / (hottest - level + 2 * margin)));
  const put = (id, value, text) => {
    byId(id).style.left = `${place(value)}%`;
    if (text !== undefined) byId(id).textContent = text;
  };
  const stops = colours.map((colour, at) =>
    `rgb(${colour}) ${place(level + ((hottest - level) * at) / (colours.length - 1))}%`);
  const first = place(level);
  byId("legend-bar").style.backgroundImage =
    `linear-gradient(to right, transparent ${first}%, ${stops.join(", ")})`;
  put("legend-low", level, level.toFixed(3));
  put("legend-high", hottest, hottest.toFixed(3));
  put("legend-tick", regions);
  put("legend-regions", regions, `regions from ${regions.toFixed(3)}`);
  byId("legend-regions").style.transform = `translateX(-${place(regions)}%)`;
  byId("legend").setAttribute("aria-label", `Colours from ${level.toFixed(3)}, hottest at ${hottest.toFixed(3)}, `
    + `regions from ${regions.toFixed(3)}`);
  for (const [id, value] of [["level", level], ["hottest", hottest]]) {
    byId(id).value = value;
    byId(id).setAttribute("aria-valuetext", value.toFixed(3));
  }
  byId("restore").disabled = scale.level === null && scale.hottest === null && scale.opacity === OPACITY;
}

const within = (value, low, high) => Number(Math.min(high, Math.max(low, value)).toFixed(4));

// The hottest value stays above the level: the one that is moved pushes the other.
function setLevel(value) {
  if (!scale.map) return;
  scale.level = within(value, 0, 1 - STEP);
  if (hottestOf() > (scale.hottest ?? scale.map.damaged)) scale.hottest = within(scale.level + STEP, 0, 1);
  drawScale();
}

function setHottest(value) {
  if (!scale.map) return;
  scale.hottest = within(value, STEP, 1);
  if (levelOf() > scale.hottest - STEP) scale.level = within(scale.hottest - STEP, 0, 1);
  drawScale();
}

function setOpacity(value) {
  scale.opacity = within(value, 0, 1);
  drawScale();
}

function restoreScale() {
  Object.assign(scale, { level: null, hottest: null, opacity: OPACITY });
  drawScale();
}

byId("level").addEventListener("input", (event) => setLevel(event.target.valueAsNumber));
byId("hottest").addEventListener("input", (event) => setHottest(event.target.valueAsNumber));
byId("opacity").addEventListener("input", (event) => setOpacity(event.target.valueAsNumber / 100));
byId("restore").addEventListener("click", restoreScale);

const scaleKeys = {
  "[": () => scale.map && setLevel(levelOf() - 2 * STEP),
  "]": () => scale.map && setLevel(levelOf() + 2 * STEP),
  "{": () => scale.map && setHottest(hottestOf() - 2 * STEP),
  "}": () => scale.map && setHottest(hottestOf() + 2 * STEP),
  "-": () => setOpacity(scale.opacity - 0.05),
  "=": () => setOpacity(scale.opacity + 0.05),
  0: restoreScale,
};
