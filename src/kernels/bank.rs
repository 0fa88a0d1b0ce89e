//! Many vectors, searched for those with the largest products with others.

use rayon::prelude::*;

use super::isa::Isa;
use super::linear::{Nonlinearity, PackedLinear};
use super::rows::Rows;
use super::tile::Element;

/// Vectors in a part: the products with one part stay in the cache until they are compared.
const PART: usize = 1024;

/// Vectors of one width, packed once for products with others. The matrix of all products never exists.
#[derive(Debug, Clone)]
pub struct Bank {
    element: Element,
    width: usize,
    parts: Vec<PackedLinear>,
}

/// One of the largest products of a vector with those of a bank.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// The product, plus the offset of the other vector.
    pub product: f32,
    /// The other vector's place in the bank.
    pub place: u32,
}

impl Bank {
    /// Packs vectors `[count, width]`. `offsets`, one per vector, are added to its products.
    pub fn new(element: Element, width: usize, vectors: &[f32], offsets: Option<&[f32]>) -> Self {
        let part = |(at, rows): (usize, &[f32])| {
            let offsets = offsets.map(|all| &all[at * PART..][..rows.len() / width]);
            PackedLinear::new(Isa::best(), element, width, rows, offsets)
        };
        let parts = vectors.chunks((PART * width).max(1)).enumerate().map(part).collect();
        Self { element, width, parts }
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.parts.iter().map(PackedLinear::outputs).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The products of `vectors` `[count, width]` with all vectors, part by part: the place of the part's first
    /// vector, its number of vectors, and the products, `[count, number]`.
    pub fn products(&self, vectors: &[f32], mut visit: impl FnMut(usize, usize, &[f32])) {
        let rows = Rows::from_floats(Isa::best(), vectors, self.width, self.width, self.element);
        let mut first = 0;
        for part in &self.parts {
            visit(first, part.outputs(), &part.floats(&rows, Nonlinearity::None, None));
            first += part.outputs();
        }
    }

    /// The `wanted` largest products of each of `vectors`, `[count, wanted]`, in descending
    /// order; fewer if the bank is smaller.
    pub fn best(&self, vectors: &[f32], wanted: usize) -> Vec<Vec<Match>> {
        let mut all = vec![Vec::with_capacity(wanted + 1); vectors.len() / self.width.max(1)];
        self.products(vectors, |first, number, products| {
            let rows = all.par_iter_mut().zip(products.par_chunks_exact(number)).with_min_len(16);
            rows.for_each(|(best, products)| {
                for (at, &product) in products.iter().enumerate() {
                    if best.len() == wanted && best.last().is_some_and(|m: &Match| product <= m.product) {
                        continue;
                    }
                    let place = best.partition_point(|m| m.product >= product);
                    best.insert(place, Match { product, place: (first + at) as u32 });
                    best.truncate(wanted);
                }
            });
        });
        all
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn the_best_are_those_of_a_plain_search() {
        let (width, count) = (24, 2 * PART + 77);
        let bank = sample(count * width, 1);
        let offsets = sample(count, 2);
        let vectors = sample(5 * width, 3);
        let found = Bank::new(Element::F32, width, &bank, Some(&offsets)).best(&vectors, 3);
        for (vector, found) in vectors.chunks(width).zip(&found) {
            let product = |row: &[f32]| row.iter().zip(vector).map(|(a, b)| a * b).sum::<f32>();
            let mut all: Vec<(f32, usize)> = bank
                .chunks(width)
                .zip(&offsets)
                .enumerate()
                .map(|(i, (row, o))| (product(row) + o, i))
                .collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0));
            for (expected, found) in all.iter().zip(found) {
                assert_eq!(expected.1, found.place as usize);
                assert!((expected.0 - found.product).abs() < 1e-5);
            }
        }
        assert_eq!(Bank::new(Element::F32, 3, &[1.0, 0.0, 0.0], None).best(&[0.5, 0.5, 0.5], 4)[0].len(), 1);
        assert!(Bank::new(Element::F32, 3, &[], None).is_empty());
    }
}
