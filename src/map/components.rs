//! Connected components of a binary image.

/// Pixels `from..to` of row `y` in one component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The row.
    pub y: usize,
    /// First pixel.
    pub from: usize,
    /// One past the last pixel.
    pub to: usize,
    /// Number of the component, counted from 0 in reading order of the first pixels.
    pub component: usize,
}

/// The 8-connected components of a binary image, as runs in reading order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectedComponents {
    /// The runs of all components.
    pub runs: Vec<Run>,
    /// Number of components.
    pub count: usize,
}

/// Finds the components of the pixels with `inside(y, x)`.
///
/// Works on runs of pixels: one pass over the image, memory proportional to the number of runs.
pub fn components(width: usize, height: usize, inside: impl Fn(usize, usize) -> bool) -> ConnectedComponents {
    let mut runs: Vec<Run> = Vec::new();
    let mut groups = Groups::default();
    let mut above = 0..0;
    for y in 0..height {
        let first = runs.len();
        let mut start = None;
        // One step past the row closes a run that reaches the end.
        for x in 0..=width {
            match (start, x < width && inside(y, x)) {
                (None, true) => start = Some(x),
                (Some(from), false) => {
                    runs.push(Run { y, from, to: x, component: groups.add() });
                    start = None;
                }
                _ => {}
            }
        }
        let (upper, lower) = runs.split_at(first);
        groups.join_rows(&upper[above], lower);
        above = first..runs.len();
    }
    let (numbers, count) = groups.numbers();
    runs.iter_mut().for_each(|run| run.component = numbers[run.component]);
    ConnectedComponents { runs, count }
}

/// Union-find over runs.
#[derive(Default)]
struct Groups {
    parent: Vec<usize>,
}

impl Groups {
    fn add(&mut self) -> usize {
        self.parent.push(self.parent.len());
        self.parent.len() - 1
    }

    fn root(&mut self, mut group: usize) -> usize {
        while self.parent[group] != group {
            self.parent[group] = self.parent[self.parent[group]];
            group = self.parent[group];
        }
        group
    }

    /// Joins touching runs of neighbouring rows, corners included.
    fn join_rows(&mut self, above: &[Run], below: &[Run]) {
        let (mut a, mut b) = (0, 0);
        while let (Some(upper), Some(lower)) = (above.get(a), below.get(b)) {
            if upper.from <= lower.to && lower.from <= upper.to {
                let (one, other) = (self.root(upper.component), self.root(lower.component));
                // The earlier run stays the root, so numbers follow reading order.
                self.parent[one.max(other)] = one.min(other);
            }
            if upper.to < lower.to {
                a += 1;
            } else {
                b += 1;
            }
        }
    }

    /// Each run's component number, and the number of components.
    fn numbers(mut self) -> (Vec<usize>, usize) {
        let mut numbers = vec![0; self.parent.len()];
        let mut count = 0;
        for group in 0..self.parent.len() {
            let root = self.root(group);
            if root == group {
                numbers[group] = count;
                count += 1;
            } else {
                numbers[group] = numbers[root];
            }
        }
        (numbers, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_reading_order() {
        let rows = ["1.1.1", "..1.1", "1.111", "1...."];
        let found = components(5, 4, |y, x| rows[y].as_bytes()[x] == b'1');
        let numbers: Vec<_> = found.runs.iter().map(|r| (r.y, r.from, r.to, r.component)).collect();
        assert_eq!(found.count, 3);
        assert_eq!(
            numbers,
            [
                (0, 0, 1, 0),
                (0, 2, 3, 1),
                (0, 4, 5, 1),
                (1, 2, 3, 1),
                (1, 4, 5, 1),
                (2, 0, 1, 2),
                (2, 2, 5, 1),
                (3, 0, 1, 2)
            ]
        );
    }
}
