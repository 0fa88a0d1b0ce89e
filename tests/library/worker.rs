//! Requests and answers, line by line.

use aaclip::PictureName;
use aaclip::worker::{Request, RequestId, RequestPicture};

/// Characters of a bad line that its answer repeats.
const SHOWN: usize = 200;

fn id(of: &Option<RequestId>) -> Option<&str> {
    of.as_ref().map(RequestId::as_json)
}

#[test]
fn requests_in_both_forms() {
    let path = Request::parse(b"a b/c.png").unwrap();
    assert_eq!((path.picture, &path.name.path[..]), (RequestPicture::File("a b/c.png".into()), "a b/c.png"));
    let full = br#" {"b64": "AAEC", "class": " nut ", "id": {"row": 7}, "name": "x"}"#;
    let full = Request::parse(full).unwrap();
    assert_eq!(full.picture, RequestPicture::Bytes(vec![0, 1, 2]));
    assert_eq!((full.class.as_deref(), full.name), (Some("nut"), PictureName::plain("x")));
    assert_eq!(id(&full.id), Some(r#"{"row": 7}"#));
    for none in [r#"{"path": "a", "class": ""}"#, r#"{"path": "a", "class": " \t", "id": null}"#] {
        let none = Request::parse(none.as_bytes()).unwrap();
        assert_eq!((none.class, none.id), (None, None));
    }
}

#[test]
fn ids_come_back_as_they_were_written() {
    for text in [
        "123456789012345678901234567890",
        "1.10",
        "1E5",
        "-0.0",
        "1e999",
        r#""\ud800 \u00e9""#,
        r#"[1, {"b": 1.0, "a": []}]"#,
    ] {
        for rest in [r#""path": "a""#, r#""path": 7"#, r#""pth": "a""#, r#""path": "\udcff""#] {
            let line = format!("{{\"id\": {text}, {rest}}}");
            let found = Request::parse(line.as_bytes()).map_or_else(|bad| bad.id, |good| good.id);
            assert_eq!(id(&found), Some(text), "{line}");
            assert_eq!(serde_json::to_string(&found).unwrap(), text);
        }
    }
    let split = Request::parse(b"{\"path\": \"a\", \"id\": [1,\r2]}").unwrap();
    assert_eq!(id(&split.id), Some("[1, 2]"));
}

#[cfg(unix)]
#[test]
fn a_path_may_be_any_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let found = Request::parse(b"sub/\xff.png").unwrap();
    let RequestPicture::File(path) = &found.picture else { panic!("{found:?}") };
    assert_eq!(path.as_os_str().as_bytes(), b"sub/\xff.png");
    assert_eq!((&found.name.path[..], &found.name.name[..]), ("sub/\u{fffd}.png", &b"sub/\xff.png"[..]));
}

#[test]
fn bad_requests_keep_what_can_be_known() {
    let long = format!("{{{}", "é".repeat(1000));
    let shown: String = long.chars().take(SHOWN).collect();
    for (line, id, path, needle) in [
        (&b""[..], false, "", "empty"),
        (b" {\xff", false, "{\u{fffd}", "UTF-8"),
        (b"{", false, "{", "EOF"),
        (long.as_bytes(), false, &shown, "key"),
        (br#"{"id": 1}"#, true, r#"{"id": 1}"#, "either `path` or `b64`"),
        (br#"{"id": 1, "path": "a", "b64": ""}"#, true, "a", "either"),
        (br#"{"id": 1, "b64": "?"}"#, true, "picture", "base64"),
        (br#"{"id": 1, "b64": "?", "name": "n"}"#, true, "n", "base64"),
        (br#"{"id": 1, "path": "a", "clas": "x"}"#, true, "a", "clas"),
        (br#"{"id": 1, "path": "a", "class": 5}"#, true, "a", "string"),
        (br#"{"id": 1, "path": 5}"#, true, r#"{"id": 1, "path": 5}"#, "string"),
        (br#"{"id": 1, "path": "\udcff"}"#, true, r#"{"id": 1, "path": "\udcff"}"#, "surrogate"),
    ] {
        let bad = Request::parse(line).unwrap_err();
        assert!(bad.reason.contains(needle), "{bad:?}");
        assert_eq!((bad.id.is_some(), &bad.name.path[..]), (id, path), "{bad:?}");
    }
}
