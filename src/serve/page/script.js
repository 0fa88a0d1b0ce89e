/* Largest number of regions in the table. */
const MOST = 50;
let picture = null; /* {blob, name}: what is scored again */
let address = null; /* of the picture, for the browser */
let asking = null;

fetch("healthz").then((answer) => answer.json()).then((about) => {
  byId("about").textContent = `${about.version} · ${about.model} · ${about.method} · ${about.image_size} px`;
  byId("class").placeholder = about.class;
  if (about.threshold !== null) byId("threshold").placeholder = short(about.threshold);
}).catch(() => say("The server does not answer.", true));

function short(number) { return String(Number(number.toFixed(3))); }

function say(text, bad) {
  byId("status").textContent = text;
  byId("status").classList.toggle("bad", Boolean(bad));
}

async function score() {
  if (!picture) return;
  asking?.abort();
  const mine = asking = new AbortController();
  const query = new URLSearchParams({ overlay: "true", map: "true", name: picture.name.slice(0, 200) });
  if (byId("class").value.trim()) query.set("class", byId("class").value.trim());
  if (byId("threshold").value.trim()) query.set("threshold", byId("threshold").value.trim());
  byId("again").disabled = false;
  document.body.classList.add("busy");
  say(`Scoring ${picture.name} …`);
  try {
    const answer = await fetch(`v1/detect?${query}`, { method: "POST", body: picture.blob, signal: mine.signal });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error?.message ?? `The server says ${answer.status}.`);
    await show(found);
    say("");
  } catch (problem) {
    if (mine.signal.aborted) return;
    /* The shown result belongs to another picture. */
    byId("result").hidden = true;
    document.body.classList.remove("shown");
    say(problem instanceof TypeError ? "The server does not answer." : problem.message, true);
  } finally {
    if (asking === mine) {
      asking = null;
      document.body.classList.remove("busy");
    }
  }
}

async function show(found) {
  if (address) URL.revokeObjectURL(address);
  address = URL.createObjectURL(picture.blob);
  byId("original").src = address;
  byId("map").src = found.map;
  const { good, damaged } = found.map_range;
  showMap(byId("map"), { ...found.map_probability, good, damaged, regions: found.region_threshold });
  /* Not every browser shows every format; the overlay is a PNG. */
  const shown = await byId("original").decode().then(() => true, () => false);
  if (!shown) byId("original").src = found.overlay;
  for (const id of ["map", "scale"]) byId(id).hidden = !shown;
  byId("shown").disabled = !shown;
  byId("save").href = found.overlay;
  byId("save").download = `${found.name.replace(/^.*[/\\]/, "")}.overlay.png`;
  byId("name").textContent = found.name;
  byId("score").textContent = found.score.toFixed(3);
  const verdict = byId("verdict");
  verdict.textContent = found.anomalous === null ? "" : found.anomalous ? "anomalous" : "normal";
  verdict.className = `badge ${found.anomalous ? "anomalous" : "good"}`;
  byId("value").setAttribute("width", 100 * found.score);
  byId("mark").setAttribute("x", found.threshold === null ? -9 : 99.2 * found.threshold);
  const facts = [
    ["class", found.class],
    ["threshold", found.threshold === null ? "none" : short(found.threshold)],
    ["highest value", short(found.map_probability.max)],
    ["picture", `${found.size.width} × ${found.size.height}`],
    ["time", `${Math.round(found.timing_ms.total)} ms`],
  ];
  byId("details").replaceChildren(...facts.flatMap(([name, value]) => [element("dt", "", name), element("dd", "", value)]));
  boxes(found);
  byId("result").hidden = false;
  document.body.classList.add("shown");
}

function boxes(found) {
  const count = found.regions.length;
  const regions = found.regions.slice(0, MOST);
  const words = count === 1 ? "1 region" : `${count || "No"} regions`;
  byId("found").textContent = `${words} at or above ${short(found.region_threshold)}`
    + (count > MOST ? `, the ${MOST} highest` : "");
  byId("boxes").setAttribute("viewBox", `0 0 ${found.size.width} ${found.size.height}`);
  byId("boxes").setAttribute("preserveAspectRatio", "none");
  const drawn = regions.map(({ x, y, width, height }) =>
    ["halo", ""].map((kind) => svgNode("rect", { class: kind, x, y, width, height })));
  byId("boxes").replaceChildren(...drawn.flat());
  const rows = regions.map((region, at) => {
    const row = element("tr");
    row.append(element("td", "", at + 1), element("td", "number", region.peak.toFixed(3)),
      element("td", "number", `${region.x}, ${region.y}`),
      element("td", "number", `${region.width} × ${region.height}`));
    row.addEventListener("pointerenter", () => drawn[at][1].classList.add("chosen"));
    row.addEventListener("pointerleave", () => drawn[at][1].classList.remove("chosen"));
    return row;
  });
  byId("regions").tBodies[0].replaceChildren(...rows);
  byId("regions").hidden = count === 0;
}

function take(blob, name) {
  if (!blob) return;
  picture = { blob, name: name || "pasted" };
  score();
}

byId("file").addEventListener("change", () => {
  const [file] = byId("file").files;
  take(file, file?.name);
  /* The same file can be chosen again after it was changed. */
  byId("file").value = "";
});
byId("controls").addEventListener("submit", (event) => { event.preventDefault(); score(); });
byId("shown").addEventListener("change", () => { byId("map").style.visibility = byId("shown").checked ? "" : "hidden"; });
byId("show").addEventListener("change", () => { byId("boxes").style.display = byId("show").checked ? "" : "none"; });
const keys = { ...scaleKeys, o: () => byId("shown").click() };
window.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input[type=text], input[type=number]");
  const does = keys[event.key];
  if (!does || typing || event.ctrlKey || event.metaKey || event.altKey || !scale.map) return;
  event.preventDefault();
  does();
});
window.addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("over"); });
window.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("over"); });
window.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) take(file, file.name);
});
window.addEventListener("paste", (event) => {
  const [file] = event.clipboardData.files;
  if (file) take(file, file.name);
});
