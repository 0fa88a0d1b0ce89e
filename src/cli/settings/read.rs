//! Reads the entries of a settings file.

use std::fmt;
use std::path::Path;

use aaclip::lines::without_mark;
use aaclip::{Error, Result, files};
use toml::de::{DeTable, DeValue};

use super::at;

/// The largest file in bytes; far more than any set of flags needs.
const LARGEST: u64 = 1_000_000;

/// One key with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The command: the names of its table, empty for all commands.
    pub table: Vec<String>,
    /// The key.
    pub key: String,
    /// The value.
    pub value: Value,
    /// The line of the key, counted from 1.
    pub line: usize,
}

impl Entry {
    /// The key with its table, as written in one line.
    pub fn name(&self) -> String {
        self.table.iter().chain([&self.key]).map(String::as_str).collect::<Vec<_>>().join(".")
    }
}

/// A value in the form of the command line.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A number in decimal.
    Number(String),
    /// A string.
    Text(String),
    /// Several values.
    List(Vec<Value>),
    /// A table or an array of tables at a place for values.
    Table,
    /// A date or time: no flag takes one.
    Date(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(b) => write!(f, "{b}"),
            Self::Number(n) | Self::Date(n) => f.write_str(n),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Table => f.write_str("a table"),
            Self::List(all) => {
                let all: Vec<String> = all.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", all.join(", "))
            }
        }
    }
}

/// Reads a file.
///
/// # Errors
/// The file cannot be read, is too large, or is not TOML.
pub fn read(path: &Path) -> Result<Vec<Entry>> {
    let bytes = files::read_limited(path, LARGEST).map_err(|e| {
        Error::Setting(format!("cannot read {}: {e}; use --no-config to run without it", path.display()))
    })?;
    let bytes = without_mark(&bytes);
    let text = std::str::from_utf8(bytes)
        .map_err(|e| at(path, line_of(bytes, e.valid_up_to()), "not UTF-8: expected a text file in TOML"))?;
    parse(text).map_err(|(line, problem)| at(path, line, problem))
}

fn line_of(text: &[u8], offset: usize) -> usize {
    1 + text.iter().take(offset).filter(|&&b| b == b'\n').count()
}

fn parse(text: &str) -> Result<Vec<Entry>, (usize, String)> {
    let line = |offset| line_of(text.as_bytes(), offset);
    let root = DeTable::parse(text)
        .map_err(|e| (line(e.span().map_or(0, |s| s.start)), e.message().replace('\n', " ")))?;
    let mut entries = Vec::new();
    let mut tables = vec![(Vec::new(), root.into_inner())];
    while let Some((table, content)) = tables.pop() {
        for (key, value) in content {
            let line = line(key.span().start);
            let key = key.into_inner().into_owned();
            match value.into_inner() {
                DeValue::Table(inner) if !inner.is_empty() => {
                    tables.push(([&table[..], &[key]].concat(), inner));
                }
                value => {
                    let value = Value::new(value).map_err(|problem| (line, format!("`{key}`: {problem}")))?;
                    entries.push(Entry { table: table.clone(), key, value, line });
                }
            }
        }
    }
    entries.sort_by_key(|e| e.line);
    Ok(entries)
}

impl Value {
    fn new(value: DeValue<'_>) -> Result<Self, String> {
        Ok(match value {
            DeValue::Boolean(b) => Self::Bool(b),
            DeValue::String(text) => Self::Text(text.into_owned()),
            DeValue::Float(number) => Self::Number(number.as_str().to_owned()),
            DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
                .map(|n| Self::Number(n.to_string()))
                .map_err(|_| format!("{number} is too large a number"))?,
            DeValue::Datetime(date) => Self::Date(date.to_string()),
            DeValue::Table(_) => Self::Table,
            DeValue::Array(all) => {
                Self::List(all.into_iter().map(|v| Self::new(v.into_inner())).collect::<Result<_, _>>()?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_with_their_lines() {
        let text =
            "threads = 0x10\n\n[detect]\nlevels = [3, 6]\nsmoothing = 1_0.5\n[train.aa-clip]\nrelu = true\n";
        let found: Vec<String> =
            parse(text).unwrap().iter().map(|e| format!("{} {} {}", e.line, e.name(), e.value)).collect();
        assert_eq!(
            found,
            [
                "1 threads 16",
                "4 detect.levels [3, 6]",
                "5 detect.smoothing 10.5",
                "7 train.aa-clip.relu true"
            ]
        );
        // The same with TOML's other forms, and tables without a key.
        let inline = parse("detect = { levels = [3] }\neval.pixels = \"none\"\n[models]\n").unwrap();
        let names: Vec<String> = inline.iter().map(Entry::name).collect();
        assert_eq!(names, ["detect.levels", "eval.pixels", "models"]);
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn what_is_not_toml_is_named_with_its_line() {
        let deep = format!("a = {}1{}", "[".repeat(5000), "]".repeat(5000));
        for (text, line) in [
            ("model = builtin", 1),
            ("a = 1\nb = \"x", 2),
            ("a = 1\na = 2", 2),
            ("[detect\n", 1),
            ("a = 99999999999999999999999999999999999999999", 1),
            ("\n\n= 3", 3),
            (&deep, 1),
        ] {
            assert_eq!(parse(text).unwrap_err().0, line, "{text:.40}");
        }
    }

    #[test]
    fn files_that_are_no_settings() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("aaclip.toml");
        let read_bytes = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read(&path).map_err(|e| e.to_string())
        };
        assert!(read_bytes(b"a = 1\nb = \"\xff\"").unwrap_err().contains("aaclip.toml:2: not UTF-8"));
        let spaces = vec![b' '; LARGEST as usize + 1];
        assert!(read_bytes(&spaces).unwrap_err().contains("larger than 1000 kB"));
        assert_eq!(read_bytes(&spaces[1..]).unwrap(), []);
        assert_eq!(read_bytes(b"\xef\xbb\xbfthreads = 2").unwrap().len(), 1);
        assert!(read(&dir.path().join("none")).is_err());
    }
}
