// Makes the page's records, which are arrays, readable.

const raw = JSON.parse(byId("data").textContent);

const grouped = new Intl.NumberFormat("en");
const count = (value) => grouped.format(value);
const plural = (value, one, many) => `${count(value)} ${value === 1 ? one : many}`;
const decimals = (value, digits) => value.toFixed(digits).replace("-", "\u2212");

// Characters in a file name that could mislead a reader: control and direction characters.
const clean = (text) =>
  text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufffe\uffff]/g, "\ufffd");

// An address from a path: no part of a name is read as a scheme, a query or an escape.
const address = (path) => path.split("/").map(encodeURIComponent).join("/");

const thumbnail = (name) => (name ? `${address(raw.thumbs)}/${name}.jpg` : null);

class Picture {
  constructor(row, at) {
    [this.name, this.score, this.recorded, this.judgedAs, this.width, this.height, this.small, this.smallHeat,
      this.places, this.regionCount, this.regions, this.componentSet, this.componentValues, this.ends, this.failure,
      this.decoding = ""] = row;
    this.at = at;
    const slash = this.name.lastIndexOf("/");
    this.folder = slash < 0 ? "" : this.name.slice(0, slash);
    this.file = this.name.slice(slash + 1);
    this.lower = this.name.toLowerCase();
    this.failed = this.score === null;
  }

  text(which) {
    const place = this.places[which];
    return typeof place === "number" ? raw.places[place][0] + this.name + raw.places[place][1] : place;
  }

  link(which) {
    const path = this.text(which);
    return path === null ? null : address(path);
  }

  get path() { return this.text(0); }
  get pictureLink() { return this.link(1); }
  get overlayLink() { return this.link(2); }
  get heatmapLink() { return this.link(3); }
  get mapLink() { return this.ends && this.link(4); }
  get judged() {
    const [model, method, className, threshold] = raw.judged[this.judgedAs];
    return { model, method, className, threshold };
  }
  // The values of the grey map, and the run's scale for all maps.
  get map() {
    const [good, damaged, regions] = raw.judged[this.judgedAs].slice(4);
    return { min: this.ends[0], max: this.ends[1], good, damaged, regions };
  }
  get components() {
    return raw.components[this.componentSet].map((name, at) => [name, this.componentValues[at]]);
  }

  // The files to show, best first: the picture, and the map over it. Without the picture the overlay replaces it, or
  // the map alone.
  get layers() {
    const kept = (...links) => links.filter(Boolean);
    const map = kept(this.mapLink);
    // A thumbnail of a part of the picture (its name begins with c) does not fit the picture's frame.
    const whole = (name) => (this.small?.startsWith("c") ? null : thumbnail(name));
    const painted = kept(this.overlayLink, this.heatmapLink, whole(this.smallHeat));
    const own = kept(this.pictureLink, whole(this.small));
    if (own.length) return { below: own, above: [...map, ...painted] };
    return map.length && !this.overlayLink ? { below: [], above: map } : { below: painted, above: [] };
  }
  get smallLayers() {
    const [own, heat] = [thumbnail(this.small), thumbnail(this.smallHeat)];
    return own ? { below: own, above: heat } : { below: heat, above: null };
  }
}

const pictures = raw.pictures.map((row, at) => new Picture(row, at));
// Scores that are counted and not shown, as the middle of their bin.
const rest = raw.rest.map(([bin, all, anomalous]) => ({ score: (bin + 0.5) / 1000, all, anomalous }));

const collator = new Intl.Collator("en", { numeric: true });
const byName = pictures.slice().sort((a, b) => collator.compare(a.name, b.name));
byName.forEach((picture, rank) => { picture.rank = rank; });
const ranking = pictures.filter((p) => !p.failed).map((p) => p.score).sort((a, b) => b - a);
