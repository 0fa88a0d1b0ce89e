//! Provenance: every setting that changes a score, by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::files::hex;

/// Every setting that scores and maps depend on, as text, by name. Two runs with equal provenance give the
/// same score for the same picture and class; results of different provenance must not be mixed or compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Provenance(BTreeMap<String, String>);

impl Provenance {
    /// Records a setting.
    pub fn set(&mut self, name: &str, value: impl ToString) {
        self.0.insert(name.to_owned(), value.to_string());
    }

    /// The value of a setting.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All settings, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// A short hash of all settings.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for (name, value) in &self.0 {
            for text in [name, value] {
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text.as_bytes());
            }
        }
        hex(&hash.finalize()[..8])
    }

    /// The settings in which `self` differs from `earlier`, one line each: `name: EARLIER there, NOW here`.
    pub fn differences(&self, earlier: &Self) -> Vec<String> {
        let names: std::collections::BTreeSet<&String> = self.0.keys().chain(earlier.0.keys()).collect();
        let shown = |p: &Self, name: &String| p.0.get(name).map_or("nothing".to_owned(), |v| shortened(v));
        names
            .into_iter()
            .filter(|n| self.0.get(*n) != earlier.0.get(*n))
            .map(|n| format!("{n}: {} there, {} here", shown(earlier, n), shown(self, n)))
            .collect()
    }
}

/// Cuts hashes to their first digits.
fn shortened(value: &str) -> String {
    if value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit()) {
        format!("{}..", &value[..12])
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Provenance {
        let mut p = Provenance::default();
        pairs.iter().for_each(|(k, v)| p.set(k, v));
        p
    }

    #[test]
    fn differences_name_both_values() {
        let (a, b) = (of(&[("method", "sdp"), ("size", "240")]), of(&[("method", "sdp"), ("fit", "crop")]));
        assert_eq!(b.differences(&a), ["fit: nothing there, crop here", "size: 240 there, nothing here"]);
        assert!(a.differences(&a.clone()).is_empty());
    }

    #[test]
    fn digests_tell_settings_apart() {
        let a = of(&[("a", "bc")]);
        assert_ne!(a.digest(), of(&[("ab", "c")]).digest());
        assert_eq!(a.digest(), of(&[("a", "bc")]).digest());
        let text = serde_json::to_string(&a).unwrap();
        assert_eq!(serde_json::from_str::<Provenance>(&text).unwrap(), a);
    }
}
