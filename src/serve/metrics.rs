//! The counters of a server, for Prometheus.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::output::Scored;
use crate::{Error, Result, Scorer};

/// The media type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The counters of one server.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    /// Requests that are being answered.
    pub in_flight: IntGauge,
    /// Open connections.
    pub connections: IntGauge,
    /// Pictures waiting for a worker.
    pub queued: IntGauge,
    /// Pictures being scored.
    pub busy: IntGauge,
    /// Requests refused because the queue was full.
    pub rejected: IntCounter,
    /// Pictures that could not be scored.
    pub failed: IntCounter,
    anomalous: IntCounter,
    scores: Histogram,
    stages: HistogramVec,
    resident: IntGauge,
}

impl Metrics {
    /// Counters at zero; the server's model and method are labels.
    pub fn new(scorer: &Scorer) -> Result<Self> {
        let metrics = Self::empty().map_err(failed)?;
        let about = Opts::new("aaclip_build_info", "Version, model and method of this server; always 1");
        let about = IntGaugeVec::new(about, &["version", "model", "method"]).map_err(failed)?;
        let model = scorer.settings().model.as_str();
        let method = scorer.detector().method().name;
        about.with_label_values(&[env!("CARGO_PKG_VERSION"), model, method]).set(1);
        metrics.registry.register(Box::new(about)).map_err(failed)?;
        Ok(metrics)
    }

    pub(super) fn empty() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let gauge = |name, help| add(&registry, IntGauge::new(name, help)?);
        let counter = |name, help| add(&registry, IntCounter::new(name, help)?);
        let requests = Opts::new("aaclip_http_requests_total", "Requests answered");
        let seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
        let stages = HistogramOpts::new("aaclip_stage_seconds", "Time a picture spent in each stage");
        let scores = HistogramOpts::new("aaclip_score", "Scores of pictures");
        let hundredths = (1..=100).map(|i| f64::from(i) / 100.0).collect();
        Ok(Self {
            requests: add(&registry, IntCounterVec::new(requests, &["route", "status"])?)?,
            in_flight: gauge("aaclip_http_requests_in_flight", "Requests being answered")?,
            connections: gauge("aaclip_http_connections", "Open connections")?,
            queued: gauge("aaclip_queue_length", "Pictures waiting for a worker")?,
            busy: gauge("aaclip_workers_busy", "Workers that have a picture")?,
            rejected: counter(
                "aaclip_rejected_total",
                "Requests refused with 503 because the queue was full",
            )?,
            failed: counter("aaclip_failed_total", "Pictures that could not be scored")?,
            anomalous: counter("aaclip_anomalous_total", "Pictures whose score reached the threshold")?,
            scores: add(&registry, Histogram::with_opts(scores.buckets(hundredths))?)?,
            stages: add(&registry, HistogramVec::new(stages.buckets(seconds.to_vec()), &["stage"])?)?,
            resident: gauge("process_resident_memory_bytes", "Resident memory of the process")?,
            registry,
        })
    }

    /// Counts an answered request.
    pub fn answered(&self, route: &'static str, status: u16) {
        self.requests.with_label_values(&[route, &status.to_string()]).inc();
    }

    /// Adds the time of a picture in a stage.
    pub fn stage(&self, stage: &'static str, time: Duration) {
        self.stages.with_label_values(&[stage]).observe(time.as_secs_f64());
    }

    /// Counts a scored picture.
    pub fn scored(&self, scored: &Scored) {
        self.scores.observe(f64::from(scored.score));
        self.anomalous.inc_by(u64::from(scored.anomalous == Some(true)));
        let t = &scored.timing_ms;
        let stages = [
            ("decode", t.decode),
            ("preprocess", t.preprocess),
            ("model", t.model),
            ("map", t.map),
            ("encode", t.write),
        ];
        for (stage, ms) in stages {
            self.stages.with_label_values(&[stage]).observe(ms / 1e3);
        }
    }

    /// All counters in Prometheus' text format.
    pub fn text(&self) -> prometheus::Result<String> {
        if let Some(bytes) = resident_bytes() {
            self.resident.set(bytes);
        }
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

fn add<C: Collector + Clone + 'static>(registry: &Registry, counter: C) -> prometheus::Result<C> {
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

fn failed(e: prometheus::Error) -> Error {
    Error::Setting(format!("the metrics cannot be counted: {e}"))
}

/// Resident memory of the process; `None` if the system does not report it.
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kilobytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}
