//! One part of a run distributed over machines.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// Part `index` of `count`: the pictures whose name hashes to this part.
///
/// The part of a picture depends only on its name within the run, so parts stay the same when pictures are
/// added, and need no communication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    /// Part `index`, counted from 0, of `count`; `None` if there is no such part.
    pub fn new(index: u32, count: u32) -> Option<Self> {
        (index < count).then_some(Self { index, count })
    }

    /// Part number, counted from 0.
    pub fn index(self) -> u32 {
        self.index
    }

    /// Number of parts.
    pub fn count(self) -> u32 {
        self.count
    }

    /// The name of a file of a part: `KIND.ENDING`, or `KIND-I-of-N.ENDING`.
    pub(super) fn file_name(part: Option<Self>, kind: &str, ending: &str) -> String {
        part.map_or_else(|| format!("{kind}.{ending}"), |part| format!("{kind}-{part}.{ending}"))
    }

    /// The part of such a file (`Some(None)`: of a whole run); `None` for any other file.
    pub(super) fn of_file(name: &str, kind: &str, ending: &str) -> Option<Option<Self>> {
        let rest = name.strip_prefix(kind)?.strip_suffix(ending)?.strip_suffix('.')?;
        if rest.is_empty() {
            return Some(None);
        }
        let (index, count) = rest.strip_prefix('-')?.split_once("-of-")?;
        let part = Self::new(index.parse().ok()?, count.parse().ok()?)?;
        // Rejects `+1-of-02`.
        (rest.strip_prefix('-') == Some(part.to_string().as_str())).then_some(Some(part))
    }

    /// Whether a picture of this name belongs to this part.
    pub fn holds(self, name: &[u8]) -> bool {
        name_hash(name) % u64::from(self.count) == u64::from(self.index)
    }
}

/// A hash of a picture's name that is the same on every machine.
pub(super) fn name_hash(name: &[u8]) -> u64 {
    Sha256::digest(name).first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-of-{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    /// `I/N`: part I, counted from 0, of N.
    fn from_str(text: &str) -> Result<Self, String> {
        let part = text.split_once('/').and_then(|(i, n)| Self::new(i.parse().ok()?, n.parse().ok()?));
        part.ok_or_else(|| "expected I/N with I from 0 to N - 1, for example 0/4".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_in_exactly_one_part() {
        for count in [1, 2, 7] {
            let parts: Vec<Shard> = (0..count).map(|i| Shard::new(i, count).unwrap()).collect();
            let mut sizes = vec![0; count as usize];
            for name in 0..2000 {
                let name = format!("sub/{name}.png");
                let holders: Vec<usize> =
                    (0..parts.len()).filter(|&i| parts[i].holds(name.as_bytes())).collect();
                assert_eq!(holders.len(), 1);
                sizes[holders[0]] += 1;
            }
            let fair = 2000 / count;
            assert!(sizes.iter().all(|&s| s > fair * 3 / 4 && s < fair * 5 / 4 + 1), "{sizes:?}");
        }
    }

    #[test]
    fn parts_are_the_same_on_every_machine() {
        let part = |name: &str| (0..4).find(|&i| Shard::new(i, 4).unwrap().holds(name.as_bytes()));
        assert_eq!(["a.png", "sub/b.png", "c.png"].map(part), [Some(0), Some(3), Some(3)]);
    }

    #[test]
    fn text_form() {
        assert_eq!("3/4".parse::<Shard>(), Ok(Shard { index: 3, count: 4 }));
        for wrong in ["4/4", "0/0", "1", "a/2", "-1/2", "1/2/3", ""] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
        assert_eq!(Shard { index: 0, count: 4 }.to_string(), "0-of-4");
        for part in [None, Shard::new(3, 10)] {
            let name = Shard::file_name(part, "results", "jsonl");
            assert_eq!(Shard::of_file(&name, "results", "jsonl"), Some(part));
        }
        for wrong in
            ["results-a-of-2.jsonl", "results-01-of-2.jsonl", "results-1.jsonl", "results-2-of-2.jsonl"]
        {
            assert_eq!(Shard::of_file(wrong, "results", "jsonl"), None, "{wrong}");
        }
    }
}
