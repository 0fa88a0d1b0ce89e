//! The fuzz targets' bodies over their committed seeds and some mutations of each: a regression test of all findings.
//! With `AACLIP_FUZZ_SECONDS` further mutations follow for as long.

mod bodies;

#[path = "../support/mutate.rs"]
mod mutate;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;

use mutate::Mutator;

/// Mutations of each seed.
const MUTATIONS: usize = 100;

/// Folders of seeds beside the target's own, relative to the repository.
fn more_seeds(target: &str) -> &'static [&'static str] {
    match target {
        "picture" => &["tests/data/images", "tests/data/wide"],
        "archive" | "pickle" | "adapters" => &["tests/data/torch"],
        "prompts" => &["prompts"],
        _ => &[],
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).filter(|p| p.is_file()).collect();
    files.sort();
    files
}

fn run(target: &str) {
    let (_, body) = bodies::ALL.into_iter().find(|(name, _)| *name == target).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds = files(&root.join("tests/fuzz/seeds").join(target));
    assert!(!seeds.is_empty());
    for folder in more_seeds(target) {
        seeds.extend(
            files(&root.join(folder)).into_iter().filter(|p| p.extension().is_none_or(|e| e != "json")),
        );
    }
    let seeds: Vec<(PathBuf, Vec<u8>)> =
        seeds.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    let seconds = std::env::var("AACLIP_FUZZ_SECONDS").map_or(0, |text| text.parse().unwrap());
    let (started, mut inputs) = (Instant::now(), 0);
    for round in 0.. {
        inputs += mutated(target, body, &seeds, round);
        if started.elapsed().as_secs() >= seconds {
            break;
        }
    }
    println!("{target}: {} seeds, {inputs} inputs", seeds.len());
}

/// Runs a body on all seeds and on mutations of them, others in each round: how many.
fn mutated(target: &str, body: fn(&[u8]), seeds: &[(PathBuf, Vec<u8>)], round: u64) -> usize {
    for (path, seed) in seeds {
        let tried = |number: usize, bytes: &[u8]| {
            if catch_unwind(AssertUnwindSafe(|| body(bytes))).is_err() {
                let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{target}"));
                std::fs::write(&kept, bytes).unwrap();
                panic!("{target}: mutation {number} of {}; it is kept as {}", path.display(), kept.display());
            }
        };
        tried(0, seed);
        let mut mutator = Mutator::new(seed.len() as u64 + (round << 32));
        for number in 1..=MUTATIONS {
            let other = &seeds[mutator.below(seeds.len())].1;
            let bytes =
                if number % 4 == 0 { mutator.renumber(seed, false) } else { mutator.mutate(seed, other) };
            tried(number, &bytes);
        }
    }
    seeds.len() * (1 + MUTATIONS)
}

macro_rules! targets {
    ($($target:ident),+) => {
        $(#[test] fn $target() { run(stringify!($target)); })+

        #[test]
        fn every_target_is_tested_and_has_a_fuzzer() {
            let tested = [$(stringify!($target)),+];
            let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
            for (name, _) in bodies::ALL {
                assert!(tested.contains(&name), "{name}");
                // The fuzzers are not part of the published package.
                assert!(!fuzz.is_dir() || fuzz.join(format!("targets/{name}.rs")).is_file(), "{name}");
            }
            assert_eq!(tested.len(), bodies::ALL.len());
        }
    };
}

targets!(
    adapters,
    archive,
    journal,
    jpeg,
    metadata,
    model,
    pickle,
    picture,
    prompts,
    registry,
    results,
    safetensors,
    shards,
    threshold,
    tokenizer,
    tokenizer_json,
    training_state,
    worker
);
