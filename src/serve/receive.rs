//! From a request to a picture and its options.

use std::pin::Pin;

use axum::extract::{FromRequest, Multipart, Query, Request};
use axum::http::{HeaderMap, StatusCode, header};
use hyper::body::Body as _;

use super::params::{LONGEST_UTF8, Params, Wanted};
use super::refusal::Refusal;
use super::upload::Upload;

/// A picture and its options.
pub struct Ask {
    pub image: Vec<u8>,
    pub wanted: Wanted,
}

/// Reads a request: the picture as the whole body, or as the part `image` of a form.
pub async fn receive(request: Request, upload: &Upload, max_body: usize) -> Result<Ask, Refusal> {
    if !is_utf8(request.uri().query().unwrap_or("")) {
        return Err(Refusal::bad_request("the query is not UTF-8"));
    }
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
    let read = if is_form(&headers) {
        form(request, &mut params).await
    } else {
        raw(upload.clone(), length.unwrap_or(0)).await
    };
    let image = match read {
        Err(_) if upload.is_over() => return Err(Refusal::body_too_large(max_body)),
        read => read?,
    };
    if image.is_empty() {
        let what = if is_form(&headers) { "the part `image`" } else { "the body" };
        return Err(Refusal::empty(format!("{what} is empty: expected a picture")));
    }
    Ok(Ask { image, wanted: params.wanted(&headers)? })
}

/// Whether a query is UTF-8 after its `%XX` are decoded. Parsers of forms replace invalid bytes.
fn is_utf8(query: &str) -> bool {
    let digit = |at: usize| char::from(*query.as_bytes().get(at)?).to_digit(16);
    let (mut bytes, mut at) = (Vec::with_capacity(query.len()), 0);
    while let Some(&byte) = query.as_bytes().get(at) {
        let escaped = (byte == b'%').then(|| u8::try_from(16 * digit(at + 1)? + digit(at + 2)?).ok());
        match escaped.flatten() {
            Some(escaped) => (bytes.push(escaped), at += 3),
            None => (bytes.push(byte), at += 1),
        };
    }
    std::str::from_utf8(&bytes).is_ok()
}

fn is_form(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let media = value.split(';').next().unwrap_or("").trim();
    media.eq_ignore_ascii_case("multipart/form-data")
}

/// The whole body. `length` is the announced length, within the limits.
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
    Refusal::bad_request("the body is cut off or damaged")
}

/// The part `image` of a form; its other parts are parameters.
async fn form(request: Request, params: &mut Params) -> Result<Vec<u8>, Refusal> {
    let malformed = |reason: String| Refusal::bad_request(format!("the form is invalid: {reason}"));
    let mut form = Multipart::from_request(request, &()).await.map_err(|e| malformed(e.body_text()))?;
    let mut image = None;
    while let Some(mut part) = form.next_field().await.map_err(|e| malformed(e.body_text()))? {
        let Some(name) = part.name().map(str::to_owned) else {
            return Err(malformed("a part without a name".to_owned()));
        };
        let is_image = name == "image";
        if !is_image {
            Params::check_name(&name, true)?;
        } else {
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
                return Err(Refusal::bad_request(format!("`{name}` is too long")));
            }
        }
        if is_image {
            image = Some(bytes);
        } else {
            let text =
                String::from_utf8(bytes).map_err(|_| malformed("a text that is not UTF-8".to_owned()))?;
            params.set(&name, text)?;
        }
    }
    image.ok_or_else(|| {
        Refusal::new(StatusCode::BAD_REQUEST, "bad_request", "the form has no part `image` with the picture")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_that_are_utf_8() {
        for (query, expected) in [
            ("", true),
            ("class=%C3%BC&name=ü+%", true),
            ("class=%zz%4", true),
            ("class=%FF%FE", false),
            ("class=%c3", false),
            ("class=%c3&name=%bc", false),
        ] {
            assert_eq!(is_utf8(query), expected, "{query}");
        }
    }
}
