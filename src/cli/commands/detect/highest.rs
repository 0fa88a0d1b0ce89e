//! The items with the highest scores.

/// Keeps the `most` items with the highest scores; of equal ones the first.
pub struct Highest<T> {
    most: usize,
    items: Vec<(f32, T)>,
}

impl<T> Highest<T> {
    pub fn new(most: usize) -> Self {
        Self { most, items: Vec::new() }
    }

    pub fn push(&mut self, score: f32, item: T) {
        self.items.push((score, item));
        if self.items.len() >= self.most.saturating_mul(2).saturating_add(16) {
            self.sort();
        }
    }

    /// The items, the highest score first.
    pub fn into_sorted(mut self) -> Vec<(f32, T)> {
        self.sort();
        self.items
    }

    fn sort(&mut self) {
        self.items.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        self.items.truncate(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_the_highest_in_order() {
        let mut highest = Highest::new(3);
        for i in 0..100 {
            highest.push((i % 50) as f32, i);
        }
        assert_eq!(highest.into_sorted(), [(49.0, 49), (49.0, 99), (48.0, 48)]);
        let mut all = Highest::new(usize::MAX);
        [0.1, 0.3, 0.2].iter().for_each(|&score| all.push(score, ()));
        assert_eq!(all.into_sorted().iter().map(|(score, ())| *score).collect::<Vec<_>>(), [0.3, 0.2, 0.1]);
    }
}
