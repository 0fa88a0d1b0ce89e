//! Clients that end their side, vanish, or are pages of other origins; a server whose output nobody reads.

use std::net::Shutdown;

use super::*;

#[test]
fn a_client_that_ends_its_side_gets_its_answer() {
    let here = Workplace::new();
    let serving = Serving::start(&here, &["--workers", "1", "--queue", "0"]);
    let picture = std::fs::read(here.picture("a.png", 40, 30)).unwrap();
    for close in ["Connection: close\r\n", ""] {
        let mut stream = serving.connect();
        let head = format!("POST /v1/detect HTTP/1.1\r\nHost: {}\r\n{close}", serving.address);
        write!(stream, "{head}Content-Length: {}\r\n\r\n", picture.len()).unwrap();
        stream.write_all(&picture).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        // Read to the end: the server closes its side too.
        assert!(Answer::read(&mut stream).record()["score"].is_number());
    }
    // In the middle of a body, of a head, and before anything.
    let mut half = serving.half(&picture);
    half.shutdown(Shutdown::Write).unwrap();
    Answer::read(&mut half).assert_refused("half a body", 400, "bad_request");
    for start in ["POST /v1/detect HT", ""] {
        let mut stream = serving.connect();
        stream.write_all(start.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert!(matches!(Answer::read(&mut stream).status, 0 | 400), "{start}");
    }
    serving.wait_for("aaclip_http_connections", 1.0);
}

#[test]
fn a_client_that_vanishes_after_its_request_leaves_its_place() {
    let here = Workplace::new();
    let serving = Serving::start(&here, &["--workers", "1", "--queue", "1"]);
    let picture = std::fs::read(here.picture("a.png", 900, 700)).unwrap();
    for _ in 0..6 {
        let mut stream = serving.connect();
        stream.write_all(serving.head("POST", "/v1/detect", &[], picture.len()).as_bytes()).unwrap();
        stream.write_all(&picture).unwrap();
    }
    serving.wait_for("aaclip_http_connections", 1.0);
    serving.wait_for("aaclip_queue_length", 0.0);
    serving.wait_for("aaclip_workers_busy", 0.0);
    assert_eq!(serving.get("/readyz").status, 200);
    serving.post("/v1/detect", &picture).record();
}

#[test]
fn pages_of_other_origins_may_be_allowed() {
    let here = Workplace::new();
    let picture = std::fs::read(here.picture("a.png", 40, 30)).unwrap();
    let line = "Origin: https://line.example";
    let asks = ["Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type"];
    let preflight = |serving: &Serving, origin: &str| {
        serving.request("OPTIONS", "/v1/detect", &[&[origin][..], &asks].concat(), b"")
    };
    let ordinary = Serving::start(&here, &[]);
    assert_eq!(preflight(&ordinary, line).status, 403);
    let refused = ordinary.request("POST", "/v1/detect", &[line], &picture);
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (403, None));
    assert_eq!(ordinary.request("OPTIONS", "/v1/detect", &asks, b"").status, 405);

    let origins = ["--allow-origin", "https://Line.example/", "--allow-origin", "http://10.0.0.7:3000"];
    let serving = Serving::start(&here, &origins);
    let allowed = preflight(&serving, line);
    assert_eq!((allowed.status, allowed.body.len()), (204, 0));
    for (name, value) in [
        ("access-control-allow-origin", "https://line.example"),
        ("access-control-allow-methods", "GET, POST"),
        ("access-control-allow-headers", "accept, content-type"),
        ("vary", "origin"),
    ] {
        assert_eq!(allowed.header(name), Some(value));
    }
    let answer = serving.request("POST", "/v1/detect", &[line], &picture);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://line.example"));
    assert_eq!(answer.header("cross-origin-resource-policy"), Some("cross-origin"));
    answer.record();
    // Its page reads refusals as well.
    let empty = serving.request("POST", "/v1/detect", &["Origin: http://10.0.0.7:3000"], b"");
    assert_eq!(
        (empty.status, empty.header("access-control-allow-origin")),
        (400, Some("http://10.0.0.7:3000"))
    );
    for origin in ["http://line.example", "https://line.example.evil.example", "https://evil.example", "null"]
    {
        let origin = format!("Origin: {origin}");
        assert_eq!(serving.request("POST", "/v1/detect", &[&origin], &picture).status, 403, "{origin}");
        assert_eq!(preflight(&serving, &origin).status, 403, "{origin}");
    }
    assert_eq!(
        serving.request("POST", "/v1/detect", &[line, "Origin: https://evil.example"], &picture).status,
        403
    );
    assert_eq!(serving.request("GET", "/healthz", &[line, "Host: line.example"], b"").status, 421);
    assert_eq!(serving.get("/healthz").header("access-control-allow-origin"), None);

    let open = Serving::start(&here, &["--allow-origin", "*"]);
    assert_eq!(preflight(&open, "Origin: null").header("access-control-allow-origin"), Some("null"));
    let private = "Access-Control-Request-Private-Network: true";
    let asked = open.request("OPTIONS", "/v1/detect", &[line, asks[0], private], b"");
    assert_eq!(asked.header("access-control-allow-private-network"), Some("true"));
}

/// A server is not ended by the end of those who started it.
#[test]
fn a_server_whose_output_nobody_reads_goes_on() {
    let here = Workplace::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = here.command();
    command.args(["serve", "--verbose", "--port", &port.to_string(), "--model"]).arg(support::tiny_model());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    let serving = Serving { child, address: format!("127.0.0.1:{port}") };
    wait("a server", || TcpStream::connect(&serving.address).is_ok());
    for _ in 0..3 {
        assert_eq!(serving.get("/readyz").text(), "{\"status\":\"ready\"}\n");
    }
}
