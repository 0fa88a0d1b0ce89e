//! The protocol of `aaclip worker`: a request per line in, a record per line out, for engines that start programs and
//! talk to them through pipes (Spark's `pipe`, Ray, GNU parallel, Kubernetes jobs).

use std::io::{self, BufRead, Read};
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::output::Record;
use crate::{PictureName, Source};

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Whatever the asker knows it by; comes back with the answer.
    pub id: Option<Value>,
    /// What the picture shows; `None`: the worker's own class.
    pub class: Option<String>,
    /// The picture.
    pub picture: RequestPicture,
    /// What the answer calls the picture: its path, or the name that was given with its content.
    pub name: String,
}

/// The picture of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestPicture {
    /// A file.
    File(PathBuf),
    /// Its content.
    Bytes(Vec<u8>),
}

/// A line that is no request.
#[derive(Debug, Clone, PartialEq)]
pub struct BadRequest {
    /// Its id, if it has one.
    pub id: Option<Value>,
    /// What is wrong.
    pub reason: String,
}

/// A request as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    id: Option<Value>,
    path: Option<String>,
    b64: Option<String>,
    class: Option<String>,
    name: Option<String>,
}

impl Request {
    /// Reads a line: a JSON object `{"path" | "b64", "class"?, "id"?, "name"?}`, or anything else as a path.
    ///
    /// # Errors
    /// A line that is neither.
    pub fn parse(line: &[u8]) -> Result<Self, BadRequest> {
        let bad = |id: Option<Value>, reason: &str| BadRequest { id, reason: reason.to_owned() };
        let text = std::str::from_utf8(line).map_err(|_| bad(None, "the line is not UTF-8"))?;
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.trim().is_empty() {
            return Err(bad(None, "the line is empty"));
        }
        if !text.trim_start().starts_with('{') {
            let picture = RequestPicture::File(PathBuf::from(text));
            return Ok(Self { id: None, class: None, picture, name: text.to_owned() });
        }
        let fields: Fields = serde_json::from_str(text).map_err(|e| {
            // The id is worth having even where the rest is wrong.
            let id = serde_json::from_str::<Value>(text).ok().and_then(|mut v| Some(v.get_mut("id")?.take()));
            bad(id, &e.to_string())
        })?;
        let picture = match (fields.path, fields.b64) {
            (Some(path), None) => Ok((path.clone(), RequestPicture::File(PathBuf::from(path)))),
            (None, Some(content)) => match BASE64.decode(content.as_bytes()) {
                Ok(bytes) => Ok(("picture".to_owned(), RequestPicture::Bytes(bytes))),
                Err(e) => Err(format!("`b64` is no base64: {e}")),
            },
            _ => Err("expected either `path` or `b64`".to_owned()),
        };
        match picture {
            Err(reason) => Err(BadRequest { id: fields.id, reason }),
            Ok((name, picture)) => {
                Ok(Self { id: fields.id, class: fields.class, picture, name: fields.name.unwrap_or(name) })
            }
        }
    }

    /// The picture, as a scorer takes it.
    pub fn source(&self) -> Source<'_> {
        match &self.picture {
            RequestPicture::File(path) => Source::File(path),
            RequestPicture::Bytes(bytes) => Source::Bytes(bytes),
        }
    }

    /// How the answer names the picture.
    pub fn picture_name(&self) -> PictureName {
        PictureName::plain(&self.name)
    }
}

/// The answer to one request: its id, if it had one, and the record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Value>,
    /// What came of the picture.
    #[serde(flatten)]
    pub record: Record,
}

/// The lines of a stream, none longer than a limit.
pub struct Lines<R> {
    input: R,
    longest: u64,
    ended: bool,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Its bytes without the line end.
    Whole(Vec<u8>),
    /// It was longer than the limit; the rest of it was passed over.
    TooLong,
}

impl<R: BufRead> Lines<R> {
    /// The lines of `input`; memory holds at most `longest` bytes of one.
    pub fn new(input: R, longest: u64) -> Self {
        Self { input, longest, ended: false }
    }

    fn read(&mut self) -> io::Result<Option<Line>> {
        let mut line = Vec::new();
        let count = self.input.by_ref().take(self.longest.saturating_add(1)).read_until(b'\n', &mut line)?;
        if count == 0 {
            return Ok(None);
        }
        if line.pop_if(|&mut last| last == b'\n').is_none() && line.len() as u64 > self.longest {
            self.input.skip_until(b'\n')?;
            return Ok(Some(Line::TooLong));
        }
        Ok(Some(Line::Whole(line)))
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let line = self.read().transpose();
        self.ended = !matches!(line, Some(Ok(_)));
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_in_both_forms() {
        let path = Request::parse(b"a b/c.png\r").unwrap();
        assert_eq!((path.picture, &path.name[..]), (RequestPicture::File("a b/c.png".into()), "a b/c.png"));
        let full = br#" {"b64": "AAEC", "class": "nut", "id": {"row": 7}, "name": "x"}"#;
        let full = Request::parse(full).unwrap();
        assert_eq!(full.picture, RequestPicture::Bytes(vec![0, 1, 2]));
        assert_eq!((full.class.as_deref(), &full.name[..]), (Some("nut"), "x"));
        assert_eq!(full.id, Some(serde_json::json!({"row": 7})));
    }

    #[test]
    fn bad_requests_keep_their_id() {
        for (line, id, needle) in [
            (&b""[..], false, "empty"),
            (b"\xff", false, "UTF-8"),
            (b"{", false, "EOF"),
            (br#"{"id": 1}"#, true, "either `path` or `b64`"),
            (br#"{"id": 1, "path": "a", "b64": ""}"#, true, "either"),
            (br#"{"id": 1, "b64": "?"}"#, true, "base64"),
            (br#"{"id": 1, "path": "a", "clas": "x"}"#, true, "clas"),
            (br#"{"id": 1, "path": 5}"#, true, "string"),
        ] {
            let bad = Request::parse(line).unwrap_err();
            assert!(bad.reason.contains(needle), "{bad:?}");
            assert_eq!(bad.id.is_some(), id, "{bad:?}");
        }
    }

    #[test]
    fn long_lines_are_passed_over() {
        let read = |text: &str, longest| -> Vec<Line> {
            Lines::new(text.as_bytes(), longest).map(Result::unwrap).collect()
        };
        let whole = |s: &str| Line::Whole(s.as_bytes().to_vec());
        assert_eq!(
            read("ab\n\nabc\nabcd\nx", 3),
            [whole("ab"), whole(""), whole("abc"), Line::TooLong, whole("x")]
        );
        assert_eq!(read("abcd", 3), [Line::TooLong]);
        assert_eq!(read("", 3), []);
    }
}
