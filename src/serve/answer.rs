//! A worker's answer for one picture.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;

use super::receive::Ask;
use super::refusal::Refusal;
use super::{Classes, Event, Log};
use crate::files::Stamp;
use crate::output::{Artefact, Outcome, Record, Scored};
use crate::{Error, PictureName, Result, Scorer, ScorerSettings, Source};

/// A worker's result for a picture.
pub struct Answer {
    /// The record.
    pub scored: Scored,
    content_type: &'static str,
    body: Vec<u8>,
}

/// A record with images, as written: every image is a field with a `data:` address.
#[derive(Serialize)]
struct Illustrated<'a> {
    #[serde(flatten)]
    record: &'a Record,
    #[serde(flatten)]
    pictures: BTreeMap<&'static str, String>,
}

/// Scores a picture.
pub fn answer(classes: &dyn Classes, ask: &Ask, log: &Log) -> Result<Answer, Refusal> {
    let class = ask.wanted.class.as_deref();
    let refuse = |refusal: Refusal, error: &Error| {
        if refusal.status.is_server_error() {
            log(Event::Failed(error.to_string()));
        }
        refusal
    };
    let scorer = classes.scorer(class).map_err(|e| refuse(Refusal::of_class(class.unwrap_or(""), &e), &e))?;
    let scorer = match ask.wanted.threshold {
        None => scorer,
        threshold => {
            let settings = ScorerSettings { threshold, ..scorer.settings().clone() };
            Arc::new(Scorer::new(scorer.detector().clone(), settings))
        }
    };
    illustrate(&scorer, ask).map_err(|e| refuse(Refusal::of_picture(&e), &e))
}

fn illustrate(scorer: &Scorer, ask: &Ask) -> Result<Answer> {
    let wanted = &ask.wanted;
    let look = scorer.look(Source::Bytes(&ask.image), &wanted.name)?;
    let only = wanted.only.map(|artefact| scorer.encode(&look, artefact)).transpose()?;
    let mut pictures = BTreeMap::new();
    if only.is_none() {
        for &artefact in &wanted.pictures {
            pictures.insert(artefact.name(), address(artefact, &scorer.encode(&look, artefact)?));
        }
    }
    let mut record = scorer.record(look, PictureName::plain(&wanted.name), BTreeMap::new());
    record.input.stamp = Some(Stamp { bytes: ask.image.len() as u64, modified: None });
    let (content_type, body) = match only {
        Some(picture) => ("image/png", picture),
        None => {
            let mut text = serde_json::to_vec(&Illustrated { record: &record, pictures })
                .map_err(|e| Error::io("write", "the record", e.into()))?;
            text.push(b'\n');
            ("application/json", text)
        }
    };
    match record.outcome {
        Outcome::Scored(scored) => Ok(Answer { scored: *scored, content_type, body }),
        Outcome::Failed(failure) => Err(Error::Setting(failure.message)),
    }
}

/// A file as a `data:` address.
fn address(artefact: Artefact, bytes: &[u8]) -> String {
    let media = if artefact == Artefact::Raw { "application/octet-stream" } else { "image/png" };
    let mut address = format!("data:{media};base64,");
    BASE64.encode_string(bytes, &mut address);
    address
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let score = [("x-aaclip-score", self.scored.score.to_string())];
        let mut response = (score, [(header::CONTENT_TYPE, self.content_type)], self.body).into_response();
        if let Some(anomalous) = self.scored.anomalous {
            let value = HeaderValue::from_static(if anomalous { "true" } else { "false" });
            response.headers_mut().insert("x-aaclip-anomalous", value);
        }
        response
    }
}
