//! Every metric against its definition, computed the slow way.

#[path = "../support/mod.rs"]
mod support;

use aaclip::metrics::{PixelMetrics, PixelOptions, Resolution, Truth, image_metrics, pixel_metrics};
use proptest::prelude::*;
use support::Stack;

fn stack(maps: &[Vec<f32>], masks: &[Vec<bool>], width: usize) -> Stack {
    Stack { maps: maps.to_vec(), truths: masks.iter().map(|m| Truth::new(m, width)).collect() }
}

fn metrics(stack: &Stack, options: PixelOptions) -> PixelMetrics {
    pixel_metrics(stack, &options).unwrap()
}

/// The distinct scores, highest first.
fn thresholds(scores: &[f32]) -> Vec<f32> {
    let mut all = scores.to_vec();
    all.sort_by(|a, b| b.partial_cmp(a).unwrap());
    all.dedup();
    all
}

/// Counts found, alarms at a threshold.
fn at(scores: &[f32], labels: &[bool], threshold: f32) -> (f64, f64) {
    let called = scores.iter().zip(labels).filter(|(s, _)| **s >= threshold);
    called.fold((0.0, 0.0), |(tp, fp), (_, &label)| if label { (tp + 1.0, fp) } else { (tp, fp + 1.0) })
}

/// The share of (damaged, good) pairs in the right order, ties half.
fn auroc(scores: &[f32], labels: &[bool]) -> f64 {
    let of = |wanted: bool| scores.iter().zip(labels).filter(move |(_, l)| **l == wanted).map(|(s, _)| *s);
    let (mut right, mut pairs) = (0.0, 0.0);
    for p in of(true) {
        for n in of(false) {
            pairs += 1.0;
            right += if p > n {
                1.0
            } else if p == n {
                0.5
            } else {
                0.0
            };
        }
    }
    right / pairs
}

fn average_precision(scores: &[f32], labels: &[bool]) -> f64 {
    let all = labels.iter().filter(|l| **l).count() as f64;
    let mut last = 0.0;
    let mut sum = 0.0;
    for t in thresholds(scores) {
        let (tp, fp) = at(scores, labels, t);
        sum += (tp / all - last) * tp / (tp + fp);
        last = tp / all;
    }
    sum
}

fn f1_max(scores: &[f32], labels: &[bool]) -> f64 {
    let all = labels.iter().filter(|l| **l).count() as f64;
    let f1 = |t| {
        let (tp, fp) = at(scores, labels, t);
        let (p, r) = (tp / (tp + fp), tp / all);
        if p + r > 0.0 { 2.0 * p * r / (p + r) } else { 0.0 }
    };
    thresholds(scores).into_iter().map(f1).fold(0.0, f64::max)
}

/// Regions by flooding: lists of pixel numbers.
fn regions(mask: &[bool], width: usize) -> Vec<Vec<usize>> {
    let mut seen = vec![false; mask.len()];
    let mut found = Vec::new();
    for start in 0..mask.len() {
        let (mut stack, mut region) = (vec![start], Vec::new());
        while let Some(i) = stack.pop() {
            if seen[i] || !mask[i] {
                continue;
            }
            seen[i] = true;
            region.push(i);
            let (y, x) = ((i / width) as i64, (i % width) as i64);
            for (dy, dx) in (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dy, dx))) {
                let (ny, nx) = (y + dy, x + dx);
                if ny >= 0 && nx >= 0 && nx < width as i64 && ny < (mask.len() / width) as i64 {
                    stack.push((ny * width as i64 + nx) as usize);
                }
            }
        }
        if !region.is_empty() {
            found.push(region);
        }
    }
    found
}

/// AUPRO by its definition, thresholds one by one.
fn aupro(maps: &[Vec<f32>], masks: &[Vec<bool>], width: usize, limit: f64) -> f64 {
    let all: Vec<f32> = maps.concat();
    let good = masks.iter().flatten().filter(|m| !**m).count() as f64;
    let mut points = vec![(0.0, 0.0)];
    for t in thresholds(&all) {
        let mut alarms = 0.0;
        let mut overlaps = Vec::new();
        for (map, mask) in maps.iter().zip(masks) {
            alarms += map.iter().zip(mask).filter(|(v, m)| !**m && **v >= t).count() as f64;
            for region in regions(mask, width) {
                let inside = region.iter().filter(|&&i| map[i] >= t).count() as f64;
                overlaps.push(inside / region.len() as f64);
            }
        }
        points.push((alarms / good, overlaps.iter().sum::<f64>() / overlaps.len() as f64));
    }
    let mut area = 0.0;
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        if x0 < limit && x1 > x0 {
            let end = f64::min(x1, limit);
            let height = y0 + (y1 - y0) * (end - x0) / (x1 - x0);
            area += (end - x0) * (y0 + height) / 2.0;
        }
    }
    area / limit
}

fn near(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-9, "{a} {b}");
}

/// Few distinct values, so that ties are common; both zeros among them.
fn score() -> impl Strategy<Value = f32> {
    prop_oneof![Just(0.0f32), Just(-0.0), (-8i32..8).prop_map(|i| i as f32 / 4.0), -1.0f32..1.0]
}

proptest! {
    #[test]
    fn pictures(pairs in proptest::collection::vec((score(), any::<bool>()), 2..60)) {
        let (scores, labels): (Vec<f32>, Vec<bool>) = pairs.into_iter().unzip();
        let both = labels.contains(&true) && labels.contains(&false);
        let found = image_metrics(&scores, &labels);
        prop_assert_eq!(found.is_some(), both);
        if let Some(found) = found {
            near(found.auroc, auroc(&scores, &labels));
            near(found.average_precision, average_precision(&scores, &labels));
            near(found.f1_max, f1_max(&scores, &labels));
            let (tp, fp) = at(&scores, &labels, found.f1_threshold);
            let all = labels.iter().filter(|l| **l).count() as f64;
            near(found.f1_max, 2.0 * tp / (tp + fp + all));
        }
    }

    /// However few pixels are sorted at once, all figures stay what they are by definition; binned ones are within
    /// their bounds.
    #[test]
    fn pixels(
        width in 1usize..9,
        pictures in proptest::collection::vec(proptest::collection::vec((score(), prop::bool::weighted(0.3)), 72), 1..5),
        at_once in 1usize..400,
        limit in 0.05f64..1.0,
    ) {
        let cut = 72 / width * width;
        let maps: Vec<Vec<f32>> = pictures.iter().map(|p| p[..cut].iter().map(|x| x.0).collect()).collect();
        let masks: Vec<Vec<bool>> = pictures.iter().map(|p| p[..cut].iter().map(|x| x.1).collect()).collect();
        let labels = masks.concat();
        prop_assume!(labels.contains(&true) && labels.contains(&false));
        let maps_and_masks = stack(&maps, &masks, width);
        let mut options = PixelOptions::default();
        (options.pixels_at_once, options.pro_limit) = (at_once, limit);
        let found = metrics(&maps_and_masks, options);
        let ranking = found.ranking.as_ref().unwrap();
        let all = maps.concat();
        near(ranking.auroc, auroc(&all, &labels));
        near(ranking.average_precision, average_precision(&all, &labels));
        near(ranking.f1_max, f1_max(&all, &labels));
        near(found.aupro.unwrap(), aupro(&maps, &masks, width, limit));

        let binned = metrics(&maps_and_masks, in_bins(options));
        let rough = binned.ranking.as_ref().unwrap();
        for (exact, rough, bound) in [
            (ranking.auroc, rough.auroc, binned.bounds.auroc),
            (ranking.average_precision, rough.average_precision, binned.bounds.average_precision),
            (ranking.f1_max, rough.f1_max, binned.bounds.f1_max),
            (found.aupro.unwrap(), binned.aupro.unwrap(), binned.bounds.aupro),
        ] {
            prop_assert!((exact - rough).abs() <= bound + 1e-12, "{exact} {rough} {bound}");
        }
    }
}

fn in_bins(mut options: PixelOptions) -> PixelOptions {
    options.resolution = Resolution::Binned;
    options
}

/// Scores that differ by less than a bin: the bounds are needed, and are not all there is.
#[test]
fn bins_hide_what_their_bounds_say() {
    let maps = vec![
        (0..4096).map(|i| 0.5 + ((i * 2654435761u64 as usize) % 4096) as f32 * 1e-6).collect::<Vec<f32>>(),
    ];
    let masks = vec![(0..4096).map(|i| i % 64 > 40 && i / 64 > 40).collect::<Vec<bool>>()];
    let maps_and_masks = stack(&maps, &masks, 64);
    let exact = metrics(&maps_and_masks, PixelOptions::default());
    let binned = metrics(&maps_and_masks, in_bins(PixelOptions::default()));
    let difference = (exact.ranking.unwrap().auroc - binned.ranking.unwrap().auroc).abs();
    assert!(difference > 0.0 && difference <= binned.bounds.auroc && binned.bounds.auroc < 0.2);
}

#[test]
fn what_cannot_be_told_apart_has_no_figure() {
    assert!(image_metrics(&[0.1, 0.2], &[true, true]).is_none());
    assert!(image_metrics(&[0.1, f32::NAN], &[true, false]).is_none());
    assert!(image_metrics(&[], &[]).is_none());
    let good = metrics(&stack(&[vec![0.5; 4]], &[vec![false; 4]], 2), PixelOptions::default());
    assert!(good.ranking.is_none() && good.aupro.is_none() && good.sampled_pro.is_none());
    let none = metrics(&stack(&[], &[], 2), PixelOptions::default());
    assert!(none.ranking.is_none() && none.aupro.is_none());
    let flat =
        metrics(&stack(&[vec![0.5; 4]], &[vec![true, false, false, false]], 2), PixelOptions::default());
    assert_eq!(flat.ranking.unwrap().auroc, 0.5);
}

#[test]
fn damaged_maps_are_refused() {
    let maps_and_masks = stack(&[vec![0.5, f32::NAN]], &[vec![false, true]], 2);
    assert!(
        pixel_metrics(&maps_and_masks, &PixelOptions::default()).unwrap_err().to_string().contains("finite")
    );
    let short = Stack { maps: vec![vec![0.5]], truths: vec![Truth::good(2)] };
    assert!(pixel_metrics(&short, &PixelOptions::default()).unwrap_err().to_string().contains("1 values"));
}
