"use strict";
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
/* More regions than anyone looks at. */
const MOST = 50;
let picture = null; /* {blob, name}: what is scored again */
let address = null; /* of the picture, for the browser */
let asking = null;

fetch("healthz").then((answer) => answer.json()).then((about) => {
  $("about").textContent = `${about.version} · ${about.model} · ${about.method} · ${about.image_size} px`;
  $("class").placeholder = about.class;
  if (about.threshold !== null) $("threshold").placeholder = short(about.threshold);
}).catch(() => say("The server does not answer.", true));

function short(number) { return String(Number(number.toFixed(3))); }

function say(text, bad) {
  $("status").textContent = text;
  $("status").classList.toggle("bad", Boolean(bad));
}

async function score() {
  if (!picture) return;
  asking?.abort();
  const mine = asking = new AbortController();
  const query = new URLSearchParams({ overlay: "true", name: picture.name.slice(0, 200) });
  if ($("class").value.trim()) query.set("class", $("class").value.trim());
  if ($("threshold").value.trim()) query.set("threshold", $("threshold").value.trim());
  $("again").disabled = false;
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
    /* What is shown is of another picture. */
    $("result").hidden = true;
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
  $("original").src = address;
  $("overlay").src = found.overlay;
  /* Not every browser shows every format; the overlay is a PNG. */
  const shown = await $("original").decode().then(() => true, () => false);
  $("stage").classList.toggle("alone", !shown);
  $("opacity").disabled = !shown;
  blend();
  $("save").href = found.overlay;
  $("save").download = `${found.name.replace(/^.*[/\\]/, "")}.overlay.png`;
  $("name").textContent = found.name;
  $("score").textContent = found.score.toFixed(3);
  const verdict = $("verdict");
  verdict.textContent = found.anomalous === null ? "" : found.anomalous ? "anomalous" : "normal";
  verdict.className = `badge ${found.anomalous ? "anomalous" : "good"}`;
  $("value").setAttribute("width", 100 * found.score);
  $("mark").setAttribute("x", found.threshold === null ? -9 : 99.2 * found.threshold);
  const facts = [
    ["class", found.class],
    ["threshold", found.threshold === null ? "none" : short(found.threshold)],
    ["highest value", short(Math.max(0, ...found.regions.map((region) => region.peak)))],
    ["picture", `${found.size.width} × ${found.size.height}`],
    ["time", `${Math.round(found.timing_ms.total)} ms`],
  ].filter(([name]) => name !== "highest value" || found.regions.length);
  $("details").replaceChildren(...facts.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
  boxes(found);
  $("result").hidden = false;
  document.body.classList.add("shown");
}

function element(tag, text, cls) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (cls) made.className = cls;
  return made;
}

function boxes(found) {
  const count = found.regions.length;
  const regions = found.regions.slice(0, MOST);
  const words = count === 1 ? "1 region" : `${count || "No"} regions`;
  $("found").textContent = `${words} at or above ${short(found.region_threshold)}`
    + (count > MOST ? `, the ${MOST} highest` : "");
  $("boxes").setAttribute("viewBox", `0 0 ${found.size.width} ${found.size.height}`);
  $("boxes").setAttribute("preserveAspectRatio", "none");
  const drawn = regions.map((region) => ["halo", ""].map((cls) => {
    const box = document.createElementNS(SVG, "rect");
    for (const key of ["x", "y", "width", "height"]) box.setAttribute(key, region[key]);
    box.setAttribute("class", cls);
    return box;
  }));
  $("boxes").replaceChildren(...drawn.flat());
  const rows = regions.map((region, at) => {
    const row = document.createElement("tr");
    row.append(element("td", at + 1), element("td", region.peak.toFixed(3), "number"),
      element("td", `${region.x}, ${region.y}`, "number"),
      element("td", `${region.width} × ${region.height}`, "number"));
    row.addEventListener("pointerenter", () => drawn[at][1].classList.add("chosen"));
    row.addEventListener("pointerleave", () => drawn[at][1].classList.remove("chosen"));
    return row;
  });
  $("regions").tBodies[0].replaceChildren(...rows);
  $("regions").hidden = count === 0;
}

function blend() {
  $("overlay").style.opacity = $("opacity").disabled ? 1 : $("opacity").value / 100;
}

function take(blob, name) {
  if (!blob) return;
  picture = { blob, name: name || "pasted" };
  score();
}

$("file").addEventListener("change", () => {
  const [file] = $("file").files;
  take(file, file?.name);
  /* The same file can be chosen again after it was changed. */
  $("file").value = "";
});
$("controls").addEventListener("submit", (event) => { event.preventDefault(); score(); });
$("opacity").addEventListener("input", blend);
$("show").addEventListener("change", () => { $("boxes").style.display = $("show").checked ? "" : "none"; });
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
