//! Damaged inputs in numbers: 4,000 pictures and 300 checkpoints, no panic, no hang, no memory beyond a limit, and the
//! exit code and the counts show the result.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::mutate::Mutator;
use crate::{Ran, Workplace, support};

/// Address space of every process here, in KiB: the program's own mappings, and a few pictures.
const MEMORY: u64 = 1280 << 10;

/// When a process counts as hanging. A run of all pictures takes seconds.
const LIMIT: Duration = Duration::from_secs(150);

/// The program within the limits, with nothing on stdin.
fn limited(here: &Workplace, arguments: &[&str]) -> Ran {
    let plain = here.command();
    let mut command = if cfg!(target_os = "linux") {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -v {MEMORY} && exec \"$0\" \"$@\"")]).arg(plain.get_program());
        command.current_dir(here.path(""));
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    } else {
        support::skip("memory is limited on Linux only");
        plain
    };
    // Two threads, because a machine of many processors would map a stack for each.
    command.args(arguments).args(["--threads", "2"]).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let (id, done) = (child.id(), std::sync::mpsc::channel::<()>());
    let (finished, watched) = done;
    let watchdog = std::thread::spawn(move || {
        let hangs = watched.recv_timeout(LIMIT) == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
        if hangs {
            let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
        }
        hangs
    });
    let output = child.wait_with_output().unwrap();
    drop(finished);
    assert!(!watchdog.join().unwrap(), "{arguments:?} hangs");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let code = output.status.code();
    let code = code.unwrap_or_else(|| panic!("{arguments:?} ended by {}: {stderr}", output.status));
    assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
    Ran { code, stdout: String::from_utf8(output.stdout).unwrap(), stderr }
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|p| p.extension().is_none_or(|e| e != "json"));
    files.sort();
    files
}

#[test]
fn pictures() {
    let here = Workplace::new();
    let mut seeds = Vec::new();
    for path in
        ["tests/data/images", "tests/data/wide", "tests/fuzz/seeds/picture"].into_iter().flat_map(files)
    {
        seeds.push((std::fs::read(&path).unwrap(), ending(&path)));
    }
    for ending in ["png", "jpg", "webp", "bmp", "tif", "gif"] {
        let path = here.picture(&format!("seed.{ending}"), 48, 36);
        seeds.push((std::fs::read(path).unwrap(), ending.to_owned()));
    }
    let mut mutants = Vec::new();
    let icc = [&b"icc\0\0"[..], &boxes::zeros(1 << 30)].concat();
    mutants.push((boxes::png(2, 2, &[(b"iCCP", &icc)], &boxes::zeros(14)), "png".to_owned()));
    mutants.push((boxes::png(2, 2, &[(b"zTXt", &icc)], &boxes::zeros(14)), "png".to_owned()));
    mutants.push((boxes::png(2, 2, &[], &boxes::zeros(1 << 30)), "png".to_owned()));
    mutants.push((boxes::png(60_000, 60_000, &[], &boxes::zeros(1 << 30)), "png".to_owned()));
    let mut mutator = Mutator::new(2000);
    for (seed, ending) in &seeds {
        mutants.extend(boxes::edited(seed, &mut mutator).into_iter().map(|bytes| (bytes, ending.clone())));
    }
    println!("{} edits of headers and parts", mutants.len());
    survive(&here, &seeds, mutants, mutator);
}

/// Every way of coding a JPEG or PNG; mostly the data are changed.
#[test]
fn jpeg_and_png() {
    let mut seeds: Vec<Named> = Vec::new();
    for path in files("tests/data/corpus").into_iter().filter(|path| path.is_file()) {
        if ["jpg", "png"].contains(&&*ending(&path)) {
            seeds.push((std::fs::read(&path).unwrap(), ending(&path)));
        }
    }
    assert!(seeds.len() > 80);
    survive(&Workplace::new(), &seeds, Vec::new(), Mutator::new(16));
}

/// The content of a picture and the ending of its name.
type Named = (Vec<u8>, String);

/// Runs over `mutants`, and more of `seeds` up to 2,000: all are scored or refused.
fn survive(here: &Workplace, seeds: &[Named], mut mutants: Vec<Named>, mut mutator: Mutator) {
    std::fs::create_dir(here.path("in")).unwrap();
    let mut k = 0;
    while mutants.len() < 2000 {
        let (seed, ending) = &seeds[k % seeds.len()];
        let other = &seeds[mutator.below(seeds.len())].0;
        mutants.push((mutator.mutate(seed, other), ending.clone()));
        k += 1;
    }
    mutants.truncate(2000);
    for (i, (bytes, ending)) in mutants.iter().enumerate() {
        std::fs::write(here.path(format!("in/{i:04}.{ending}")), bytes).unwrap();
    }

    let started = Instant::now();
    let model = support::tiny_model().to_str().unwrap();
    let prompts = here.path("p.toml");
    std::fs::write(&prompts, PROMPTS).unwrap();
    let run = ["detect", "in", "--model", model, "--prompts", "p.toml", "--format", "jsonl"];
    let ran = limited(here, &[&run[..], &["--max-megapixels", "4"]].concat());
    let scored = ran.json_lines().iter().filter(|r| r["score"].is_number()).count();
    let about = |line: &&str| line.starts_with("aaclip: ") && !line.starts_with("aaclip: warning: ");
    let failed = ran.stderr.lines().filter(about).count();
    println!("{scored} scored, {failed} failed in {:.1?}", started.elapsed());
    assert_eq!(scored + failed, mutants.len(), "{}", ran.stderr);
    assert_eq!(ran.code, if failed > 0 { 2 } else { 0 });
    assert!(scored > 100 && failed > 100, "mutants should be of both kinds");
}

fn ending(path: &Path) -> String {
    path.extension().unwrap().to_str().unwrap().to_owned()
}

/// One sentence of each kind: anchors are made again for every checkpoint.
const PROMPTS: &str = "version = 1\nname = 'p'\ndescription = ''\nsource = ''\ntemplates = ['{}']\n\
    [states]\nnormal = ['good {}']\nabnormal = ['bad {}']\n";

#[test]
fn checkpoints() {
    // Two at a time: every one is a process of its own.
    let parts: [fn() -> [usize; 2]; 2] = [adapters, models];
    let done = std::thread::scope(|scope| {
        let threads = parts.map(|part| scope.spawn(part));
        threads.map(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let [used, refused] = [0, 1].map(|i| done.iter().map(|d| d[i]).sum::<usize>());
    println!("{used} used, {refused} refused");
    assert_eq!(used + refused, 300);
    assert!(used > 20 && refused > 20, "mutants should be of both kinds");
}

/// Whether a run used its checkpoint (0) or refused it (1).
#[track_caller]
fn verdict(ran: &Ran, what: &str) -> usize {
    match ran.code {
        0 => assert!(!ran.stdout.is_empty(), "{what}"),
        2 => assert!(ran.stderr.starts_with("aaclip: ") && ran.stdout.is_empty(), "{what}: {}", ran.stderr),
        code => panic!("{what}: exit code {code}: {}", ran.stderr),
    }
    usize::from(ran.code == 2)
}

fn adapters() -> [usize; 2] {
    let here = Workplace::new();
    let mut mutator = Mutator::new(130);
    let seeds = files("tests/fuzz/seeds/adapters").into_iter().map(|path| std::fs::read(path).unwrap());
    let seeds: Vec<Vec<u8>> = seeds.collect();
    let mut verdicts = [0; 2];
    for i in 0..130 {
        let (seed, other) = (&seeds[i % seeds.len()], &seeds[mutator.below(seeds.len())]);
        let bytes = if i % 3 == 0 { mutator.renumber(seed, true) } else { mutator.mutate(seed, other) };
        std::fs::write(here.path("a.pth"), bytes).unwrap();
        let ran = limited(&here, &["adapters", "show", "a.pth"]);
        verdicts[verdict(&ran, &format!("adapters {i}"))] += 1;
    }
    verdicts
}

/// Weights, configurations and tokenizers of a model's folder.
fn models() -> [usize; 2] {
    let here = Workplace::new();
    here.picture("a.png", 20, 20);
    std::fs::write(here.path("p.toml"), PROMPTS).unwrap();
    std::fs::create_dir(here.path("m")).unwrap();
    let names = ["open_clip_model.safetensors", "open_clip_config.json", "tokenizer.json"];
    let tokenizer = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds/tokenizer_json/words.json");
    let seeds = [support::tiny_model().join(names[0]), support::tiny_model().join(names[1]), tokenizer];
    let seeds = seeds.map(|path| std::fs::read(path).unwrap());
    for (name, seed) in names.iter().zip(&seeds) {
        std::fs::write(here.path("m").join(name), seed).unwrap();
    }
    let mut mutator = Mutator::new(170);
    let mut verdicts = [0; 2];
    for i in 0..170 {
        let (name, seed) = (here.path("m").join(names[i % 3]), &seeds[i % 3]);
        // Of the weights mostly the header: a changed value is just another model.
        let head = if i % 4 == 0 { seed.len() } else { seed.len().min(3000) };
        let mut bytes = match i % 5 {
            0 | 1 => mutator.mutate(&seed[..head], &seed[..head]),
            // The header of weights has a length of its own.
            _ => mutator.renumber(&seed[..head], i % 3 == 0),
        };
        bytes.extend_from_slice(&seed[head..]);
        std::fs::write(&name, bytes).unwrap();
        let run =
            ["detect", "a.png", "--model", "m", "--prompts", "p.toml", "--no-cache", "--format", "json"];
        let ran = limited(&here, &run);
        verdicts[verdict(&ran, &format!("{} {i}", names[i % 3]))] += 1;
        std::fs::write(&name, seed).unwrap();
    }
    verdicts
}

/// Pictures taken apart at the joints of their formats, so that changes get past checksums and lengths.
mod boxes {
    use crate::mutate::Mutator;

    /// Sides that are too large, or whose product overflows.
    const SIDES: [u32; 8] = [0, 1, 0xfff, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0001, 0xffff_ffff];

    /// Some edits of a picture: sides in the header, and its parts in another order, twice or not at all.
    pub fn edited(seed: &[u8], mutator: &mut Mutator) -> Vec<Vec<u8>> {
        let mut edits: Vec<Vec<u8>> = SIDES
            .iter()
            .zip(SIDES.iter().cycle().skip(3))
            .filter_map(|(&width, &height)| with_sides(seed, width, height))
            .collect();
        let (head, parts, tail) = parts(seed);
        for _ in 0..if parts.len() > 1 { 10 } else { 0 } {
            let mut parts = parts.clone();
            let (one, two) = (mutator.below(parts.len()), mutator.below(parts.len()));
            match mutator.below(4) {
                0 => parts.swap(one, two),
                1 => parts.insert(one, parts[two].clone()),
                2 => drop(parts.remove(one)),
                _ => {
                    let changed = mutator.mutate(&parts[one], &parts[two]);
                    parts[one] = changed;
                }
            }
            edits.push(join(seed, head, &parts, tail));
        }
        edits
    }

    fn put(seed: &[u8], at: usize, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut out = seed.to_vec();
        out.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
        Some(out)
    }

    fn with_sides(seed: &[u8], width: u32, height: u32) -> Option<Vec<u8>> {
        let short = |n: u32| (n as u16).to_le_bytes();
        match seed {
            [0x89, b'P', ..] => {
                let changed = put(&put(seed, 16, &width.to_be_bytes())?, 20, &height.to_be_bytes())?;
                put(&changed, 29, &crc32(&changed[12..29]).to_be_bytes())
            }
            [b'G', b'I', b'F', ..] => {
                let screen = put(seed, 6, &[short(width), short(height)].concat())?;
                // The frame too, if it comes where it does in a picture without extensions.
                let frame = 13 + 3 * (2usize << (seed[10] & 7));
                match screen.get(frame) {
                    Some(b',') => put(&screen, frame + 5, &[short(width), short(height)].concat()),
                    _ => Some(screen),
                }
            }
            [b'B', b'M', ..] => put(&put(seed, 18, &width.to_le_bytes())?, 22, &height.to_le_bytes()),
            [0xFF, 0xD8, ..] => {
                let at = seed.windows(2).position(|w| w[0] == 0xFF && (0xC0..=0xC2).contains(&w[1]))?;
                put(seed, at + 5, &[(height as u16).to_be_bytes(), (width as u16).to_be_bytes()].concat())
            }
            [b'I', b'I', 42, 0, ..] => {
                let directory = u32::from_le_bytes(seed.get(4..8)?.try_into().ok()?) as usize;
                // The first two entries are the sides; 4 is the type of 32-bit numbers.
                let entry = |tag: u16, value: u32| {
                    [&tag.to_le_bytes()[..], &4u16.to_le_bytes(), &1u32.to_le_bytes(), &value.to_le_bytes()]
                        .concat()
                };
                put(&put(seed, directory + 2, &entry(256, width))?, directory + 14, &entry(257, height))
            }
            [b'R', b'I', b'F', b'F', ..] => {
                let side = |n: u32| [n as u8, (n >> 8) as u8, (n >> 16) as u8];
                match seed.get(12..16)? {
                    b"VP8X" => put(seed, 24, &[side(width), side(height)].concat()),
                    b"VP8 " => put(seed, 26, &[short(width), short(height)].concat()),
                    _ => put(seed, 21, &(width ^ height << 14).to_le_bytes()),
                }
            }
            _ => None,
        }
    }

    /// The bytes before the parts of a file, the parts, and the bytes after them.
    fn parts(seed: &[u8]) -> (usize, Vec<Vec<u8>>, usize) {
        let mut parts = Vec::new();
        let head = match seed {
            [0x89, b'P', ..] => 8,
            [0xFF, 0xD8, ..] => 2,
            [b'R', b'I', b'F', b'F', ..] => 12,
            _ => return (0, parts, 0),
        };
        let mut at = head;
        while let Some(b) = seed.get(at..at + 8) {
            let end = match head {
                8 => at + 12 + u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize,
                // A scan continues to the end.
                2 if b[0] != 0xFF || b[1] == 0xDA => break,
                2 => at + 2 + usize::from(u16::from_be_bytes([b[2], b[3]])),
                _ => at + 8 + (u32::from_le_bytes([b[4], b[5], b[6], b[7]]) as usize).next_multiple_of(2),
            };
            let Some(part) = seed.get(at..end) else { break };
            parts.push(part.to_vec());
            at = end;
        }
        (head, parts, at)
    }

    /// Parts put together again; lengths and checksums are right.
    fn join(seed: &[u8], head: usize, parts: &[Vec<u8>], tail: usize) -> Vec<u8> {
        let mut out = seed[..head].to_vec();
        for part in parts {
            match (head, part.len().checked_sub(12)) {
                (8, Some(length)) => out.extend(chunk(&part[4..8], &part[8..8 + length])),
                _ => out.extend_from_slice(part),
            }
        }
        out.extend_from_slice(&seed[tail..]);
        if head == 12 {
            let length = (out.len() - 8) as u32;
            out[4..8].copy_from_slice(&length.to_le_bytes());
        }
        out
    }

    fn chunk(name: &[u8], data: &[u8]) -> Vec<u8> {
        let named = [name, data].concat();
        [&(data.len() as u32).to_be_bytes()[..], &named, &crc32(&named).to_be_bytes()].concat()
    }

    /// An RGB picture with some chunks before its data.
    pub fn png(width: u32, height: u32, chunks: &[(&[u8; 4], &[u8])], data: &[u8]) -> Vec<u8> {
        let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
        let mut out = [b"\x89PNG\r\n\x1a\n", &chunk(b"IHDR", &header)[..]].concat();
        chunks.iter().for_each(|(name, data)| out.extend(chunk(*name, data)));
        out.extend(chunk(b"IDAT", data));
        out.extend(chunk(b"IEND", b""));
        out
    }

    /// About `count` zeros, as short as zlib's format can say it: a literal, then copies of 258.
    pub fn zeros(count: usize) -> Vec<u8> {
        let (mut out, mut word, mut bits) = (vec![0x78, 0x9c], 0u32, 0);
        let mut put = |value: u32, length: u32, out: &mut Vec<u8>| {
            word |= value << bits;
            bits += length;
            while bits >= 8 {
                out.push(word as u8);
                word >>= 8;
                bits -= 8;
            }
        };
        // The last block, fixed codes; codes are written from their highest bit.
        put(0b011, 3, &mut out);
        let (literals, copies) = (count % 258, count / 258);
        let literals = if copies > 0 { literals.max(1) } else { literals };
        (0..literals).for_each(|_| put(0b0000_1100, 8, &mut out));
        // Length 258 is code 285, a distance of 1 code 0.
        (0..copies).for_each(|_| put(0b1010_0011, 13, &mut out));
        put(0, 7, &mut out);
        put(0, 7, &mut out);
        let total = literals + 258 * copies;
        out.extend(((total % 65_521) as u32).wrapping_shl(16).wrapping_add(1).to_be_bytes());
        out
    }

    fn crc32(bytes: &[u8]) -> u32 {
        static TABLE: std::sync::LazyLock<[u32; 256]> = std::sync::LazyLock::new(|| {
            std::array::from_fn(|i| {
                (0..8).fold(i as u32, |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
            })
        });
        !bytes.iter().fold(!0u32, |crc, &b| TABLE[usize::from(crc as u8 ^ b)] ^ (crc >> 8))
    }
}
