// What leaves the page: the command that keeps a threshold, and the shown pictures as CSV.

// An argument for a shell.
const quoted = (text) => (/^[\w.,:/@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

byId("keep-it").addEventListener("click", () => {
  byId("command").textContent = `aaclip detect ... -o ${quoted(clean(raw.folder))} --threshold ${threshold()}`;
  byId("copied").textContent = "";
  byId("keep").showModal();
});

byId("copy").addEventListener("click", async () => {
  const command = byId("command");
  try {
    await navigator.clipboard.writeText(command.textContent);
    byId("copied").textContent = "Copied.";
  } catch {
    // Not every browser lets a page from disk write to the clipboard.
    getSelection().selectAllChildren(command);
    byId("copied").textContent = "Selected: copy it with the keyboard.";
  }
});

function csv(among) {
  const cell = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  // A spreadsheet would run such a name as a formula.
  const plain = (name) => (/^[=+\-@\uff1d\uff0b\uff0d\uff20\t\r\n]/.test(name) ? `'${name}` : name);
  const rows = among.map((p) => [plain(p.name), p.failed ? "" : String(p.score), verdictWords[verdict(p)], plain(p.path)]);
  return [["name", "score", "verdict", "path"], ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

byId("csv").addEventListener("click", () => {
  const link = element("a");
  link.href = URL.createObjectURL(new Blob(["\ufeff", csv(grid.shown)], { type: "text/csv" }));
  link.download = "pictures.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});
