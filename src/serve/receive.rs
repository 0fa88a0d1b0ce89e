//! From a request to a picture and what is asked of it.

use std::pin::Pin;

use axum::extract::{FromRequest, Multipart, Query, Request};
use axum::http::{HeaderMap, StatusCode, header};
use hyper::body::Body as _;

use super::params::{LONGEST_UTF8, Params, Wanted};
use super::refusal::Refusal;
use super::upload::Upload;

/// A picture and what is asked of it.
pub struct Ask {
    pub image: Vec<u8>,
    pub wanted: Wanted,
}

/// Reads a request: the picture as the whole body, or as the part `image` of a form.
pub async fn receive(request: Request, upload: &Upload, max_body: usize) -> Result<Ask, Refusal> {
    let Ok(Query(query)) = Query::<Vec<(String, String)>>::try_from_uri(request.uri()) else {
        return Err(Refusal::bad_request("the query cannot be read"));
    };
    let mut params = Params::default();
    for (key, value) in query {
        params.set(&key, value)?;
    }
    let length = upload.size_hint().exact().and_then(|n| usize::try_from(n).ok());
    if length.is_some_and(|n| n > max_body) {
        return Err(Refusal::body_too_large(max_body));
    }
    let headers = request.headers().clone();
    let read = match is_form(&headers) {
        true => form(request, &mut params).await,
        false => raw(upload.clone(), length.unwrap_or(0)).await,
    };
    let image = match read {
        Err(_) if upload.is_over() => return Err(Refusal::body_too_large(max_body)),
        read => read?,
    };
    Ok(Ask { image, wanted: params.wanted(&headers)? })
}

fn is_form(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let media = value.split(';').next().unwrap_or("").trim();
    media.eq_ignore_ascii_case("multipart/form-data")
}

/// The whole body. `length` was promised, and is within the limits.
async fn raw(mut upload: Upload, length: usize) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::with_capacity(length);
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut upload).poll_frame(cx)).await {
        let frame = frame.map_err(|_| cut_off())?;
        if let Some(data) = frame.data_ref() {
            bytes.extend_from_slice(data);
        }
    }
    Ok(bytes)
}

fn cut_off() -> Refusal {
    Refusal::bad_request("the body is cut off or garbled")
}

/// The part `image` of a form; its other parts are parameters.
async fn form(request: Request, params: &mut Params) -> Result<Vec<u8>, Refusal> {
    let malformed = |reason: String| Refusal::bad_request(format!("not a proper form: {reason}"));
    let mut form = Multipart::from_request(request, &()).await.map_err(|e| malformed(e.body_text()))?;
    let mut image = None;
    while let Some(mut part) = form.next_field().await.map_err(|e| malformed(e.body_text()))? {
        let Some(name) = part.name().map(str::to_owned) else {
            return Err(malformed("a part without a name".to_owned()));
        };
        let is_image = name == "image";
        if is_image {
            if let Some(file_name) = part.file_name() {
                params.set_file_name(file_name)?;
            }
            if image.is_some() {
                return Err(Refusal::bad_request("one picture at a time: `image` is given twice"));
            }
        }
        let limit = if is_image { usize::MAX } else { LONGEST_UTF8 };
        let mut bytes = Vec::new();
        while let Some(chunk) = part.chunk().await.map_err(|e| malformed(e.body_text()))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > limit {
                return Err(Refusal::bad_request("a text of the form is too long"));
            }
        }
        if is_image {
            image = Some(bytes);
        } else {
            let text =
                String::from_utf8(bytes).map_err(|_| malformed("a text that is no UTF-8".to_owned()))?;
            params.set(&name, text)?;
        }
    }
    image.ok_or_else(|| {
        Refusal::new(StatusCode::BAD_REQUEST, "bad_request", "the form has no part `image` with the picture")
    })
}
