use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn data(counts: &[(&str, &str, usize)]) -> Dataset {
    let sample = |class: &str, kind: &str, i: usize| {
        let label = if kind == "good" { Label::Normal } else { Label::Anomalous };
        let name = format!("{class}/{kind}/{i:03}.png");
        let mask = Mask::None;
        Sample { class: class.into(), path: name.clone().into(), name, label, kind: kind.into(), mask }
    };
    let samples = counts.iter().flat_map(|(class, kind, n)| (0..*n).map(move |i| sample(class, kind, i)));
    Dataset {
        root: "".into(),
        layout: Layout::MvtecAd,
        samples: samples.collect(),
        problems: vec![],
        passed_over: Default::default(),
    }
}

#[test]
fn classes_are_kept_or_named() {
    let mut data = data(&[("a", "good", 2), ("b", "good", 1), ("c", "cut", 3)]);
    let error = data.keep_classes(&["a".into(), "z".into()]).unwrap_err();
    assert!(matches!(error, DatasetError::UnknownClass { .. }));
    assert!(error.to_string().contains("no class `z` (it has: a, b, c)"), "{error}");
    data.keep_classes(&["c".into(), "a".into()]).unwrap();
    assert_eq!((data.classes(), data.samples.len()), (vec!["a", "c"], 5));
}

#[test]
fn a_limit_keeps_kinds_and_spreads() {
    let mut some = data(&[("a", "cut", 10), ("a", "dent", 1), ("a", "good", 10), ("b", "good", 3)]);
    some.limit(6);
    let names: Vec<&str> = some.samples.iter().map(|s| &s.name[2..s.name.len() - 4]).collect();
    assert_eq!(names[..6], ["cut/000", "cut/005", "dent/000", "good/000", "good/003", "good/006"]);
    assert_eq!(names[6..], ["good/000", "good/001", "good/002"]);
}

proptest! {
    #[test]
    fn a_limit_is_a_limit(good in 0usize..20, cut in 0usize..20, dent in 0usize..20, n in 0usize..50) {
        let whole = data(&[("a", "cut", cut), ("a", "dent", dent), ("a", "good", good)]);
        let mut part = whole.clone();
        part.limit(n);
        prop_assert_eq!(part.samples.len(), n.min(good + cut + dent));
        let mut rest = whole.samples.iter();
        prop_assert!(part.samples.iter().all(|s| rest.any(|w| w == s)), "a subsequence");
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        part.samples.iter().for_each(|s| *kinds.entry(&s.kind).or_default() += 1);
        let count = |kind| kinds.get(kind).copied().unwrap_or(0);
        if n >= 2 {
            prop_assert_eq!(count("good") > 0, good > 0);
            prop_assert_eq!(count("cut") + count("dent") > 0, cut + dent > 0);
        }
        if cut.min(dent) > count("cut").max(count("dent")) {
            prop_assert!(count("cut").abs_diff(count("dent")) <= 1);
        }
    }
}
