//! The routes, and the common handling of all requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Extension, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;

use super::cors::Origins;
use super::guard::Names;
use super::metrics::{self, Metrics};
use super::receive::receive;
use super::refusal::Refusal;
use super::upload::Upload;
use super::workers::Queue;
use super::{Event, ServeSettings, page};
use crate::Scorer;
use crate::output::SCHEMA_VERSION;

/// The description of the routes; the version is inserted on request.
pub const OPENAPI: &str = include_str!("openapi.json");

/// Time limit for reading the rest of a refused request.
const DRAIN: Duration = Duration::from_secs(5);

/// The server's facts for `GET /healthz`.
#[derive(Debug, Clone, Serialize)]
pub struct About {
    status: &'static str,
    version: &'static str,
    schema: u32,
    model: String,
    method: &'static str,
    class: String,
    threshold: Option<f32>,
    image_size: usize,
}

impl About {
    pub fn of(scorer: &Scorer) -> Self {
        let settings = scorer.settings();
        Self {
            status: "ok",
            version: env!("CARGO_PKG_VERSION"),
            schema: SCHEMA_VERSION,
            model: settings.model.clone(),
            method: scorer.detector().method().name,
            class: settings.class.clone(),
            threshold: settings.threshold,
            image_size: scorer.detector().image_size(),
        }
    }
}

/// The shared state of all requests.
pub struct App {
    about: About,
    queue: Queue,
    metrics: Arc<Metrics>,
    names: Names,
    origins: Origins,
    settings: ServeSettings,
    /// Whether the server finishes the requests in flight.
    closing: Arc<AtomicBool>,
}

impl App {
    pub fn new(
        about: About,
        queue: Queue,
        metrics: Arc<Metrics>,
        address: SocketAddr,
        settings: ServeSettings,
        closing: Arc<AtomicBool>,
    ) -> Self {
        let names = Names::new(address, &settings.hosts);
        let origins = Origins::new(&settings.origins);
        Self { about, queue, metrics, names, origins, settings, closing }
    }
}

pub fn router(app: App) -> Router {
    let app = Arc::new(app);
    Router::new()
        .route("/", get(page::page))
        .route("/v1/detect", post(detect))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/metrics", get(show_metrics))
        .route("/openapi.json", get(openapi))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        // The body is limited where it is read.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(Arc::clone(&app), through))
        .with_state(app)
}

/// The route's label for counters: unknown paths must not create new counters.
fn route(path: &str) -> &'static str {
    let known = ["/", "/v1/detect", "/healthz", "/readyz", "/metrics", "/openapi.json"];
    known.into_iter().find(|route| *route == path).unwrap_or("other")
}

/// The common handling of all requests.
async fn through(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let _counted = Counted::new(&app);
    let (method, route) = (request.method().clone(), route(request.uri().path()));
    let waits_for_leave = request.headers().contains_key(header::EXPECT);
    let (mut parts, body) = request.into_parts();
    let upload = Upload::new(body, app.settings.max_body);
    parts.extensions.insert(upload.clone());

    let granted = app.origins.grant(&parts.headers);
    let mut response = match app.names.check(parts.version, &parts.headers, granted.is_some()) {
        Ok(()) => match granted.as_ref().and_then(|granted| granted.preflight(&parts)) {
            Some(answer) => answer,
            None => next.run(Request::from_parts(parts, Body::new(upload.clone()))).await,
        },
        Err(refusal) => refusal.into_response(),
    };
    let time = DRAIN.min(app.settings.timeout);
    if !upload.drain(app.settings.max_body, time, waits_for_leave).await {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(granted) = granted {
        granted.apply(response.headers_mut());
    }
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    let status = response.status().as_u16();
    app.metrics.answered(route, status);
    let ms = started.elapsed().as_secs_f64() * 1e3;
    (app.settings.log)(Event::Answered(format!("{method} {route} {status} {ms:.1} ms")));
    response
}

/// Default headers of every answer: not stored, type not guessed, no loading or running of anything.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// A request in flight, counted even if its client disconnects.
struct Counted(Arc<Metrics>);

impl Counted {
    fn new(app: &App) -> Self {
        app.metrics.in_flight.inc();
        Self(Arc::clone(&app.metrics))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}

async fn detect(
    State(app): State<Arc<App>>,
    Extension(upload): Extension<Upload>,
    request: Request,
) -> Result<Response, Refusal> {
    let place = app.queue.place()?;
    let settings = &app.settings;
    let received = tokio::time::timeout(settings.timeout, receive(request, &upload, settings.max_body)).await;
    let ask = received.unwrap_or_else(|_| {
        upload.give_up();
        let message = "the request took too long to arrive";
        Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "timeout", message))
    })?;
    if ask.wanted.class.is_some() && !settings.any_class {
        let message = format!("this server scores one class only: {}", app.about.class);
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "class", message));
    }
    Ok(app.queue.score(ask, place).await?.into_response())
}

async fn health(State(app): State<Arc<App>>) -> Response {
    let mut text = serde_json::to_vec(&app.about).unwrap_or_default();
    text.push(b'\n');
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

async fn ready(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    if app.closing.load(Ordering::Relaxed) {
        return Err(Refusal::stopping());
    }
    if app.queue.is_full() {
        return Err(Refusal::busy());
    }
    Ok(([(header::CONTENT_TYPE, "application/json")], "{\"status\":\"ready\"}\n").into_response())
}

async fn show_metrics(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    let text = app.metrics.text().map_err(|e| {
        (app.settings.log)(Event::Failed(format!("the metrics cannot be written: {e}")));
        Refusal::internal()
    })?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

async fn openapi() -> Response {
    let text = OPENAPI.replacen("{{version}}", env!("CARGO_PKG_VERSION"), 1);
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

async fn not_found() -> Refusal {
    let message = "this address does not exist; /openapi.json lists the addresses";
    Refusal::new(StatusCode::NOT_FOUND, "not_found", message)
}

async fn method_not_allowed() -> Refusal {
    let message = "this address does not accept that method; the Allow header lists the accepted methods";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
