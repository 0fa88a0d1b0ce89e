//! Evaluates maps that any program wrote: `pixel_metrics MAPS.npy MASKS.npy [PRO_LIMIT]`.
//!
//! MAPS is `[N, H, W]` float32, MASKS `[N, H, W]` uint8, both C-ordered NumPy files. Maps are read from disk one at a
//! time, so any number of them fits. Prints one JSON object.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::sync::Mutex;

use aaclip::metrics::{Maps, PixelOptions, Resolution, Truth, pixel_metrics};

/// A NumPy file of `[N, H, W]`, without its header.
struct Npy {
    file: Mutex<File>,
    start: u64,
    shape: [usize; 3],
}

impl Npy {
    fn open(path: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let mut reader = BufReader::new(File::open(path)?);
        let mut head = [0; 10];
        reader.read_exact(&mut head)?;
        let mut text = vec![0; usize::from(u16::from_le_bytes([head[8], head[9]]))];
        reader.read_exact(&mut text)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let inside = text.split('(').nth(1).and_then(|t| t.split(')').next()).ok_or("no shape")?;
        let shape: Vec<usize> = inside.split(',').filter_map(|n| n.trim().parse().ok()).collect();
        let shape = <[usize; 3]>::try_from(shape).map_err(|_| "expected three axes")?;
        Ok(Self { file: Mutex::new(File::open(path)?), start: 10 + text.len() as u64, shape })
    }

    fn read(&self, index: usize, bytes: &mut [u8]) -> std::io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(|e| e.into_inner());
        file.seek(SeekFrom::Start(self.start + (index * bytes.len()) as u64))?;
        file.read_exact(bytes)
    }
}

struct Stack {
    maps: Npy,
    truths: Vec<Truth>,
}

impl Maps for Stack {
    fn len(&self) -> usize {
        self.truths.len()
    }

    fn truth(&self, index: usize) -> &Truth {
        &self.truths[index]
    }

    fn read(&self, index: usize, values: &mut Vec<f32>) -> aaclip::Result<()> {
        let mut bytes = vec![0; self.truths[index].pixels() * 4];
        self.maps.read(index, &mut bytes).map_err(|e| aaclip::Error::io("read", "the maps", e))?;
        values.clear();
        values.extend(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)));
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, maps, masks, rest @ ..] = &arguments[..] else {
        return Err("MAPS.npy MASKS.npy [PRO_LIMIT]".into());
    };
    let (maps, masks) = (Npy::open(maps)?, Npy::open(masks)?);
    if maps.shape != masks.shape {
        return Err(format!("maps are {:?}, masks {:?}", maps.shape, masks.shape).into());
    }
    let [count, height, width] = maps.shape;
    let mut truths = Vec::with_capacity(count);
    for i in 0..count {
        let mut bytes = vec![0; height * width];
        masks.read(i, &mut bytes)?;
        let mask: Vec<bool> = bytes.into_iter().map(|b| b != 0).collect();
        truths.push(Truth::new(&mask, width));
    }
    let stack = Stack { maps, truths };
    let pro_limit = rest.first().map_or(Ok(0.3), |l| l.parse())?;
    let resolution =
        if rest.get(1).is_some_and(|r| r == "binned") { Resolution::Binned } else { Resolution::Exact };
    let mut options = PixelOptions::default();
    (options.pro_limit, options.resolution) = (pro_limit, resolution);
    println!("{}", serde_json::to_string_pretty(&pixel_metrics(&stack, &options)?)?);
    Ok(())
}
