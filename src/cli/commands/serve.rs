//! `aaclip serve`.

use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use aaclip::serve::{Classes, Event, Log, ServeSettings, Server};
use aaclip::{Error, Result, Scorer};
use tokio::sync::Notify;

use crate::cli::args::detect::ScaleName;
use crate::cli::args::number::whole;
use crate::cli::args::scoring::ScoringArgs;
use crate::cli::messages;
use crate::cli::scorers::{ScorerOptions, Scorers};
use crate::cli::stop;
use crate::cli::{in_flight, is_closed_pipe};

const EXAMPLES: &str = "\
Examples:
  aaclip serve                                  # a page for pictures: http://127.0.0.1:8080/
  aaclip serve --class 'metal nut' --threshold 0.6 --port 9000
  curl --data-binary @part.png http://127.0.0.1:8080/v1/detect
  curl -F image=@part.png -F class='metal nut' -F overlay=true http://127.0.0.1:8080/v1/detect
  curl -H 'Accept: image/png' --data-binary @part.png http://127.0.0.1:8080/v1/detect -o overlay.png

Routes:
  POST /v1/detect     a picture (the whole body, or the part `image` of a form) becomes its record,
                      as from `detect --format json`. Parameters, in the query or the form: class,
                      name, threshold, and overlay, heatmap, mask, raw (=true: sent in the record
                      as data: addresses)
  GET  /              a page for scoring pictures
  GET  /healthz       that the server runs, with its model and settings
  GET  /readyz        whether a picture would be accepted now, else 503
  GET  /metrics       counts and times for Prometheus
  GET  /openapi.json  all of this, for programs

Errors are {\"error\": {\"kind\", \"message\"}}: 400 bad request, 403 and 421 a web page of another
origin, 408 too slow, 413 too large, 415 not a picture, 422 damaged picture, 503 queue full (try
again after Retry-After seconds). A request that is not HTTP, or has too long a head, gets a plain
400 or 431 without a body.

Memory: besides the model, bodies take up to (workers + queue) * max-body, and each worker 15 bytes
per pixel of its picture, up to 40 with all maps in the answer.

Exit codes:
  0  stopped by Ctrl-C or a termination signal, after finishing requests in flight (at most 30 s)
  2  any set-up error
  130  stopped by a second signal";

/// Score pictures over HTTP, on this machine.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES, mut_arg("max_megapixels", |a| a.default_value("64")))]
pub struct ServeArgs {
    #[command(flatten)]
    pub scoring: ScoringArgs,

    /// Colours: the same for all pictures, or stretched over each picture alone
    #[arg(long, value_enum, default_value_t = ScaleName::Fixed)]
    pub scale: ScaleName,

    /// Address to listen on. Anyone who can reach it can use it: there is no authentication
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", value_parser = parse_address, help_heading = "Server")]
    pub host: String,

    /// Port to listen on; 0 selects a free one, which is printed
    #[arg(long, value_name = "PORT", default_value_t = 8080, help_heading = "Server")]
    pub port: u16,

    /// Pictures scored at a time [default: the number of threads, at most 4]
    #[arg(long, value_name = "N", value_parser = whole::<usize>(1..=MOST_WORKERS), help_heading = "Server")]
    pub workers: Option<usize>,

    /// Requests that may wait; further requests are answered with 503
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = whole::<usize>(0..=LONGEST_QUEUE), help_heading = "Server")]
    pub queue: usize,

    /// Largest body of a request, in millions of bytes
    #[arg(long, value_name = "MB", default_value_t = 64, value_parser = whole::<u32>(1..=4096), help_heading = "Server")]
    pub max_body: u32,

    /// Seconds a client may take to send its request, and to take its answer
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = parse_seconds, help_heading = "Server")]
    pub timeout: Duration,

    /// Connections at a time; more wait
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = whole::<usize>(1..=MOST_CONNECTIONS), help_heading = "Server")]
    pub max_connections: usize,

    /// Another host name that requests may use besides localhost, such as that of a reverse proxy. Without this flag, a
    /// server on a loopback address accepts localhost alone, and a server on any other address accepts every name
    #[arg(long, value_name = "NAME", value_parser = parse_host, help_heading = "Server")]
    pub allow_host: Vec<String>,

    /// An origin whose web pages may use the server, such as https://line.example; `*` means all. May be repeated
    #[arg(long, value_name = "ORIGIN", value_parser = parse_origin, help_heading = "Server")]
    pub allow_origin: Vec<String>,

    /// Refuse requests that name a class. A class that was not requested before takes one pass through the text tower
    /// for each prompt
    #[arg(long, help_heading = "Server")]
    pub fixed_class: bool,
}

/// More workers only need memory.
const MOST_WORKERS: u64 = 256;
/// More waiting requests would time out.
const LONGEST_QUEUE: u64 = 100_000;
/// More connections than systems allow a process.
const MOST_CONNECTIONS: u64 = 1_000_000;

fn parse_address(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("expected an address or a name of this machine, such as 127.0.0.1 or 0.0.0.0".to_owned()),
        address => Ok(address.to_owned()),
    }
}

/// A name in the form of a `Host` header, without the port.
fn parse_host(text: &str) -> Result<String, String> {
    let expected =
        |problem: &str| Err(format!("{problem}: expected a host's name alone, such as scores.example"));
    let text = text.trim();
    if let Some((scheme, rest)) = text.split_once("://") {
        let name = rest.split(['/', ':']).next().unwrap_or_default();
        return Err(format!("expected a host's name without `{scheme}://`, such as {name}"));
    }
    if text.contains('/') {
        return expected("this has a path");
    }
    if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse::<std::net::Ipv6Addr>() {
        return Ok(format!("[{address}]"));
    }
    let (name, port) = text.rsplit_once(':').unwrap_or((text, "0"));
    if port.parse::<u16>().is_err() {
        return expected("the part after the colon is not a port");
    }
    match name.strip_prefix('[').and_then(|n| n.strip_suffix(']')) {
        Some(inner) if inner.parse::<std::net::Ipv6Addr>().is_ok() => return Ok(name.to_owned()),
        _ => {}
    }
    match name.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-' | '_')) {
        Some(c) => expected(&format!("`{}` is not allowed in a host's name", c.escape_debug())),
        None if name.is_empty() => expected("the name is missing"),
        None => Ok(name.to_owned()),
    }
}

/// An origin as browsers send it: scheme, host and port.
fn parse_origin(text: &str) -> Result<String, String> {
    let text = text.trim().to_ascii_lowercase();
    if text == "*" {
        return Ok(text);
    }
    let expected = "expected an origin such as https://line.example or http://10.0.0.7:3000, or `*`";
    let Some((scheme @ ("http" | "https"), host)) = text.trim_end_matches('/').split_once("://") else {
        return Err(expected.to_owned());
    };
    if host.contains(['/', '?', '#', '@', '*']) {
        return Err(format!("only scheme, host and port make an origin: {expected}"));
    }
    let name = parse_host(host)?;
    // Browsers omit the usual port.
    let port = host.strip_prefix(&name).unwrap_or_default();
    let usual = if scheme == "https" { ":443" } else { ":80" };
    Ok(format!("{scheme}://{name}{}", if port == usual { "" } else { port }))
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(s) if (0.01..=86_400.0).contains(&s) => Ok(Duration::from_secs_f64(s)),
        _ => Err("expected a number of seconds from 0.01 to 86400".to_owned()),
    }
}

pub fn run(args: ServeArgs) -> Result<ExitCode> {
    let at = address(&args.host, args.port)?;
    let server = Server::bind(at, settings(&args)).map_err(|e| match e {
        Error::Io { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
            let advice = "choose another port with --port N, or --port 0 for a free one";
            Error::Setting(format!("cannot listen on {at}: another program already uses this port; {advice}"))
        }
        e => e,
    })?;
    if !server.address().ip().is_loopback() {
        messages::warn(format!(
            "{} can be reached from other machines, and there is no authentication",
            server.address()
        ));
    }
    let options = ScorerOptions { stretch: args.scale == ScaleName::Auto, ..ScorerOptions::default() };
    let progress = messages::progress();
    let scorers = Scorers::open(&args.scoring, options, progress)?;
    scorers.default_class()?;
    // The classes of requests are kept in memory, not on disk.
    scorers.write_no_cache();
    let stop = Arc::new(Notify::new());
    let notify = Arc::clone(&stop);
    stop::call_on_signal("finishing the requests in flight", move || notify.notify_one());
    // Programs that start the server wait for this line.
    let announce = |address| match messages::print(format!("listening on http://{address}\n")) {
        // Nobody waits for it.
        Err(e) if is_closed_pipe(&e) => Ok(()),
        printed => printed,
    };
    server.run(&Served(scorers), announce, stop.notified())?;
    Ok(ExitCode::SUCCESS)
}

fn address(host: &str, port: u16) -> Result<SocketAddr> {
    let unbracketed = host.trim_start_matches('[').trim_end_matches(']');
    let mut found =
        (unbracketed, port).to_socket_addrs().map_err(|e| Error::io("find the address", host, e))?;
    found.next().ok_or_else(|| Error::Setting(format!("--host {host} has no address")))
}

fn settings(args: &ServeArgs) -> ServeSettings {
    let mut settings = ServeSettings::default();
    settings.workers = args.workers.unwrap_or_else(in_flight);
    settings.queue = args.queue;
    settings.max_body = args.max_body as usize * 1_000_000;
    settings.timeout = args.timeout;
    settings.max_connections = args.max_connections;
    settings.hosts = args.allow_host.clone();
    settings.origins = args.allow_origin.clone();
    settings.any_class = !args.fixed_class;
    settings.log = log();
    settings
}

/// Logs requests with `--verbose`, and failures always.
fn log() -> Log {
    Arc::new(|event| match event {
        Event::Answered(line) => messages::note(|| line),
        Event::Failed(line) => messages::error(line),
        _ => {}
    })
}

/// The command line's scorers as the server asks for them.
struct Served<'a>(Scorers<'a>);

impl Classes for Served<'_> {
    fn scorer(&self, class: Option<&str>) -> Result<Arc<Scorer>> {
        class.map_or_else(|| self.0.default_class(), |class| self.0.of(class))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        for (text, expected) in [
            ("*", "*"),
            ("https://Line.example/", "https://line.example"),
            ("https://line.example:443", "https://line.example"),
            ("http://10.0.0.7:3000", "http://10.0.0.7:3000"),
            ("http://[::1]:80", "http://[::1]"),
        ] {
            assert_eq!(parse_origin(text).as_deref(), Ok(expected), "{text}");
        }
        for text in [
            "",
            "line.example",
            "null",
            "ftp://x",
            "https://a/b",
            "https://*.example",
            "http://",
            "http://a:b",
        ] {
            assert!(parse_origin(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_of_hosts() {
        for (text, expected) in [
            ("scores.example", "scores.example"),
            ("Camera_7:8080", "Camera_7"),
            ("10.0.0.7:80", "10.0.0.7"),
            ("[::1]:8080", "[::1]"),
            ("::1", "[::1]"),
            ("[2001:db8::7]", "[2001:db8::7]"),
        ] {
            assert_eq!(parse_host(text).as_deref(), Ok(expected), "{text}");
        }
        for (text, needle) in [
            ("https://scores.example/x", "without `https://`, such as scores.example"),
            ("scores.example/x", "has a path"),
            ("scores.example:http", "not a port"),
            ("scores.example:99999", "not a port"),
            ("", "the name is missing"),
            (":80", "the name is missing"),
            ("*.example", "`*`"),
            ("a b", "` `"),
            ("a,b", "`,`"),
        ] {
            let refused = parse_host(text).unwrap_err();
            assert!(refused.contains(needle), "{text}: {refused}");
        }
    }
}
