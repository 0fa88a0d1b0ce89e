//! The image tower alone: `cargo bench --bench tower -- COMMAND`.
//!
//! `serve --model DIR --size S --precision P --threads N` answers each line `go` with the time of one pass, for
//! `benches/compare/compare.py`. `products --model DIR --size S --precision P` compares a pass with its matrix
//! products alone.

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use aaclip::clip::{Checkpoint, Compute, Precision, PrecisionChoice, VisionTower};
use aaclip::kernels::{Element, Isa, Nonlinearity, PackedLinear, Rows};
use candle_core::{Device, IndexOp, Tensor};

/// As the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn std::error::Error>;

struct Setup {
    checkpoint: Checkpoint,
    size: usize,
    precision: Precision,
}

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    if !["serve", "products"].contains(&command.as_str()) {
        // `cargo bench` and `cargo test --benches` call every benchmark; this one needs a model.
        eprintln!("usage: tower serve|products --model DIR [--size S] [--precision P] [--threads N]");
        return Ok(());
    }
    let rest: Vec<String> = args.collect();
    let options: HashMap<&str, &str> =
        rest.chunks_exact(2).map(|p| (p[0].trim_start_matches('-'), p[1].as_str())).collect();
    if let Some(threads) = options.get("threads") {
        rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build_global()?;
    }
    let checkpoint = match options.get("model") {
        None | Some(&"builtin") => Checkpoint::builtin()?,
        Some(dir) => Checkpoint::open(Path::new(dir))?,
    };
    let size = options.get("size").map_or(Ok(checkpoint.config().vision.image_size), |s| s.parse())?;
    let choice: PrecisionChoice = options.get("precision").unwrap_or(&"f32").parse()?;
    let setup = Setup { checkpoint, size, precision: choice.on(&Device::Cpu) };
    if command == "serve" { serve(&setup) } else { products(&setup) }
}

impl Setup {
    fn tower(&self) -> Result<VisionTower, Failure> {
        let activation = self.checkpoint.config().activation;
        Ok(self.checkpoint.vision(self.size, activation, &Compute::new(&Device::Cpu, self.precision))?)
    }

    /// The input all contestants look at.
    fn input(&self) -> Result<Tensor, Failure> {
        let value = |i: usize| {
            let (c, y, x) = (i / (self.size * self.size), i / self.size % self.size, i % self.size);
            (0.37 * c as f64 + 0.013 * y as f64 * (1.0 + c as f64) + 0.017 * x as f64).sin() as f32
        };
        let values = (0..3 * self.size * self.size).map(value);
        Ok(Tensor::from_iter(values, &Device::Cpu)?.reshape((1, 3, self.size, self.size))?)
    }

    fn levels(&self) -> Vec<usize> {
        aaclip::methods::quarters(self.checkpoint.config().vision.layers)
    }
}

fn serve(setup: &Setup) -> Result<(), Failure> {
    let (tower, input, levels) = (setup.tower()?, setup.input()?, setup.levels());
    let (_, taps) = tower.forward(&input, &levels)?;
    let about = |tap: &Tensor| -> Result<serde_json::Value, Failure> {
        let values: Vec<f64> = tap.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        Ok(serde_json::json!({"mean": mean, "std": variance.sqrt()}))
    };
    let head: Vec<f32> = taps.last().ok_or("no level")?.i((0, 0, ..8))?.to_vec1()?;
    let ready = serde_json::json!({
        "taps": taps.iter().map(about).collect::<Result<Vec<_>, _>>()?,
        "head": head,
        "version": env!("CARGO_PKG_VERSION"),
        "variant": Isa::best().name(),
    });
    drop(taps);
    println!("ready {ready}");
    for line in std::io::stdin().lock().lines() {
        if line?.trim() != "go" {
            continue;
        }
        let start = Instant::now();
        let taps = tower.forward(&input, &levels)?;
        let seconds = start.elapsed().as_secs_f64();
        drop(taps);
        println!("{}", serde_json::json!({"seconds": seconds, "peak_rss": peak_memory()}));
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// The most memory this process ever had, in bytes; 0 where the system does not say.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM"));
    let kilobytes = line.and_then(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// Best of five.
fn best(mut run: impl FnMut() -> Result<(), Failure>) -> Result<f64, Failure> {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best)
}

fn products(setup: &Setup) -> Result<(), Failure> {
    let v = &setup.checkpoint.config().vision;
    let (tower, input, levels) = (setup.tower()?, setup.input()?, setup.levels());
    let tokens = 1 + tower.grid().pow(2);
    let element = match setup.precision {
        Precision::Bf16 => Element::Bf16,
        Precision::Int8 => Element::Int8,
        _ => Element::F32,
    };
    let (mut flops, mut seconds) = (0.0, 0.0);
    for (inputs, outputs) in
        [(v.width, 3 * v.width), (v.width, v.width), (v.width, v.mlp_width), (v.mlp_width, v.width)]
    {
        let value = |i: usize| (i % 251) as f32 / 251.0 - 0.5;
        let weight: Vec<f32> = (0..inputs * outputs).map(value).collect();
        let x: Vec<f32> = (0..inputs * tokens).map(value).collect();
        let layer = PackedLinear::new(Isa::best(), element, inputs, &weight, None);
        let rows = Rows::from_floats(Isa::best(), &x, inputs, inputs, element);
        let took = best(|| {
            std::hint::black_box(layer.floats(&rows, Nonlinearity::None, None));
            Ok(())
        })?;
        let count = 2.0 * (inputs * outputs * tokens) as f64;
        println!("{tokens} x {inputs} x {outputs}: {:.2} ms, {:.0} GFLOP/s", took * 1e3, count / took / 1e9);
        flops += count;
        seconds += took;
    }
    let attention = 4.0 * (tokens * tokens * v.width) as f64;
    let (blocks, speed) = (v.layers as f64, flops / seconds);
    let pass = best(|| {
        std::hint::black_box(tower.forward(&input, &levels)?);
        Ok(())
    })?;
    let alone = blocks * (flops + attention) / speed;
    println!("linear layers: {:.0} GFLOP/s", speed / 1e9);
    println!(
        "a pass: {:.1} ms for {:.0} GFLOP, {:.0} GFLOP/s",
        pass * 1e3,
        blocks * (flops + attention) / 1e9,
        blocks * (flops + attention) / pass / 1e9
    );
    println!(
        "its products alone at the linear layers' speed: {:.1} ms, {:.1} % of the pass",
        alone * 1e3,
        100.0 * alone / pass
    );
    Ok(())
}
