// One picture of the grid.

const verdictWords = { anomalous: "anomalous", normal: "normal", failed: "failed", scored: "" };

function image(source, className) {
  const img = element("img", className);
  img.alt = "";
  img.loading = "lazy";
  img.decoding = "async";
  img.draggable = false;
  img.addEventListener("error", () => img.remove());
  img.src = source;
  return img;
}

// The boxes of a picture's regions, in the picture's own pixels.
function regionBoxes(picture, svg) {
  svg.setAttribute("viewBox", `0 0 ${picture.width} ${picture.height}`);
  for (const [x, y, width, height] of picture.regions) {
    for (const kind of ["halo", "edge"]) svg.append(svgNode("rect", { class: kind, x, y, width, height }));
  }
  return svg;
}

function makeTile(picture) {
  const item = element("li");
  const button = element("button");
  button.type = "button";
  const frame = element("span", "frame");
  const { below, above } = picture.smallLayers;
  if (below) frame.append(image(below, "below"));
  if (above) {
    frame.append(image(above, "above"));
  } else if (picture.regions.length && picture.width) {
    frame.append(regionBoxes(picture, svgNode("svg", { class: "above boxes" })));
  }
  if (picture.failed) {
    frame.append(element("span", "failure", clean(picture.failure[1])));
  } else if (!below) {
    frame.append(element("span", "failure", "No picture"));
  }
  const line = element("span", "line");
  line.append(
    element("span", "score", picture.failed ? "–" : decimals(picture.score, 3)),
    element("span", "verdict"),
  );
  const name = element("bdi", "name");
  const folder = clean(picture.folder);
  if (folder) name.append(element("span", "folder", `${folder}/`));
  name.append(element("span", "file", clean(picture.file)));
  name.title = clean(picture.name);
  const text = element("span", "text");
  text.append(line, name);
  button.append(frame, text);
  item.append(button);
  return item;
}

// The verdict changes with the threshold that is tried.
function judgeTile(item, picture) {
  const found = verdict(picture);
  item.firstChild.className = `tile ${found}`;
  item.querySelector(".verdict").textContent = verdictWords[found];
}
