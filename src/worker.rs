//! The protocol of `aaclip worker`: one request per input line, one record per output line, for systems that
//! start programs and use pipes (Spark's `pipe`, Ray, GNU parallel, Kubernetes jobs).

use std::collections::HashMap;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::files::path_of_bytes;
use crate::output::Record;
use crate::{PictureName, Source};

/// Number of characters of a bad request's line in its answer.
const SHOWN: usize = 200;

/// The id of a request: any JSON. It is returned unchanged: numbers are not rounded, strings are not decoded.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct RequestId(Box<RawValue>);

impl RequestId {
    fn new(raw: &RawValue) -> Option<Self> {
        // A null id counts as not given. Outside of strings a carriage return is white space, and an answer
        // must be one line.
        let text = raw.get().replace('\r', " ");
        (text != "null").then(|| RawValue::from_string(text).ok().map(Self)).flatten()
    }

    /// The JSON text.
    pub fn as_json(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for RequestId {
    fn eq(&self, other: &Self) -> bool {
        self.as_json() == other.as_json()
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Returned with the answer.
    pub id: Option<RequestId>,
    /// The class shown in the picture; `None`: the worker's own class.
    pub class: Option<String>,
    /// The picture.
    pub picture: RequestPicture,
    /// The picture's name in the answer: the given name, else its path.
    pub name: PictureName,
}

/// The picture of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestPicture {
    /// A file.
    File(PathBuf),
    /// Its content.
    Bytes(Vec<u8>),
}

/// A line that is not a request.
#[derive(Debug, Clone, PartialEq)]
pub struct BadRequest {
    /// Its id, if it has one.
    pub id: Option<RequestId>,
    /// The picture's name in the answer: as in a request if it can be read, else the beginning of the line.
    pub name: PictureName,
    /// The problem.
    pub reason: String,
}

/// A request as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    path: Option<String>,
    b64: Option<String>,
    class: Option<String>,
    name: Option<String>,
}

impl Request {
    /// Parses a line: a JSON object `{"path" | "b64", "class"?, "id"?, "name"?}`, or any other text as a
    /// path, with arbitrary bytes on Unix.
    ///
    /// # Errors
    /// The line is neither.
    pub fn parse(line: &[u8]) -> Result<Self, BadRequest> {
        if line.trim_ascii().is_empty() {
            return Err(BadRequest::of_line(line, "the line is empty"));
        }
        if !line.trim_ascii_start().starts_with(b"{") {
            let path = path_of_bytes(line);
            let name =
                PictureName { path: String::from_utf8_lossy(line).into_owned(), name: line.to_owned() };
            return Ok(Self { id: None, class: None, picture: RequestPicture::File(path), name });
        }
        let text =
            std::str::from_utf8(line).map_err(|_| BadRequest::of_line(line, "the line is not UTF-8"))?;
        Self::from_json(text).map_err(|reason| BadRequest::of_json(text, reason))
    }

    fn from_json(text: &str) -> Result<Self, String> {
        let fields: Fields<'_> = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let (name, picture) = match (fields.path, fields.b64) {
            (Some(path), None) => (path.clone(), RequestPicture::File(PathBuf::from(path))),
            (None, Some(content)) => match BASE64.decode(content.as_bytes()) {
                Ok(bytes) => (UNNAMED.to_owned(), RequestPicture::Bytes(bytes)),
                Err(e) => return Err(format!("`b64` is not base64: {e}")),
            },
            _ => return Err("expected either `path` or `b64`".to_owned()),
        };
        // An empty class counts as not given.
        let class = fields.class.map(|class| class.trim().to_owned()).filter(|class| !class.is_empty());
        let name = PictureName::plain(&fields.name.unwrap_or(name));
        Ok(Self { id: fields.id.and_then(RequestId::new), class, picture, name })
    }

    /// The picture as input of a scorer.
    pub fn source(&self) -> Source<'_> {
        match &self.picture {
            RequestPicture::File(path) => Source::File(path),
            RequestPicture::Bytes(bytes) => Source::Bytes(bytes),
        }
    }
}

/// The name in the answer for a picture without a name.
const UNNAMED: &str = "picture";

impl BadRequest {
    /// A line, or its beginning, that cannot be read at all.
    pub fn of_line(line: &[u8], reason: impl Into<String>) -> Self {
        // A character has at most four bytes.
        let start = String::from_utf8_lossy(line.get(..4 * SHOWN).unwrap_or(line));
        let path = start.trim().chars().take(SHOWN).collect();
        Self { id: None, name: PictureName { path, name: Vec::new() }, reason: reason.into() }
    }

    /// An object that is not a request: its id and its name, if they can be read.
    fn of_json(text: &str, reason: String) -> Self {
        // Raw values are not decoded, so that an invalid string affects only its own field.
        let Ok(fields) = serde_json::from_str::<HashMap<String, &RawValue>>(text) else {
            return Self::of_line(text.as_bytes(), reason);
        };
        let string = |key: &str| serde_json::from_str::<String>(fields.get(key)?.get()).ok();
        let id = fields.get("id").and_then(|raw| RequestId::new(raw));
        let name = string("name").or_else(|| string("path"));
        match name.or_else(|| fields.contains_key("b64").then(|| UNNAMED.to_owned())) {
            Some(name) => Self { id, name: PictureName::plain(&name), reason },
            None => Self { id, ..Self::of_line(text.as_bytes(), reason) },
        }
    }
}

/// The answer to one request: the request's id, if any, and the record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<RequestId>,
    /// The result for the picture.
    #[serde(flatten)]
    pub record: Record,
}
