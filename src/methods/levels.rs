//! Levels: the 1-based numbers of the compared blocks.

use crate::{Error, Result};

/// The ends of a tower's quarters: 3, 6, 9, 12 of 12; every level of a tower with less than four blocks.
pub fn quarters(layers: usize) -> Vec<usize> {
    let mut levels: Vec<usize> = (1..=4).map(|k| ((k * layers + 2) / 4).max(1)).collect();
    levels.dedup();
    levels
}

/// Levels in ascending order, each once, checked against the tower's depth.
pub(crate) fn check_levels(levels: &[usize], layers: usize) -> Result<Vec<usize>> {
    let mut sorted = levels.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    match sorted.iter().find(|&&l| l == 0 || l > layers) {
        Some(l) => {
            Err(Error::Setting(format!("level {l} does not exist: this model has levels 1 to {layers}")))
        }
        None if sorted.is_empty() => Err(Error::Setting("at least one level is needed".to_owned())),
        None => Ok(sorted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarters_of_any_depth() {
        assert_eq!(quarters(12), [3, 6, 9, 12]);
        assert_eq!(quarters(24), [6, 12, 18, 24]);
        assert_eq!(quarters(8), [2, 4, 6, 8]);
        assert_eq!(quarters(10), [3, 5, 8, 10]);
        assert_eq!(quarters(2), [1, 2]);
        assert_eq!(quarters(1), [1]);
        for layers in 1..100 {
            let levels = quarters(layers);
            assert_eq!(levels.last(), Some(&layers));
            assert!(levels.is_sorted() && levels[0] >= 1);
        }
    }

    #[test]
    fn levels_are_checked_and_ordered() {
        assert_eq!(check_levels(&[4, 2, 4], 4).unwrap(), [2, 4]);
        for bad in [&[0][..], &[5], &[]] {
            assert!(check_levels(bad, 4).is_err());
        }
    }
}
