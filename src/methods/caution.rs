//! The caution about a class text that brings the normal and the abnormal anchor together.

use std::sync::OnceLock;

use crate::Result;
use crate::anchors::{ANYTHING, Anchors};

/// The least [`Anchors::separation`] from the anchors of [`ANYTHING`] without a caution.
///
/// A map is a difference of cosines: its contrast shrinks with the separation, the noise of patches does not. Measured
/// with the built-in model's text tower before it ignored class words, for the 200 texts in
/// `tests/data/class-texts.txt`: 48 are below 0.05, none is between 0.05 and 0.37. Pixel AUROC on bottles, 96 with
/// `object`, is 4 to 42 for six texts tried below 0.03, and 81 to 96 for four tried from 0.37 to 0.55.
const LEAST_SEPARATION: f32 = 0.25;

/// The anchors of [`ANYTHING`], built for the first class that is compared with them.
#[derive(Default)]
pub(super) struct ClassFree(OnceLock<Option<Anchors>>);

impl ClassFree {
    /// The caution about the anchors of a class text, see [`super::ClassModel::caution`]. `build` gives the anchors of a
    /// class text; if there are none for [`ANYTHING`], there is no caution.
    pub fn caution(
        &self,
        class: &str,
        anchors: &Anchors,
        build: impl FnOnce(&str) -> Result<Anchors>,
    ) -> Option<String> {
        if class == ANYTHING {
            return None;
        }
        let free = self.0.get_or_init(|| build(ANYTHING).ok()).as_ref()?;
        caution(class, anchors.separation(free))
    }
}

fn caution(class: &str, separation: f32) -> Option<String> {
    let problem = match separation {
        s if s < 0.0 => "the wrong way round".to_owned(),
        s if s < LEAST_SEPARATION => format!("only {s:.2} as far apart as for `{ANYTHING}`"),
        _ => return None,
    };
    Some(format!(
        "with the class text `{class}` the normal and the damaged anchor are {problem}: choose a plain name, without \
         words about the part's state"
    ))
}

#[cfg(test)]
mod tests {
    use ndarray::arr1;

    use super::*;

    fn anchors(normal: [f32; 2], abnormal: [f32; 2]) -> Anchors {
        Anchors { normal: arr1(&normal), abnormal: arr1(&abnormal) }
    }

    #[test]
    fn separation_is_relative_to_the_class_free_pair() {
        let free = anchors([1.0, 0.0], [0.0, 1.0]);
        for (pair, expected) in [
            (free.clone(), 1.0),
            (anchors([0.0, 1.0], [1.0, 0.0]), -1.0),
            (anchors([0.6, 0.8], [0.6, 0.8]), 0.0),
            (anchors([0.6, 0.8], [-0.6, -0.8]), -0.2),
            (anchors([0.8, 0.6], [0.6, 0.8]), 0.2),
        ] {
            assert!((pair.separation(&free) - expected).abs() < 1e-6, "{pair:?}");
        }
        assert!(free.separation(&anchors([1.0, 0.0], [1.0, 0.0])).is_nan());
    }

    #[test]
    fn a_caution_names_the_class_and_the_distance() {
        let free = ClassFree::default();
        let near = anchors([0.8, 0.6], [0.75, 0.66]);
        let of = |class: &str, anchors: &Anchors| {
            free.caution(class, anchors, |text| {
                assert_eq!(text, "object");
                Ok(self::anchors([1.0, 0.0], [0.0, 1.0]))
            })
        };
        assert_eq!(of("object", &near), None);
        let found = of("nut with a crack", &near).unwrap();
        assert!(found.contains("`nut with a crack`") && found.contains("only 0.06 as far"), "{found}");
        assert_eq!(of("nut", &anchors([1.0, 0.0], [0.5, 0.5])), None);
        assert!(of("nut", &anchors([0.0, 1.0], [1.0, 0.0])).unwrap().contains("the wrong way round"));
        // Anchors without a direction, as of models that cannot tell texts apart.
        assert_eq!(caution("nut", f32::NAN), None);
    }

    #[test]
    fn without_class_free_anchors_there_is_no_caution() {
        let pair = anchors([1.0, 0.0], [1.0, 0.0]);
        let none = |_: &str| Err(crate::Error::Setting("no cluster".to_owned()));
        assert_eq!(ClassFree::default().caution("nut", &pair, none), None);
    }
}
