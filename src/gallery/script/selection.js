// Which pictures are shown, and in which order.

const choice = {
  show: "all", folder: "", text: "", from: null, to: null, order: "highest",
  threshold: null, // tried instead of the run's threshold
};

const threshold = () => choice.threshold ?? raw.threshold;

// "anomalous", "normal", "failed", or "scored" without a threshold.
function verdict(picture) {
  if (picture.failed) return "failed";
  if (choice.threshold !== null) return picture.score >= choice.threshold ? "anomalous" : "normal";
  if (picture.recorded === null) return "scored";
  return picture.recorded ? "anomalous" : "normal";
}

const orders = {
  highest: (a, b) => b.score - a.score || a.rank - b.rank,
  lowest: (a, b) => a.score - b.score || a.rank - b.rank,
  name: (a, b) => a.rank - b.rank,
  regions: (a, b) => b.regionCount - a.regionCount || b.score - a.score || a.rank - b.rank,
};

// By folder and text only: the pictures of the histogram and the figures.
function candidates() {
  const text = choice.text.toLowerCase();
  const inside = choice.folder + "/";
  return pictures.filter((p) =>
    (!text || p.lower.includes(text)) &&
    (!choice.folder || p.folder === choice.folder || p.folder.startsWith(inside)));
}

const inRange = (score) =>
  (choice.from === null || score >= choice.from) && (choice.to === null || score <= choice.to);

function selected(among) {
  const ranged = choice.from !== null || choice.to !== null;
  const kept = among.filter((p) =>
    (choice.show === "all" || verdict(p) === choice.show) && (!ranged || (!p.failed && inRange(p.score))));
  const order = orders[choice.order];
  // Failed pictures have no score and come last, except in the order by name.
  return kept.sort((a, b) => (choice.order !== "name" && a.failed - b.failed) || order(a, b));
}

// Pictures of a bin that are only counted, by verdict.
function judgeBin(bin) {
  if (choice.threshold !== null) return { [bin.score >= choice.threshold ? "anomalous" : "normal"]: bin.all };
  if (raw.threshold === null) return { scored: bin.all };
  return { anomalous: bin.anomalous, normal: bin.all - bin.anomalous };
}

// The number of pictures by verdict, those that are only counted included.
function tally(among) {
  const found = { all: among.length, anomalous: 0, normal: 0, failed: 0, scored: 0 };
  for (const picture of among) found[verdict(picture)] += 1;
  if (!choice.text && !choice.folder) {
    for (const bin of rest) {
      found.all += bin.all;
      for (const [kind, amount] of Object.entries(judgeBin(bin))) found[kind] += amount;
    }
  }
  return found;
}
