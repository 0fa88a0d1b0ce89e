//! Warnings about the decoding of pictures, each said once per run.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::cli::messages;

/// The warnings so far, and how many further pictures have each.
#[derive(Default)]
pub struct Doubts(Mutex<BTreeMap<String, usize>>);

impl Doubts {
    /// Says the warnings about a picture that were not said before.
    pub fn say(&self, path: &str, warnings: &[String]) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for warning in warnings {
            match said.get_mut(warning) {
                Some(further) => *further += 1,
                None => {
                    said.insert(warning.clone(), 0);
                    messages::warn(format!("warning: {path}: {warning}"));
                }
            }
        }
    }

    /// Says how many further pictures have each warning.
    pub fn finish(&self) {
        let said = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for (warning, further) in said.into_iter().filter(|(_, further)| *further > 0) {
            let pictures = if further == 1 { "picture" } else { "pictures" };
            messages::warn(format!("warning: {further} more {pictures}: {warning}"));
        }
    }
}
