//! Files that list pictures: AA-CLIP's JSON lines and CLIP-AD's `meta.json`.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::listing::{Listing, open_metadata};
use super::reading::{Reading, Row};
use super::{DatasetError, Label};
use crate::lines::{Line, Lines, without_mark};

/// Longest line of a JSON-lines file, in bytes.
const MAX_LINE: u64 = 1 << 20;

pub(super) fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending))
}

/// The `.jsonl` file `root`, or the only one in it.
pub(super) fn json_lines_file(root: &Path, is_file: bool, listing: &Listing) -> Option<PathBuf> {
    if is_file {
        return has_ending(root, "jsonl").then(|| root.to_owned());
    }
    let mut files = listing.others.iter().filter(|f| has_ending(f, "jsonl"));
    files.next().filter(|_| files.next().is_none()).cloned()
}

/// The `.json` file `root`, or the `meta.json` in it.
pub(super) fn meta_json_file(root: &Path, is_file: bool, listing: &Listing) -> Option<PathBuf> {
    if is_file {
        return has_ending(root, "json").then(|| root.to_owned());
    }
    listing.others.iter().find(|f| f.file_name().is_some_and(|n| n == "meta.json")).cloned()
}

/// Reads a file of one JSON value.
pub(super) fn read_json<T: DeserializeOwned>(file: &Path) -> Result<T, DatasetError> {
    let mut bytes = Vec::new();
    open_metadata(file)?.read_to_end(&mut bytes).map_err(|e| DatasetError::Io(file.to_owned(), e))?;
    serde_json::from_slice(without_mark(&bytes))
        .map_err(|e| DatasetError::Metadata(file.to_owned(), format!("not JSON: {e}")))
}

pub(super) fn read_json_lines(file: PathBuf, reading: &mut Reading) -> Result<(), DatasetError> {
    let file = &file;
    let io = |source| DatasetError::Io(file.to_owned(), source);
    for (line, number) in Lines::new(BufReader::new(open_metadata(file)?), MAX_LINE).zip(1..) {
        let place = format!("line {number}");
        let Line::Whole(line) = line.map_err(io)? else {
            reading.bad_line(file, &place, &format!("it is longer than {MAX_LINE} bytes"))?;
            continue;
        };
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let row = serde_json::from_slice(text)
            .map_err(|e| format!("not JSON: {e}"))
            .and_then(|value| row(&value, &LINE, None));
        match row {
            Ok(row) => reading.row(row, file, &place)?,
            Err(reason) => reading.bad_line(file, &place, &reason)?,
        }
    }
    Ok(())
}

pub(super) fn read_meta_json(file: PathBuf, reading: &mut Reading) -> Result<(), DatasetError> {
    let file = &file;
    let wrong = |reason: String| DatasetError::Metadata(file.to_owned(), reason);
    let value: Value = read_json(file)?;
    let test = value.get("test").and_then(Value::as_object);
    let test = test.ok_or_else(|| wrong("it has no object `test`".to_owned()))?;
    for (class, entries) in test {
        let Some(entries) = entries.as_array() else {
            reading.bad_line(file, &format!("test.{class}"), "it is not a list")?;
            continue;
        };
        for (i, entry) in entries.iter().enumerate() {
            let place = format!("test.{class}[{i}]");
            match row(entry, &META, Some(class)) {
                Ok(row) => reading.row(row, file, &place)?,
                Err(reason) => reading.bad_line(file, &place, &reason)?,
            }
        }
    }
    Ok(())
}

/// Names of the fields of an entry.
struct Fields {
    image: &'static str,
    label: &'static str,
    class: &'static str,
    mask: &'static str,
    kind: Option<&'static str>,
}

const LINE: Fields =
    Fields { image: "image_path", label: "label", class: "class_name", mask: "mask_path", kind: None };
const META: Fields = Fields {
    image: "img_path",
    label: "anomaly",
    class: "cls_name",
    mask: "mask_path",
    kind: Some("specie_name"),
};

/// Reads an entry, or returns the reason why it cannot be used. `class` is the default class.
fn row(entry: &Value, fields: &Fields, class: Option<&str>) -> Result<Row, String> {
    if !entry.is_object() {
        return Err("it is not a JSON object".to_owned());
    }
    let text = |name: &str| match entry.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("`{name}` is not a string")),
    };
    let needed = |name: &str| text(name)?.ok_or_else(|| format!("`{name}` is missing"));
    let label = match entry.get(fields.label) {
        Some(v) if v.as_f64() == Some(0.0) => Label::Normal,
        Some(v) if v.as_f64() == Some(1.0) => Label::Anomalous,
        Some(v) if v.is_number() => return Err(format!("`{}` is {v}, expected 0 or 1", fields.label)),
        Some(_) => return Err(format!("`{}` is not a number", fields.label)),
        None => return Err(format!("`{}` is missing", fields.label)),
    };
    let class = text(fields.class)?.or_else(|| class.map(str::to_owned));
    let class = class.filter(|c| !c.is_empty()).ok_or_else(|| format!("`{}` is missing", fields.class))?;
    let kind = fields.kind.map(text).transpose()?.flatten().filter(|k| !k.is_empty());
    Ok(Row { class, image: needed(fields.image)?, label, mask: text(fields.mask)?, kind })
}
