//! Refusals and other error answers.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use image::error::{LimitError, LimitErrorKind};

use crate::Error;
use crate::anchors::AnchorError;
use crate::calibration::CalibrationError;
use crate::clip::TokenizerError;
use crate::image::ImageError;

/// The reason why a request has no result: `{"error": {"kind", "message"}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub status: StatusCode,
    pub kind: Cow<'static, str>,
    pub message: String,
}

/// Seconds after which a client may try again when the queue was full.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

impl Refusal {
    pub fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind: kind.into(), message: message.into() }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// The request has no picture.
    pub fn empty(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "empty", message)
    }

    pub fn body_too_large(allowed: usize) -> Self {
        let message = format!("the body is longer than {allowed} bytes, the limit of this server");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
    }

    pub fn busy() -> Self {
        let message = "all workers are busy and the queue is full: try again in a moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message)
    }

    pub fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the server is stopping")
    }

    /// A failure with details only for the operator.
    pub fn internal() -> Self {
        let message = "the server failed on this request; its log has the reason";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// The client's message for a picture that could not be scored.
    pub fn of_picture(error: &Error) -> Self {
        let Error::Image(reason) = error else { return Self::internal() };
        let status = match reason {
            ImageError::Empty { .. } => StatusCode::BAD_REQUEST,
            ImageError::NotAPicture { .. } | ImageError::NotRead { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ImageError::TooLarge { .. } | ImageError::FileTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            // Some decoders exceed their memory limit before the size of the picture is known.
            ImageError::Damaged { reason, .. } if *reason == too_much() => {
                let message = "the picture, or its decompressed content, is too large";
                return Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message);
            }
            ImageError::Damaged { .. } | ImageError::NoPixels { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            _ => return Self::internal(),
        };
        Self { status, kind: reason.kind().into(), message: reason.to_string() }
    }

    /// The client's message for a class that cannot be scored, without the names of the server's files.
    pub fn of_class(class: &str, error: &Error) -> Self {
        let message = match error {
            Error::Anchors(AnchorError::UnknownDataset { dataset, known, .. }) => {
                format!("unknown data set `{dataset}` (known: {known})")
            }
            Error::Anchors(AnchorError::UnknownClass { dataset, class, known }) => {
                format!("data set `{dataset}` has no class `{class}` (it has: {known})")
            }
            Error::Anchors(AnchorError::NoCluster { .. } | AnchorError::Degenerate(_))
            | Error::Tokenizer(TokenizerError::Text { .. }) => {
                format!("no text anchors can be made for the class `{class}`")
            }
            Error::Calibration(CalibrationError::OtherSettings { .. }) => {
                format!("the server's threshold file has no threshold for the class `{class}`")
            }
            _ => return Self::internal(),
        };
        Self::new(StatusCode::BAD_REQUEST, "class", message)
    }
}

/// A decoder's message for its exceeded memory limit.
fn too_much() -> String {
    LimitError::from_kind(LimitErrorKind::InsufficientMemory).to_string()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": { "kind": self.kind, "message": self.message } });
        let text = format!("{body}\n");
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/json")], text).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_tells_a_path_of_the_server() {
        let path = || "/srv/models/secret".into();
        let io = || std::io::Error::other("x");
        let errors = [
            Error::io("read", "/srv/models/secret", io()),
            Error::Calibration(CalibrationError::OtherSettings {
                path: path(),
                differences: vec!["/srv".into()],
            }),
            Error::Tokenizer(TokenizerError::File { path: path(), reason: "x".into() }),
            Error::Image(ImageError::Io { path: path(), source: io() }),
            Error::Setting("/srv/models/secret".into()),
        ];
        for error in &errors {
            for refusal in [Refusal::of_class("nut", error), Refusal::of_picture(error)] {
                assert!(!refusal.message.contains("/srv"), "{refusal:?}");
                assert!(refusal.status.as_u16() >= 400);
            }
        }
    }
}
