//! Resampling, smoothing and regions of anomaly maps.
